// What the queue looks like to an examination: how full it is, and what waits where nobody works.
import type { Database } from "../store/database.ts";
import { readUnserved } from "../store/queue.ts";
import { countUnfinished } from "../store/tenants.ts";

export interface UnservedQueue {
  readonly queue: string;
  readonly build: string;
  /** Runs that could start. */
  readonly waiting: number;
  /** Upper bound of how long the oldest has waited. */
  readonly oldestMs: number;
}

export interface QueueReport {
  readonly unfinished: number;
  /** `limits.unfinishedMax`, or null. */
  readonly unfinishedMax: number | null;
  /** True while submits are refused (SYSTEM_FULL). */
  readonly full: boolean;
  /** Runs wait there and no worker serves it. */
  readonly unserved: readonly UnservedQueue[];
  /** Runs that failed for good and that nobody has dealt with. */
  readonly deadLetters: number;
}

export async function examineQueue(db: Database, unfinishedMax: number | undefined): Promise<QueueReport> {
  const { countDead } = await import("../store/dead.ts");
  const [unfinished, rows, deadLetters] = [await countUnfinished(db), await readUnserved(db), await countDead(db)];
  return {
    unfinished,
    unfinishedMax: unfinishedMax ?? null,
    full: unfinishedMax !== undefined && unfinished >= unfinishedMax,
    unserved: rows.map(({ queue, build, waiting, oldest_ms }) => ({ queue, build, waiting, oldestMs: oldest_ms })),
    deadLetters,
  };
}
