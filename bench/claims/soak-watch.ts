// Looking at an installation once a second while it works: how much has ended, how large its tables are, how many dead rows they hold.
import type { Database } from "../../src/store/database.ts";
import { pause } from "../lab/until.ts";

/** What one look saw. */
export interface Sample {
  readonly atMs: number;
  /** Runs that ended since the beginning. */
  readonly ended: number;
  /** Bytes with indexes, of the tables whose rows come and go with each run, and of all. */
  readonly hotBytes: number;
  readonly allBytes: number;
  /** Dead rows in the hot tables. */
  readonly dead: number;
}

/** One part of the time, in thirds. */
export type Leg = readonly [Sample[], Sample[], Sample[]];

const SAMPLE_EVERY_MS = 1_000;

export async function leg(db: Database, minutes: number): Promise<Leg> {
  const samples: Sample[] = [];
  const endMs = performance.now() + minutes * 60_000;
  while (performance.now() < endMs) {
    samples.push(await sample(db));
    await pause(SAMPLE_EVERY_MS);
  }
  const third = Math.ceil(samples.length / 3);
  return [samples.slice(0, third), samples.slice(third, 2 * third), samples.slice(2 * third)];
}

const HOT = ["live", "ready", "later", "inbox", "waits", "thread_queue", "tenants", "lanes", "turns", "gates"];

async function sample(db: Database): Promise<Sample> {
  const [row] = await db.query<{ ended: number; hot: number; everything: number; dead: number }>(
    `select sum(s.n_tup_ins) filter (where c.relname = 'outcomes')::bigint as ended,
       sum(pg_total_relation_size(c.oid)) filter (where c.relname = any($1::text[]))::bigint as hot,
       sum(pg_total_relation_size(c.oid))::bigint as everything,
       sum(s.n_dead_tup) filter (where c.relname = any($1::text[]))::bigint as dead
       from pg_class c join pg_stat_user_tables s on s.relid = c.oid
      where c.relnamespace = (select r.relnamespace from pg_class r where r.oid = 'longhaul.runs'::regclass)`,
    [HOT],
  );
  if (row === undefined) throw new Error("no sample");
  return { atMs: performance.now(), ended: row.ended, hotBytes: row.hot, allBytes: row.everything, dead: row.dead };
}

/** Runs that ended per second. */
export function speed(samples: readonly Sample[]): number {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || first === last) return Number.NaN;
  return ((last.ended - first.ended) * 1_000) / (last.atMs - first.atMs);
}
