// Statements for what workers did per minute: counts of runs, and of how long they had waited.
import type { Queryable } from "./database.ts";

/** What one worker counted for one queue since it last handed its counts over. */
export interface TrafficCount {
  readonly queue: string;
  readonly started: number;
  readonly finished: number;
  readonly waits: readonly number[];
}

export interface TrafficRow extends TrafficCount {
  readonly build: string;
}

/** Adds counts to those of the current minute on the database's clock. */
export async function countTraffic(db: Queryable, build: string, counts: readonly TrafficCount[]): Promise<void> {
  await db.query("select longhaul.count_traffic($1, $2::text[], $3::int[], $4::int[], $5::text[])", [
    build,
    counts.map(({ queue }) => queue),
    counts.map(({ started }) => started),
    counts.map(({ finished }) => finished),
    counts.map(({ waits }) => `{${waits.join(",")}}`),
  ]);
}

/** One row per queue, build and minute, of the current minute and the four before it. */
export function readTraffic(db: Queryable): Promise<TrafficRow[]> {
  return db.query<TrafficRow>(
    `select queue, build, started, finished, waits from longhaul.queue_minutes
      where minute >= date_trunc('minute', clock_timestamp()) - interval '4 minutes'`,
  );
}

/** Drops minutes older than a day. */
export async function forgetMinutes(db: Queryable): Promise<void> {
  await db.query("delete from longhaul.queue_minutes where minute < clock_timestamp() - interval '1 day'");
}
