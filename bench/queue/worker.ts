// Worker processes of the queue claims, started and stopped from here.
import { Child } from "../lab/child.ts";
import type { WorkerNews, WorkerOrder, WorkerTask } from "./worker-program.ts";

export class WorkerProcess extends Child<WorkerOrder, WorkerNews> {
  /** Starts the process; it claims nothing before `work()`. */
  static async start(url: string, task: Omit<WorkerTask, "url"> = {}): Promise<WorkerProcess> {
    const worker = new WorkerProcess("worker", new URL("worker-program.ts", import.meta.url), {
      LONGHAUL_BENCH_TASK: JSON.stringify({ url, ...task } satisfies WorkerTask),
    });
    await worker.heard("ready");
    return worker;
  }

  work(): void {
    this.send({ type: "work" });
  }
}
