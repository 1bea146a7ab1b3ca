// What limits a run's start besides its tenant's cap: agents, keys, plans that change, bands, admission, expiry; and what mends counters.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import { type Claimed, claimRuns } from "../../src/store/claim.ts";
import { cancelRun, settleRuns } from "../../src/store/finish.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import {
  configurePlan,
  deletePlan,
  forgetIdle,
  pauseTenant,
  readPlans,
  reconcile,
  setAgentLimits,
  setPlan,
  setTenantPlan,
} from "../../src/store/plans.ts";
import { submitRuns } from "../../src/store/submit.ts";
import { tick } from "../../src/store/sweep.ts";
import { installGuards } from "../support/guards.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aRun, capTenant, claim, liveRow, settle, submit, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase({ max: 20 });
  await installGuards(fresh.db);
});
afterEach(async () => {
  expect(await wrongCounters(fresh.db)).toEqual([]);
  // (A limit that is lowered holds when enough runs have ended.)
  const broken = (await checkInvariants(fresh.db)).filter(({ invariant }) => invariant !== "I22");
  expect(broken.map(({ name, rows }) => [name, rows[0]])).toEqual([]);
});
afterAll(() => fresh.drop());

const PLAN = { concurrency: null, weight: 1, band: null, unfinished_max: null, submits_per_minute: null };
const many = (count: number, run: Parameters<typeof aRun>[0]) => Array.from({ length: count }, () => ({ ...run }));

async function finish(workerId: string, ...runs: readonly Claimed[]): Promise<void> {
  const to = { move: "finish", status: "succeeded", output: "1", outputBlob: null } as const;
  const entries = [{ kind: KIND.finished, key: null, body: '{"status":"succeeded"}', blob: null }];
  await settleRuns(
    fresh.db,
    workerId,
    runs.map((run) => settle(run, to, { entries })),
  );
}

const overfull = (agent: string) =>
  fresh.db.query(
    `select g.gate_id from longhaul.gates g join longhaul.live l on g.gate_id in (l.agent_gate, l.key_gate)
      where g.agent = $1 and l.state = 'running' group by g.gate_id, g.cap having count(*) > g.cap
     union all
     select 0 from longhaul.tenants t join longhaul.lanes n using (tenant_id) join longhaul.live l using (lane_id)
      where n.agent = $1 and l.state = 'running' group by t.tenant_id having count(*) > t.cap`,
    [agent],
  );

describe("an agent's limit", () => {
  test("holds over all tenants and workers, and a freed slot goes to whoever waited longest (22)", async () => {
    const [queue, agent, workerId] = [newId(), newId(), newId()];
    await setAgentLimits(fresh.db, agent, 3, null);
    const tenants = Array.from({ length: 10 }, () => newId());
    await submit(fresh.db, ...tenants.flatMap((tenant) => many(2, { queue, agent, tenant })));
    const first = await claim(fresh.db, { queue, workerId });
    expect(first).toHaveLength(3);
    expect(await claim(fresh.db, { queue })).toEqual([]);
    const served = new Set(first.map((run) => run.tenant_id));
    let held = first;
    for (let round = 0; round < 7; round++) {
      await finish(workerId, held[0] as Claimed);
      const next = await claim(fresh.db, { queue, workerId });
      expect(next).toHaveLength(1);
      served.add(next[0]?.tenant_id ?? "");
      held = [...held.slice(1), ...next];
    }
    expect(served.size).toBe(10);
    await finish(workerId, ...held);
    for (let left = 10; left > 0; ) {
      const next = await claim(fresh.db, { queue, workerId });
      expect(next.length).toBeGreaterThan(0);
      expect(next.length).toBeLessThanOrEqual(3);
      left -= next.length;
      await finish(workerId, ...next);
    }
  });

  test("can be declared, raised and lifted while runs are queued, and does not hold up other agents", async () => {
    const [queue, agent, other, workerId] = [newId(), newId(), newId(), newId()];
    await submit(fresh.db, ...many(6, { queue, agent }), ...many(2, { queue, agent: other }));
    await setAgentLimits(fresh.db, agent, 1, null);
    const first = await claim(fresh.db, { queue, workerId });
    expect(first.map((run) => run.agent).toSorted()).toEqual([agent, other, other].toSorted());
    await setAgentLimits(fresh.db, agent, 3, null);
    expect(await claim(fresh.db, { queue, workerId })).toHaveLength(2);
    await setAgentLimits(fresh.db, agent, 0, null);
    await finish(workerId, ...first);
    expect(await claim(fresh.db, { queue, workerId })).toEqual([]);
    await setAgentLimits(fresh.db, agent, null, null);
    expect(await claim(fresh.db, { queue, workerId })).toHaveLength(3);
  });

  test("is not spent by a tenant that may not use it", async () => {
    const [queue, agent, full, free] = [newId(), newId(), newId(), newId()];
    await setAgentLimits(fresh.db, agent, 2, null);
    await capTenant(fresh.db, full, 0);
    await submit(fresh.db, ...many(50, { queue, agent, tenant: full }), ...many(2, { queue, agent, tenant: free }));
    expect((await claim(fresh.db, { queue })).map((run) => run.tenant_id)).toEqual([free, free]);
  });
});

describe("a concurrency key", () => {
  test("lets one of its runs run at a time, and the others of the tenant pass", async () => {
    const [queue, agent, workerId] = [newId(), newId(), newId()];
    await submit(
      fresh.db,
      ...many(3, { queue, agent, concurrencyKey: "a" }),
      ...many(3, { queue, agent, concurrencyKey: "b" }),
      ...many(3, { queue, agent }),
    );
    const first = await claim(fresh.db, { queue, workerId });
    expect(first).toHaveLength(5);
    await finish(workerId, ...first);
    const second = await claim(fresh.db, { queue, workerId });
    expect(second).toHaveLength(2);
    await finish(workerId, ...second);
    expect(await claim(fresh.db, { queue, workerId })).toHaveLength(2);
  });

  test("is the tenant's own, and the agent says how many", async () => {
    const [queue, agent, one, two] = [newId(), newId(), newId(), newId()];
    await setAgentLimits(fresh.db, agent, null, 2);
    for (const tenant of [one, two])
      await submit(
        fresh.db,
        ...many(5, { queue, agent, tenant, concurrencyKey: "k" }),
        ...many(5, { queue, agent, tenant }),
      );
    const runs = await claim(fresh.db, { queue });
    expect(runs).toHaveLength(8);
    expect(runs.filter((run) => run.tenant_id === one)).toHaveLength(4);
  });

  test("thousands of them give a tenant no more than its share", async () => {
    const [queue, agent, crowd, single] = [newId(), newId(), newId(), newId()];
    const keyed = Array.from({ length: 1_000 }, (_, i) => ({ queue, agent, tenant: crowd, concurrencyKey: `k${i}` }));
    await submit(fresh.db, ...keyed, ...many(50, { queue, agent, tenant: single }));
    const order: string[] = [];
    for (let i = 0; i < 40; i++)
      order.push(...(await claim(fresh.db, { queue, count: 1, turns: 1 })).map((run) => run.tenant_id));
    expect(order.filter((tenant) => tenant === single).length).toBeGreaterThanOrEqual(19);
  });

  test("combined with an agent's limit and a tenant's cap, none of them is exceeded (22)", async () => {
    const [queue, agent, workerId] = [newId(), newId(), newId()];
    const tenants = Array.from({ length: 4 }, () => newId());
    await setAgentLimits(fresh.db, agent, 5, 2);
    for (const tenant of tenants) await capTenant(fresh.db, tenant, 3);
    await submit(
      fresh.db,
      ...tenants.flatMap((tenant) =>
        ["x", "y", ""].flatMap((key) => many(10, { queue, agent, tenant, concurrencyKey: key })),
      ),
    );
    let ended = 0;
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        while (ended < 120) {
          const runs = await claim(fresh.db, { queue, workerId, count: 4 });
          expect(await overfull(agent)).toEqual([]);
          await finish(workerId, ...runs);
          ended += runs.length;
          if (runs.length === 0) await fresh.db.query("select longhaul.reopen_gates()");
        }
      }),
    );
    expect(ended).toBe(120);
  }, 60_000);
});

describe("bands", () => {
  test("come in their order, and a plan has the last word", async () => {
    const [queue, low, high] = [newId(), newId(), newId()];
    await setPlan(fresh.db, { ...PLAN, plan: "batch", band: 2 });
    await setTenantPlan(fresh.db, low, "batch");
    await submit(
      fresh.db,
      { queue, tenant: low, band: 0 },
      { queue, tenant: high, band: null },
      { queue, tenant: high, band: 0 },
    );
    const bands: number[] = [];
    for (let i = 0; i < 3; i++) bands.push(...(await claim(fresh.db, { queue, count: 1 })).map((run) => run.band));
    expect(bands).toEqual([0, 1, 2]);
  });
});

describe("plans", () => {
  test("a change holds at once for all tenants of the plan, in both directions", async () => {
    const [queue, plan, workerId] = [newId(), newId(), newId()];
    const tenants = [newId(), newId()];
    expect(await setPlan(fresh.db, { ...PLAN, plan, concurrency: 1 })).toBe(false);
    for (const tenant of tenants) expect(await setTenantPlan(fresh.db, tenant, plan)).toBe(true);
    await submit(fresh.db, ...tenants.flatMap((tenant) => many(5, { queue, tenant })));
    const first = await claim(fresh.db, { queue, workerId });
    expect(first).toHaveLength(2);
    expect(await setPlan(fresh.db, { ...PLAN, plan, concurrency: 3 })).toBe(true);
    expect(await claim(fresh.db, { queue, workerId })).toHaveLength(4);
    await setPlan(fresh.db, { ...PLAN, plan, concurrency: 2 });
    await finish(workerId, ...first);
    expect(await claim(fresh.db, { queue, workerId })).toEqual([]);
    await setPlan(fresh.db, { ...PLAN, plan });
    expect(await claim(fresh.db, { queue, workerId })).toHaveLength(4);
  });

  test("one that is deleted while its runs are queued leaves its tenants on the plan `default`", async () => {
    const [queue, plan, tenant] = [newId(), newId(), newId()];
    await setPlan(fresh.db, { ...PLAN, plan, concurrency: 0 });
    await setTenantPlan(fresh.db, tenant, plan);
    await submit(fresh.db, { queue, tenant });
    expect(await claim(fresh.db, { queue })).toEqual([]);
    expect(await deletePlan(fresh.db, plan)).toBe(1);
    expect(await claim(fresh.db, { queue })).toHaveLength(1);
    expect(await deletePlan(fresh.db, plan)).toBeNull();
    expect(await deletePlan(fresh.db, "default")).toBeNull();
    expect(await setTenantPlan(fresh.db, tenant, plan)).toBe(false);
  });

  test("what the config file says is written once, until it says something else", async () => {
    const plan = newId();
    const concurrency = async () => (await readPlans(fresh.db)).find((row) => row.plan === plan)?.concurrency;
    await configurePlan(fresh.db, { ...PLAN, plan, concurrency: 2 });
    await setPlan(fresh.db, { ...PLAN, plan, concurrency: 9 });
    await configurePlan(fresh.db, { ...PLAN, plan, concurrency: 2 });
    expect(await concurrency()).toBe(9);
    await configurePlan(fresh.db, { ...PLAN, plan, concurrency: 3 });
    expect(await concurrency()).toBe(3);
  });

  test("a paused tenant starts nothing until it is released", async () => {
    const [queue, tenant] = [newId(), newId()];
    await submit(fresh.db, { queue, tenant });
    expect(await pauseTenant(fresh.db, tenant, true)).toBe(true);
    expect(await claim(fresh.db, { queue })).toEqual([]);
    expect(await pauseTenant(fresh.db, tenant, false)).toBe(true);
    expect(await claim(fresh.db, { queue })).toHaveLength(1);
    expect(await pauseTenant(fresh.db, newId(), true)).toBe(false);
  });
});

describe("admission", () => {
  test("a tenant with as many unfinished runs as its plan allows is refused, and again taken when some have ended", async () => {
    const [queue, plan, tenant, workerId] = [newId(), newId(), newId(), newId()];
    await setPlan(fresh.db, { ...PLAN, plan, unfinished_max: 3 });
    await setTenantPlan(fresh.db, tenant, plan);
    const first = await submit(fresh.db, ...many(5, { queue, tenant }));
    expect(first.map((row) => row.refused)).toEqual([null, null, null, "full", "full"]);
    const kept = first.slice(0, 3).map((row) => ({ runId: row.run_id, queue, tenant }));
    // A repeat of what was taken is no new run.
    expect((await submit(fresh.db, ...kept)).map((row) => [row.refused, row.existing])).toEqual(
      many(3, {}).map(() => [null, true]),
    );
    await finish(workerId, ...(await claim(fresh.db, { queue, workerId, count: 1 })));
    await cancelRun(fresh.db, first[2]?.run_id ?? "", "by hand");
    expect((await submit(fresh.db, ...many(3, { queue, tenant }))).map((row) => row.refused)).toEqual([
      null,
      null,
      "full",
    ]);
  });

  test("submits beyond the rate of the plan are refused, with the time after which one more goes", async () => {
    const [queue, plan, tenant] = [newId(), newId(), newId()];
    await setPlan(fresh.db, { ...PLAN, plan, submits_per_minute: 60 });
    await setTenantPlan(fresh.db, tenant, plan);
    const rows = await submit(fresh.db, ...many(63, { queue, tenant }), { queue, tenant: newId() });
    expect(rows.filter((row) => row.refused === null)).toHaveLength(61);
    const refused = rows.filter((row) => row.refused === "rate").map((row) => row.retry_ms ?? 0);
    expect(refused).toHaveLength(3);
    for (const ms of refused) expect(ms).toBeGreaterThan(0);
    expect(Math.max(...refused)).toBeLessThanOrEqual(3_100);
    await fresh.db.query("update longhaul.tenants set rate_at = rate_at - interval '2 seconds' where tenant_id = $1", [
      tenant,
    ]);
    const again = await submit(fresh.db, ...many(4, { queue, tenant }));
    expect(again.filter((row) => row.refused === null).length).toBeGreaterThanOrEqual(2);
  });
});

describe("expiry", () => {
  const look = () =>
    tick(fresh.db, { workerId: newId(), queues: [], build: "b", limit: 100, crashesMax: 2, canIsolate: false });

  test("a run that nobody started in time ends as expired; one that was started goes on", async () => {
    const queue = newId();
    const soon = new Date(Date.now() + 400);
    const [late, started] = await submit(fresh.db, { queue, startBy: soon }, { queue, priority: 1, startBy: soon });
    const [run] = await claim(fresh.db, { queue, count: 1 });
    expect(run?.run_id).toBe(started?.run_id);
    await new Promise((resolve) => setTimeout(resolve, 450));
    // Nobody starts it now, even before it has been ended.
    expect(await claim(fresh.db, { queue })).toEqual([]);
    for (let more = true; more; ) more = (await look()).did !== null;
    expect(await liveRow(fresh.db, late?.run_id ?? "")).toBeUndefined();
    expect(await liveRow(fresh.db, started?.run_id ?? "")).toMatchObject({ state: "running" });
    const [outcome] = await fresh.db.query("select status, reason from longhaul.outcomes where run_id = $1", [
      late?.run_id,
    ]);
    expect(outcome).toEqual({ status: "cancelled", reason: "expired" });
    expect(await fresh.db.query("select from longhaul.expiries where run_id = $1", [started?.run_id])).toEqual([]);
  });
});

describe("counters", () => {
  test("that somebody has meddled with are mended, and what they held back is offered again (23)", async () => {
    const [queue, agent, tenant] = [newId(), newId(), newId()];
    await setAgentLimits(fresh.db, agent, 4, null);
    await capTenant(fresh.db, tenant, 4);
    await submit(fresh.db, ...many(6, { queue, agent, tenant }));
    expect(await claim(fresh.db, { queue, count: 2 })).toHaveLength(2);
    await fresh.db.query("update longhaul.tenants set in_flight = 4 where tenant_id = $1", [tenant]);
    await fresh.db.query("update longhaul.gates set in_flight = 4 where agent = $1", [agent]);
    expect(await claim(fresh.db, { queue })).toEqual([]);
    expect(await reconcile(fresh.db)).toBe(2);
    expect(await claim(fresh.db, { queue })).toHaveLength(2);
    expect(await reconcile(fresh.db)).toBe(0);
  });

  test("lanes of keys that nobody uses any more are cleared away, and come back when needed", async () => {
    const [queue, agent, tenant, workerId] = [newId(), newId(), newId(), newId()];
    await submit(fresh.db, ...["a", "b", "c"].map((concurrencyKey) => ({ queue, agent, tenant, concurrencyKey })));
    const held = await claim(fresh.db, { queue, workerId });
    await finish(workerId, ...held.slice(1));
    await fresh.db.query("update longhaul.lanes set head_at = head_at - interval '1 hour' where tenant_id = $1", [
      tenant,
    ]);
    const lanes = async () =>
      (await fresh.db.query("select from longhaul.lanes where tenant_id = $1", [tenant])).length;
    await forgetIdle(fresh.db, 60_000, 100);
    expect(await lanes()).toBe(1);
    await submit(fresh.db, ...["a", "b", "c"].map((concurrencyKey) => ({ queue, agent, tenant, concurrencyKey })));
    expect(await lanes()).toBe(3);
    expect(await claim(fresh.db, { queue, workerId })).toHaveLength(2);
  });

  test("a submit and a clean-up at the same time lose no run", async () => {
    const [queue, agent, tenant] = [newId(), newId(), newId()];
    let submitted = 0;
    let done = false;
    const clean = (async () => {
      while (!done) {
        await fresh.db.query("update longhaul.lanes set head_at = '-infinity' where tenant_id = $1 and ready = 0", [
          tenant,
        ]);
        await forgetIdle(fresh.db, 0, 100);
      }
    })();
    const workerId = newId();
    for (let round = 0; round < 60; round++) {
      const run = aRun({ queue, agent, tenant, concurrencyKey: `k${round % 3}` });
      for (let stored = false; !stored; )
        stored = await submitRuns(fresh.db, [run]).then(
          () => true,
          (error: { code?: string }) => {
            expect(["40001", "40P01", "23514", "55P03"]).toContain(error.code);
            return false;
          },
        );
      submitted += 1;
      await finish(workerId, ...(await claim(fresh.db, { queue, workerId })));
    }
    done = true;
    await clean;
    for (let left = true; left; ) {
      const runs = await claim(fresh.db, { queue, workerId });
      await finish(workerId, ...runs);
      left = runs.length > 0;
    }
    const [row] = await fresh.db.query(
      "select count(*) as n from longhaul.outcomes o join longhaul.runs r using (run_id) where r.queue = $1",
      [queue],
    );
    expect(row).toEqual({ n: submitted });
  });
});

test("the floor of a claim passes over turns below it", async () => {
  const [queue, workerId] = [newId(), newId()];
  await submit(fresh.db, { queue, tenant: newId() });
  const request = { workerId, leaseMs: 60_000, queue, builds: ["b"], bands: [1], count: 1, turns: 8 };
  expect(await claimRuns(fresh.db, { ...request, floors: [5] })).toEqual([]);
  expect(await claimRuns(fresh.db, { ...request, floors: [0] })).toHaveLength(1);
});
