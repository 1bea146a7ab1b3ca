// The books in the database: what is taken, refused, settled and given back, by runs and from outside, and that they always balance.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { budgetRow } from "../../src/domain/budget-check.ts";
import { NO_SPEND, type Spend } from "../../src/domain/usage.ts";
import { newId } from "../../src/engine/ids.ts";
import { openBudget, raiseBudget, readBudget } from "../../src/store/budgets.ts";
import {
  abandonCalls,
  type Closing,
  closeCalls,
  type Draw,
  type Drawn,
  type NewCall,
  openCalls,
  openRunCall,
  returnHold,
  takeHold,
} from "../../src/store/calls.ts";
import { ackCharges, readCharges } from "../../src/store/charges.ts";
import type { Claimed } from "../../src/store/claim.ts";
import { settleRuns } from "../../src/store/finish.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { appendWith } from "../../src/store/journal.ts";
import { setPlan, setTenantPlan } from "../../src/store/plans.ts";
import { purgeRows } from "../../src/store/retention.ts";
import { forkRun } from "../../src/store/submit.ts";
import { facts, outcome, spend } from "../support/calls.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aHeldRun, claim, submit } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterEach(async () => {
  expect(await broken()).toEqual([]);
});

/** Children that a test submits by itself are in no journal. */
async function broken(): Promise<unknown[]> {
  const all = (await checkInvariants(fresh.db)).filter(({ name }) => name !== "child-iff-journaled");
  return all.map(({ name, rows }) => [name, rows[0]]);
}
afterAll(() => fresh.drop());

interface Held {
  readonly run: Claimed;
  readonly workerId: string;
}

/** Opens one call outside of runs. */
async function openCall(db: FreshDatabase["db"], call: NewCall, budgetId: string | null): Promise<Drawn | undefined> {
  const [drawn] = await openCalls(db, [call], budgetId);
  return drawn;
}

const cents = (n: number): Spend => spend({ input: 10, usd: n / 100 });
const DRAW: Draw = { need: NO_SPEND, want: NO_SPEND, first: false, blocker: null, keep: NO_SPEND };

const payer = ({ run, workerId }: Held) => ({ runId: run.run_id, epoch: run.epoch, workerId });

function newCall(held: Held, estimate: Spend) {
  const { run_id: runId, root_id: rootId, tenant_id: tenant } = held.run;
  const attribution = { tenant, runId, rootId, step: "s#1", agent: "a", feature: null };
  return { ...facts({ attribution, estimate }), callId: newId() };
}

/** Opens a call as one that knows nothing of its hold. */
async function open(held: Held, estimate: Spend, over: Partial<Draw> = {}): Promise<{ callId: string; drawn: Drawn }> {
  const call = newCall(held, estimate);
  const drawn = await openRunCall(fresh.db, payer(held), call, {
    ...DRAW,
    need: estimate,
    want: estimate,
    first: true,
    ...over,
  });
  return { callId: call.callId, drawn };
}

const closing = (callId: string, usd: number): Closing => ({
  callId,
  state: "succeeded",
  failure: null,
  outcome: outcome({ input: 10, usd: usd / 100 }),
});

/** Appends a step that closes calls. */
async function record(held: Held, seq: number, spent: Closing[]): Promise<string> {
  const entry = { kind: 10, key: `s#${seq}`, body: '{"n":1}', blob: null };
  const append = { runId: held.run.run_id, epoch: held.run.epoch, first: seq, entries: [entry] };
  return (await appendWith(fresh.db, held.workerId, 60_000, append, { spend: spent })).verdict;
}

async function finish(held: Held, first: number): Promise<void> {
  const entry = { kind: 3, key: null, body: '{"status":"succeeded"}', blob: null };
  const to = { move: "finish", status: "succeeded", output: null, outputBlob: null } as const;
  const settle = {
    runId: held.run.run_id,
    epoch: held.run.epoch,
    first,
    entries: [entry],
    consumed: [],
    activeMs: 1,
    to,
  };
  await settleRuns(fresh.db, held.workerId, [settle]);
}

const money = async (budgetId: string): Promise<{ spent: number; held: number } | null> => {
  const row = await readBudget(fresh.db, null, budgetId);
  return row === null ? null : { spent: Number(row.spent.nanoUsd) / 1e7, held: Number(row.held.nanoUsd) / 1e7 };
};

const withBudget = (usd: number, over: object = {}) =>
  aHeldRun(fresh.db, { budget: budgetRow({ usd: usd / 100, ...over }), tenant: newId() });

/** A child in a worker's hands. */
async function childOf(parent: Held, budget: string | null = null): Promise<Held> {
  const { run_id: parentId, root_id: rootId, tenant_id: tenant } = parent.run;
  return aHeldRun(fresh.db, { parentId, rootId, tenant, depth: 1, parentKey: "c", budget, budgetAbove: parentId });
}

describe("a run's budget", () => {
  test("is its nearest; without one it is its parent's, or else its tenant's", async () => {
    const tenant = newId();
    await setPlan(fresh.db, { plan: tenant, ...PLAN, budget: { nano_usd: "1000000000", per: "month" } });
    await setTenantPlan(fresh.db, tenant, tenant);
    const plain = await aHeldRun(fresh.db, { tenant });
    const own = await aHeldRun(fresh.db, { tenant, budget: budgetRow({ usd: 5 }) });
    const child = await childOf(own);
    const grandchild = await childOf(
      { ...own, run: { ...child.run, run_id: own.run.run_id } },
      budgetRow({ steps: 3 }),
    );
    const tenants = plain.run.budget_id as string;
    expect(await readBudget(fresh.db, tenant, tenants)).toMatchObject({ kind: "tenant", period: "month" });
    expect(own.run).toMatchObject({ budget_id: own.run.run_id, counts_usd: true, counts_steps: false });
    expect(await readBudget(fresh.db, null, own.run.run_id)).toMatchObject({ kind: "run", parentId: tenants });
    expect(child.run.budget_id).toBe(own.run.run_id);
    expect(grandchild.run).toMatchObject({ budget_id: grandchild.run.run_id, counts_usd: true, counts_steps: true });
    expect(await readBudget(fresh.db, "another", own.run.run_id)).toBeNull();
  });

  test("gives a call what it needs, in the commit that writes it down", async () => {
    const held = await withBudget(100);
    const { callId, drawn } = await open(held, cents(10));
    expect(drawn).toMatchObject({ verdict: "done", granted: { nanoUsd: 100_000_000n }, room: { nanoUsd: 0n } });
    expect(await money(held.run.run_id)).toEqual({ spent: 0, held: 10 });
    expect(await record(held, 2, [closing(callId, 7)])).toBe("done");
    // What a step's own append settles touches no row but the run's own; whoever asks is told what it comes to.
    expect(await money(held.run.run_id)).toEqual({ spent: 7, held: 3 });
    await finish(held, 3);
    expect(await money(held.run.run_id)).toEqual({ spent: 7, held: 0 });
    expect(await readCharges(fresh.db, { tenant: held.run.tenant_id, limit: 10 })).toMatchObject([
      { runId: held.run.run_id, nanoUsd: 70_000_000n, inputTokens: 10, steps: 1, calls: 1, deliveredAt: null },
    ]);
  });

  test("refuses what it never can give, and says what it allows", async () => {
    const held = await withBudget(100);
    const { drawn } = await open(held, cents(101));
    expect(drawn).toMatchObject({
      verdict: "refused",
      refusal: {
        budgetId: held.run.run_id,
        dimension: "usd",
        limit: 1,
        spent: 0,
        held: 0,
        asked: 1.01,
        final: true,
      },
    });
    expect(await fresh.db.query("select from longhaul.calls where run_id = $1", [held.run.run_id])).toHaveLength(0);
    expect((await open(held, cents(100))).drawn.verdict).toBe("done");
  });

  test("of nothing lets nothing be spent, but what is free", async () => {
    const held = await withBudget(0, { inputTokens: 5 });
    expect((await open(held, spend({ input: 5 }))).drawn.verdict).toBe("done");
    expect((await open(held, spend({ usd: 0.000_000_001 }))).drawn).toMatchObject({
      verdict: "refused",
      refusal: { dimension: "usd", limit: 0, final: true },
    });
  });

  test("takes ahead a sixteenth of what is left at most, where others draw on it too", async () => {
    const parent = await withBudget(160);
    const a = await childOf(parent);
    await open(a, cents(1));
    const b = await childOf(parent);
    const { drawn } = await open(b, cents(1), { want: cents(50) });
    expect(drawn).toMatchObject({ granted: { nanoUsd: 99_375_000n }, tight: true });
    // One that has its budget to itself may take it all.
    const alone = await withBudget(160);
    expect((await open(alone, cents(1), { want: cents(50) })).drawn).toMatchObject({
      granted: { nanoUsd: 500_000_000n },
    });
  });

  test("that only others hold something of is worth waiting for; what they have spent is looked up then", async () => {
    const parent = await withBudget(10);
    const [a, b] = [await childOf(parent), await childOf(parent)];
    const { callId } = await open(a, cents(6));
    const first = await open(b, cents(6));
    expect(first.drawn).toMatchObject({ refusal: { final: false, held: 0.06, spent: 0 } });
    await record(a, 2, [closing(callId, 6)]);
    // Not rolled yet: from the budget's row alone it could come back.
    expect((await open(b, cents(6))).drawn).toMatchObject({ refusal: { final: false } });
    const again = await open(b, cents(6), { blocker: parent.run.run_id });
    expect(again.drawn).toMatchObject({ refusal: { final: true, held: 0, spent: 0.06 } });
    expect((await open(b, cents(4))).drawn.verdict).toBe("done");
  });

  test("a run that asks again gives back what it does not use, but not what it has reserved", async () => {
    const parent = await withBudget(10);
    const [a, b] = [await childOf(parent), await childOf(parent)];
    await takeHold(fresh.db, payer(a), { ...DRAW, need: cents(4), want: cents(4), first: true });
    await takeHold(fresh.db, payer(b), { ...DRAW, need: cents(5), want: cents(5), first: true });
    const blocker = parent.run.run_id;
    const asked = await takeHold(fresh.db, payer(b), {
      ...DRAW,
      need: cents(5),
      want: cents(5),
      blocker,
      keep: cents(3),
    });
    expect(asked).toMatchObject({ refusal: { held: 0.07, final: false } });
    expect(await returnHold(fresh.db, payer(b), NO_SPEND)).toBe(true);
    expect(await money(parent.run.run_id)).toEqual({ spent: 0, held: 4 });
  });

  test("bounds every budget below it", async () => {
    const parent = await withBudget(10);
    const child = await childOf(parent, budgetRow({ usd: 1 }));
    expect((await open(child, cents(20))).drawn).toMatchObject({
      refusal: { budgetId: parent.run.run_id, limit: 0.1 },
    });
    await open(child, cents(8));
    expect((await open(parent, cents(3))).drawn).toMatchObject({ refusal: { final: false } });
    expect(await money(child.run.run_id)).toEqual({ spent: 0, held: 8 });
    expect(await money(parent.run.run_id)).toEqual({ spent: 0, held: 8 });
  });

  test("is refused when its time is over, and not before", async () => {
    const held = await withBudget(10, { wallMinutes: 5 });
    expect(held.run.wall_at?.getTime()).toBeGreaterThan(Date.now() + 290_000);
    expect((await open(held, cents(1))).drawn.verdict).toBe("done");
    await fresh.db.query(
      "update longhaul.budgets set ends_at = clock_timestamp() - interval '1 second' where budget_id = $1",
      [held.run.run_id],
    );
    expect((await open(held, cents(1))).drawn).toMatchObject({
      refusal: { dimension: "wallMinutes", limit: 5, final: true, budgetId: held.run.run_id },
    });
  });

  test("is raised once for each reason", async () => {
    const held = await withBudget(10, { wallMinutes: 5 });
    const { run_id: id, tenant_id: tenant } = held.run;
    const raise = { raiseId: newId(), by: "ann", amount: cents(5), wallMs: 60_000 };
    expect(await raiseBudget(fresh.db, tenant, id, raise)).toBe("raised");
    expect(await raiseBudget(fresh.db, tenant, id, raise)).toBe("before");
    expect(await raiseBudget(fresh.db, "another", id, raise)).toBeNull();
    // Tokens were not limited, and are not now.
    expect(await readBudget(fresh.db, tenant, id)).toMatchObject({
      limits: { input: null, nanoUsd: 150_000_000n },
      wallMs: 360_000,
    });
  });
});

const PLAN = { concurrency: null, weight: 1, band: null, unfinished_max: null, submits_per_minute: null };

describe("a tenant's budget", () => {
  test("begins anew with each period, and follows its plan", async () => {
    const tenant = newId();
    const plan = { plan: tenant, ...PLAN, budget: { nano_usd: "100000000", per: "day" } };
    await setPlan(fresh.db, plan);
    await setTenantPlan(fresh.db, tenant, tenant);
    const held = await aHeldRun(fresh.db, { tenant });
    const id = held.run.budget_id as string;
    const { callId } = await open(held, cents(10));
    await record(held, 2, [closing(callId, 10)]);
    expect((await open(held, cents(1))).drawn).toMatchObject({ refusal: { budgetId: id, final: true, spent: 0.1 } });
    await fresh.db.query("update longhaul.budgets set period_ends_at = clock_timestamp() where budget_id = $1", [id]);
    expect((await open(held, cents(4))).drawn.verdict).toBe("done");
    expect(await money(id)).toEqual({ spent: 0, held: 4 });
    await setPlan(fresh.db, { ...plan, budget: { nano_usd: "50000000", per: "day" } });
    expect((await open(held, cents(2))).drawn).toMatchObject({ refusal: { limit: 0.05, held: 0.04 } });
    await setPlan(fresh.db, { ...plan, budget: null });
    expect((await open(held, cents(200))).drawn.verdict).toBe("done");
    expect(await readBudget(fresh.db, tenant, id)).toMatchObject({ limits: { nanoUsd: null } });
  });

  test("is there from a tenant's first run on when the default plan has one", async () => {
    const own = await freshDatabase();
    await setPlan(own.db, { plan: "default", ...PLAN, budget: { steps: 5, per: "month" } });
    const [a, b] = [await aHeldRun(own.db, { tenant: "a" }), await aHeldRun(own.db, { tenant: "b" })];
    expect(a.run.counts_steps && b.run.counts_steps).toBe(true);
    expect(a.run.budget_id).not.toBe(b.run.budget_id);
    expect(await checkInvariants(own.db)).toEqual([]);
    await own.drop();
  });
});

describe("a crash", () => {
  /** The run in another worker's hands, as after a lapsed lease. */
  async function takenOver(held: Held): Promise<Held> {
    const { run_id: runId } = held.run;
    await fresh.db.query(
      "update longhaul.live set expires_at = clock_timestamp() - interval '1 ms' where run_id = $1",
      [runId],
    );
    await fresh.db.query("select * from longhaul.sweep(1000, 100, false)");
    const workerId = newId();
    const queue = held.run.queue;
    const [run] = await claim(fresh.db, { workerId, queue });
    return { run: run as Claimed, workerId };
  }

  test("between a call and its record: the call is charged at its estimate, once, and covered meanwhile", async () => {
    const held = await withBudget(10);
    const { callId } = await open(held, cents(4), { want: cents(8) });
    expect(await money(held.run.run_id)).toEqual({ spent: 0, held: 8 });
    const next = await takenOver(held);
    // The rest went back; what may have been spent did not.
    expect(await money(held.run.run_id)).toEqual({ spent: 0, held: 4 });
    const again = await open(next, cents(4));
    expect(again.drawn).toMatchObject({ verdict: "done" });
    expect(await money(held.run.run_id)).toEqual({ spent: 4, held: 4 });
    const [row] = await fresh.db.query("select state, nano_usd from longhaul.calls where call_id = $1", [callId]);
    expect(row).toEqual({ state: "abandoned", nano_usd: 40_000_000 });
    // Whatever the dead one still has to say.
    expect(await record(held, 3, [closing(callId, 1)])).toBe("lost");
    const late = { ...closing(callId, 1), accountId: held.run.run_id, epoch: held.run.epoch };
    expect(await closeCalls(fresh.db, [late])).toBe(0);
    expect((await open(held, cents(1))).drawn.verdict).toBe("lost");
    expect(await returnHold(fresh.db, payer(held), NO_SPEND)).toBe(false);
    await finish(next, next.run.journal_seq + 1);
    expect(await readCharges(fresh.db, { tenant: held.run.tenant_id, limit: 9 })).toMatchObject([
      { nanoUsd: 80_000_000n, calls: 2, steps: 0 },
    ]);
  });

  test("of a run that is never taken on: it is charged when it is cancelled", async () => {
    const held = await withBudget(10);
    await open(held, cents(4));
    await fresh.db.query(
      "update longhaul.live set expires_at = clock_timestamp() - interval '1 ms' where run_id = $1",
      [held.run.run_id],
    );
    await fresh.db.query("select * from longhaul.sweep(1000, 100, false)");
    await fresh.db.query("select longhaul.cancel($1, 'by hand')", [held.run.run_id]);
    expect(await money(held.run.run_id)).toEqual({ spent: 4, held: 0 });
    expect(await readCharges(fresh.db, { tenant: held.run.tenant_id, limit: 9 })).toMatchObject([
      { nanoUsd: 40_000_000n },
    ]);
  });

  test("of the connection: a call that is opened twice is opened once, and takes once", async () => {
    const held = await withBudget(10);
    const call = newCall(held, cents(3));
    for (const first of [true, true, false])
      await openRunCall(fresh.db, payer(held), call, { ...DRAW, need: cents(3), want: cents(3), first });
    expect(await money(held.run.run_id)).toEqual({ spent: 0, held: 3 });
  });

  test("after a lost answer the run learns from the database what it holds", async () => {
    const held = await withBudget(100);
    await takeHold(fresh.db, payer(held), { ...DRAW, need: cents(5), want: cents(40), first: true });
    const again = await takeHold(fresh.db, payer(held), { ...DRAW, need: cents(5), want: cents(40), first: true });
    expect(again).toMatchObject({ granted: { nanoUsd: 0n }, room: { nanoUsd: 350_000_000n } });
  });
});

describe("outside of runs", () => {
  const outside = (tenant: string, estimate: Spend) => ({
    ...facts({ estimate, attribution: { tenant, runId: null, rootId: null, step: null, agent: null, feature: "f" } }),
    callId: newId(),
  });
  const told = (callId: string, accountId: string | null, usd: number) => ({
    ...closing(callId, usd),
    accountId,
    epoch: null,
  });

  test("calls of one statement draw one after the other, each refused by itself, and again without drawing twice", async () => {
    const [tenant, id] = [newId(), newId()];
    await openBudget(fresh.db, id, tenant, budgetRow({ usd: 0.1 }));
    const calls = [4, 8, 3, 4].map((usd) => outside(tenant, cents(usd)));
    const verdicts = async () => (await openCalls(fresh.db, calls, id)).map(({ verdict }) => verdict);
    expect(await verdicts()).toEqual(["done", "refused", "done", "refused"]);
    expect(await verdicts()).toEqual(["done", "refused", "done", "refused"]);
    expect(await money(id)).toEqual({ spent: 0, held: 7 });
  });

  test("calls draw on an open budget, and give back at once", async () => {
    const [tenant, id] = [newId(), newId()];
    await openBudget(fresh.db, id, tenant, budgetRow({ usd: 0.1 }));
    const calls = [outside(tenant, cents(4)), outside(tenant, cents(4))];
    for (const call of calls) expect((await openCall(fresh.db, call, id))?.verdict).toBe("done");
    const refused = await openCall(fresh.db, outside(tenant, cents(4)), id);
    expect(refused).toMatchObject({ refusal: { budgetId: id, final: false } });
    expect(
      await closeCalls(
        fresh.db,
        calls.map((c) => told(c.callId, id, 3)),
      ),
    ).toBe(2);
    expect(
      await closeCalls(
        fresh.db,
        calls.map((c) => told(c.callId, id, 3)),
      ),
    ).toBe(0);
    expect(await money(id)).toEqual({ spent: 6, held: 0 });
    expect(await openCall(fresh.db, outside(tenant, cents(5)), id)).toMatchObject({ refusal: { final: true } });
    expect((await openCall(fresh.db, outside(tenant, cents(4)), newId()))?.verdict).toBe("lost");
  });

  test("calls without a budget are only written down; answers that cost no call too", async () => {
    const tenant = newId();
    const call = outside(tenant, cents(1));
    await openCall(fresh.db, call, null);
    const fresh2 = outside(tenant, NO_SPEND);
    const cached = { ...outcome({}), source: "cache" as const };
    await closeCalls(fresh.db, [
      told(call.callId, null, 1),
      {
        callId: fresh2.callId,
        state: "succeeded",
        failure: null,
        outcome: cached,
        fresh: fresh2,
        accountId: null,
        epoch: null,
      },
    ]);
    const rows = await fresh.db.query(
      "select state, source, nano_usd from longhaul.calls where tenant_id = $1 order by call_id",
      [tenant],
    );
    expect(rows).toEqual([
      { state: "succeeded", source: "provider", nano_usd: 10_000_000 },
      { state: "succeeded", source: "cache", nano_usd: 0 },
    ]);
  });

  test("calls that nobody closes are charged at their estimate after a while", async () => {
    const [tenant, id] = [newId(), newId()];
    await openBudget(fresh.db, id, tenant, budgetRow({ usd: 1 }));
    await openCall(fresh.db, outside(tenant, cents(4)), id);
    await openCall(fresh.db, outside(tenant, cents(4)), null);
    expect(await abandonCalls(fresh.db, 60_000, 100)).toBe(0);
    await fresh.db.query("update longhaul.calls set opened_at = opened_at - interval '1 hour' where tenant_id = $1", [
      tenant,
    ]);
    expect(await abandonCalls(fresh.db, 60_000, 100)).toBe(2);
    expect(await money(id)).toEqual({ spent: 4, held: 0 });
  });
});

describe("the ledger", () => {
  test("has a line for each run that cost something, and says what somebody took note of", async () => {
    const tenant = newId();
    const ids: string[] = [];
    for (const usd of [1, 2, 0]) {
      const held = await aHeldRun(fresh.db, { tenant });
      if (usd > 0) {
        const { callId } = await open(held, cents(usd));
        await record(held, 2, [closing(callId, usd)]);
        ids.push(held.run.run_id);
      }
      await finish(held, usd > 0 ? 3 : 2);
    }
    const [first, second, ...none] = await readCharges(fresh.db, { tenant, limit: 10 });
    expect(none).toEqual([]);
    expect([first?.runId, second?.runId]).toEqual(ids);
    expect(await readCharges(fresh.db, { tenant, limit: 10, after: first?.runId })).toMatchObject([
      { runId: second?.runId },
    ]);
    expect(await ackCharges(fresh.db, ids)).toHaveLength(2);
    expect(await ackCharges(fresh.db, ids)).toHaveLength(0);
    expect(await readCharges(fresh.db, { tenant, limit: 10, pending: true })).toEqual([]);
  });
});

describe("a fork", () => {
  test("has a fresh budget like its source's, below the same one", async () => {
    const tenant = newId();
    await setPlan(fresh.db, { plan: tenant, ...PLAN, budget: { nano_usd: "1000000000", per: "month" } });
    await setTenantPlan(fresh.db, tenant, tenant);
    const held = await aHeldRun(fresh.db, {
      tenant,
      budget: budgetRow({ usd: 0.1, wallMinutes: 5, onExceeded: "ask" }),
    });
    const { callId } = await open(held, cents(10));
    await record(held, 2, [closing(callId, 10)]);
    await finish(held, 3);
    const id = newId();
    await forkRun(fresh.db, id, held.run.run_id, [2], null);
    const [source, copy] = [await readBudget(fresh.db, null, held.run.run_id), await readBudget(fresh.db, null, id)];
    expect(copy).toMatchObject({
      limits: source?.limits,
      parentId: source?.parentId,
      wallMs: 300_000,
      onExceeded: "ask",
    });
    expect(copy?.spent).toEqual(NO_SPEND);
    const [run] = await claim(fresh.db, { workerId: THREAD, queue: held.run.queue });
    const fork = { run: run as Claimed, workerId: THREAD };
    expect(fork.run.budget_id).toBe(id);
    expect((await open(fork, cents(10))).drawn.verdict).toBe("done");
    await finish(fork, fork.run.journal_seq + 1);
    // What was copied is not its own doing.
    expect(await readCharges(fresh.db, { tenant, limit: 9 })).toMatchObject([
      { steps: 1 },
      { steps: 0, nanoUsd: 100_000_000n },
    ]);
  });

  test("of a run without a budget of its own draws on the same, also when that run's tree is dropped", async () => {
    const parent = await withBudget(10);
    const child = await childOf(parent);
    const { callId } = await open(child, cents(3));
    await record(child, 2, [closing(callId, 3)]);
    await finish(child, 3);
    const id = newId();
    await forkRun(fresh.db, id, child.run.run_id, [], null);
    await fresh.db.query("delete from longhaul.inbox where run_id = $1", [parent.run.run_id]);
    await finish(parent, 2);
    await fresh.db.query("select longhaul.drop_trees(array[$1::uuid])", [parent.run.run_id]);
    expect(await money(parent.run.run_id)).toEqual({ spent: 3, held: 0 });
    const [run] = await claim(fresh.db, { workerId: THREAD, queue: child.run.queue });
    const fork = { run: run as Claimed, workerId: THREAD };
    expect((await open(fork, cents(8))).drawn).toMatchObject({ refusal: { budgetId: parent.run.run_id } });
    await finish(fork, fork.run.journal_seq + 1);
    await fresh.db.query("select longhaul.drop_trees(array[$1::uuid])", [id]);
    expect(await readBudget(fresh.db, null, parent.run.run_id)).toBeNull();
    expect(await fresh.db.query("select from longhaul.calls where run_id = $1", [child.run.run_id])).toEqual([]);
  });
});

const THREAD = "0b0e0f7c-4a3c-4f5e-9d0a-7d0f8b6f1a11";

test("what dropped trees have spent stays counted above them", async () => {
  const tenant = newId();
  await setPlan(fresh.db, { plan: tenant, ...PLAN, budget: { nano_usd: "1000000000", per: "month" } });
  await setTenantPlan(fresh.db, tenant, tenant);
  const held = await aHeldRun(fresh.db, { tenant, budget: budgetRow({ usd: 1 }) });
  const { callId } = await open(held, cents(10));
  await record(held, 2, [closing(callId, 9)]);
  await finish(held, 3);
  const above = (await readBudget(fresh.db, null, held.run.run_id))?.parentId as string;
  await fresh.db.query("select longhaul.drop_trees(array[$1::uuid])", [held.run.run_id]);
  expect(await money(above)).toEqual({ spent: 9, held: 0 });
  expect(await readBudget(fresh.db, null, held.run.run_id)).toBeNull();
  expect(await readCharges(fresh.db, { tenant, limit: 9 })).toHaveLength(1);
});

test("nothing is left of a tenant that is purged", async () => {
  const tenant = newId();
  await setPlan(fresh.db, { plan: tenant, ...PLAN, budget: { nano_usd: "1000000000", per: "month" } });
  await setTenantPlan(fresh.db, tenant, tenant);
  const held = await aHeldRun(fresh.db, { tenant, budget: budgetRow({ usd: 1 }) });
  const { callId } = await open(held, cents(10));
  await record(held, 2, [closing(callId, 9)]);
  const raise = { raiseId: newId(), by: "ann", amount: cents(5), wallMs: 0 };
  await raiseBudget(fresh.db, tenant, held.run.run_id, raise);
  await finish(held, 3);
  const id = newId();
  await openBudget(fresh.db, id, tenant, budgetRow({ usd: 1 }));
  await openCall(fresh.db, { ...newCall(held, cents(1)), callId: newId() }, id);
  await fresh.db.query("select longhaul.drop_trees(array[$1::uuid])", [held.run.run_id]);
  while ((await purgeRows(fresh.db, tenant, 10)) !== 0) expect(await broken()).toEqual([]);
  for (const table of ["budgets", "budget_accounts", "calls", "charges", "tenants"])
    expect(await fresh.db.query(`select from longhaul.${table} where tenant_id = $1`, [tenant])).toEqual([]);
});

test("calls from outside are kept as long as runs are, and open budgets as long as their calls", async () => {
  const own = await freshDatabase();
  const id = newId();
  await openBudget(own.db, id, "t", budgetRow({ usd: 1 }));
  for (const budget of [id, null]) {
    const attribution = { tenant: "t", runId: null, rootId: null, step: null, agent: null, feature: null };
    const call = { ...facts({ estimate: cents(1), attribution }), callId: newId() };
    await openCall(own.db, call, budget);
    await closeCalls(own.db, [{ ...closing(call.callId, 1), accountId: budget, epoch: null }]);
  }
  const prune = () => own.db.query("select longhaul.prune_calls(clock_timestamp() - interval '1 day', 100) as n");
  expect(await prune()).toEqual([{ n: 0 }]);
  await own.db.query("update longhaul.calls set opened_at = opened_at - interval '2 days'");
  await own.db.query("update longhaul.budgets set created_at = created_at - interval '2 days'");
  expect([await prune(), await prune(), await prune()]).toEqual([[{ n: 2 }], [{ n: 1 }], [{ n: 0 }]]);
  expect(await own.db.query("select from longhaul.budgets")).toEqual([]);
  expect(await checkInvariants(own.db)).toEqual([]);
  await own.drop();
});

test("figures beyond all measure neither fail a statement nor pass a limit", async () => {
  const held = await withBudget(10);
  const huge: Spend = { inputTokens: 1e300, outputTokens: Number.NaN, nanoUsd: 10n ** 30n, steps: -5 };
  expect((await open(held, huge)).drawn).toMatchObject({
    verdict: "refused",
    refusal: { dimension: "usd", final: true },
  });
  const free = await aHeldRun(fresh.db, { tenant: newId() });
  const { callId } = await open(free, huge);
  await record(free, 2, [closing(callId, 1e30)]);
  await finish(free, 3);
  expect(await submit(fresh.db, {})).toHaveLength(1);
});
