// Those of this process who wait for calls that others make: all of them look together, in one statement.

import { type FollowedAnswer, followAnswers } from "../store/answers.ts";
import type { Database } from "../store/database.ts";

export type Followed = { readonly state: "done"; readonly value: string } | { readonly state: "failed" | "lapsed" };

interface Waiting {
  readonly key: Buffer;
  /** An answer made later than that is one it has waited for. */
  readonly seen: Date;
  readonly sinceMs: number;
  readonly resolve: (end: Followed) => void;
}

/** The longer somebody has waited, the less a moment more matters to him. */
const LOOK_MS_MIN = 50;
const LOOK_MS_MAX = 1_000;
const LOOK_PART = 0.1;

export class AnswerFollower {
  readonly #db: Database;
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Until the call has ended or who makes it has died. @throws the reason of the abort */
  follow(key: Buffer, seen: Date, abort: AbortSignal): Promise<Followed> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        abort.removeEventListener("abort", onAbort);
        this.#waiting.delete(waiting);
        settle();
      };
      const onAbort = (): void => end(() => reject(abort.reason));
      const waiting: Waiting = {
        key,
        seen,
        sinceMs: performance.now(),
        resolve: (followed) => end(() => resolve(followed)),
      };
      if (abort.aborted) return reject(abort.reason);
      abort.addEventListener("abort", onAbort);
      this.#waiting.add(waiting);
      this.#schedule();
    });
  }

  /** A call that this process made has ended: who waits for it here hears it at once. */
  tell(key: Buffer, end: Followed): void {
    for (const waiting of [...this.#waiting]) if (waiting.key.equals(key)) waiting.resolve(end);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return;
    const newest = Math.max(...[...this.#waiting].map(({ sinceMs }) => sinceMs));
    const lookMs = Math.min(Math.max((performance.now() - newest) * LOOK_PART, LOOK_MS_MIN), LOOK_MS_MAX);
    this.#timer = setTimeout(() => void this.#look(), lookMs);
  }

  async #look(): Promise<void> {
    const asked = [...this.#waiting];
    // Of those who wait for the same call the first stands for all.
    const byKey = new Map(asked.reverse().map((waiting) => [waiting.key.toString("hex"), waiting]));
    try {
      const rows = await followAnswers(this.#db, [...byKey.values()]);
      for (const row of rows) for (const waiting of asked) if (waiting.key.equals(row.key)) this.#hear(waiting, row);
    } catch {
      // The next look may succeed.
    }
    this.#timer = undefined;
    this.#schedule();
  }

  #hear(waiting: Waiting, { state, value }: FollowedAnswer): void {
    if (!this.#waiting.has(waiting) || state === "pending") return;
    if (state === "done" && value !== null) waiting.resolve({ state, value });
    else waiting.resolve({ state: state === "lapsed" ? "lapsed" : "failed" });
  }
}
