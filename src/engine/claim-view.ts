// What a worker remembers of a queue between two claims: whose band is next, how far to look, and from where.
import { type Claimed, EVERY_TURN, EVERYTHING } from "../store/claim.ts";

/** Bands are served in their order; every so many claims from the other end, so that none starves. */
const ORDERS: readonly (readonly number[])[] = [...Array.from({ length: 7 }, () => [0, 1, 2]), [2, 1, 0]];
/** Runs that one visit to a tenant's turn takes, where there are enough tenants: fewer locks than one, fairer than many. */
const QUANTUM = 5;
const TURNS_MIN = 4;
/** The fair-share clock moves by this for one run of a tenant of weight 1. */
const STRIDE = 1_000_000;
/** Turns may still wake up this far behind the ones that were served last. */
const MARGIN = 20 * STRIDE;
/** So often everything is looked at, whatever the floor. */
const FLOOR_MS = 2_000;

export interface Look {
  readonly bands: readonly number[];
  readonly floors: readonly number[];
  readonly turns: number;
}

/**
 * An index over a clock that only moves forward leaves its dead entries at the front. A floor below what was last seen spares the next
 * claim from reading them, which matters when an old transaction keeps vacuum from removing them.
 */
export class ClaimView {
  readonly queue: string;
  #count = 0;
  /** Wider than the quantum says, while batches come back short. */
  #width = 0;
  readonly #floors = [EVERYTHING, EVERYTHING, EVERYTHING];
  #sawAllMs = performance.now();

  constructor(queue: string) {
    this.queue = queue;
  }

  look(count: number): Look {
    if (performance.now() - this.#sawAllMs > FLOOR_MS) this.#lookAtAll();
    const bands = ORDERS[this.#count++ % ORDERS.length] as readonly number[];
    const turns = Math.max(TURNS_MIN, Math.ceil(count / QUANTUM), Math.round(this.#width));
    return { bands, floors: bands.map((band) => this.#floors[band] ?? EVERYTHING), turns };
  }

  saw(claims: readonly Claimed[], asked: number): void {
    const width = Math.max(TURNS_MIN, Math.ceil(asked / QUANTUM), this.#width);
    this.#width = claims.length < asked ? Math.min(asked, 2 * width) : 0.9 * width;
    for (const band of new Set(claims.map((claim) => claim.band))) {
      const seen = Math.min(...claims.filter((claim) => claim.band === band).map((claim) => claim.vtime));
      this.#floors[band] = Math.max(EVERY_TURN, seen - MARGIN);
    }
  }

  /** Looks at every turn next time. True when that is more than before. */
  widen(): boolean {
    const had = this.#floors.some((floor) => floor > 0);
    this.#floors.fill(EVERY_TURN);
    return had;
  }

  #lookAtAll(): void {
    this.#sawAllMs = performance.now();
    this.#floors.fill(EVERYTHING);
  }
}
