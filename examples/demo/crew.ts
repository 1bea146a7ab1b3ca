// The demo's supervisor: starts worker processes, kills them, and does what a supervisor does when one dies.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Longhaul } from "../../src/index.ts";
import type { Tell, Who } from "./tale.ts";
import { WITNESS_FILE } from "./witness.ts";
import { DEMO_PID, type WorkerMessage } from "./worker-message.ts";

export interface CrewOptions {
  readonly longhaul: Longhaul;
  readonly url: string;
  readonly witness: string;
  /** Where the workers' own output goes. */
  readonly logFile: string;
  readonly tell: Tell;
}

export interface Member extends Who {
  readonly workerId: string | null;
  readonly state: "starting" | "ready" | "killed" | "gone";
}

/** A `kill -9` of ours: when it was, and how many leases the supervisor then freed. */
export interface Kill {
  readonly worker: Who;
  readonly workerId: string;
  readonly atMs: number;
  freedRuns: number | null;
}

interface Mutable extends Member {
  workerId: string | null;
  state: Member["state"];
  readonly child: ChildProcess;
  readonly startedMs: number;
}

const WORKER_PROGRAM = fileURLToPath(new URL("./worker.ts", import.meta.url));
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const DRAIN_MS = 10_000;
/** Workers that die without being killed are replaced this often; then something is wrong with the demo itself. */
const REPLACEMENTS_MAX = 5;

export class Crew {
  readonly kills: Kill[] = [];
  /** Runs that were tried alone, in a process of their own. */
  readonly alone = new Set<string>();
  readonly #options: CrewOptions;
  readonly #log: number;
  readonly #members: Mutable[] = [];
  readonly #replays = new Map<string, { queries: number; steps: number }>();
  readonly #freeing = new Set<Promise<void>>();
  #replacements = 0;
  #closed = false;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#log = openSync(options.logFile, "a");
  }

  get ready(): readonly Member[] {
    return this.#members.filter(({ state }) => state === "ready");
  }

  byPid(pid: number): Member | undefined {
    return this.#members.find((member) => member.pid === pid);
  }

  byWorkerId(workerId: unknown): Member | undefined {
    return this.#members.find((member) => member.workerId === workerId);
  }

  /** Starts workers until so many are there; resolves when they are ready. @throws Error when one cannot start */
  async fill(count: number): Promise<void> {
    const living = this.#members.filter(({ state }) => state === "starting" || state === "ready");
    for (let number = living.length; number < count; number += 1) living.push(this.#start());
    await Promise.all(living.map((member) => this.#untilReady(member)));
  }

  /** `kill -9`. What follows (free the leases, start another) follows from the death alone, as with any other death. */
  kill(member: Member): Kill {
    const mine = this.#members.find(({ pid }) => pid === member.pid);
    if (mine === undefined || mine.state !== "ready" || mine.workerId === null) throw new Error("no such worker");
    mine.state = "killed";
    const kill: Kill = { worker: who(mine), workerId: mine.workerId, atMs: Date.now(), freedRuns: null };
    mine.child.kill("SIGKILL");
    this.kills.push(kill);
    return kill;
  }

  /** What a worker read to go on with a run, since the last question about this run; null if it has not told. */
  replayOf(workerId: string, runId: string): { readonly queries: number; readonly steps: number } | null {
    const key = `${workerId}/${runId}`;
    const replay = this.#replays.get(key) ?? null;
    this.#replays.delete(key);
    return replay;
  }

  /** Lets every worker finish its steps in hand and go. */
  async drain(): Promise<void> {
    this.#closed = true;
    for (const { child } of this.#living()) child.kill("SIGTERM");
    await this.#gone(DRAIN_MS);
    await this.end();
  }

  /** Ends what still lives, at once. Nothing is lost by it: that is what the demo shows. */
  async end(): Promise<void> {
    this.#closed = true;
    for (const { child } of this.#living()) child.kill("SIGKILL");
    await this.#gone(DRAIN_MS);
    await Promise.allSettled(this.#freeing);
  }

  close(): void {
    closeSync(this.#log);
  }

  #living(): Mutable[] {
    return this.#members.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  }

  async #gone(patienceMs: number): Promise<void> {
    const gone = Promise.all(this.#living().map(({ child }) => once(child, "exit")));
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([gone, new Promise((resolve) => (timer = setTimeout(resolve, patienceMs)))]);
    clearTimeout(timer);
  }

  #start(): Mutable {
    if (this.#closed) throw new Error("the crew has been sent home");
    const { url, witness } = this.#options;
    const child = fork(WORKER_PROGRAM, {
      cwd: PROJECT,
      env: { ...process.env, LONGHAUL_DATABASE_URL: url, [WITNESS_FILE]: witness, [DEMO_PID]: String(process.pid) },
      stdio: ["ignore", this.#log, this.#log, "ipc"],
    });
    const name = nameOf(this.#members.length);
    const member: Mutable = {
      name,
      pid: child.pid ?? 0,
      workerId: null,
      state: "starting",
      child,
      startedMs: performance.now(),
    };
    this.#members.push(member);
    child.on("message", (message) => this.#hear(member, message as WorkerMessage));
    child.once("exit", (code, signal) => this.#buried(member, signal ?? `exit code ${code}`));
    child.once("error", (error) => this.#buried(member, error.message));
    return member;
  }

  #hear(member: Mutable, message: WorkerMessage): void {
    switch (message.type) {
      case "ready":
        member.workerId = message.workerId;
        member.state = "ready";
        this.#options.tell({
          event: "worker_ready",
          worker: who(member),
          seconds: (performance.now() - member.startedMs) / 1_000,
        });
        break;
      case "replay":
        for (const runId of message.runIds) this.#replayed(`${member.workerId}/${runId}`, message.steps);
        break;
      case "isolated":
        this.alone.add(message.runId);
        break;
    }
  }

  #replayed(key: string, steps: number): void {
    const before = this.#replays.get(key) ?? { queries: 0, steps: 0 };
    this.#replays.set(key, { queries: before.queries + 1, steps: before.steps + steps });
  }

  /** A worker process has ended: hand back what it held, and start another in its place. */
  #buried(member: Mutable, end: string): void {
    if (member.state === "gone") return;
    const killed = member.state === "killed";
    member.state = "gone";
    if (this.#closed) return;
    if (!killed) this.#options.tell({ event: "worker_died", worker: who(member), end });
    const freeing = this.#free(member);
    this.#freeing.add(freeing);
    void freeing.finally(() => this.#freeing.delete(freeing));
    if (!killed) this.#replacements += 1;
    if (this.#replacements <= REPLACEMENTS_MAX) this.#start();
  }

  async #free({ workerId }: Mutable): Promise<void> {
    if (workerId === null) return;
    // Our workers can try a suspicious run alone. Should this fail, the leases lapse by themselves within ten seconds.
    const freedRuns = await this.#options.longhaul.freeWorker(workerId, { canIsolate: true }).catch(() => null);
    const kill = this.kills.find((one) => one.workerId === workerId);
    if (kill !== undefined) kill.freedRuns = freedRuns;
  }

  async #untilReady(member: Mutable): Promise<void> {
    while (member.state === "starting") {
      const heard = new AbortController();
      const { signal } = heard;
      await Promise.race([once(member.child, "message", { signal }), once(member.child, "exit", { signal })]);
      heard.abort();
    }
    if (member.state === "gone") throw new Error(`A worker could not start: ${lastLines(this.#options.logFile)}`);
  }
}

function who({ name, pid }: Who): Who {
  return { name, pid };
}

/** A, B, … Z, A2, B2, … */
function nameOf(number: number): string {
  const round = Math.floor(number / 26);
  return String.fromCharCode(65 + (number % 26)) + (round === 0 ? "" : String(round + 1));
}

function lastLines(file: string): string {
  return readFileSync(file, "utf8").trim().split("\n").slice(-12).join("\n") || "it said nothing";
}
