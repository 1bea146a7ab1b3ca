// Claiming: each run once, in a fair order, within every cap, waiting for nobody.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import { claimIsolated } from "../../src/store/claim.ts";
import { settleRuns } from "../../src/store/finish.ts";
import { submitRuns } from "../../src/store/submit.ts";
import { installGuards } from "../support/guards.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aRun, capTenant, claim, liveRow, submit, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase({ max: 20 });
  await installGuards(fresh.db);
});
afterEach(async () => expect(await wrongCounters(fresh.db)).toEqual([]));
afterAll(() => fresh.drop());

test("a claim marks the run, raises its epoch and writes the entry, all at once", async () => {
  const queue = newId();
  const workerId = newId();
  const [row] = await submit(fresh.db, { queue, input: '{"a":1}', metadata: '{"m":1}' });
  const [run] = await claim(fresh.db, { queue, workerId });
  expect(run).toMatchObject({ run_id: row?.run_id, epoch: 1, journal_seq: 1, input: '{"a":1}', metadata: { m: 1 } });
  expect(await liveRow(fresh.db, row?.run_id ?? "")).toMatchObject({
    state: "running",
    worker_id: workerId,
    epoch: 1,
    claim_seq: 1,
  });
  const entries = await fresh.db.query("select seq, epoch, kind, body from longhaul.journal where run_id = $1", [
    row?.run_id,
  ]);
  expect(entries).toEqual([{ seq: 1, epoch: 1, kind: KIND.claimed, body: `{"worker":"${workerId}"}` }]);
});

test("nobody asks for the budgets of a run that has none", async () => {
  const queue = newId();
  await submit(fresh.db, { queue }, { queue });
  const called = await fresh.db.transaction(async (tx) => {
    await tx.query("set local track_functions = 'all'");
    expect(await claim(tx, { queue })).toHaveLength(2);
    return await tx.query("select funcname from pg_stat_xact_user_functions where schemaname = 'longhaul'");
  });
  expect(called).toEqual([{ funcname: "claim" }]);
});

test("within a tenant the priority decides, then the age", async () => {
  const queue = newId();
  const runs = [200, 100, 50, 100, 50].map((priority) => aRun({ queue, priority }));
  await submitRuns(fresh.db, runs);
  const order: number[] = [];
  for (let i = 0; i < 5; i++) {
    const [run] = await claim(fresh.db, { queue, count: 1 });
    order.push(runs.findIndex(({ runId }) => runId === run?.run_id));
  }
  expect(order).toEqual([2, 4, 1, 3, 0]);
});

test("workers take only the builds and queues they serve", async () => {
  const queue = newId();
  await submit(fresh.db, { queue, build: "one" }, { queue, build: "two" });
  expect(await claim(fresh.db, { queue: newId(), build: "one" })).toEqual([]);
  expect((await claim(fresh.db, { queue, build: "one" })).map((run) => run.build)).toEqual(["one"]);
  expect((await claim(fresh.db, { queue, build: "two" })).map((run) => run.build)).toEqual(["two"]);
});

test("20 workers that claim 300 runs at once take each exactly once (12)", async () => {
  const queue = newId();
  await submit(fresh.db, ...Array.from({ length: 300 }, (_, i) => ({ queue, tenant: `t${i % 7}` })));
  const taken: string[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let misses = 0; misses < 20; ) {
        const runs = await claim(fresh.db, { queue, count: 7 });
        misses = runs.length === 0 ? misses + 1 : 0;
        taken.push(...runs.map((run) => run.run_id));
      }
    }),
  );
  expect(taken).toHaveLength(300);
  expect(new Set(taken).size).toBe(300);
});

describe("caps", () => {
  test("a tenant is never above its cap, whoever claims and finishes at the same time (22)", async () => {
    const queue = newId();
    await capTenant(fresh.db, queue, 3);
    await submit(fresh.db, ...Array.from({ length: 60 }, () => ({ queue, tenant: queue })));
    let most = 0;
    let ended = 0;
    let watching = true;
    const watch = (async () => {
      while (watching) {
        const [row] = await fresh.db.query<{ n: number }>(
          "select count(*) as n from longhaul.live l join longhaul.lanes n using (lane_id) where n.tenant_id = $1 and l.state = 'running'",
          [queue],
        );
        most = Math.max(most, row?.n ?? 0);
      }
    })();
    const work = async (): Promise<void> => {
      const workerId = newId();
      while (ended < 60) {
        for (const run of await claim(fresh.db, { queue, workerId, count: 5 })) {
          const [entry] = [{ kind: KIND.finished, key: null, body: '{"status":"succeeded"}', blob: null }];
          const to = { move: "finish", status: "succeeded", output: "1", outputBlob: null } as const;
          await settleRuns(fresh.db, workerId, [
            {
              runId: run.run_id,
              epoch: run.epoch,
              first: run.journal_seq + 1,
              entries: [entry],
              to,
              consumed: [],
              activeMs: 1,
            },
          ]);
          ended += 1;
        }
      }
    };
    await Promise.all(Array.from({ length: 6 }, work));
    watching = false;
    await watch;
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(3);
  });

  test("a tenant at its cap costs nothing until a slot is freed: its turn is parked (23)", async () => {
    const queue = newId();
    const workerId = newId();
    await capTenant(fresh.db, queue, 1);
    await submit(fresh.db, { queue, tenant: queue }, { queue, tenant: queue });
    const [run] = await claim(fresh.db, { queue, workerId });
    const turn = () => fresh.db.query("select ready, runnable from longhaul.turns where queue = $1", [queue]);
    expect(await turn()).toEqual([{ ready: 1, runnable: false }]);
    expect(await claim(fresh.db, { queue })).toEqual([]);
    const to = { move: "pause", reason: "by hand" } as const;
    await settleRuns(fresh.db, workerId, [
      { runId: run?.run_id ?? "", epoch: 1, first: 2, entries: [], to, consumed: [], activeMs: 1 },
    ]);
    expect(await turn()).toEqual([{ ready: 1, runnable: true }]);
    expect(await claim(fresh.db, { queue })).toHaveLength(1);
  });

  test("raising a cap makes room at once, a cap of nothing stops the tenant", async () => {
    const queue = newId();
    await capTenant(fresh.db, queue, 0);
    await submit(fresh.db, ...Array.from({ length: 3 }, () => ({ queue, tenant: queue })));
    expect(await claim(fresh.db, { queue })).toEqual([]);
    await capTenant(fresh.db, queue, 2);
    expect(await claim(fresh.db, { queue })).toHaveLength(2);
    await capTenant(fresh.db, queue, 3);
    expect(await claim(fresh.db, { queue })).toHaveLength(1);
  });
});

describe("fairness", () => {
  test("a tenant with one run does not wait behind one with a thousand (25)", async () => {
    const queue = newId();
    await submit(fresh.db, ...Array.from({ length: 1_000 }, () => ({ queue, tenant: "crowd" })));
    await claim(fresh.db, { queue, count: 50 });
    await submit(fresh.db, { queue, tenant: "single" });
    const next = await claim(fresh.db, { queue, count: 10 });
    expect(next.map((run) => run.tenant_id)).toContain("single");
  });

  test("equal tenants get equal shares, a tenant of weight 3 gets three times as much", async () => {
    const queue = newId();
    const tenants = ["one", "two", "heavy"];
    await submit(fresh.db, ...tenants.flatMap((tenant) => Array.from({ length: 400 }, () => ({ queue, tenant }))));
    await fresh.db.query("update longhaul.tenants set weight = 3 where tenant_id = 'heavy'");
    const shares = new Map(tenants.map((tenant) => [tenant, 0]));
    for (let i = 0; i < 250; i++) {
      for (const run of await claim(fresh.db, { queue, count: 1, turns: 1 }))
        shares.set(run.tenant_id, (shares.get(run.tenant_id) ?? 0) + 1);
    }
    expect(shares.get("one")).toBeCloseTo(50, -1);
    expect(shares.get("two")).toBeCloseTo(50, -1);
    expect(shares.get("heavy")).toBeCloseTo(150, -1);
  });

  test("a tenant that was idle gets no credit for it", async () => {
    const queue = newId();
    await submit(fresh.db, ...Array.from({ length: 300 }, () => ({ queue, tenant: "busy" })));
    for (let i = 0; i < 100; i++) await claim(fresh.db, { queue, count: 1, turns: 1 });
    await submit(fresh.db, ...Array.from({ length: 100 }, () => ({ queue, tenant: "late" })));
    const next: string[] = [];
    for (let i = 0; i < 20; i++)
      next.push(...(await claim(fresh.db, { queue, count: 1, turns: 1 })).map((run) => run.tenant_id));
    expect(next.filter((tenant) => tenant === "busy").length).toBeGreaterThanOrEqual(8);
  });
});

test("a claim waits for nobody: a run that somebody has locked is left to them", async () => {
  const queue = newId();
  const [locked, free] = await submit(fresh.db, { queue }, { queue });
  await fresh.db.transaction(async (tx) => {
    await tx.query("select 1 from longhaul.live where run_id = $1 for update", [locked?.run_id]);
    expect((await claim(fresh.db, { queue })).map((run) => run.run_id)).toEqual([free?.run_id]);
  });
  expect((await claim(fresh.db, { queue })).map((run) => run.run_id)).toEqual([locked?.run_id]);
});

test("an isolated run is taken only by its name, by one, within its tenant's cap", async () => {
  const queue = newId();
  const [row] = await submit(fresh.db, { queue, tenant: queue });
  const runId = row?.run_id ?? "";
  expect(await claimIsolated(fresh.db, newId(), 60_000, runId)).toBeNull();
  await claim(fresh.db, { queue });
  await fresh.db.query(
    "update longhaul.live set expires_at = clock_timestamp() - interval '1 s', crashes = 1 where run_id = $1",
    [runId],
  );
  await fresh.db.query("select * from longhaul.sweep(10, 2, true)");
  expect(await liveRow(fresh.db, runId)).toMatchObject({ isolate: true, state: "queued" });
  expect(await claim(fresh.db, { queue })).toEqual([]);
  await capTenant(fresh.db, queue, 0);
  expect(await claimIsolated(fresh.db, newId(), 60_000, runId)).toBeNull();
  await capTenant(fresh.db, queue, 1);
  const taken = await Promise.all(Array.from({ length: 5 }, () => claimIsolated(fresh.db, newId(), 60_000, runId)));
  expect(taken.filter((claimed) => claimed !== null)).toMatchObject([{ run_id: runId, epoch: 3 }]);
});
