// Decides when a supervisor shall have one worker process more, or one fewer: slowly enough for each change to show its effect.
import { formatDuration } from "../domain/duration.ts";
import type { ProcessRange } from "../domain/process-range.ts";
import { type Demand, type ScaleRule, workersWanted } from "../domain/workers-wanted.ts";

/** One of the supervisor's processes as it is now. */
export interface ProcessState {
  readonly ready: boolean;
  /** Runs it executes; null when that is not known. */
  readonly running: number | null;
}

export interface Decision<Process> {
  readonly start: boolean;
  readonly stop: Process | null;
  readonly reason: string;
}

export interface AutoscalerOptions {
  readonly range: ProcessRange;
  readonly rule: Omit<ScaleRule, "min" | "max">;
  readonly idleMs: number;
}

export class Autoscaler<Process> {
  readonly #options: AutoscalerOptions;
  /** Since when each process has had nothing to do, on this process's monotonic clock. */
  readonly #idleSince = new Map<Process, number>();

  constructor(options: AutoscalerOptions) {
    this.#options = options;
  }

  /**
   * `demand.workers` are all that serve the queues, also of other supervisors. At most one change at a time: none is started while another
   * is still starting, none is stopped that has had something to do within the idle time.
   */
  decide(
    demand: Demand,
    processes: ReadonlyMap<Process, ProcessState>,
    nowMs = performance.now(),
  ): Decision<Process> | null {
    const { range, idleMs } = this.#options;
    this.#noteIdle(processes, nowMs);
    const wanted = this.#wanted(demand, processes);
    if (processes.size < range.min) return { start: true, stop: null, reason: `at least ${range.min} are to run` };
    if (wanted > processes.size) {
      const starting = [...processes.values()].some(({ ready }) => !ready);
      return starting ? null : { start: true, stop: null, reason: this.#whyMore(demand) };
    }
    if (processes.size <= Math.max(wanted, range.min)) return null;
    const [longest] = [...this.#idleSince].sort(([, a], [, b]) => a - b);
    if (longest === undefined || nowMs - longest[1] < idleMs) return null;
    this.#idleSince.delete(longest[0]);
    return { start: false, stop: longest[0], reason: `it has had nothing to do for ${formatDuration(idleMs)}` };
  }

  /** How many of the workers wanted are this supervisor's to have. */
  #wanted(demand: Demand, processes: ReadonlyMap<Process, ProcessState>): number {
    const { range, rule } = this.#options;
    const ready = [...processes.values()].filter((process) => process.ready).length;
    const others = Math.max(0, demand.workers - ready);
    const workers = others + processes.size;
    const all = workersWanted({ ...demand, workers }, { ...rule, min: range.min + others, max: range.max + others });
    return all - others;
  }

  #noteIdle(processes: ReadonlyMap<Process, ProcessState>, nowMs: number): void {
    for (const process of this.#idleSince.keys()) if (!processes.has(process)) this.#idleSince.delete(process);
    for (const [process, { ready, running }] of processes) {
      if (!ready || (running ?? 0) > 0) this.#idleSince.delete(process);
      else if (running === 0 && !this.#idleSince.has(process)) this.#idleSince.set(process, nowMs);
    }
  }

  #whyMore({ depth, oldestMs, inFlight }: Demand): string {
    const { slaMs } = this.#options.rule;
    if (depth > 0 && oldestMs !== null && oldestMs > slaMs)
      return `the oldest of ${depth} runs waits for ${formatDuration(oldestMs)}, longer than ${formatDuration(slaMs)}`;
    return depth > 0 ? `${depth} runs wait` : `${inFlight} runs are in flight`;
  }
}
