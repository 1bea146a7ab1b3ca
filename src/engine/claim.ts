// The claim loop: keeps a worker's free slots filled, wakes by hints, and looks by itself when none come.
import { type Claimed, type ClaimRequest, claimRuns } from "../store/claim.ts";
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

/** What a statement answers that claims beside its own work. */
export interface Along<T> {
  readonly claims: Claimed[];
  readonly told: T;
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
  /** Statements under way that claim along. */
  readonly #beside = new Set<Promise<void>>();
  /** Runs asked for and not answered. */
  #asked = 0;
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

  /**
   * Sends a statement that does something else and claims one run in one go, where a slot is left: what it stores starts a round trip
   * and a commit earlier. Null: there is none, nothing was sent.
   */
  along<T>(queue: string, send: (request: ClaimRequest) => Promise<Along<T>>): Promise<T> | null {
    const view = this.#views.find((one) => one.queue === queue);
    if (view === undefined || this.#stopped || this.#room(queue) <= 0) return null;
    const sentMs = performance.now();
    const answer = this.#ask(view, 1, send);
    // Whoever sends it hears of its failure, and sends it again without us.
    const work = answer.then(({ claims }) => this.#start(claims, sentMs)).catch(() => undefined);
    this.#beside.add(work);
    void work.finally(() => {
      this.#beside.delete(work);
      this.slotFreed();
    });
    return answer.then(({ told }) => told);
  }

  /** A slot became free: claim if there was more than fitted. */
  slotFreed(): void {
    if (!this.#hinted && !this.#full) return;
    this.#hinted = true;
    this.#go();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([this.#running, ...this.#beside]);
  }

  #go(): void {
    if (this.#running !== null || this.#stopped || !this.#canClaim()) return;
    this.#running = this.#fill().finally(() => {
      this.#running = null;
      if (this.#hinted) this.#go();
    });
  }

  /** How many more may be asked for: what is asked for already may come. */
  #room(queue: string): number {
    return Math.min(this.#options.freeSlots(queue) - this.#asked, BATCH_MAX);
  }

  #canClaim(): boolean {
    return this.#options.queues.some((queue) => this.#room(queue) > 0);
  }

  /** Goes round the queues until each has been found empty or has no slot left. */
  async #fill(): Promise<void> {
    const { onClaimed, onError } = this.#options;
    this.#hinted = false;
    this.#full = false;
    for (let idle = 0; idle < this.#views.length && !this.#stopped; ) {
      const view = this.#views[this.#next++ % this.#views.length] as ClaimView;
      const count = this.#room(view.queue);
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
    const alone = async (request: ClaimRequest) => ({ claims: await claimRuns(this.#options.db, request) });
    const { claims } = await this.#ask(view, count, alone);
    // Turns below the floor are only passed over while there are others.
    return claims.length > 0 || !view.widen() ? claims : (await this.#ask(view, count, alone)).claims;
  }

  async #ask<A extends { readonly claims: Claimed[] }>(
    view: ClaimView,
    count: number,
    send: (request: ClaimRequest) => Promise<A>,
  ): Promise<A> {
    const { workerId, leaseMs, build } = this.#options;
    const { queue } = view;
    const { bands, floors, turns } = view.look(count);
    const builds = bands.map(() => build);
    this.#asked += count;
    try {
      const answer = await send({ workerId, leaseMs, queue, builds, bands, floors, count, turns });
      view.saw(answer.claims, count);
      return answer;
    } finally {
      this.#asked -= count;
    }
  }

  async #start(claims: Claimed[], sentMs: number): Promise<void> {
    if (claims.length > 0) await this.#options.onClaimed(claims, sentMs).catch(this.#options.onError);
  }
}
