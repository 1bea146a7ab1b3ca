// A gateway as its users start it: a program in a process of its own, stopped while others are at their turn.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const CLOSE_MS = 15_000;

export class ServerProcess {
  readonly #name: string;
  readonly #child: ChildProcess;
  #said = "";

  constructor(name: string, args: readonly string[], environment: Readonly<Record<string, string>>, folder?: string) {
    this.#name = name;
    this.#child = spawn(process.execPath, args, {
      ...(folder === undefined ? {} : { cwd: folder }),
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said = `${this.#said}${text}`.slice(-4_000);
    });
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Lets what it prints go nowhere. */
  drain(): void {
    this.#child.stdout?.resume();
  }

  /** The first line of output for which this is not null. @throws when it ends without */
  async line<Found>(find: (text: string) => Found | null): Promise<Found> {
    if (this.#child.stdout === null) throw new Error("no output");
    for await (const text of createInterface({ input: this.#child.stdout })) {
      const found = find(text);
      if (found === null) continue;
      this.drain();
      return found;
    }
    throw this.ended();
  }

  ended(): Error {
    return new Error(`${this.#name} ended: ${this.#said}`);
  }

  pause(): void {
    if (process.platform !== "win32") this.#child.kill("SIGSTOP");
  }

  resume(): void {
    if (process.platform !== "win32") this.#child.kill("SIGCONT");
  }

  async close(): Promise<void> {
    if (this.hasEnded) return;
    const exit = once(this.#child, "exit");
    this.resume();
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_MS);
    await exit;
    clearTimeout(timer);
  }
}
