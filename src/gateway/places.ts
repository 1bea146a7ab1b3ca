// The places that calls of this process have in lines, so that they are given up when their calls go elsewhere, or nowhere.
import type { Database } from "../store/database.ts";
import { cancelPlaces, type QuotaPlace } from "../store/quotas.ts";

/** Calls whose places are remembered. One that is forgotten lapses by itself. */
const PLACES_MAX = 10_000;

export class Places {
  readonly #db: Database;
  readonly #held = new Map<string, QuotaPlace>();
  /** Places that are being given up, by their calls. */
  readonly #leaving = new Map<string, Promise<unknown>>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** Resolves when what the call gives up is gone: it would find that again, and then lose it. */
  async settled(callKey: string): Promise<void> {
    await this.#leaving.get(callKey);
  }

  /** The call has this place now, and no other. */
  took(place: QuotaPlace): void {
    const before = this.#held.get(place.call);
    if (before !== undefined && before.target !== place.target) this.#leave(before);
    this.#held.set(place.call, place);
    const [oldest] = this.#held.keys();
    if (this.#held.size > PLACES_MAX && oldest !== undefined) this.#held.delete(oldest);
  }

  /** The call went: a place at that target is used up, one elsewhere is given up. */
  went(callKey: string, target: string): void {
    const place = this.#held.get(callKey);
    this.#held.delete(callKey);
    if (place !== undefined && place.target !== target) this.#leave(place);
  }

  /** The call will not be made. */
  leave(callKey: string): void {
    const place = this.#held.get(callKey);
    this.#held.delete(callKey);
    if (place !== undefined) this.#leave(place);
  }

  async close(): Promise<void> {
    await Promise.all(this.#leaving.values());
  }

  #leave(place: QuotaPlace): void {
    // What is lost is a place that lapses by itself.
    const left = cancelPlaces(this.#db, [place]).catch(() => undefined);
    const all = Promise.all([this.#leaving.get(place.call), left]).finally(() => {
      if (this.#leaving.get(place.call) === all) this.#leaving.delete(place.call);
    });
    this.#leaving.set(place.call, all);
  }
}
