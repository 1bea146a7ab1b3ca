// The time that budgets allow: it counts waiting, it ends runs wherever they are, and it can be raised, also while they run.
import { describe, expect, test } from "vitest";
import type { Refusal } from "../../src/domain/exceeded.ts";
import { agent } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { callModel } from "../support/calls.ts";
import { gate, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

const SECOND = 1 / 60;
const asked = (lh: LonghaulProcess, runId: string) =>
  until(async () => (await lh.approvals({ runId, status: "pending" }))[0]);
/** On the database's clock, like the end itself. */
const untilOver = (budgetId: string) =>
  until(async () => {
    const rows = await stage.db.query(
      "select from longhaul.budgets where budget_id = $1 and ends_at < clock_timestamp() - interval '0.1 seconds'",
      [budgetId],
    );
    return rows.length > 0;
  });
const overtimeOf = async (lh: LonghaulProcess, runId: string): Promise<Refusal> => {
  const result = await lh.wait(runId, { timeoutMs: 20_000 });
  if (result.status !== "failed") throw new Error(`it has ${result.status}`);
  expect(result).toMatchObject({ reason: "budget_exceeded", failure: { details: { dimension: "wallMinutes" } } });
  return result.failure.details as Refusal;
};
const makeOver = (budgetId: string) =>
  stage.db.query("update longhaul.budgets set ends_at = clock_timestamp() where budget_id = $1", [budgetId]);

describe("raised by hand", () => {
  test("while a step runs: it goes on to its end", async () => {
    const door = gate();
    const worker = agent({ name: "worker", run: (ctx) => ctx.step("long", () => door.opened.then(() => "done")) });
    const lh = await stage.worker([worker]);
    const handle = await lh.submit(worker, null, { budget: { wallMinutes: 2 * SECOND } });
    await untilStatus(lh, handle.runId, "running");
    const first = await lh.budget(handle.runId);
    await lh.raiseBudget(handle.runId, { wallMinutes: 5 }, { by: "ann" });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(first?.limits.wallMinutes).toBeCloseTo(2 * SECOND);
    expect((await lh.get(handle.runId))?.status).toBe("running");
    door.open();
    expect(await handle.result()).toBe("done");
  });

  test.each([
    ["warm", {}],
    ["cold", { warmMs: 0 }],
  ])("while it sleeps (%s): it sleeps on", async (_, options) => {
    const sleeper = agent({ name: "sleeper", run: (ctx) => ctx.signal("go") });
    const lh = await stage.worker([sleeper], options);
    const handle = await lh.submit(sleeper, null, { budget: { wallMinutes: 3 * SECOND } });
    await untilStatus(lh, handle.runId, "waiting");
    await lh.raiseBudget(handle.runId, { wallMinutes: 5 }, { by: "ann" });
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    await untilStatus(lh, handle.runId, "waiting");
    await lh.signal(handle.runId, "go", "gone");
    expect(await handle.result()).toBe("gone");
  });

  test("a little: it ends a little later, and says what it had by then", async () => {
    const sleeper = agent({ name: "sleeper", run: (ctx) => ctx.signal("never") });
    const lh = await stage.worker([sleeper]);
    const handle = await lh.submit(sleeper, null, { budget: { wallMinutes: SECOND } });
    await lh.raiseBudget(handle.runId, { wallMinutes: SECOND }, { by: "ann" });
    const { limit, spent } = await overtimeOf(lh, handle.runId);
    expect(limit).toBeCloseTo(2 * SECOND, 3);
    expect(spent).toBeGreaterThanOrEqual(limit);
  });
});

describe("that may be raised", () => {
  test("is not over for who sleeps; the next step asks, and waiting for the answer costs nothing", async () => {
    const ran: string[] = [];
    const patient = agent({
      name: "patient",
      budget: { wallMinutes: 5, onExceeded: "ask" },
      async run(ctx) {
        await ctx.step("before", () => ran.push("before"));
        await ctx.signal("go");
        await ctx.step("after", () => ran.push("after"));
        return "done";
      },
    });
    const lh = await stage.worker([patient]);
    const handle = await lh.submit(patient, null);
    await untilStatus(lh, handle.runId, "waiting");
    await makeOver(handle.runId);
    await untilOver(handle.runId);
    await untilStatus(lh, handle.runId, "waiting");
    expect(await lh.approvals({ runId: handle.runId })).toEqual([]);
    await lh.signal(handle.runId, "go", null);
    const approval = await asked(lh, handle.runId);
    expect(approval.request).toMatchObject({ budgetId: handle.runId, dimension: "wallMinutes", limit: 5 });
    expect(ran).toEqual(["before"]);
    await untilStatus(lh, handle.runId, "waiting");
    await lh.approve(approval.approvalId, { by: "ann", args: { raiseBy: 3 } });
    expect(await handle.result()).toBe("done");
    expect(ran).toEqual(["before", "after"]);
    // The three minutes begin with the answer.
    const [row] = await stage.db.query<{ left: number }>(
      "select extract(epoch from ends_at - clock_timestamp())::float8 as left from longhaul.budgets where budget_id = $1",
      [handle.runId],
    );
    expect(row?.left).toBeGreaterThan(150);
    expect(await lh.budget(handle.runId)).toMatchObject({ limits: { wallMinutes: 8 } });
  });

  test("what a run still holds does not carry it over the end; the run that is awake asks too", async () => {
    const door = gate();
    const sent: string[] = [];
    const call = { estimate: { output: 10 } };
    const caller = agent({
      name: "caller",
      budget: { wallMinutes: 5, outputTokens: 100_000, onExceeded: "ask" },
      async run(ctx) {
        await callModel(ctx, "one", { ...call, send: async () => sent.push("one") });
        await ctx.step("hang", () => door.opened);
        await callModel(ctx, "two", { ...call, send: async () => sent.push("two") });
        await callModel(ctx, "three", { ...call, send: async () => sent.push("three") });
        return sent;
      },
    });
    const lh = await stage.worker([caller]);
    const handle = await lh.submit(caller, null, { budget: { wallMinutes: 2 * SECOND } });
    await until(() => sent.length === 1);
    await untilOver(handle.runId);
    door.open();
    const approval = await asked(lh, handle.runId);
    expect(approval.request).toMatchObject({ dimension: "wallMinutes" });
    expect(sent).toEqual(["one"]);
    await lh.approve(approval.approvalId, { by: "ann", args: { limit: 10 } });
    expect(await handle.result()).toEqual(["one", "two", "three"]);
    expect(await lh.approvals({ runId: handle.runId })).toHaveLength(1);
  });

  test("a stricter one of a child's ends it all the same, and its parent goes on", async () => {
    const child = agent({ name: "child", budget: { wallMinutes: SECOND }, run: (ctx) => ctx.signal("never") });
    const parent = agent({
      name: "parent",
      budget: { wallMinutes: SECOND / 2, onExceeded: "ask" },
      run: async (ctx) => {
        const handle = await ctx.spawn(child, null);
        return handle.result().catch((error) => error.details.failure.details?.budgetId === handle.runId);
      },
    });
    const lh = await stage.worker([parent, child]);
    const handle = await lh.submit(parent, null);
    expect(await handle.result()).toBe(true);
  });
});

describe("a child of a parent whose time is over", () => {
  test("ends with it; what it had in its own name is the parent's", async () => {
    const child = agent({ name: "orphan", run: (ctx) => ctx.signal("never") });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        await ctx.sleep(1_500);
        await ctx.spawn(child, null, { detached: true });
        await ctx.signal("never");
      },
    });
    const lh = await stage.worker([parent, child]);
    const handle = await lh.submit(parent, null, { budget: { wallMinutes: 3 * SECOND } });
    const only = await until(async () => (await lh.list({ agent: "orphan" }))[0]);
    const { budgetId, limit, spent } = await overtimeOf(lh, only.runId);
    expect(budgetId).toBe(handle.runId);
    expect(spent).toBeGreaterThanOrEqual(limit);
    expect(await lh.wait(handle.runId)).toMatchObject({ reason: "budget_exceeded" });
  });

  test("that is claimed after it never starts", async () => {
    let ran = false;
    const child = agent({ name: "child", queue: "elsewhere", run: () => (ran = true) });
    const parent = agent({ name: "parent", run: async (ctx) => (await ctx.spawn(child, null)).result() });
    const lh = await stage.worker([parent, child], { queues: ["default"] });
    const handle = await lh.submit(parent, null, { budget: { wallMinutes: SECOND } });
    expect(await lh.wait(handle.runId, { timeoutMs: 20_000 })).toMatchObject({ reason: "budget_exceeded" });
    const [only] = await lh.list({ parentId: handle.runId });
    await stage.worker([parent, child], { queues: ["elsewhere"] });
    await until(async () => (await lh.get(only?.runId ?? ""))?.finishedAt);
    expect(ran).toBe(false);
  });
});
