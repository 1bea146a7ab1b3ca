// One worker process under supervision: started, watched, asked to drain, and started anew when it dies.
import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fail } from "../domain/errors.ts";
import { newId } from "../engine/ids.ts";
import { isWorkerReady, type WorkerReady } from "./supervision.ts";

/** What happens to a worker, as its supervisor sees it. */
export type WorkerEvent =
  | {
      readonly event: "worker_ready";
      readonly pid: number;
      readonly workerId: string;
      readonly agents: readonly string[];
    }
  | {
      readonly event: "worker_died";
      readonly pid: number;
      readonly workerId: string | null;
      /** Exit code or signal. */
      readonly end: string;
      /** Runs whose leases were handed back at once. */
      readonly freedRuns: number;
      /** Null: not before the agents' files change. */
      readonly restartInMs: number | null;
    }
  | { readonly event: "worker_stopped"; readonly pid: number; readonly workerId: string | null };

export interface WorkerProcessOptions {
  /** Starts a worker that holds its leases under this id: known beforehand, since a worker may die before it can tell. */
  readonly spawn: (workerId: string) => ChildProcess;
  /** Hands the leases of a dead worker back and says how many. */
  readonly free: (workerId: string) => Promise<number>;
  readonly report: (event: WorkerEvent) => void;
  /** Asks for the end: the worker drains, and no other is started. */
  readonly stop: AbortSignal;
  /** How long a drain may take before the process is killed. */
  readonly drainLimitMs: number;
  /** True: a worker that cannot even start is not tried again before `replace()`. */
  readonly waitForChange: boolean;
}

/** One process from its start to its end. */
interface Life {
  readonly pid: number;
  readonly workerId: string;
  readonly wasReady: boolean;
  readonly end: string;
  readonly livedMs: number;
}

const RESTART_FIRST_MS = 100;
const RESTART_MAX_MS = 10_000;
/** A worker that lived this long has recovered: after its death the pause is the shortest again. */
const STEADY_MS = 30_000;

/** Keeps one worker process alive until it is told to stop. */
export class WorkerProcess {
  readonly #options: WorkerProcessOptions;
  /** Settled by the first process. @throws WORKER_NOT_STARTED when that one ended before it was ready */
  readonly ready: Promise<WorkerReady>;
  #settleReady: (outcome: WorkerReady | Error) => void = () => undefined;
  #child: ChildProcess | undefined;
  #workerId: string | null = null;
  #replacing = false;
  #pauseMs = RESTART_FIRST_MS;
  #wake = new AbortController();

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome));
    });
    // Whoever does not ask does not want to know.
    this.ready.catch(() => undefined);
  }

  /** The id of the worker in the process of this moment, once it is ready. */
  get workerId(): string | null {
    return this.#workerId;
  }

  /** Runs until the stop signal; resolves when the last process has ended. */
  async keepAlive(): Promise<void> {
    const { stop, report } = this.#options;
    while (!stop.aborted) {
      this.#replacing = false;
      const life = await this.#live();
      this.#settleReady(fail("WORKER_NOT_STARTED", { reason: `it ended with ${life.end}` }));
      const freedRuns = await this.#free(life.workerId);
      if (stop.aborted || this.#replacing) report({ event: "worker_stopped", pid: life.pid, workerId: idOf(life) });
      else await this.#restartLater(life, freedRuns);
    }
    this.#settleReady(fail("WORKER_NOT_STARTED", { reason: "it was told to stop" }));
  }

  /** Ends the current process, after its drain, and starts another at once: for code that has changed. */
  replace(): void {
    this.#replacing = true;
    this.#pauseMs = RESTART_FIRST_MS;
    this.#wake.abort();
    if (this.#child !== undefined) this.#drain(this.#child);
  }

  /** Ends the process without a drain. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  async #live(): Promise<Life> {
    const { spawn, report, stop } = this.#options;
    const startedAt = performance.now();
    const workerId = newId();
    const child = spawn(workerId);
    const pid = child.pid ?? 0;
    let wasReady = false;
    this.#child = child;
    child.on("message", (message) => {
      if (!isWorkerReady(message)) return;
      wasReady = true;
      this.#workerId = workerId;
      report({ event: "worker_ready", pid, workerId, agents: message.agents });
      this.#settleReady(message);
    });
    const onStop = (): void => this.#drain(child);
    stop.addEventListener("abort", onStop, { once: true });
    const end = await endOf(child);
    stop.removeEventListener("abort", onStop);
    this.#child = undefined;
    this.#workerId = null;
    return { pid, workerId, wasReady, end, livedMs: performance.now() - startedAt };
  }

  async #restartLater(life: Life, freedRuns: number): Promise<void> {
    const { pid, wasReady, end, livedMs } = life;
    if (livedMs > STEADY_MS) this.#pauseMs = RESTART_FIRST_MS;
    const waits = !wasReady && this.#options.waitForChange;
    const restartInMs = waits ? null : this.#pauseMs;
    this.#pauseMs = Math.min(this.#pauseMs * 2, RESTART_MAX_MS);
    this.#wake = new AbortController();
    this.#options.report({ event: "worker_died", pid, workerId: idOf(life), end, freedRuns, restartInMs });
    const signal = AbortSignal.any([this.#options.stop, this.#wake.signal]);
    await delay(restartInMs ?? 2 ** 31 - 1, undefined, { signal }).catch(() => undefined);
  }

  /** Also after an end that looks clean: an agent may have called `process.exit(0)`. Without the database leases just lapse. */
  #free(workerId: string): Promise<number> {
    return this.#options.free(workerId).catch(() => 0);
  }

  #drain(child: ChildProcess): void {
    if (child.connected) child.send({ type: "drain" }, () => undefined);
    else child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), this.#options.drainLimitMs);
    child.once("exit", () => clearTimeout(timer));
  }
}

/** As its events name it: a worker that was never ready has no name. */
function idOf({ workerId, wasReady }: Life): string | null {
  return wasReady ? workerId : null;
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    // Not "exit": what it said last is read only then.
    child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}
