// Starts worker processes and listens to them.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { BenchRetention, WorkerNews } from "./worker-program.ts";

const LOADER = new URL("../lab/typescript.mjs", import.meta.url).href;
const READY_MS = 60_000;

/** Now, comparable with the moments that workers tell. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

export class BenchWorker {
  workerId = "";
  memory = { rssMb: 0, heapMb: 0 };
  readonly #child: ChildProcess;
  readonly #onLine: (runId: string, atMs: number) => void;

  private constructor(url: string, onLine: (runId: string, atMs: number) => void, retention?: BenchRetention) {
    this.#onLine = onLine;
    this.#child = fork(fileURLToPath(new URL("worker-program.ts", import.meta.url)), [], {
      execArgv: ["--expose-gc", "--import", LOADER],
      env: { ...process.env, LONGHAUL_BENCH_URL: url, LONGHAUL_BENCH_RETENTION: JSON.stringify(retention ?? null) },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (news: WorkerNews) => this.#hear(news));
  }

  /**
   * @param onLine Told when a run in this process reaches the line in question.
   * @param retention Default: as users get it.
   */
  static async start(
    url: string,
    onLine: (runId: string, atMs: number) => void = () => undefined,
    retention?: BenchRetention,
  ): Promise<BenchWorker> {
    const worker = new BenchWorker(url, onLine, retention);
    await worker.#heard("ready");
    return worker;
  }

  /** Megabytes after a garbage collection. */
  async measureMemory(): Promise<{ rssMb: number; heapMb: number }> {
    const heard = this.#heard("memory");
    this.#child.send("memory");
    await heard;
    return this.memory;
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end(() => this.#child.kill("SIGKILL"));
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 15_000);
    await this.#end(() => this.#child.send("close"));
    clearTimeout(timer);
  }

  async #end(how: () => unknown): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    how();
    await exit;
  }

  #heard(type: WorkerNews["type"]): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the worker did not say ${type}`)), READY_MS);
      const hear = (news: WorkerNews): void => {
        if (news.type !== type) return;
        clearTimeout(timer);
        this.#child.off("message", hear);
        resolve();
      };
      this.#child.on("message", hear);
    });
  }

  #hear(news: WorkerNews): void {
    if (news.type === "line") this.#onLine(news.runId, news.atMs);
    else this.memory = { rssMb: news.rssMb, heapMb: news.heapMb };
    if (news.type === "ready") this.workerId = news.workerId ?? "";
  }
}
