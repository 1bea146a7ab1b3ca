// The tick: once a second each worker does what time has made due, and looks for work in case a hint was lost.
import { CRASHES_BEFORE_ISOLATION } from "../domain/limits.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";
import { tick } from "../store/sweep.ts";
import type { Doorbell } from "./doorbell.ts";
import { chores, Housekeeping } from "./housekeeping.ts";
import { type Isolate, Isolation } from "./isolation.ts";
import { PollPace } from "./poll-pace.ts";

export interface TickerOptions {
  readonly db: Database;
  readonly doorbell: Doorbell;
  readonly workerId: string;
  readonly queues: readonly string[];
  readonly build: string;
  readonly tickMs: number;
  readonly isolate: Isolate | null;
  readonly onRunnable: () => void;
  /** Runs became claimable that another worker may be waiting for. */
  readonly onMoved: () => void;
  readonly cancelChild: (runId: string) => void;
  /** Hands over what the worker has counted. */
  readonly flushTraffic: () => Promise<void>;
  readonly log: (level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;
}

const LIMIT = 200;

export class Ticker {
  readonly #options: TickerOptions;
  readonly #isolation: Isolation;
  readonly #housekeeping: Housekeeping;
  readonly #pace: PollPace;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #ticking = false;
  /** When the next timer that is known of rings, on this process's monotonic clock. */
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(options: TickerOptions) {
    this.#options = options;
    this.#isolation = new Isolation({ ...options, onRoom: () => this.due(0) });
    this.#housekeeping = new Housekeeping(chores(options.db, options.log, options.flushTraffic));
    this.#pace = new PollPace(options.tickMs);
  }

  start(): void {
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Work came or went here: more may follow, and where no hints arrive it is worth looking soon. */
  busy(): void {
    this.#pace.found();
  }

  /** A timer rings in this time: tick then, not only at the next round. */
  due(inMs: number): void {
    const dueMs = performance.now() + Math.max(0, inMs);
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    if (!this.#ticking) this.#schedule();
  }

  #schedule(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const roundMs = this.#pace.next(this.#options.doorbell.connected);
    const dueMs = this.#dueMs - performance.now() + 1;
    // Never at once: what is due but locked by somebody else is tried again a little later.
    this.#timer = setTimeout(() => void this.#round(), Math.max(5, Math.min(roundMs, dueMs)));
  }

  async #round(): Promise<void> {
    this.#ticking = true;
    this.#dueMs = Number.POSITIVE_INFINITY;
    await this.#tick();
    this.#ticking = false;
    this.#schedule();
  }

  async #tick(): Promise<void> {
    const { db, workerId, queues, build, isolate, onRunnable, onMoved, cancelChild, log } = this.#options;
    try {
      for (let more = true; more && !this.#stopped; ) {
        const request = {
          workerId,
          queues,
          build,
          limit: LIMIT,
          crashesMax: CRASHES_BEFORE_ISOLATION,
          canIsolate: isolate !== null,
        };
        const done = await tick(db, request);
        more = done.did !== null;
        if (done.next_ms !== null) this.#dueMs = Math.min(this.#dueMs, performance.now() + Math.max(0, done.next_ms));
        if (more) onMoved();
        if (more || done.runnable) this.#pace.found();
        if (done.runnable) onRunnable();
        for (const child of done.children) cancelChild(child);
        this.#isolation.try(done.isolated);
      }
      await this.#housekeeping.round();
    } catch (error) {
      if (!isConnectionLost(error) && !isRetryable(error)) log("error", "the tick failed", { error });
    }
  }
}
