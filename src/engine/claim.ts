// The claim loop: keeps a worker's free slots filled, wakes by hints, and looks by itself when none come.
import { type Claimed, claimRuns } from "../store/claim.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";

export interface ClaimLoopOptions {
  readonly db: Database;
  readonly workerId: string;
  readonly leaseMs: number;
  readonly build: string;
  readonly queues: readonly string[];
  readonly freeSlots: () => number;
  /** Told when the statement that claimed them was sent. */
  readonly onClaimed: (claims: Claimed[], sentMs: number) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const BATCH_MAX = 50;
const BANDS = [0, 1, 2];

export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  /** There may be something to claim: a hint came, or the last batch was full. */
  #hinted = false;
  #running: Promise<void> | null = null;
  #stopped = false;
  #next = 0;

  constructor(options: ClaimLoopOptions) {
    this.#options = options;
  }

  /** Something may be claimable. */
  poke(): void {
    this.#hinted = true;
    this.#go();
  }

  /** A slot became free: claim if there was more than fitted. */
  slotFreed(): void {
    if (this.#hinted) this.#go();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  #go(): void {
    if (this.#running !== null || this.#stopped || this.#options.freeSlots() <= 0) return;
    this.#running = this.#fill().finally(() => {
      this.#running = null;
      if (this.#hinted && this.#options.freeSlots() > 0) this.#go();
    });
  }

  async #fill(): Promise<void> {
    const { queues, freeSlots, onClaimed, onError } = this.#options;
    let empty = 0;
    this.#hinted = false;
    while (empty < queues.length && !this.#stopped) {
      const count = Math.min(freeSlots(), BATCH_MAX);
      if (count <= 0) {
        this.#hinted = true;
        return;
      }
      const queue = queues[this.#next % queues.length] as string;
      this.#next += 1;
      try {
        const sentMs = performance.now();
        const claims = await this.#claim(queue, count);
        empty = claims.length === 0 ? empty + 1 : 0;
        if (claims.length > 0) await onClaimed(claims, sentMs);
      } catch (error) {
        if (!isConnectionLost(error) && !isRetryable(error)) onError(error);
        return;
      }
    }
  }

  #claim(queue: string, count: number): Promise<Claimed[]> {
    const { db, workerId, leaseMs, build } = this.#options;
    return claimRuns(db, {
      workerId,
      leaseMs,
      queue,
      builds: BANDS.map(() => build),
      bands: BANDS,
      count,
      lanes: Math.max(8, Math.ceil(count / 5)),
      floor: 0,
    });
  }
}
