// Statements on threads: what the runs on a conversation share.
import type { Queryable } from "./database.ts";

export interface ThreadRow {
  readonly thread_no: number;
  readonly tenant_id: string;
  readonly thread_id: string;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly active_run: string | null;
  readonly agent: string | null;
  readonly state: string | null;
  readonly state_blob: string | null;
  readonly metadata: Record<string, unknown>;
  /** State of the active run, if it is unfinished. */
  readonly run_state: string | null;
  /** How the newest finished run ended. */
  readonly last_status: string | null;
}

/** Creates a thread. False when the tenant has one of this id already. */
export async function createThread(
  db: Queryable,
  tenant: string,
  threadId: string,
  metadata: string,
): Promise<boolean> {
  const rows = await db.query(
    "insert into longhaul.threads (tenant_id, thread_id, metadata) values ($1, $2, $3::jsonb) on conflict do nothing returning thread_no",
    [tenant, threadId, metadata],
  );
  return rows.length > 0;
}

export async function readThread(db: Queryable, tenant: string, threadId: string): Promise<ThreadRow | null> {
  const [row] = await db.query<ThreadRow>(
    `select t.*, l.state as run_state,
       (select o.status from longhaul.runs r join longhaul.outcomes o using (run_id)
         where r.thread_id = t.thread_id and r.tenant_id = t.tenant_id order by r.thread_seq desc limit 1) as last_status
       from longhaul.threads t left join longhaul.live l on l.run_id = t.active_run
      where t.tenant_id = $1 and t.thread_id = $2`,
    [tenant, threadId],
  );
  return row ?? null;
}

/** The states that runs on these threads start from. */
export function readThreadStates(
  db: Queryable,
  threadNos: readonly number[],
): Promise<{ thread_no: number; state: string | null; state_blob: string | null }[]> {
  return db.query(
    "select thread_no, state, state_blob from longhaul.threads where thread_no = any($1::bigint[])",
    [threadNos],
    "lh_thread_states",
  );
}

/** Unfinished runs of a thread, in their order. */
export async function openRunsOfThread(db: Queryable, tenant: string, threadId: string): Promise<string[]> {
  const rows = await db.query<{ run_id: string }>(
    `select r.run_id from longhaul.runs r join longhaul.live l using (run_id)
      where r.thread_id = $2 and r.tenant_id = $1 order by r.thread_seq`,
    [tenant, threadId],
  );
  return rows.map((row) => row.run_id);
}
