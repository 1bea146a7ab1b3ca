// Statements for whoever follows runs.
import type { Entry } from "../domain/entry.ts";
import type { Queryable } from "./database.ts";

/** Entries after a cursor for many followers in one query; `place` counts the followers from one. */
export function readTailsAfter(
  db: Queryable,
  runIds: readonly string[],
  cursors: readonly number[],
  pageSize: number,
): Promise<(Entry & { place: number })[]> {
  return db.query(
    `select f.place, j.seq, j.epoch, j.kind, j.key, j.body, j.blob, j.at
       from unnest($1::uuid[], $2::int[]) with ordinality f(run_id, after, place)
      cross join lateral (
        select * from longhaul.journal x where x.run_id = f.run_id and x.seq > f.after order by x.seq limit $3) j
      order by f.place, j.seq`,
    [runIds, cursors, pageSize],
    "lh_tails_after",
  );
}
