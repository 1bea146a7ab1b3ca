// A victim as the harness holds it: a real process, started ahead of time, that can be killed, frozen and thawed.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { built } from "../support/built.ts";
import type { Orders } from "./victim-program.ts";

const PROGRAM = built(new URL("./victim-program.ts", import.meta.url));
const alive = new Set<ChildProcess>();
// A frozen process does not notice that its parent is gone.
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export class Victim {
  readonly #child: ChildProcess;
  readonly #ready: Promise<unknown>;
  /** Resolves when the process has ended, however. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** What it wrote. */
  output = "";

  constructor() {
    this.#child = fork(PROGRAM, { execArgv: [], stdio: ["ignore", "pipe", "pipe", "ipc"] });
    alive.add(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (bytes: Buffer) => {
        this.output += bytes.toString();
      });
    }
    this.#ready = once(this.#child, "message");
    this.#ready.catch(() => undefined);
    this.ended = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        alive.delete(this.#child);
        resolve({ code, signal });
      });
    });
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async go(orders: Orders): Promise<void> {
    await this.#ready;
    this.#child.send(orders, () => undefined);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }
}
