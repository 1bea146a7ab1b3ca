// Live functions of runs that wait: kept for some seconds, so that a quick answer continues without replay.
import type { Execution } from "./execution.ts";

export class WarmRuns {
  readonly #runs = new Map<string, { execution: Execution; timer: NodeJS.Timeout }>();
  readonly #keepMs: number;
  readonly #max: number;

  constructor(keepMs: number, max: number) {
    this.#keepMs = keepMs;
    this.#max = max;
  }

  keep(execution: Execution): void {
    if (this.#max <= 0) {
      execution.forget();
      return;
    }
    const oldest = this.#runs.size >= this.#max ? this.#runs.keys().next().value : undefined;
    if (oldest !== undefined) this.#drop(oldest);
    const timer = setTimeout(() => this.#drop(execution.runId), this.#keepMs);
    timer.unref();
    this.#runs.set(execution.runId, { execution, timer });
  }

  has(runId: string): boolean {
    return this.#runs.has(runId);
  }

  /** The live function, if nobody had the run in between: the epoch is the next one and the journal's tail is its own. */
  take(runId: string, epoch: number, journalSeq: number): Execution | null {
    const warm = this.#runs.get(runId);
    if (warm === undefined) return null;
    this.#runs.delete(runId);
    clearTimeout(warm.timer);
    const { execution } = warm;
    if (execution.mode === "released" && epoch === execution.epoch + 1 && journalSeq === execution.journal.stored + 1)
      return execution;
    execution.forget();
    return null;
  }

  clear(): void {
    for (const runId of [...this.#runs.keys()]) this.#drop(runId);
  }

  #drop(runId: string): void {
    const warm = this.#runs.get(runId);
    if (warm === undefined) return;
    this.#runs.delete(runId);
    clearTimeout(warm.timer);
    warm.execution.forget();
  }
}
