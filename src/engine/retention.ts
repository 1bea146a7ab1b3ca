// Dropping what is old, beside the work: once a minute a worker asks whether there is something, and while there is, it goes on in
// small steps with pauses. The pace is kept in the database, so that many workers together take no more time than one.
import { RETENTION_BATCH, RETENTION_BATCH_MIN, RETENTION_PART } from "../domain/limits.ts";
import type { Database } from "../store/database.ts";
import { errorState, isConnectionLost, isRetryable } from "../store/driver-errors.ts";
import { type RetentionPolicy, retain } from "../store/retention.ts";

export interface RetentionOptions {
  readonly db: Database;
  readonly policy: RetentionPolicy;
  readonly everyMs: number;
  readonly log: (level: "debug" | "error", message: string, fields?: Record<string, unknown>) => void;
}

const STATEMENT_TIMED_OUT = "57014";

export class RetentionRounds {
  readonly #options: RetentionOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #batch = RETENTION_BATCH;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** The first look comes at some moment of the first interval: workers that start together do not look together. */
  start(): void {
    this.#schedule(Math.random() * this.#options.everyMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(inMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#round(), inMs);
    // Nothing waits for it.
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    const { everyMs } = this.#options;
    const nextMs = await this.#look();
    this.#schedule(nextMs ?? everyMs * (0.9 + Math.random() * 0.2));
  }

  async #look(): Promise<number | null> {
    const { db, policy, everyMs, log } = this.#options;
    try {
      const round = await retain(db, policy, { limit: this.#batch, share: RETENTION_PART, everyMs });
      if (round?.did != null) log("debug", "dropped what is old", { what: round.did, count: round.n });
      return round?.next_ms ?? null;
    } catch (error) {
      // Too much for one statement, such as many trees of thousands of runs: less at a time.
      if (errorState(error) === STATEMENT_TIMED_OUT) this.#batch = Math.max(RETENTION_BATCH_MIN, this.#batch >> 1);
      else if (!isConnectionLost(error) && !isRetryable(error))
        log("error", "what is old could not be dropped", { error });
      return null;
    }
  }
}
