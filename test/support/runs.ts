// Rows for tests that speak to the store directly, without a worker.

import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import { type Claimed, claimRuns, EVERY_TURN } from "../../src/store/claim.ts";
import type { Database, Queryable } from "../../src/store/database.ts";
import type { Move, Settle } from "../../src/store/finish.ts";
import { setPlan, setTenantPlan } from "../../src/store/plans.ts";
import { type NewRun, type Submitted, submitRuns } from "../../src/store/submit.ts";

/** A run as a submit would store it. */
export function aRun(changes: Partial<NewRun> = {}): NewRun {
  const runId = changes.runId ?? newId();
  return {
    runId,
    rootId: runId,
    parentId: null,
    parentKey: null,
    depth: 0,
    detached: false,
    forkedFrom: null,
    tenant: "t",
    agent: "a",
    build: "b",
    queue: "q",
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
    ...changes,
  };
}

export function submit(db: Database, ...runs: readonly Partial<NewRun>[]): Promise<Submitted[]> {
  return submitRuns(db, runs.map(aRun));
}

/** Claims for a worker of one's own, as many as there are. */
export function claim(
  db: Queryable,
  { workerId = newId(), count = 100, queue = "q", build = "b", leaseMs = 60_000, turns = 100 } = {},
): Promise<Claimed[]> {
  return claimRuns(db, {
    workerId,
    leaseMs,
    queue,
    builds: [build, build, build],
    bands: [0, 1, 2],
    count,
    floors: [EVERY_TURN, EVERY_TURN, EVERY_TURN],
    turns,
  });
}

/** A run that is submitted and claimed. */
export async function aHeldRun(
  db: Database,
  changes: Partial<NewRun> = {},
): Promise<{ run: Claimed; workerId: string }> {
  const workerId = newId();
  const queue = changes.queue ?? newId();
  const [row] = await submit(db, { ...changes, queue });
  let run: Claimed | undefined;
  // A claim waits for nobody: while somebody else counts in the tenant's row, it finds nothing.
  for (let tries = 0; run === undefined && tries < 100; tries++)
    [run] = await claim(db, { workerId, queue, build: changes.build ?? "b" });
  if (run === undefined || run.run_id !== row?.run_id) throw new Error("the run could not be claimed");
  return { run, workerId };
}

/** A farewell with nothing but its last entry. */
export function settle(run: Claimed, to: Move, extra: Partial<Settle> = {}): Settle {
  const kind = to.move === "finish" ? KIND.finished : KIND.released;
  const entries = [{ kind, key: null, body: "{}", blob: null }];
  return {
    runId: run.run_id,
    epoch: run.epoch,
    first: run.journal_seq + 1,
    entries,
    to,
    consumed: [],
    activeMs: 5,
    ...extra,
  };
}

export async function liveRow(db: Database, runId: string): Promise<Record<string, unknown> | undefined> {
  const [row] = await db.query("select * from longhaul.live where run_id = $1", [runId]);
  return row;
}

/** Counters that do not equal what they count, and lanes with runs before their front: nothing, when all is well (23). */
export function wrongCounters(db: Database): Promise<Record<string, unknown>[]> {
  return db.query(`
    select 'lane ' || l.lane_id as what, l.ready as said, (select count(*) from longhaul.ready r where r.lane_id = l.lane_id) as counted
      from longhaul.lanes l where l.ready <> (select count(*) from longhaul.ready r where r.lane_id = l.lane_id)
    union all
    select 'front of ' || l.lane_id, 0, count(*) from longhaul.lanes l join longhaul.ready r on r.lane_id = l.lane_id and (r.prio, r.run_id) < (l.prio, l.front) group by l.lane_id
    union all
    select 'turn ' || t.turn_id, t.ready, (select sum(l.ready) from longhaul.lanes l where l.turn_id = t.turn_id)
      from longhaul.turns t where t.ready <> (select sum(l.ready) from longhaul.lanes l where l.turn_id = t.turn_id)
    union all
    select 'tenant ' || t.tenant_id, t.in_flight, c.n from longhaul.tenants t
     cross join lateral (select count(*) as n from longhaul.live v join longhaul.lanes l using (lane_id)
                          where v.state = 'running' and l.tenant_id = t.tenant_id) c where t.in_flight <> c.n`);
}

/** Puts a tenant on a plan of its own that caps what it has in flight. */
export async function capTenant(db: Database, tenant: string, cap: number): Promise<void> {
  const plan = `cap of ${tenant}`;
  await setPlan(db, { plan, concurrency: cap, weight: 1, band: null, unfinished_max: null, submits_per_minute: null });
  await setTenantPlan(db, tenant, plan);
}
