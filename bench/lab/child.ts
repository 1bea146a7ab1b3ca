// A process of a measurement's own: gets orders from us, tells news, can be stopped between its turns, killed, and closed.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const PATIENCE_MS = 120_000;
const CLOSE_MS = 15_000;
const LOADER = new URL("typescript.mjs", import.meta.url).href;

/** Tells that the process, or an order it got, has failed. */
export interface Failed {
  readonly type: "failed";
  readonly message: string;
}

export class Child<Order extends { readonly type: string }, News extends { readonly type: string }> {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #news: (News | Failed)[] = [];
  #waiting: ((news: News | Failed) => void) | null = null;

  /** @param environment Added to ours: how the program learns what it is for. */
  constructor(name: string, program: URL, environment: Readonly<Record<string, string>>) {
    this.name = name;
    this.#child = fork(fileURLToPath(program), [], {
      execArgv: ["--import", LOADER],
      env: { ...process.env, ...environment },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (news: News) => this.#hear(news));
    this.#child.on("exit", (code, signal) => this.#hear({ type: "failed", message: `it ended (${signal ?? code})` }));
  }

  send(order: Order | { readonly type: "close" }): void {
    this.#child.send(order);
  }

  /** The next news of this type; others that come before it are kept. @throws what the process says has failed */
  async heard<Type extends News["type"]>(
    type: Type,
    patienceMs = PATIENCE_MS,
  ): Promise<Extract<News, { readonly type: Type }>> {
    const others: News[] = [];
    for (;;) {
      const next = await this.#next(patienceMs);
      if (next.type === "failed") throw new Error(`${this.name}: ${(next as Failed).message}`);
      if (next.type === type) {
        this.#news.unshift(...others);
        return next as Extract<News, { readonly type: Type }>;
      }
      others.push(next as News);
    }
  }

  pause(): void {
    if (process.platform !== "win32") this.#child.kill("SIGSTOP");
  }

  resume(): void {
    if (process.platform !== "win32") this.#child.kill("SIGCONT");
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end(() => this.#child.kill("SIGKILL"));
  }

  /** Lets the program close; kills it when it does not end in time. */
  async close(): Promise<void> {
    this.resume();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_MS);
    await this.#end(() => this.send({ type: "close" }));
    clearTimeout(timer);
  }

  async #end(how: () => unknown): Promise<void> {
    if (this.ended) return;
    const exit = once(this.#child, "exit");
    how();
    await exit;
  }

  #next(patienceMs: number): Promise<News | Failed> {
    const first = this.#news.shift();
    if (first !== undefined) return Promise.resolve(first);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting = null;
        resolve({ type: "failed", message: `no answer in ${patienceMs / 1_000} s` });
      }, patienceMs);
      this.#waiting = (news) => {
        clearTimeout(timer);
        resolve(news);
      };
    });
  }

  #hear(news: News | Failed): void {
    if (this.#waiting === null) this.#news.push(news);
    else {
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting(news);
    }
  }
}
