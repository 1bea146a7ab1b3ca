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

/** Where a follower stands who also wants what steps are writing. */
export interface TokenCursor {
  readonly epoch: number;
  readonly n: number;
}

/** A journal entry; or, with a take, a block of a message that is being written: then `seq` is the block's number. */
export interface NewsRow extends Entry {
  readonly place: number;
  readonly take: number | null;
  readonly pos: number;
  readonly after_seq: number;
  readonly attempt: number;
}

/**
 * The same together with blocks of messages, in one snapshot: of a message whose step is recorded in it, or has failed, or whose
 * worker has lost the run, there are none. First all entries, then all blocks, in their order.
 *
 * @param tokens Null for those who want entries alone.
 */
export function readNewsAfter(
  db: Queryable,
  runIds: readonly string[],
  cursors: readonly number[],
  tokens: readonly (TokenCursor | null)[],
  pageSize: number,
  blocks: number,
): Promise<NewsRow[]> {
  return db.query(
    `select f.place, j.seq, j.epoch, j.kind, j.key, j.body, j.blob, j.at,
            null::int as take, 0 as pos, 0 as after_seq, 0::smallint as attempt
       from unnest($1::uuid[], $2::int[]) with ordinality f(run_id, after, place)
      cross join lateral (
        select * from longhaul.journal x where x.run_id = f.run_id and x.seq > f.after order by x.seq limit $3) j
     union all
     select f.place, t.n, t.epoch, 0, t.key, t.body, null, t.at, t.take, t.pos, t.after_seq, t.attempt
       from unnest($1::uuid[], $4::int[], $5::int[]) with ordinality f(run_id, epoch, n, place)
      cross join lateral (
        select * from longhaul.tokens x
         where x.run_id = f.run_id and (x.epoch, x.n) > (f.epoch, f.n)
           and not exists (
             select from longhaul.journal j where j.run_id = x.run_id and j.seq > x.after_seq
                and (j.kind < 10 or j.kind in (10, 11, 20) and j.key = x.key))
         order by x.epoch, x.n limit $6) t
      where f.epoch is not null
      order by 9 nulls first, 1, 3, 2`,
    [runIds, cursors, pageSize, tokens.map((t) => t?.epoch ?? null), tokens.map((t) => t?.n ?? null), blocks],
    "lh_news_after",
  );
}
