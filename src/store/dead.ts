// Statements on dead letters: runs that failed for good and nobody has dealt with; and beside them runs that are paused.
import type { Queryable } from "./database.ts";

export interface DeadRow {
  readonly run_id: string;
  readonly kind: "dead" | "paused";
  readonly agent: string;
  readonly queue: string;
  readonly code: string;
  /** Of a dead run: the encoded failure. Of a paused one: why it is paused. */
  readonly failure: string | null;
  readonly reason: string | null;
  /** Null for a paused run: nobody wrote down when it was paused. */
  readonly died_at: Date | null;
}

export interface DeadFilter {
  readonly agent: string | null;
  readonly queue: string | null;
  readonly code: string | null;
  /** Only those that died at this moment or later. Paused runs count by the moment of their submit. */
  readonly since: Date | null;
  readonly paused: boolean;
  readonly before: string | null;
  readonly limit: number;
}

/** Newest first. */
export function readDead(db: Queryable, tenant: string, filter: DeadFilter): Promise<DeadRow[]> {
  return db.query<DeadRow>(
    `(select d.run_id, 'dead' as kind, d.agent, d.queue, d.code, o.failure, o.reason, d.died_at
        from longhaul.dead_letters d join longhaul.outcomes o using (run_id)
       where d.tenant_id = $1 and ($2::text is null or d.agent = $2) and ($3::text is null or d.queue = $3)
         and ($4::text is null or d.code = $4) and ($5::timestamptz is null or d.died_at >= $5) and ($6::uuid is null or d.run_id < $6)
       order by d.run_id desc limit $7)
     union all
     (select l.run_id, 'paused', r.agent, r.queue, 'paused', null, l.pause_reason, null
        from longhaul.live l join longhaul.runs r using (run_id)
       where $8 and l.state = 'paused' and r.tenant_id = $1 and ($2::text is null or r.agent = $2) and ($3::text is null or r.queue = $3)
         and ($4::text is null or $4 = 'paused') and ($5::timestamptz is null or r.created_at >= $5) and ($6::uuid is null or l.run_id < $6)
       order by l.run_id desc limit $7)
     order by run_id desc limit $7`,
    [tenant, filter.agent, filter.queue, filter.code, filter.since, filter.before, filter.limit, filter.paused],
  );
}

/** Oldest first, those after one run and dead before a moment: what dies meanwhile is not met. */
export async function nextDead(
  db: Queryable,
  tenant: string,
  filter: Omit<DeadFilter, "before" | "paused"> & { readonly after: string | null; readonly until: Date },
): Promise<string[]> {
  const rows = await db.query<{ run_id: string }>(
    `select d.run_id from longhaul.dead_letters d
      where d.tenant_id = $1 and ($2::text is null or d.agent = $2) and ($3::text is null or d.queue = $3)
        and ($4::text is null or d.code = $4) and ($5::timestamptz is null or d.died_at >= $5) and ($6::uuid is null or d.run_id > $6)
        and date_trunc('milliseconds', d.died_at) <= $7 order by d.run_id limit $8`,
    [tenant, filter.agent, filter.queue, filter.code, filter.since, filter.after, filter.until, filter.limit],
  );
  return rows.map((row) => row.run_id);
}

/** True where there was a letter. The run and its outcome stay. */
export async function discardDead(db: Queryable, tenant: string, runId: string): Promise<boolean> {
  const rows = await db.query(
    "delete from longhaul.dead_letters where tenant_id = $1 and run_id = $2 returning run_id",
    [tenant, runId],
  );
  return rows.length > 0;
}

/** Of all tenants. */
export async function countDead(db: Queryable): Promise<number> {
  const [row] = await db.query<{ n: number }>("select count(*) as n from longhaul.dead_letters");
  return row?.n ?? 0;
}

/** The database's clock. */
export async function readNow(db: Queryable): Promise<Date> {
  const [row] = await db.query<{ now: Date }>("select clock_timestamp() as now");
  return row?.now ?? new Date();
}
