// Statements that take runs for a worker.
import type { Queryable, SqlValue } from "./database.ts";

/** What a worker needs to know to execute a run it has claimed. */
export interface Claimed {
  readonly run_id: string;
  readonly epoch: number;
  readonly journal_seq: number;
  readonly inbox_seq: number;
  readonly crashes: number;
  readonly active_ms: number;
  readonly cancel: string | null;
  readonly now_at: Date;
  readonly tenant_id: string;
  readonly agent: string;
  readonly build: string;
  readonly queue: string;
  readonly thread_id: string | null;
  readonly thread_no: number | null;
  readonly parent_id: string | null;
  readonly root_id: string;
  readonly depth: number;
  readonly input: string | null;
  readonly input_blob: string | null;
  readonly options: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
  readonly created_at: Date;
  /** Since when it could be claimed. Null for an isolated one. */
  readonly ready_at: Date | null;
  /** Where its turn stood in the fair-share order before it was served. */
  readonly band: number;
  readonly vtime: number;
  /** The nearest budget above it; null: nothing limits what it spends. */
  readonly budget_id: string | null;
  /** When the time of the first of the budgets above it is over: see engine/wall-time.ts. */
  readonly wall_at: Date | null;
  /** Whether one of them limits money; whether a step has to ask them before it begins. */
  readonly counts_usd: boolean;
  readonly counts_steps: boolean;
}

/** A floor that passes no turn over and looks at its lanes whole, also before their fronts, where nothing should be. */
export const EVERYTHING = 0;
/** A floor that passes no turn over, and begins at the front of each lane. */
export const EVERY_TURN = -1;

export interface ClaimRequest {
  readonly workerId: string;
  readonly leaseMs: number;
  readonly queue: string;
  readonly builds: readonly string[];
  /** Beside the builds: one pair for each place to look, in this order. */
  readonly bands: readonly number[];
  /** Beside them: turns with a smaller virtual time are passed over, which saves reading what dead rows have left there. Or EVERY_TURN, or EVERYTHING. */
  readonly floors: readonly number[];
  /** Most runs to take. */
  readonly count: number;
  /** Most tenants' turns to look at. */
  readonly turns: number;
}

export function claimRuns(db: Queryable, request: ClaimRequest): Promise<Claimed[]> {
  return db.query<Claimed>(
    "select * from longhaul.claim($1, $2, $3, $4::text[], $5::smallint[], $6::bigint[], $7, $8)",
    claimValues(request),
    "lh_claim",
  );
}

/** A request as the arguments of the function `claim`. */
export function claimValues(request: ClaimRequest): SqlValue[] {
  return [
    request.workerId,
    request.leaseMs,
    request.queue,
    request.builds,
    request.bands,
    request.floors,
    request.count,
    request.turns,
  ];
}

const CLAIMED = `select l.run_id, l.epoch, l.journal_seq, l.inbox_seq, l.crashes, l.active_ms, l.cancel, clock_timestamp() as now_at,
  r.tenant_id, r.agent, r.build, r.queue, r.thread_id, l.thread_no, r.parent_id, r.root_id, r.depth,
  r.input, r.input_blob, r.options, r.metadata, r.created_at, null as ready_at, 1 as band, 0 as vtime,
  r.budget_id, w.wall_at, coalesce(w.counts_usd, false) as counts_usd, coalesce(w.counts_steps, false) as counts_steps
  from longhaul.live l join longhaul.runs r using (run_id)
  left join lateral (select x.* from longhaul.terms(r.budget_id) x where r.budget_id is not null) w on true where l.run_id = $1 and l.worker_id = $2`;

/** Claims one isolated run, for a process that will run nothing else. */
export async function claimIsolated(
  db: Queryable,
  workerId: string,
  leaseMs: number,
  runId: string,
): Promise<Claimed | null> {
  const [row] = await db.query<{ claim_isolated: boolean }>("select longhaul.claim_isolated($1, $2, $3)", [
    workerId,
    leaseMs,
    runId,
  ]);
  if (row?.claim_isolated !== true) return null;
  const [claimed] = await db.query<Claimed>(CLAIMED, [runId, workerId]);
  return claimed ?? null;
}
