// Whatever is taken, settled, given back, crashed, raised and ended, in whatever order: the books balance, and no limit is passed.
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { budgetRow } from "../../src/domain/budget-check.ts";
import { NO_SPEND, type Spend } from "../../src/domain/usage.ts";
import { newId } from "../../src/engine/ids.ts";
import { raiseBudget } from "../../src/store/budgets.ts";
import { type Closing, closeCalls, openCalls, openRunCall, returnHold, takeHold } from "../../src/store/calls.ts";
import { cancelRun, type Move, settleRuns } from "../../src/store/finish.ts";
import { readInvariants } from "../../src/store/invariants.ts";
import { appendWith } from "../../src/store/journal.ts";
import { setPlan, setTenantPlan } from "../../src/store/plans.ts";
import { facts, outcome, spend } from "../support/calls.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aHeldRun, claim } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

const BOOKS = readInvariants().filter(({ invariant, name }) => invariant === "I55" && name !== "accounts-close");
/** A budget in which more is spent or set aside than it allows, although nothing costs more than was thought. */
const PASSED = `select b.budget_id, d.* from longhaul.budgets b cross join lateral (values
    ('usd', (b.limits).nano_usd, (b.spent).nano_usd - (b.before).nano_usd + (b.held).nano_usd),
    ('steps', (b.limits).steps, (b.spent).steps - (b.before).steps + (b.held).steps)) d(dimension, allowed, used) where d.used > d.allowed`;

/** A run as its worker sees it; `stale`: what dead workers still believe of it. */
interface Player {
  readonly runId: string;
  readonly rootId: string;
  readonly queue: string;
  workerId: string;
  epoch: number;
  seq: number;
  open: { callId: string; cost: number; epoch: number }[];
  over: boolean;
  known: boolean;
}

const op = fc.record({
  did: fc.constantFrom(
    "open",
    "open",
    "open",
    "record",
    "record",
    "apart",
    "take",
    "give",
    "crash",
    "wait",
    "end",
    "cancel",
    "raise",
    "outside",
    "stale",
  ),
  who: fc.nat(3),
  cost: fc.integer({ min: 0, max: 30 }),
  part: fc.double({ min: 0, max: 1, noNaN: true }),
});
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

test("the books balance after every step of every history", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(op, { minLength: 5, maxLength: 40 }), fc.integer({ min: 20, max: 200 }), play),
    { numRuns: Number(process.env["BUDGET_HISTORIES"] ?? 25) },
  );
}, 120_000);

async function play(ops: readonly Op[], limit: number): Promise<void> {
  const tenant = newId();
  const plan = {
    plan: tenant,
    concurrency: null,
    weight: 1,
    band: null,
    unfinished_max: null,
    submits_per_minute: null,
  };
  await setPlan(fresh.db, { ...plan, budget: { nano_usd: String(limit * 15_000_000), steps: 40, per: "day" } });
  await setTenantPlan(fresh.db, tenant, tenant);
  const root = await player(tenant, null, budgetRow({ usd: limit / 100 }));
  const slice = await player(tenant, root, budgetRow({ usd: limit / 200, steps: 4 }));
  const players = [root, slice, await player(tenant, slice, null), await player(tenant, null, null)];
  for (const one of ops) {
    await act(tenant, players[one.who] as Player, one);
    await balanced(JSON.stringify(one));
  }
  for (const one of players) await end(one);
  await balanced("the end");
  const [left] = await fresh.db.query(
    "select longhaul.total(held)::text as held from longhaul.budgets where tenant_id = $1",
    [tenant],
  );
  expect(left).toEqual({ held: "(0,0,0,0)" });
}

async function balanced(after: string): Promise<void> {
  for (const { name, sql } of BOOKS) expect([name, await fresh.db.query(sql)], after).toEqual([name, []]);
  expect(await fresh.db.query(PASSED), after).toEqual([]);
}

async function player(tenant: string, parent: Player | null, budget: string | null): Promise<Player> {
  const above = parent === null ? {} : { parentId: parent.runId, rootId: parent.rootId, parentKey: "c", depth: 1 };
  const { run, workerId } = await aHeldRun(fresh.db, { tenant, budget, budgetAbove: parent?.runId ?? null, ...above });
  const { run_id: runId, root_id: rootId, queue, epoch, journal_seq: seq } = run;
  return { runId, rootId, queue, workerId, epoch, seq, open: [], over: false, known: false };
}

async function act(tenant: string, one: Player, { did, cost, part }: Op): Promise<void> {
  const money = spend({ input: cost, usd: cost / 100 });
  if (did === "outside") return outside(tenant, money);
  if (one.over) return;
  switch (did) {
    case "open":
      return open(one, tenant, money, part);
    case "record":
      return record(one, one.open.splice(0, 1 + Math.floor(part * 2)), part);
    case "apart":
      return apart(one, part);
    case "take":
      return take(one, { ...NO_SPEND, steps: 1 + Math.floor(part * 3) });
    case "give":
      await returnHold(fresh.db, payer(one), NO_SPEND);
      return;
    case "crash":
      return crash(one);
    case "wait":
      return wait(one);
    case "raise": {
      const raise = { raiseId: newId(), by: "x", amount: money, wallMs: 0 };
      await raiseBudget(fresh.db, tenant, one.runId, raise);
      return;
    }
    case "cancel":
      await cancelRun(fresh.db, one.runId, "x");
      return;
    case "end":
      return end(one);
    case "stale":
      return stale(one, tenant, money);
  }
}

const payer = ({ runId, epoch, workerId }: Player) => ({ runId, epoch, workerId });

function callOf(one: Player, tenant: string, estimate: Spend) {
  const attribution = { tenant, runId: one.runId, rootId: one.rootId, step: "s", agent: "a", feature: null };
  return { ...facts({ attribution, estimate }), callId: newId() };
}

async function open(one: Player, tenant: string, estimate: Spend, part: number): Promise<void> {
  const call = callOf(one, tenant, estimate);
  const want = spend({ input: 100, usd: part });
  const draw = { need: estimate, want, first: true, blocker: part > 0.8 ? one.runId : null, keep: NO_SPEND };
  const drawn = await openRunCall(fresh.db, payer(one), call, draw);
  expect(drawn.verdict).not.toBe("lost");
  if (drawn.verdict === "done") one.open.push({ callId: call.callId, cost: estimate.inputTokens, epoch: one.epoch });
}

async function take(one: Player, need: Spend): Promise<void> {
  const draw = { need, want: need, first: true, blocker: null, keep: NO_SPEND };
  await takeHold(fresh.db, payer(one), draw);
}

/** Costs no more than it was thought to. */
function closed({ callId, cost }: { callId: string; cost: number }, part: number): Closing {
  const spent = Math.floor(cost * part);
  return { callId, state: "succeeded", failure: null, outcome: outcome({ input: spent, usd: spent / 100 }) };
}

/** A step, covered by the hold if there is a limit: it is taken first, as the engine does. */
async function record(one: Player, calls: Player["open"], part: number): Promise<void> {
  const draw = { need: { ...NO_SPEND, steps: 1 }, want: NO_SPEND, first: true, blocker: null, keep: NO_SPEND };
  const drawn = await takeHold(fresh.db, payer(one), draw);
  const counts = drawn.verdict === "done";
  const entry = { kind: 10, key: `s#${one.seq}`, body: counts ? '{"n":1}' : '{"c":0,"n":1}', blob: null };
  const append = { runId: one.runId, epoch: one.epoch, first: one.seq + 1, entries: [entry] };
  const spent = calls.map((call) => closed(call, part));
  const { verdict } = await appendWith(fresh.db, one.workerId, 60_000, append, { spend: spent });
  expect(verdict).toBe("done");
  one.seq += 1;
}

async function apart(one: Player, part: number): Promise<void> {
  const calls = one.open.splice(0, 2);
  const closings = calls.map((call) => ({ ...closed(call, part), accountId: one.runId, epoch: call.epoch }));
  expect(await closeCalls(fresh.db, closings)).toBe(calls.length);
  expect(await closeCalls(fresh.db, closings)).toBe(0);
}

/** The process is gone, and what it knew; another has the run. */
async function crash(one: Player): Promise<void> {
  await fresh.db.query(
    "update longhaul.live set expires_at = clock_timestamp() - interval '1 ms', crashes = 0 where run_id = $1",
    [one.runId],
  );
  await fresh.db.query("select * from longhaul.sweep(1000, 100, false)");
  await claimAgain(one);
}

async function wait(one: Player): Promise<void> {
  await settle(one, { move: "yield" }, { kind: 2, body: '{"move":"yield"}' });
  await claimAgain(one);
}

async function claimAgain(one: Player): Promise<void> {
  one.open = [];
  one.workerId = newId();
  const [run] = await claim(fresh.db, { workerId: one.workerId, queue: one.queue });
  if (run === undefined) {
    one.over = true;
    return;
  }
  one.epoch = run.epoch;
  one.seq = run.journal_seq;
}

async function end(one: Player): Promise<void> {
  if (one.over) return;
  one.over = true;
  const [live] = await fresh.db.query("select from longhaul.live where run_id = $1", [one.runId]);
  if (live === undefined) return;
  const to = { move: "finish", status: "succeeded", output: null, outputBlob: null } as const;
  await settle(one, to, { kind: 3, body: '{"status":"succeeded"}' });
}

async function settle(one: Player, to: Move, entry: { kind: number; body: string }): Promise<void> {
  const { runId, epoch, seq } = one;
  const entries = [{ ...entry, key: null, blob: null }];
  const [row] = await settleRuns(fresh.db, one.workerId, [
    { runId, epoch, first: seq + 1, entries, consumed: [], activeMs: 1, to },
  ]);
  // To be cancelled instead: as its worker does.
  if (row?.verdict === "cancel")
    await settle(
      one,
      { move: "finish", status: "cancelled", reason: "x" },
      { kind: 3, body: '{"status":"cancelled"}' },
    );
}

/** A worker that lost the run and does not know. */
async function stale(one: Player, tenant: string, money: Spend): Promise<void> {
  const dead = { ...one, epoch: one.epoch - 1, workerId: newId() };
  const draw = { need: money, want: money, first: true, blocker: null, keep: NO_SPEND };
  expect((await openRunCall(fresh.db, payer(dead), callOf(one, tenant, money), draw)).verdict).toBe("lost");
  expect((await takeHold(fresh.db, payer(dead), draw)).verdict).toBe("lost");
  expect(await returnHold(fresh.db, payer(dead), NO_SPEND)).toBe(false);
  const late = one.open.map((call) => ({ ...closed(call, 1), accountId: one.runId, epoch: call.epoch - 1 }));
  expect(await closeCalls(fresh.db, late)).toBe(0);
}

/** Draws on the tenant's budget by way of one that is opened for it. */
async function outside(tenant: string, estimate: Spend): Promise<void> {
  const budgetId = newId();
  await fresh.db.query("select longhaul.open_budget($1, $2, $3)", [budgetId, tenant, budgetRow({ usd: 0.1 })]);
  const attribution = { tenant, runId: null, rootId: null, step: null, agent: null, feature: null };
  const call = { ...facts({ attribution, estimate }), callId: newId() };
  const [drawn] = await openCalls(fresh.db, [call], budgetId);
  if (drawn?.verdict !== "done") return;
  const spent = closed({ callId: call.callId, cost: estimate.inputTokens }, 0.5);
  await closeCalls(fresh.db, [{ ...spent, accountId: budgetId, epoch: null }]);
}
