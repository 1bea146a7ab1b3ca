// Reading runs back: what was asked, what is happening, how it ended. Every statement names the tenant.
import type { Queryable } from "./database.ts";

export interface RunRow {
  readonly run_id: string;
  readonly root_id: string;
  readonly parent_id: string | null;
  readonly thread_id: string | null;
  readonly forked_from: string | null;
  readonly created_at: Date;
  readonly run_at: Date | null;
  readonly tenant_id: string;
  readonly agent: string;
  readonly build: string;
  readonly queue: string;
  readonly input: string | null;
  readonly input_blob: string | null;
  readonly options: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
  readonly status: string;
  readonly reason: string | null;
  readonly finished_at: Date | null;
  readonly epoch: number;
  readonly journal_seq: number;
  readonly worker_id: string | null;
  readonly expires_at: Date | null;
  readonly cancel: string | null;
}

const COLUMNS = `r.run_id, r.root_id, r.parent_id, r.thread_id, r.forked_from, r.created_at, r.run_at, r.tenant_id, r.agent, r.build, r.queue,
  r.input, r.input_blob, r.options, r.metadata, coalesce(o.status, l.state) as status, coalesce(o.reason, l.pause_reason) as reason,
  o.finished_at, coalesce(o.epoch, l.epoch) as epoch, coalesce(o.entries, l.journal_seq) as journal_seq, l.worker_id, l.expires_at, l.cancel`;
const FROM =
  "from longhaul.runs r left join longhaul.live l using (run_id) left join longhaul.outcomes o using (run_id)";

/** One run of this tenant, also while its transactional submit has committed but not entered the queue yet. */
export async function readRun(db: Queryable, tenant: string, runId: string): Promise<RunRow | null> {
  const [row] = await db.query<RunRow>(
    `select ${COLUMNS} ${FROM} where r.tenant_id = $1 and r.run_id = $2`,
    [tenant, runId],
    "lh_read_run",
  );
  if (row !== undefined) return row;
  const [taken] = await db.query<RunRow>(
    `select i.run_id, i.run_id as root_id, null::uuid as parent_id, i.thread_id, null::uuid as forked_from, i.created_at, i.run_at, i.tenant_id, i.agent,
       i.build, i.queue, i.input, i.input_blob, i.options, i.metadata, 'queued' as status, null as reason, null as finished_at, 0 as epoch,
       0 as journal_seq, null as worker_id, null as expires_at, null as cancel
       from longhaul.intake i where i.tenant_id = $1 and i.run_id = $2`,
    [tenant, runId],
    "lh_read_intake",
  );
  return taken ?? null;
}

export interface RunFilter {
  readonly status: readonly string[] | null;
  readonly agent: string | null;
  readonly threadId: string | null;
  readonly parentId: string | null;
  readonly metadata: string | null;
  readonly runIds: readonly string[] | null;
  readonly before: string | null;
  readonly limit: number;
  readonly offset: number;
}

/** Newest first. */
export function listRuns(db: Queryable, tenant: string, filter: RunFilter): Promise<RunRow[]> {
  return db.query<RunRow>(
    `select ${COLUMNS} ${FROM}
      where r.tenant_id = $1
        and ($2::text[] is null or coalesce(o.status, l.state) = any($2))
        and ($3::text is null or r.agent = $3)
        and ($4::uuid is null or r.thread_id = $4)
        and ($5::uuid is null or r.parent_id = $5)
        and ($6::jsonb is null or r.metadata @> $6::jsonb)
        and ($7::uuid is null or r.run_id < $7)
        and ($10::uuid[] is null or r.run_id = any($10))
      order by r.run_id desc limit $8 offset $9`,
    [
      tenant,
      filter.status,
      filter.agent,
      filter.threadId,
      filter.parentId,
      filter.metadata,
      filter.before,
      filter.limit,
      filter.offset,
      filter.runIds,
    ],
  );
}

export interface OutcomeRow {
  readonly status: "succeeded" | "failed" | "cancelled";
  readonly reason: string | null;
  readonly output: string | null;
  readonly output_blob: string | null;
  readonly failure: string | null;
}

export async function readOutcome(db: Queryable, tenant: string, runId: string): Promise<OutcomeRow | null> {
  const [row] = await db.query<OutcomeRow>(
    "select status, reason, output, output_blob, failure from longhaul.outcomes where tenant_id = $1 and run_id = $2",
    [tenant, runId],
    "lh_read_outcome",
  );
  return row ?? null;
}

export interface ApprovalRow {
  readonly approval_id: string;
  readonly run_id: string;
  readonly tenant_id: string;
  readonly agent: string;
  readonly kind: "approval" | "interrupt";
  readonly step_key: string;
  readonly name: string;
  readonly request: string | null;
  readonly request_blob: string | null;
  readonly request_hash: string;
  readonly status: "pending" | "approved" | "denied" | "expired" | "cancelled";
  readonly requested_at: Date;
  readonly expires_at: Date | null;
  readonly resolved_at: Date | null;
  readonly resolved_by: string | null;
  readonly answer: string | null;
}

const APPROVAL =
  "select a.*, (select r.agent from longhaul.runs r where r.run_id = a.run_id) as agent from longhaul.approvals a";

export async function readApproval(db: Queryable, tenant: string, approvalId: string): Promise<ApprovalRow | null> {
  const [row] = await db.query<ApprovalRow>(`${APPROVAL} where a.tenant_id = $1 and a.approval_id = $2`, [
    tenant,
    approvalId,
  ]);
  return row ?? null;
}

/** Oldest first. */
export function listApprovals(
  db: Queryable,
  tenant: string,
  filter: { readonly status: string | null; readonly runId: string | null; readonly limit: number },
): Promise<ApprovalRow[]> {
  return db.query<ApprovalRow>(
    `${APPROVAL} where a.tenant_id = $1 and ($2::text is null or a.status = $2) and ($3::uuid is null or a.run_id = $3)
      order by a.approval_id limit $4`,
    [tenant, filter.status, filter.runId, filter.limit],
  );
}

export async function resolveApproval(
  db: Queryable,
  tenant: string,
  approvalId: string,
  status: "approved" | "denied",
  by: string,
  answer: string,
): Promise<"resolved" | "taken" | "expired" | "gone" | "unknown"> {
  const [row] = await db.query<{ resolve_approval: "resolved" | "taken" | "expired" | "gone" | "unknown" }>(
    "select longhaul.resolve_approval($1, $2, $3, $4, $5)",
    [tenant, approvalId, status, by, answer],
  );
  return row?.resolve_approval ?? "unknown";
}

export function readWaits(
  db: Queryable,
  runId: string,
): Promise<{ key: string; due_at: Date | null; label: string }[]> {
  return db.query("select key, due_at, label from longhaul.waits where run_id = $1 order by due_at nulls last, key", [
    runId,
  ]);
}

export function readChildren(
  db: Queryable,
  tenant: string,
  runId: string,
): Promise<{ run_id: string; agent: string; status: string }[]> {
  return db.query(
    `select r.run_id, r.agent, coalesce(o.status, l.state) as status ${FROM} where r.tenant_id = $1 and r.parent_id = $2 order by r.run_id limit 200`,
    [tenant, runId],
  );
}

/** Which of these runs are detached children. */
export async function readDetached(db: Queryable, runIds: readonly string[]): Promise<string[]> {
  const rows = await db.query<{ run_id: string }>(
    "select run_id from longhaul.runs where run_id = any($1::uuid[]) and detached",
    [runIds],
  );
  return rows.map((row) => row.run_id);
}
