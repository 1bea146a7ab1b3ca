// Statements that take runs in: one per batch, safe to repeat.
import { type Apart, queryWithBlobs } from "./blobs.ts";
import type { Queryable, SqlValue } from "./database.ts";
import { errorState } from "./driver-errors.ts";

/** What makes runs alike, and for how long one stands for the others. */
export interface Alike {
  readonly hash: Buffer;
  readonly ttlMs: number;
}

/** A run to be stored. Ids are made by the caller, so that a repeat after an unknown commit finds the first try. */
export interface NewRun {
  readonly runId: string;
  readonly rootId: string;
  readonly parentId: string | null;
  readonly parentKey: string | null;
  readonly depth: number;
  readonly detached: boolean;
  readonly forkedFrom: string | null;
  readonly tenant: string;
  readonly agent: string;
  readonly build: string;
  readonly queue: string;
  /** 0 first to 2 last; null for the middle one. A plan that names a band has the last word. */
  readonly band: number | null;
  /** Empty for none. */
  readonly concurrencyKey: string;
  readonly priority: number;
  readonly threadId: string | null;
  readonly rejectIfBusy: boolean;
  readonly idempotencyKey: string | null;
  readonly requestHash: string | null;
  /** Another that is alike may stand for it: it is submitted by itself then (runtime/alike.ts). */
  readonly alike?: Alike | null | undefined;
  readonly input: string | null;
  readonly inputBlob: string | null;
  /** The value of `inputBlob`, where it is not stored yet. */
  readonly apart?: Apart | undefined;
  readonly options: string;
  readonly metadata: string;
  readonly runAt: Date | null;
  /** It ends as `expired` when nobody has started it by then. */
  readonly startBy: Date | null;
  /** A budget of its own (budgetRow in domain/budget-check.ts), or null. */
  readonly budget: string | null;
  /** The budget that this one, or the run itself, draws on: its parent's nearest. Null: its tenant's. */
  readonly budgetAbove: string | null;
}

export interface Submitted {
  readonly asked_id: string;
  readonly run_id: string;
  readonly existing: boolean;
  readonly same_request: boolean;
  /** `busy`: its thread has an active run. `full`, `rate`: its tenant's plan allows no more, for the next `retry_ms`. */
  readonly refused: "busy" | "full" | "rate" | null;
  readonly retry_ms: number | null;
  /** A worker of this process has it already: nobody is to be told that it waits. */
  readonly started?: boolean;
}

export const SUBMIT = `select * from longhaul.submit($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::boolean[], $7::uuid[],
  $8::text[], $9::text[], $10::text[], $11::text[], $12::smallint[], $13::text[], $14::smallint[], $15::uuid[], $16::boolean[], $17::text[],
  $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::timestamptz[], $24::timestamptz[], $25::text[], $26::uuid[], true)`;

/**
 * Stores a batch of runs and makes them claimable, in one statement. Answers one row per asked run. Runs without a parent are held to
 * what the plans of their tenants allow.
 */
export function submitRuns(db: Queryable, runs: readonly NewRun[]): Promise<Submitted[]> {
  const apart = runs.map((run) => run.apart);
  return queryWithBlobs<Submitted>(db, SUBMIT, submitValues(runs), "lh_submit", apart);
}

/** Runs as the arguments of the function `submit`. */
export function submitValues(runs: readonly NewRun[]): SqlValue[] {
  const column = <K extends keyof NewRun>(name: K): NewRun[K][] => runs.map((run) => run[name]);
  return [
    column("runId"),
    column("rootId"),
    column("parentId"),
    column("parentKey"),
    column("depth"),
    column("detached"),
    column("forkedFrom"),
    column("tenant"),
    column("agent"),
    column("build"),
    column("queue"),
    column("band"),
    column("concurrencyKey"),
    column("priority"),
    column("threadId"),
    column("rejectIfBusy"),
    column("idempotencyKey"),
    column("requestHash"),
    column("input"),
    column("inputBlob"),
    column("options"),
    column("metadata"),
    column("runAt"),
    column("startBy"),
    column("budget"),
    column("budgetAbove"),
  ];
}

const INTAKE = `insert into longhaul.intake (run_id, tenant_id, agent, build, queue, band, key, priority, thread_id, input, input_blob, options, metadata, run_at,
  start_by, budget)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13::jsonb, $14, $15, $16)`;

const INTAKE_APART = "insert into longhaul.blobs (tenant_id, hash, body) values ($1, $2, $3) on conflict do nothing";

/** Texts and values of a submit that takes part in a transaction of the caller's own. They lock nothing that others may need. */
export function intakeStatements(run: NewRun): { text: string; values: unknown[] }[] {
  const values = [
    run.runId,
    run.tenant,
    run.agent,
    run.build,
    run.queue,
    run.band,
    run.concurrencyKey,
    run.priority,
    run.threadId,
    run.input,
    run.inputBlob,
    run.options,
    run.metadata,
    run.runAt,
    run.startBy,
    run.budget,
  ];
  const { apart } = run;
  const blobs = apart === undefined ? [] : [{ text: INTAKE_APART, values: [apart.tenant, apart.hash, apart.body] }];
  return [...blobs, { text: INTAKE, values }];
}

/** What the error of a fork says when the tenant's plan does not allow one more run; null for every other error. */
export function refusalOf(error: unknown): { readonly refused: "full" | "rate"; readonly retry_ms: number } | null {
  if (!(error instanceof Error) || errorState(error) !== "LH429") return null;
  const { detail } = error as { readonly detail?: string };
  return { refused: error.message === "rate" ? "rate" : "full", retry_ms: Number(detail ?? 1_000) };
}

/** Locks the root first: nobody drops the tree of the source before it is copied. */
const FORK = `with tree as materialized (
    select r.run_id from longhaul.runs r where r.run_id = (select s.root_id from longhaul.runs s where s.run_id = $2) for key share
  ) select longhaul.fork($1, $2, $3::int[], $4, $5, $6) from (select count(*) as n from tree) locked where locked.n >= 0`;

/** Copies the journal entries `keep` of `source` into the new run, which starts queued. False when the source is unknown. */
export async function forkRun(
  db: Queryable,
  runId: string,
  source: string,
  keep: readonly number[],
  input: { readonly text: string | null; readonly blob: string | null } | null,
): Promise<boolean> {
  const [row] = await db.query<{ fork: boolean }>(FORK, [
    runId,
    source,
    keep,
    input !== null,
    input?.text ?? null,
    input?.blob ?? null,
  ]);
  return row?.fork ?? false;
}

/**
 * The same for a run that failed for good: its dead letter goes in the same transaction. With `letterOnly` nothing happens, and the
 * answer is false, where there is no letter any more; a repeat finds the new run, and the answer is true.
 */
export async function reviveRun(
  db: Queryable,
  runId: string,
  source: string,
  keep: readonly number[],
  input: { readonly text: string | null; readonly blob: string | null } | null,
  letterOnly: boolean,
): Promise<boolean> {
  const [row] = await db.query<{ revive: boolean }>("select longhaul.revive($1, $2, $3::int[], $4, $5, $6, $7)", [
    ...[runId, source, keep, input !== null, input?.text ?? null, input?.blob ?? null, letterOnly],
  ]);
  return row?.revive ?? false;
}

/** How many runs a tree has. */
export async function treeSize(db: Queryable, rootId: string): Promise<number> {
  const [row] = await db.query<{ n: number }>(
    "select count(*) as n from longhaul.runs where root_id = $1 and root_id <> run_id",
    [rootId],
    "lh_tree_size",
  );
  return (row?.n ?? 0) + 1;
}

/** Serialises the growth of one tree until the transaction ends, so that its size limit is strict. */
export async function lockTree(db: Queryable, rootId: string): Promise<void> {
  await db.query("select pg_advisory_xact_lock(hashtextextended($1::text, 7411))", [rootId]);
}
