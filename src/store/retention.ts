// Statements that drop what is old. The rules are in sql/migrations/0013_retention.sql; who calls decides when, and how long to keep.
import type { Database, Queryable } from "./database.ts";

/** How long things are kept, in milliseconds; null for ever. */
export interface RetentionPolicy {
  /** Runs that succeeded or were cancelled. */
  readonly finishedMs: number | null;
  readonly failedMs: number | null;
  /** Threads without runs on which nothing happens. */
  readonly threadsMs: number | null;
}

/** What one round did. */
export interface RetentionRound {
  /** Null when there was nothing to do. */
  readonly did: "runs" | "leftovers" | "calls" | "blobs" | "threads" | null;
  readonly n: number | null;
  /** Somebody should come back in this time; null: not before the usual. */
  readonly next_ms: number | null;
}

/**
 * One small transaction's worth, of at most `limit` runs. Null when somebody else is at it, or has been too short a time ago: there
 * is a pause after each, so that all take `share` of the time together, or `everyMs` when there was nothing to do.
 */
export async function retain(
  db: Queryable,
  policy: RetentionPolicy,
  pace: { readonly limit: number; readonly share: number; readonly everyMs: number },
): Promise<RetentionRound | null> {
  const [row] = await db.query<RetentionRound>(
    "select * from longhaul.retain($1, $2, $3, $4, $5, $6)",
    [policy.finishedMs, policy.failedMs, policy.threadsMs, pace.limit, pace.share, pace.everyMs],
    "lh_retain",
  );
  return row ?? null;
}

/** Where a walk over runs stands. */
export interface Cursor {
  readonly at: string;
  readonly id: string;
}

export const START: Cursor = { at: "-infinity", id: "00000000-0000-0000-0000-000000000000" };

export interface Walk {
  /** Only runs of this tenant; null: of all. */
  readonly tenant: string | null;
  /** Which were finished before; null: none. `infinity` for all. */
  readonly until: string | null;
  readonly failedUntil: string | null;
  /** Where no tenant is given: walk over the failed ones, else over the others. */
  readonly failed: boolean;
  readonly dry: boolean;
}

export interface Walked {
  /** 0 at the end of the walk. */
  readonly looked: number;
  readonly trees: number;
  readonly runs: number;
  readonly entries: number;
  readonly cursor: Cursor;
}

/** Walks a part of the way, and drops what it may, or only counts. Null when somebody else is pruning this moment. */
export function walk(db: Database, what: Walk, cursor: Cursor, limit: number): Promise<Walked | null> {
  return alone(db, async (tx) => {
    const [row] = await tx.query<Omit<Walked, "cursor"> & { last_at: string; last_id: string }>(
      "select looked, trees, runs, entries, last_at::text, last_id from longhaul.prune($1, $2, $3, $4, $5, $6, $7, $8)",
      [what.tenant, what.until, what.failedUntil, what.failed, cursor.at, cursor.id, limit, what.dry],
    );
    if (row === undefined) throw new Error("prune gave no row");
    const { last_at, last_id, ...rest } = row;
    return { ...rest, cursor: { at: last_at, id: last_id } };
  });
}

/** Clears a part of what dropped runs left behind. 0 when nothing is left; null when somebody else is pruning this moment. */
export function clearLeftovers(db: Database, entries: number, blobs: number): Promise<number | null> {
  return alone(db, async (tx) => {
    const [row] = await tx.query<{ n: number | null }>("select longhaul.clear_leftovers($1, $2) as n", [
      entries,
      blobs,
    ]);
    return row?.n === null ? 0 : Math.max(1, row?.n ?? 0);
  });
}

/** Drops some of what is left of a tenant without runs. 0 when nothing is left; null when it has runs. */
export function purgeRows(db: Database, tenant: string, limit: number): Promise<number | null> {
  return db.transaction(async (tx) => {
    const [row] = await tx.query<{ n: number | null }>("select longhaul.purge_rows($1, $2) as n", [tenant, limit]);
    return row?.n ?? null;
  });
}

/** Runs of a tenant that have not ended, the youngest last. */
export async function unfinishedRuns(db: Queryable, tenant: string, limit: number): Promise<string[]> {
  const rows = await db.query<{ run_id: string }>(
    `select r.run_id from longhaul.runs r join longhaul.live l using (run_id) where r.tenant_id = $1
     union all select i.run_id from longhaul.intake i where i.tenant_id = $1 order by 1 limit $2`,
    [tenant, limit],
  );
  return rows.map((row) => row.run_id);
}

/** A moment so long ago on the database's clock, as text with all its digits. */
export async function momentAgo(db: Queryable, ms: number): Promise<string> {
  const [row] = await db.query<{ at: string }>(
    "select (clock_timestamp() - $1::bigint * interval '1 millisecond')::text as at",
    [ms],
  );
  return row?.at ?? "-infinity";
}

/** In a transaction, unless another process prunes: the row that is locked keeps them one at a time, also behind a pooler. */
function alone<T>(db: Database, work: (tx: Queryable) => Promise<T>): Promise<T | null> {
  return db.transaction(async (tx) => {
    const rows = await tx.query("select 1 from longhaul.retention for update skip locked");
    return rows.length === 0 ? null : await work(tx);
  });
}
