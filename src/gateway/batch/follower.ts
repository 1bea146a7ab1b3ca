// Runs of this process that wait for their items in place: all of them look together, in one statement.
import { type ItemView, readItems } from "../../store/batches.ts";
import type { Database } from "../../store/database.ts";

interface Waiting {
  readonly itemId: string;
  readonly sinceMs: number;
  readonly settle: (view: ItemView | null) => void;
}

const LOOK_MS_MIN = 25;
const LOOK_MS_MAX = 1_000;
const LOOK_PART = 0.1;

export class ItemFollower {
  readonly #db: Database;
  readonly #waiting = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The item once it is settled; null when that takes longer. @throws the reason of the abort */
  follow(itemId: string, holdMs: number, abort: AbortSignal): Promise<ItemView | null> {
    return new Promise((resolve, reject) => {
      if (abort.aborted) return reject(abort.reason);
      const end = (done: () => void): void => {
        clearTimeout(timer);
        abort.removeEventListener("abort", onAbort);
        this.#waiting.delete(itemId);
        done();
      };
      const onAbort = (): void => end(() => reject(abort.reason));
      const timer = setTimeout(() => end(() => resolve(null)), holdMs);
      abort.addEventListener("abort", onAbort);
      const settle = (view: ItemView | null): void => end(() => resolve(view));
      this.#waiting.set(itemId, { itemId, sinceMs: performance.now(), settle });
      this.#schedule();
    });
  }

  /** Items were settled here: who waits for them looks at once. */
  look(): void {
    if (this.#waiting.size === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), 0);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const { settle } of [...this.#waiting.values()]) settle(null);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return;
    const newest = Math.max(...[...this.#waiting.values()].map(({ sinceMs }) => sinceMs));
    const lookMs = Math.min(Math.max((performance.now() - newest) * LOOK_PART, LOOK_MS_MIN), LOOK_MS_MAX);
    this.#timer = setTimeout(() => void this.#look(), lookMs);
  }

  async #look(): Promise<void> {
    try {
      for (const view of await readItems(this.#db, [...this.#waiting.keys()], true))
        this.#waiting.get(view.itemId)?.settle(view);
    } catch {
      // The next look may succeed.
    }
    this.#timer = undefined;
    this.#schedule();
  }
}
