// The queue as the benchmarks see it: every statement on Longhaul's tables that they send is in this file.

import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import { type Claimed, claimRuns, EVERY_TURN } from "../../src/store/claim.ts";
import { type Database, openDatabase, type Queryable } from "../../src/store/database.ts";
import { settleRuns } from "../../src/store/finish.ts";
import { checkInvariants, type Violation } from "../../src/store/invariants.ts";
import { type NewRun, submitRuns } from "../../src/store/submit.ts";
import { freeWorker, tick } from "../../src/store/sweep.ts";

export type { Claimed } from "../../src/store/claim.ts";
export type { Database } from "../../src/store/database.ts";

/** What workers started without settings look for. */
export const QUEUE = "default";
export const BUILD = "default";
/** The agent of all runs here. */
export const AGENT = "trivial";
/** As the engine's claim loop asks. */
const BANDS = [0, 1, 2];
const LEASE_MS = 60_000;

/** Connections of a measurement's own. Filling and vacuuming may take longer than any statement of a worker. */
export function openStore(url: string, connections: number): Database {
  return openDatabase({ url, max: connections, applicationName: "longhaul-bench", statementTimeoutMs: 600_000 });
}

export function aRun(tenant: string): NewRun {
  const runId = newId();
  return {
    runId,
    rootId: runId,
    parentId: null,
    parentKey: null,
    depth: 0,
    detached: false,
    forkedFrom: null,
    tenant,
    agent: AGENT,
    build: BUILD,
    queue: QUEUE,
    band: 1,
    concurrencyKey: "",
    priority: 100,
    threadId: null,
    rejectIfBusy: false,
    idempotencyKey: null,
    requestHash: null,
    input: "null",
    inputBlob: null,
    options: "{}",
    metadata: "{}",
    runAt: null,
    startBy: null,
    budget: null,
    budgetAbove: null,
  };
}

/** Submits one run per named tenant, in one statement. */
export async function submit(db: Queryable, tenants: readonly string[]): Promise<void> {
  await submitRuns(db, tenants.map(aRun));
}

export function claim(db: Queryable, workerId: string, count: number, leaseMs = LEASE_MS): Promise<Claimed[]> {
  return claimRuns(db, {
    workerId,
    leaseMs,
    queue: QUEUE,
    builds: BANDS.map(() => BUILD),
    bands: BANDS,
    count,
    floors: BANDS.map(() => EVERY_TURN),
    turns: Math.max(4, Math.ceil(count / 5)),
  });
}

/** Ends claimed runs as a worker does whose agent returned at once: the last entry and the outcome. */
export async function finish(db: Queryable, workerId: string, claims: readonly Claimed[]): Promise<number> {
  const rows = await settleRuns(
    db,
    workerId,
    claims.map((run) => ({
      runId: run.run_id,
      epoch: run.epoch,
      first: run.journal_seq + 1,
      entries: [{ kind: KIND.finished, key: null, body: '{"status":"succeeded"}', blob: null }],
      to: { move: "finish", status: "succeeded", output: "null", outputBlob: null },
      consumed: [],
      activeMs: 0,
    })),
  );
  return rows.length;
}

/** Gives claimed runs back to the queue. */
export async function giveBack(db: Queryable, workerId: string, claims: readonly Claimed[]): Promise<void> {
  await settleRuns(
    db,
    workerId,
    claims.map((run) => ({
      runId: run.run_id,
      epoch: run.epoch,
      first: run.journal_seq + 1,
      entries: [{ kind: KIND.released, key: null, body: '{"move":"yield","reason":"bench"}', blob: null }],
      to: { move: "yield" },
      consumed: [],
      activeMs: 0,
    })),
  );
}

/** What a supervisor does about a worker that it saw die, and what time does: runs of dead workers go back to the queue. */
export async function bury(db: Database, workerId: string): Promise<void> {
  await freeWorker(db, workerId);
  await housekeep(db);
}

export async function housekeep(db: Database): Promise<void> {
  const request = {
    workerId: newId(),
    queues: [QUEUE],
    build: BUILD,
    limit: 500,
    crashesMax: 1_000,
    canIsolate: false,
  };
  for (let did: string | null = ""; did !== null; ) did = (await tick(db, request)).did;
}

/** Caps and weights of tenants, before any of their runs is submitted. */
export async function setTenants(
  db: Queryable,
  tenants: readonly { readonly tenant: string; readonly cap?: number; readonly weight?: number }[],
): Promise<void> {
  await db.query(
    `insert into longhaul.tenants (tenant_id, cap, weight)
     select u.* from unnest($1::text[], $2::int[], $3::int[]) u
         on conflict (tenant_id) do update set cap = excluded.cap, weight = excluded.weight`,
    [
      tenants.map(({ tenant }) => tenant),
      tenants.map(({ cap }) => cap ?? 2_147_483_647),
      tenants.map(({ weight }) => weight ?? 1),
    ],
  );
}

/** Brings tables and statistics to the state in which autovacuum keeps them, so that it does not begin in a measurement. */
export async function tidy(db: Database): Promise<void> {
  for (const table of ["tenants", "turns", "lanes", "runs", "live", "ready", "outcomes", "journal"])
    await db.query(`vacuum (analyze) longhaul.${table}`);
  await db.query("checkpoint");
}

/** Whether any run is unfinished. */
export async function hasWork(db: Queryable): Promise<boolean> {
  const [row] = await db.query<{ some: boolean }>("select exists (select from longhaul.live) as some");
  return row?.some ?? false;
}

/** Ended runs per second between the first end and the last, by the database's clock. */
export async function endsPerSecond(db: Queryable): Promise<number> {
  const [row] = await db.query<{ rate: number }>(
    `select (count(*) - 1) / extract(epoch from max(finished_at) - min(finished_at))::float8 as rate from longhaul.outcomes`,
  );
  return row?.rate ?? Number.NaN;
}

/** Of each tenant: how many runs are held this moment, and how many may be. */
export function runningByTenant(db: Queryable): Promise<{ tenant: string; running: number; cap: number }[]> {
  return db.query(
    `select r.tenant_id as tenant, count(*)::int as running, t.cap from longhaul.live l join longhaul.runs r using (run_id)
       join longhaul.tenants t using (tenant_id) where l.state = 'running' group by 1, 3`,
    [],
    "bench_running",
  );
}

/** Of each tenant: how many of its runs have not ended, and how many may be held at once. */
export function unfinishedByTenant(db: Queryable): Promise<{ tenant: string; unfinished: number; cap: number }[]> {
  return db.query(
    "select tenant_id as tenant, unfinished, cap from longhaul.tenants where cap < 1000",
    [],
    "bench_unfinished",
  );
}

/**
 * Claims that found their tenant's cap reached, by the journal: a claim's entry is written under the tenant's lock, and a farewell's before
 * its slot is given back, so runs whose intervals overlap did hold slots at the same time.
 */
export async function capsExceeded(db: Queryable): Promise<{ claims: number; exceeded: number; highest: number }> {
  const [row] = await db.query<{ claims: number; exceeded: number; highest: number }>(
    `with control as (
       select j.run_id, j.kind, j.at as since, lead(j.at) over (partition by j.run_id order by j.seq) as until
         from longhaul.journal j where j.kind < 10
     ), moments as (
       select r.tenant_id, c.since as at, 1 as step from control c join longhaul.runs r using (run_id) where c.kind = ${KIND.claimed}
       union all
       select r.tenant_id, c.until, -1 from control c join longhaul.runs r using (run_id) where c.kind = ${KIND.claimed} and c.until is not null
     ), swept as (
       select m.tenant_id, m.step, sum(m.step) over (partition by m.tenant_id order by m.at, m.step) as held from moments m
     )
     select count(*)::int as claims, count(*) filter (where s.held > t.cap)::int as exceeded, max(s.held::float8 / t.cap) as highest
       from swept s join longhaul.tenants t using (tenant_id) where s.step = 1`,
  );
  return row ?? { claims: 0, exceeded: Number.NaN, highest: Number.NaN };
}

/** Invariants of the schema that do not hold now; among them: counters equal what they count, and no cap is exceeded. */
export function broken(db: Database): Promise<Violation[]> {
  return checkInvariants(db);
}
