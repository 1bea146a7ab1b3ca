// Whether an installation asks for keys at all: from the first key on that it has had.
import type { Database } from "../store/database.ts";
import { hasKeys } from "../store/keys.ts";
import { answering } from "./installation.ts";
import { isCurrent, RENEW_MS } from "./known-key.ts";

export class KeyGate {
  readonly #db: Database;
  #closed = false;
  /** When we last asked and there was none. */
  #openAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * A first key counts within a second on every process. Once true it stays so: neither the last revocation nor a row that somebody
   * deletes opens a server to everybody.
   *
   * @throws DATABASE_UNAVAILABLE
   */
  async isClosed(): Promise<boolean> {
    const arrivedAt = performance.now();
    while (!this.#closed && !isCurrent(this.#openAt, arrivedAt)) await this.#ask();
    // Beside the request; the next one that has to know tells of a database that does not answer.
    if (!this.#closed && arrivedAt - this.#openAt > RENEW_MS) this.#ask().catch(() => undefined);
    return this.#closed;
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askOnce(): Promise<void> {
    const askedAt = performance.now();
    if (await answering(() => hasKeys(this.#db))) this.#closed = true;
    else this.#openAt = askedAt;
  }
}
