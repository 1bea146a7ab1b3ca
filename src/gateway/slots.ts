// The slots that calls of this process hold: while a call lasts its slots are renewed, so that only those of the dead run out.
import type { Database } from "../store/database.ts";
import { renewSlots } from "../store/quotas.ts";

interface Slot {
  readonly key: string;
  readonly holder: string;
}

export class SlotKeeper {
  readonly #db: Database;
  readonly #slotMs: number;
  readonly #held = new Map<string, readonly Slot[]>();
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | null = null;

  constructor(db: Database, slotMs: number) {
    this.#db = db;
    this.#slotMs = slotMs;
  }

  hold(holder: string, slots: readonly Slot[]): void {
    if (slots.length === 0) return;
    this.#held.set(holder, slots);
    this.#timer ??= setInterval(() => this.#renew(), this.#slotMs / 3).unref();
  }

  /** Null, or when to say so: a renewal that is under way would take the slots again. */
  letGo(holder: string): Promise<void> | null {
    this.#held.delete(holder);
    if (this.#held.size === 0) this.#stop();
    return this.#renewing;
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#renewing;
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #renew(): void {
    // One that fails is followed by another before the slots run out.
    this.#renewing ??= renewSlots(this.#db, [...this.#held.values()].flat(), this.#slotMs)
      .catch(() => undefined)
      .finally(() => {
        this.#renewing = null;
      });
  }
}
