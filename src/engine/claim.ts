// The claim loop: keeps a worker's free slots filled, wakes by hints, and looks by itself when none come.
import { type Claimed, claimRuns } from "../store/claim.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";
import { ClaimView } from "./claim-view.ts";

export interface ClaimLoopOptions {
  readonly db: Database;
  readonly workerId: string;
  readonly leaseMs: number;
  readonly build: string;
  readonly queues: readonly string[];
  /** How many more runs of this queue may start here. */
  readonly freeSlots: (queue: string) => number;
  /** Told when the statement that claimed them was sent. */
  readonly onClaimed: (claims: Claimed[], sentMs: number) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const BATCH_MAX = 50;

export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  readonly #views: readonly ClaimView[];
  /** There may be something to claim: a hint came, or the last batch was full. */
  #hinted = false;
  /** A queue had no slot left: what waits there is looked for when one is freed. */
  #full = false;
  #running: Promise<void> | null = null;
  #stopped = false;
  #next = 0;

  constructor(options: ClaimLoopOptions) {
    this.#options = options;
    this.#views = options.queues.map((queue) => new ClaimView(queue));
  }

  /** Something may be claimable. */
  poke(): void {
    this.#hinted = true;
    this.#go();
  }

  /** A slot became free: claim if there was more than fitted. */
  slotFreed(): void {
    if (!this.#hinted && !this.#full) return;
    this.#hinted = true;
    this.#go();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  #go(): void {
    if (this.#running !== null || this.#stopped || !this.#canClaim()) return;
    this.#running = this.#fill().finally(() => {
      this.#running = null;
      if (this.#hinted) this.#go();
    });
  }

  #canClaim(): boolean {
    return this.#options.queues.some((queue) => this.#options.freeSlots(queue) > 0);
  }

  /** Goes round the queues until each has been found empty or has no slot left. */
  async #fill(): Promise<void> {
    const { freeSlots, onClaimed, onError } = this.#options;
    this.#hinted = false;
    this.#full = false;
    for (let idle = 0; idle < this.#views.length && !this.#stopped; ) {
      const view = this.#views[this.#next++ % this.#views.length] as ClaimView;
      const count = Math.min(freeSlots(view.queue), BATCH_MAX);
      if (count <= 0) {
        this.#full = true;
        idle += 1;
        continue;
      }
      try {
        const sentMs = performance.now();
        const claims = await this.#claim(view, count);
        idle = claims.length === 0 ? idle + 1 : 0;
        if (claims.length > 0) await onClaimed(claims, sentMs);
      } catch (error) {
        if (!isConnectionLost(error) && !isRetryable(error)) onError(error);
        return;
      }
    }
  }

  async #claim(view: ClaimView, count: number): Promise<Claimed[]> {
    const claims = await this.#ask(view, count);
    // Turns below the floor are only passed over while there are others.
    return claims.length > 0 || !view.widen() ? claims : this.#ask(view, count);
  }

  async #ask(view: ClaimView, count: number): Promise<Claimed[]> {
    const { db, workerId, leaseMs, build } = this.#options;
    const { queue } = view;
    const { bands, floors, turns } = view.look(count);
    const builds = bands.map(() => build);
    const claims = await claimRuns(db, { workerId, leaseMs, queue, builds, bands, floors, count, turns });
    view.saw(claims, count);
    return claims;
  }
}
