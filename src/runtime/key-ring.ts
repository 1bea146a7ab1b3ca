// The keys in use, known by heart: a request costs no query, and a key that was revoked opens nothing a second later.
import { parseApiKey } from "../domain/api-key.ts";
import { fail } from "../domain/errors.ts";
import { pause } from "../engine/timing.ts";
import { Batcher } from "../store/batch.ts";
import type { Database } from "../store/database.ts";
import { readHeldKeys, touchKeys } from "../store/keys.ts";
import { answering } from "./installation.ts";
import type { KeyHolder } from "./keys-api.ts";
import { fits, hasExpired, isCurrent, type KnownKey, knownKey, RENEW_MS } from "./known-key.ts";

/** A key that nobody has shown for so long is forgotten. */
const KEPT_MS = 60_000;
const KNOWN_MAX = 10_000;
/** Ids that are none. A key's id is made by chance, so nobody waits for one of these to be made. */
const UNKNOWN_LIFE_MS = 5_000;
const UNKNOWN_MAX = 10_000;
/** After a query that was asked for an id that nobody has, the next one comes no sooner than this: whoever guesses waits. */
const GUESS_EVERY_MS = 50;
const LOOK_UP_MAX = 1_000;
const TOUCH_EVERY_MS = 60_000;

export class KeyRing {
  readonly #db: Database;
  readonly #known = new Map<string, KnownKey>();
  /** Until when we take an id for unknown. */
  readonly #unknown = new Map<string, number>();
  readonly #lookUps: Batcher<string, KnownKey | null>;
  readonly #touches: Batcher<string, undefined>;
  #guessedAt = Number.NEGATIVE_INFINITY;
  #renewing: Promise<void> | undefined;

  constructor(db: Database) {
    this.#db = db;
    const batches = { inFlightMax: 1, itemsMax: LOOK_UP_MAX, isShared: () => true };
    this.#lookUps = new Batcher({ ...batches, send: (ids) => this.#lookUp(ids) });
    this.#touches = new Batcher({ ...batches, send: (ids) => this.#touch(ids) });
  }

  /** @throws API_KEY_UNKNOWN, API_KEY_REVOKED, API_KEY_EXPIRED, DATABASE_UNAVAILABLE */
  async holder(token: string): Promise<KeyHolder> {
    const given = parseApiKey(token);
    const key = given === null ? null : await this.#find(given.keyId);
    // That an id exists is no secret; what became of its key is for those who have the key.
    if (given === null || key === null || !fits(given.secret, key)) throw fail("API_KEY_UNKNOWN");
    if (key.revoked) throw fail("API_KEY_REVOKED", { key: given.keyId });
    if (hasExpired(key)) throw fail("API_KEY_EXPIRED", { key: given.keyId });
    this.#noteUse(key);
    return key.holder;
  }

  /** Whether a key that was shown before still opens something, read anew. @throws DATABASE_UNAVAILABLE */
  async isAlive(keyId: string): Promise<boolean> {
    await this.#renew();
    const key = await this.#find(keyId);
    return key !== null && !key.revoked && !hasExpired(key);
  }

  async #find(keyId: string): Promise<KnownKey | null> {
    const arrivedAt = performance.now();
    for (let known = this.#known.get(keyId); known !== undefined; known = this.#known.get(keyId)) {
      known.usedAt = arrivedAt;
      if (!isCurrent(known.readAt, arrivedAt)) {
        await this.#renew();
        continue;
      }
      // Beside the request; one that has to wait for it tells of a database that does not answer.
      if (arrivedAt - known.readAt > RENEW_MS) this.#renew().catch(() => undefined);
      return known;
    }
    return (this.#unknown.get(keyId) ?? 0) > arrivedAt ? null : this.#lookUps.add(keyId);
  }

  /** Reads every key that is in use again, in one query, however many ask for it. */
  #renew(): Promise<void> {
    this.#renewing ??= this.#renewAll().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renewAll(): Promise<void> {
    const idleSince = performance.now() - KEPT_MS;
    for (const [keyId, { usedAt }] of this.#known) if (usedAt < idleSince) this.#known.delete(keyId);
    const asked = [...this.#known.keys()];
    const found = await this.#read(asked);
    for (const keyId of asked) {
      const key = found.get(keyId);
      if (key === undefined) this.#known.delete(keyId);
      else this.#known.set(keyId, key);
    }
  }

  async #lookUp(keyIds: readonly string[]): Promise<(KnownKey | null)[]> {
    const left = this.#guessedAt + GUESS_EVERY_MS - performance.now();
    if (left > 0) await pause(left);
    const asked = [...new Set(keyIds)];
    const found = await this.#read(asked);
    if (found.size < asked.length) this.#guessedAt = performance.now();
    return keyIds.map((keyId) => {
      const key = found.get(keyId) ?? null;
      if (key === null) keep(this.#unknown, UNKNOWN_MAX, keyId, performance.now() + UNKNOWN_LIFE_MS);
      else keep(this.#known, KNOWN_MAX, keyId, key);
      return key;
    });
  }

  async #read(keyIds: readonly string[]): Promise<Map<string, KnownKey>> {
    // Taken before the query: what is committed later than this is known a second after it at the latest.
    const readAt = performance.now();
    const rows = keyIds.length === 0 ? [] : await answering(() => readHeldKeys(this.#db, keyIds));
    return new Map(rows.map((row) => [row.key_id, knownKey(row, readAt, this.#known.get(row.key_id))]));
  }

  /** The request does not wait for this, and does not fail with it. */
  #noteUse(key: KnownKey): void {
    if (key.usedAt - key.touchedAt < TOUCH_EVERY_MS) return;
    key.touchedAt = key.usedAt;
    this.#touches.add(key.holder.keyId).catch(() => undefined);
  }

  async #touch(keyIds: readonly string[]): Promise<undefined[]> {
    await touchKeys(this.#db, keyIds);
    return keyIds.map(() => undefined);
  }
}

/** Puts something into a map that forgets its oldest entry when it is full. */
function keep<Value>(map: Map<string, Value>, max: number, key: string, value: Value): void {
  const [oldest] = map.keys();
  if (map.size >= max && !map.has(key) && oldest !== undefined) map.delete(oldest);
  map.set(key, value);
}
