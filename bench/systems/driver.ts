// Drives one system in a process of its own. Stopped between its turns, so that an idle system costs the others nothing.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { LoopTimes, Mark } from "./stage.ts";

export type Order =
  | { readonly type: "loop"; readonly runs: number; readonly steps: number }
  | { readonly type: "start"; readonly here: boolean }
  | { readonly type: "recover"; readonly steps: number }
  | { readonly type: "acknowledge"; readonly mark: Mark }
  | { readonly type: "close" };

export type Answer =
  | { readonly type: "ready"; readonly version: string; readonly canStartHere: boolean }
  | { readonly type: "done"; readonly ms?: number; readonly times?: LoopTimes }
  | { readonly type: "mark"; readonly mark: Mark; readonly ms?: number }
  | { readonly type: "failed"; readonly message: string };

export interface SystemName {
  readonly name: string;
  /** Path of the module that opens it, relative to this folder. */
  readonly module: string;
}

const PATIENCE_MS = 120_000;
const LOADER = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

export class Driver {
  readonly name: string;
  readonly url: string;
  version = "";
  canStartHere = false;
  readonly #child: ChildProcess;
  readonly #answers: Answer[] = [];
  #waiting: ((answer: Answer) => void) | null = null;

  private constructor(system: SystemName, url: string, dying: boolean) {
    this.name = system.name;
    this.url = url;
    this.#child = fork(fileURLToPath(new URL("program.ts", import.meta.url)), [], {
      execArgv: ["--import", LOADER],
      env: {
        ...process.env,
        LONGHAUL_BENCH_SYSTEM: fileURLToPath(new URL(system.module, import.meta.url)),
        LONGHAUL_BENCH_URL: url,
        LONGHAUL_BENCH_DYING: dying ? "1" : "0",
      },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (answer: Answer) => this.#hear(answer));
    this.#child.on("exit", (code, signal) => {
      this.#hear({ type: "failed", message: `it ended (${signal ?? code})` });
    });
  }

  /** @param dying Whether this process is to be killed after recording the steps of a recovery. */
  static async open(system: SystemName, url: string, dying = false): Promise<Driver> {
    const driver = new Driver(system, url, dying);
    const ready = await driver.answer("ready");
    driver.version = ready.version;
    driver.canStartHere = ready.canStartHere;
    return driver;
  }

  async loop(runs: number, steps: number): Promise<LoopTimes> {
    this.send({ type: "loop", runs, steps });
    const { times } = await this.answer("done");
    if (times === undefined) throw new Error(`${this.name} gave no times`);
    return times;
  }

  /** Milliseconds from the call that submits to the first line of the program. */
  async start(here = false): Promise<number> {
    this.send({ type: "start", here });
    return (await this.answer("done")).ms ?? Number.NaN;
  }

  send(order: Order): void {
    this.#child.send(order);
  }

  /** The next answer of this type; others that come before it are kept. */
  async answer<Type extends Answer["type"]>(type: Type): Promise<Extract<Answer, { type: Type }>> {
    const others: Answer[] = [];
    for (;;) {
      const next = await this.next();
      if (next.type === "failed") throw new Error(`${this.name}: ${next.message}`);
      if (next.type === type) {
        this.#answers.unshift(...others);
        return next as Extract<Answer, { type: Type }>;
      }
      others.push(next);
    }
  }

  async next(): Promise<Answer> {
    const waiting = this.#answers.shift();
    if (waiting !== undefined) return waiting;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting = null;
        resolve({ type: "failed", message: `no answer in ${PATIENCE_MS / 1_000} s` });
      }, PATIENCE_MS);
      this.#waiting = (answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
    });
  }

  pause(): void {
    if (process.platform !== "win32") this.#child.kill("SIGSTOP");
  }

  resume(): void {
    if (process.platform !== "win32") this.#child.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  /** Lets the system close; kills it when it does not end in time. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.resume();
    const exit = once(this.#child, "exit");
    this.send({ type: "close" });
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 15_000);
    await exit;
    clearTimeout(timer);
  }

  #hear(answer: Answer): void {
    if (this.#waiting === null) this.#answers.push(answer);
    else {
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting(answer);
    }
  }
}
