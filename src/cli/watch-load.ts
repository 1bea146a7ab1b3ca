// Looks at the load once a second: adds and stops worker processes where the load decides, and tells what is late. One statement at a time,
// so that a process with nothing to do sends no more than one per second.
import { setTimeout as delay } from "node:timers/promises";
import { isLonghaulError } from "../domain/errors.ts";
import type { Logger } from "../engine/worker-options.ts";
import type { Longhaul } from "../runtime/api.ts";
import { tellAlert } from "./alerts.ts";
import { Autoscaler, type AutoscalerOptions, type Decision } from "./autoscaler.ts";
import type { WorkerPool } from "./worker-pool.ts";
import type { WorkerProcess } from "./worker-process.ts";

export interface WatchOptions {
  readonly longhaul: Longhaul;
  readonly stop: AbortSignal;
  readonly slaMs: number;
  readonly webhook: string | undefined;
  readonly log: Logger;
  /** Null: only look. */
  readonly scaling: Scaling | null;
}

export interface Scaling extends AutoscalerOptions {
  readonly pool: WorkerPool;
  readonly queues: readonly string[];
  readonly build: string;
  readonly report: (event: ScaleEvent) => void;
}

/** The number of worker processes changes. */
export interface ScaleEvent {
  readonly event: "scaled";
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

const ROUND_MS = 1_000;
/** Every so many rounds looks for what is late, and every so many for processes with nothing to do; the others are for the load. */
const ROUNDS = 5;
const ALERT_ROUND = 0;
const IDLE_ROUND = 3;

/** Resolves when the signal aborts. */
export async function watchLoad(options: WatchOptions): Promise<void> {
  const { stop, log, scaling } = options;
  const scaler = scaling === null ? null : new LocalScaler(options.longhaul, scaling);
  for (let round = 0; !stop.aborted; round = (round + 1) % ROUNDS) {
    try {
      if (round === ALERT_ROUND) await lookForAlerts(options);
      else await scaler?.round(round === IDLE_ROUND);
    } catch (error) {
      // Without the database nothing can be decided; it says so where it matters.
      const expected = isLonghaulError(error) && error.retryable;
      if (!expected && !stop.aborted) log("warn", "the load could not be read", { error });
    }
    await delay(ROUND_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}

async function lookForAlerts({ longhaul, slaMs, webhook, log }: WatchOptions): Promise<void> {
  for (const alert of await longhaul.alerts({ slaMs })) void tellAlert(alert, webhook, log);
}

/** Has the autoscaler decide about the processes of one supervisor, and does what it says. */
class LocalScaler {
  readonly #longhaul: Longhaul;
  readonly #scaling: Scaling;
  readonly #autoscaler: Autoscaler<WorkerProcess>;
  /** Runs by worker, as the round before saw them; null when it did not look. */
  #running: ReadonlyMap<string, number> | null = null;

  constructor(longhaul: Longhaul, scaling: Scaling) {
    this.#longhaul = longhaul;
    this.#scaling = scaling;
    this.#autoscaler = new Autoscaler(scaling);
  }

  async round(looksForIdle: boolean): Promise<void> {
    const { pool, queues, build, range, rule } = this.#scaling;
    if (looksForIdle && pool.size > range.min) {
      const workers = await this.#longhaul.workers();
      this.#running = new Map(workers.map((worker) => [worker.workerId, worker.running]));
      return;
    }
    const running = this.#running;
    this.#running = null;
    const load = await this.#longhaul.scale({ queues, build, ...range, ...rule });
    const depth = load.runnable + load.waking;
    const demand = { depth, inFlight: load.inFlight, oldestMs: load.oldestMs, workers: load.workers };
    const processes = pool.workers.map((worker) => {
      const id = worker.workerId;
      return [worker, { ready: id !== null, running: running === null ? null : (running.get(id ?? "") ?? 0) }] as const;
    });
    const decision = this.#autoscaler.decide(demand, new Map(processes));
    if (decision !== null) this.#change(decision);
  }

  #change({ start, stop, reason }: Decision<WorkerProcess>): void {
    const { pool, report } = this.#scaling;
    const from = pool.size;
    if (start) pool.add();
    if (stop !== null) pool.retire(stop);
    report({ event: "scaled", from, to: pool.size, reason });
  }
}
