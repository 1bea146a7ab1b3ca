// Statements about batches that providers hold: when each is looked at next, and what is overdue. `now()`, because no index is
// searched for what changes within a statement.
import type { Queryable } from "./database.ts";

export interface RemoteBatch {
  readonly batch_id: string;
  readonly batcher: string;
  readonly state: "taken" | "sent";
  /** Null: it is not known whether it was sent. */
  readonly remote_id: string | null;
  readonly polls: number;
}

/** What has items that are due, among those that wait for a provider's batch. */
export async function dueRemoteBatchers(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ batcher: string }>(
    `with open as materialized (
       select batcher, state, due_at from longhaul.batch_items
        where deadline_at > now() and state in ('waiting', 'taken') order by deadline_at limit 100000
     ) select distinct batcher from open where state = 'waiting' and due_at <= now()`,
    [],
    "lh_due_remote",
  );
  return rows.map(({ batcher }) => batcher);
}

/** Whether anything waits for a provider's batch, or is in one. */
export async function openRemote(db: Queryable): Promise<boolean> {
  const rows = await db.query(
    `select 1 from longhaul.batch_items where deadline_at > '-infinity' and deadline_at is not null and state in ('waiting', 'taken') limit 1`,
    [],
    "lh_open_remote",
  );
  return rows.length > 0;
}

/** The provider has it, and is asked again after so long. */
export async function setRemote(db: Queryable, batchId: string, remoteId: string, pollMs: number): Promise<void> {
  await db.query(
    `update longhaul.batches set state = 'sent', remote_id = $2, lease_until = clock_timestamp() + $3::float8 * interval '1 millisecond'
      where batch_id = $1::uuid and state <> 'closed'`,
    [batchId, remoteId, pollMs],
    "lh_set_remote",
  );
}

/** Takes those whose time has come, for so long; another process leaves them alone meanwhile. */
export function claimRemote(db: Queryable, leaseMs: number, limit: number): Promise<RemoteBatch[]> {
  return db.query<RemoteBatch>(
    `update longhaul.batches set lease_until = clock_timestamp() + $1::float8 * interval '1 millisecond', polls = polls + 1
      where batch_id = any(array(select b.batch_id from longhaul.batches b
                                  where b.state <> 'closed' and b.lease_until < now() and left(b.batcher, 1) = '@'
                                  order by b.lease_until limit $2 for update skip locked))
      returning batch_id, batcher, state, remote_id, polls`,
    [leaseMs, limit],
    "lh_claim_remote",
  );
}

export function itemsOfBatch(db: Queryable, batchId: string): Promise<{ item_id: string; payload: string }[]> {
  return db.query<{ item_id: string; payload: string }>(
    "select item_id, payload from longhaul.batch_items where batch_id = $1::uuid and state = 'taken' order by item_id",
    [batchId],
    "lh_items_of_batch",
  );
}

/** Items for which it is too late ask by themselves. Answers the runs that are told. */
export async function releaseOverdue(db: Queryable, limit: number): Promise<string[]> {
  const [row] = await db.query<{ told: string[] | null }>(
    `with late as (
       update longhaul.batch_items i set state = 'live', batch_id = null
        where i.item_id = any(array(select x.item_id from longhaul.batch_items x
                                     where x.deadline_at <= now() and x.state in ('waiting', 'taken')
                                     order by x.deadline_at limit $1 for update skip locked))
       returning i.item_id, i.run_id, i.parked
     ), told as (
       select array_agg(l.run_id order by l.item_id) as runs, array_agg('batch:' || l.item_id order by l.item_id) as keys from late l where l.parked
     ) select t.runs as told, longhaul.tell_items(t.runs, t.keys) from told t`,
    [limit],
    "lh_release_overdue",
  );
  return row?.told ?? [];
}
