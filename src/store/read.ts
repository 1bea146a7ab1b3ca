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
const JOINS = "left join longhaul.live l on l.run_id = r.run_id left join longhaul.outcomes o on o.run_id = r.run_id";
const FROM = `from longhaul.runs r ${JOINS}`;
/** Each is looked up by itself, however many a plan that was made for few tables expects. */
const each = (select: string): string =>
  `select r.* from unnest($1::text[], $2::uuid[]) a(tenant_id, run_id) cross join lateral (${select} limit 1) r`;
const ASKED_FOR = "r.tenant_id = a.tenant_id and r.run_id = a.run_id";

/** A run that somebody asks for. */
export interface RunAsk {
  readonly tenant: string;
  readonly runId: string;
}

/** Runs, each of its tenant, also while their transactional submit has committed but not entered the queue yet. In the order of the asks. */
export async function readRuns(db: Queryable, asks: readonly RunAsk[]): Promise<(RunRow | null)[]> {
  const rows = await db.query<RunRow>(
    each(`select ${COLUMNS} ${FROM} where ${ASKED_FOR}`),
    askValues(asks),
    "lh_read_runs",
  );
  const found = inOrder(asks, rows);
  const others = asks.filter((_, i) => found[i] === null);
  if (others.length === 0) return found;
  const taken = await db.query<RunRow>(
    each(`select r.run_id, r.run_id as root_id, null::uuid as parent_id, r.thread_id, null::uuid as forked_from, r.created_at, r.run_at, r.tenant_id, r.agent,
       r.build, r.queue, r.input, r.input_blob, r.options, r.metadata, 'queued' as status, null as reason, null as finished_at, 0 as epoch,
       0 as journal_seq, null as worker_id, null as expires_at, null as cancel
       from longhaul.intake r where ${ASKED_FOR}`),
    askValues(others),
    "lh_read_intakes",
  );
  const queued = inOrder(asks, taken);
  return found.map((row, i) => row ?? queued[i] ?? null);
}

function askValues(asks: readonly RunAsk[]): [string[], string[]] {
  return [asks.map(({ tenant }) => tenant), asks.map(({ runId }) => runId)];
}

function inOrder<Row extends { readonly run_id: string; readonly tenant_id: string }>(
  asks: readonly RunAsk[],
  rows: readonly Row[],
): (Row | null)[] {
  const byName = new Map(rows.map((row) => [`${row.run_id} ${row.tenant_id}`, row]));
  return asks.map(({ tenant, runId }) => byName.get(`${runId.toLowerCase()} ${tenant}`) ?? null);
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
  readonly run_id: string;
  readonly tenant_id: string;
  readonly status: "succeeded" | "failed" | "cancelled";
  readonly reason: string | null;
  readonly output: string | null;
  readonly output_blob: string | null;
  readonly failure: string | null;
}

/** How runs ended; null for those that have not. In the order of the asks. */
export async function readOutcomes(db: Queryable, asks: readonly RunAsk[]): Promise<(OutcomeRow | null)[]> {
  const rows = await db.query<OutcomeRow>(
    each(
      `select r.run_id, r.tenant_id, r.status, r.reason, r.output, r.output_blob, r.failure from longhaul.outcomes r where ${ASKED_FOR}`,
    ),
    askValues(asks),
    "lh_read_outcomes",
  );
  return inOrder(asks, rows);
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
