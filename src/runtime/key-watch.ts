// What outlasts a request ends with the key that opened it: streams are told when their key is revoked or expires.
import type { KeyRing } from "./key-ring.ts";
import { RENEW_MS } from "./known-key.ts";

export class KeyWatch {
  readonly #ring: KeyRing;
  readonly #listeners = new Map<string, Set<() => void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  /** Calls `ended` within a second of the key's end. Gives what stops that. */
  add(keyId: string, ended: () => void): () => void {
    const listeners = this.#listeners.get(keyId) ?? new Set();
    this.#listeners.set(keyId, listeners.add(ended));
    this.#timer ??= setInterval(() => void this.#look(), RENEW_MS).unref();
    return () => {
      listeners.delete(ended);
      if (listeners.size === 0 && this.#listeners.get(keyId) === listeners) this.#listeners.delete(keyId);
      if (this.#listeners.size === 0) this.close();
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    await Promise.all([...this.#listeners].map(([keyId, listeners]) => this.#lookAt(keyId, listeners)));
  }

  async #lookAt(keyId: string, listeners: ReadonlySet<() => void>): Promise<void> {
    // A database that does not answer tells nothing about the key, and has nothing to say on the stream either.
    const alive = await this.#ring.isAlive(keyId).catch(() => true);
    if (alive) return;
    this.#listeners.delete(keyId);
    for (const ended of listeners) ended();
  }
}
