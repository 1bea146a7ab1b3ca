// Budgets of trees of runs: what they let through, what they refuse, and that nothing is lost or counted twice, whatever crashes.
import pg from "pg";
import { describe, expect, test, vi } from "vitest";
import { agent, type Ctx } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { callModel } from "../support/calls.ts";
import { gate, journalOf, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

async function chargeOf(runId: string): Promise<Record<string, unknown> | undefined> {
  const [row, ...more] = await stage.db.query(
    "select input_tokens, output_tokens, nano_usd::text as nano_usd, steps, calls from longhaul.charges where run_id = $1",
    [runId],
  );
  expect(more).toEqual([]);
  return row;
}

const callsOf = (runId: string) =>
  stage.db.query<{ state: string; usd: number; epoch: number }>(
    "select state, nano_usd / 1e9 as usd, epoch from longhaul.calls where run_id = $1 order by call_id",
    [runId],
  );

const ten = Array.from({ length: 10 }, (_, i) => i);

describe("money", () => {
  test("thirty calls of $0.10 at once against $1.25: exactly twelve are made", async () => {
    const buyer = agent({
      name: "buyer",
      budget: { usd: 1.25 },
      run: (ctx) =>
        ctx.map("buy", [...ten, ...ten, ...ten], (branch) =>
          callModel(branch, "call", { estimate: { input: 10, usd: 0.1 } }).then(
            () => "made",
            (error) => error.code as string,
          ),
        ),
    });
    const lh = await stage.worker([buyer]);
    const handle = await lh.submit(buyer, null);
    const made = await handle.result();
    expect(made.filter((one: string) => one === "made")).toHaveLength(12);
    expect(made.filter((one: string) => one === "BUDGET_EXCEEDED")).toHaveLength(18);
    expect(await chargeOf(handle.runId)).toMatchObject({ nano_usd: "1200000000", input_tokens: 120, calls: 12 });
    const left = { spent: { usd: 1.2 }, held: { usd: 0 }, remaining: { usd: 0.05 } };
    expect(await lh.budget(handle.runId)).toMatchObject(left);
  });

  test("the same by thirty children, each in hands of its own", async () => {
    const buyer = agent({
      name: "buyer",
      run: (ctx) => callModel(ctx, "call", { estimate: { input: 10, usd: 0.1 }, send: () => pause(20) }),
    });
    const parent = agent({
      name: "parent",
      budget: { usd: 1.25 },
      async run(ctx) {
        const children = await Promise.all([...ten, ...ten, ...ten].map(() => ctx.spawn(buyer, null)));
        const ends = await Promise.allSettled(children.map((child) => child.result()));
        return ends.map((end) => end.status);
      },
    });
    const lh = await stage.worker([parent, buyer], { slots: 20 });
    await stage.worker([parent, buyer], { slots: 20 });
    const handle = await lh.submit(parent, null);
    const ends = await handle.result({ timeoutMs: 60_000 });
    expect(ends.filter((end: string) => end === "fulfilled")).toHaveLength(12);
    expect(await lh.budget(handle.runId)).toMatchObject({ spent: { usd: 1.2 }, held: { usd: 0 } });
  }, 90_000);

  test("fifty children at once never spend more than there is, and are refused nothing while there is room", async () => {
    const child = agent({
      name: "child",
      async run(ctx) {
        const cost = { estimate: { output: 100, usd: 0.02 }, actual: { output: 60, usd: 0.012 } };
        for (let i = 0; i < 5; i++) await callModel(ctx, "call", { ...cost, send: () => pause(5) });
      },
    });
    const parent = agent({
      name: "parent",
      budget: { usd: 1 },
      async run(ctx) {
        const children = await Promise.all([...ten, ...ten, ...ten, ...ten, ...ten].map(() => ctx.spawn(child, null)));
        await Promise.allSettled(children.map((one) => one.result()));
      },
    });
    const watcher = watchLimit();
    const lh = await stage.worker([parent, child], { slots: 60 });
    const handle = await lh.submit(parent, null);
    await handle.result({ timeoutMs: 60_000 });
    expect(await watcher.stop()).toEqual([]);
    const budget = await lh.budget(handle.runId);
    expect(budget?.held.usd).toBe(0);
    expect(budget?.spent.usd).toBeLessThanOrEqual(1);
    expect(budget?.spent.usd).toBeGreaterThan(1 - 0.02);
  }, 90_000);

  test("a call that costs more than it was thought to is paid, and is missing elsewhere", async () => {
    const bad = agent({
      name: "bad",
      budget: { usd: 1 },
      async run(ctx) {
        await callModel(ctx, "cheap", { estimate: { usd: 0.1 }, actual: { usd: 0.95 } });
        await callModel(ctx, "next", { estimate: { usd: 0.1 } });
      },
    });
    const lh = await stage.worker([bad]);
    const handle = await lh.submit(bad, null);
    expect(await lh.wait(handle.runId)).toMatchObject({ status: "failed", reason: "budget_exceeded" });
    expect(await lh.budget(handle.runId)).toMatchObject({ spent: { usd: 0.95 }, remaining: { usd: 0.05 } });
  });

  test("attempts that fail are written down and cost what they cost", async () => {
    const trier = agent({
      name: "trier",
      budget: { usd: 1 },
      run: (ctx) => callModel(ctx, "call", { estimate: { input: 5, usd: 0.1 }, failures: 2 }),
    });
    const lh = await stage.worker([trier]);
    const handle = await lh.submit(trier, null);
    expect(await handle.result()).toBe(3);
    expect((await callsOf(handle.runId)).map((call) => call.state)).toEqual(["failed", "failed", "succeeded"]);
    expect(await chargeOf(handle.runId)).toMatchObject({ nano_usd: "100000000", calls: 3, steps: 1 });
  });

  test("a run without a budget is charged too, and its children are charged themselves", async () => {
    const child = agent({ name: "child", run: (ctx) => callModel(ctx, "c", { estimate: { usd: 0.2 } }) });
    const plain = agent({
      name: "plain",
      async run(ctx) {
        const { runId, ...one } = await ctx.spawn(child, null);
        await callModel(ctx, "c", { estimate: { usd: 0.1 } });
        void one;
        return runId;
      },
    });
    const free = agent({ name: "free", run: (ctx) => ctx.step("s", () => 1) });
    const lh = await stage.worker([plain, child, free]);
    const handle = await lh.submit(plain, null);
    const childId = await handle.result();
    expect(await chargeOf(handle.runId)).toMatchObject({ nano_usd: "100000000", calls: 1, steps: 1 });
    expect(await chargeOf(childId)).toMatchObject({ nano_usd: "200000000", calls: 1, steps: 1 });
    const none = await lh.submit(free, null);
    await none.result();
    expect(await chargeOf(none.runId)).toBeUndefined();
  });
});

describe("a run whose budget is spent", () => {
  const story = async (ctx: Ctx): Promise<string> => {
    ctx.partial("nothing yet");
    await callModel(ctx, "first", { estimate: { output: 80 } });
    ctx.partial({ chapters: ["first"] });
    await callModel(ctx, "second", { estimate: { output: 80 } });
    return "all";
  };

  test("ends with the reason, what was spent, which limit, and what it had so far", async () => {
    const writer = agent({ name: "writer", budget: { outputTokens: 100 }, run: story });
    const lh = await stage.worker([writer]);
    const handle = await lh.submit(writer, null);
    const result = await lh.wait(handle.runId);
    expect(result).toMatchObject({
      status: "failed",
      reason: "budget_exceeded",
      partial: { chapters: ["first"] },
      failure: {
        code: "BUDGET_EXCEEDED",
        retryable: false,
        message: expect.stringContaining("100 output tokens: 80 are spent"),
      },
    });
    expect((await lh.inspect(handle.runId))?.result).toEqual(result);
    // A new try has a fresh budget, and keeps what was made.
    const retried = await lh.retry(handle.runId, { by: "ann" });
    expect(await retried.result()).toBe("all");
    expect(await chargeOf(retried.runId)).toMatchObject({ output_tokens: 80, steps: 1 });
  });

  test("tells its parent, with what it had so far", async () => {
    const writer = agent({ name: "writer", budget: { outputTokens: 100 }, run: story });
    const reader = agent({
      name: "reader",
      run: async (ctx) => rejection((await ctx.spawn(writer, null)).result()).then((e) => [e.code, e.details]),
    });
    const lh = await stage.worker([writer, reader]);
    const [code, details] = (await lh.run(reader, null)) as [string, Record<string, unknown>];
    expect(code).toBe("CHILD_FAILED");
    expect(details).toMatchObject({ partial: { chapters: ["first"] }, failure: { code: "BUDGET_EXCEEDED" } });
  });

  test("keeps a large part, also over a checkpoint and a takeover", async () => {
    const large = "x".repeat(200_000);
    const door = gate();
    const writer = agent({
      name: "writer",
      budget: { usd: 0 },
      async run(ctx) {
        if (ctx.restored() === undefined) {
          ctx.partial(large);
          await ctx.checkpoint("one");
          await ctx.step("hang", () => door.opened);
        }
        await callModel(ctx, "call", { estimate: { usd: 1 } });
      },
    });
    const lh = await stage.worker([writer]);
    const handle = await lh.submit(writer, null);
    await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.kind === 16));
    await stage.takeOver(handle.runId);
    expect(await lh.wait(handle.runId)).toMatchObject({ reason: "budget_exceeded", partial: large });
    door.open();
  });

  test("may catch that, and end well: what was refused stays refused in a replay", async () => {
    const asked: string[] = [];
    const door = gate();
    const careful = agent({
      name: "careful",
      budget: { usd: 0.5 },
      async run(ctx) {
        const dear = await rejection(
          callModel(ctx, "dear", { estimate: { usd: 1 }, send: async () => asked.push("dear") }),
        );
        const cheap = await callModel(ctx, "cheap", { estimate: { usd: 0.1 }, send: async () => asked.push("cheap") });
        await ctx.step("hang", () => (asked.length < 2 ? door.opened : null));
        return [dear.code, cheap];
      },
    });
    const lh = await stage.worker([careful]);
    const handle = await lh.submit(careful, null);
    await until(() => asked.length === 1);
    await until(
      async () => (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === 10).length === 2,
    );
    await lh.raiseBudget(handle.runId, { usd: 10 }, { by: "ann" });
    asked.push("taken over");
    await stage.takeOver(handle.runId);
    expect(await handle.result()).toEqual(["BUDGET_EXCEEDED", 1]);
    expect(asked).toEqual(["cheap", "taken over"]);
    door.open();
  });
});

describe("steps", () => {
  test("are counted in the whole tree, transactions and children's too, and one too many is refused", async () => {
    const child = agent({
      name: "child",
      async run(ctx) {
        await ctx.step("one", () => 1);
        await ctx.transaction("two", (sql) => sql.query("select 1"));
      },
    });
    const parent = agent({
      name: "parent",
      budget: { steps: 5 },
      async run(ctx) {
        await ctx.step("one", () => 1);
        await (await ctx.spawn(child, null)).result();
        await ctx.step("two", () => 2);
        await ctx.transaction("three", (sql) => sql.query("select 1"));
        return [
          (await rejection(ctx.step("four", () => 4))).code,
          (await rejection(ctx.transaction("five", () => 5))).code,
        ];
      },
    });
    const lh = await stage.worker([parent, child]);
    const handle = await lh.submit(parent, null);
    expect(await handle.result()).toEqual(["BUDGET_EXCEEDED", "BUDGET_EXCEEDED"]);
    expect(await lh.budget(handle.runId)).toMatchObject({ spent: { steps: 5 }, remaining: { steps: 0 } });
  });

  test("a failed attempt is no step, a failed step is one, and a replay counts nothing again", async () => {
    const door = gate();
    let taken = false;
    const flaky = agent({
      name: "flaky",
      budget: { steps: 3 },
      async run(ctx) {
        const fails = () => {
          throw new Error("no");
        };
        await rejection(ctx.step("fails", { retry: { maxAttempts: 3, initialMs: 1 } }, fails));
        await ctx.step("hang", () => (taken ? null : door.opened));
        await ctx.step("last", () => 1);
        return (await rejection(ctx.step("more", () => 1))).code;
      },
    });
    const lh = await stage.worker([flaky]);
    const handle = await lh.submit(flaky, null);
    await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.kind === 10));
    taken = true;
    await stage.takeOver(handle.runId);
    expect(await handle.result()).toBe("BUDGET_EXCEEDED");
    door.open();
    expect(await lh.budget(handle.runId)).toMatchObject({ spent: { steps: 3 } });
  });

  test("are taken in chunks: a run that has its budget to itself asks for them once", async () => {
    const stepper = agent({
      name: "stepper",
      budget: { steps: 1_000 },
      async run(ctx) {
        for (let i = 0; i < 30; i++) await ctx.step("s", () => i);
      },
    });
    const lh = await stage.worker([stepper]);
    const names = await countStatements(() => lh.run(stepper, null));
    expect(names.get("lh_take_hold")).toBe(1);
  });
});

describe("what it costs", () => {
  test("a run without a budget sends what it sent before there were any", async () => {
    const stepper = agent({
      name: "stepper",
      async run(ctx) {
        for (let i = 0; i < 10; i++) await ctx.step("s", () => i);
      },
    });
    const lh = await stage.worker([stepper]);
    const names = await countStatements(() => lh.run(stepper, null));
    for (const name of ["lh_open_call", "lh_take_hold", "lh_return_hold", "lh_append_one", "lh_close_calls"])
      expect([name, names.get(name)]).toEqual([name, undefined]);
    expect(names.get("lh_append")).toBe(10);
    expect(names.get("lh_settle")).toBe(1);
  });

  test.each([
    ["a limited", { usd: 100 }],
    ["an unlimited", undefined],
  ])("a model call of %s run is two statements: opened, recorded", async (_, budget) => {
    const caller = agent({
      name: "caller",
      ...(budget === undefined ? {} : { budget }),
      async run(ctx) {
        for (let i = 0; i < 20; i++)
          await callModel(ctx, "call", { estimate: { input: 100, usd: 0.01 }, actual: { input: 90, usd: 0.005 } });
      },
    });
    const lh = await stage.worker([caller]);
    const names = await countStatements(() => lh.run(caller, null));
    expect((names.get("lh_open_call") ?? 0) + (names.get("lh_open_calls") ?? 0)).toBe(20);
    expect(names.get("lh_append_spent")).toBe(20);
    for (const name of ["lh_take_hold", "lh_return_hold", "lh_append", "lh_append_one", "lh_close_calls"])
      expect([name, names.get(name)]).toEqual([name, undefined]);
  });

  test("calls that are ready at one moment share their statements, each of its own run and account", async () => {
    const caller = agent({
      name: "caller",
      run: (ctx) => callModel(ctx, "call", { estimate: { input: 100, usd: 0.01 }, actual: { input: 90, usd: 0.005 } }),
    });
    const lh = await stage.worker([caller]);
    const runs = 40;
    let answers: Awaited<ReturnType<typeof lh.submitMany>> = [];
    const names = await countStatements(async () => {
      answers = await lh.submitMany(Array.from({ length: runs }, () => ({ agent: caller, input: null })));
      await Promise.all(answers.map((answer) => ("run" in answer ? answer.run.result() : null)));
    });
    expect(names.get("lh_open_calls")).toBeLessThan(runs / 2);
    expect(names.get("lh_append_spent")).toBeLessThan(runs / 2);
    const charges = await stage.db.query<{ calls: number; nano_usd: string }>(
      "select calls, nano_usd::text from longhaul.charges where run_id = any($1::uuid[])",
      [answers.map((answer) => ("run" in answer ? answer.run.runId : null))],
    );
    expect(charges).toEqual(Array.from({ length: runs }, () => ({ calls: 1, nano_usd: "5000000" })));
  });
});

describe("a crash", () => {
  test("in mid-call: the lost call is charged once, at its estimate, and what the dead worker says does not land", async () => {
    const doors = [gate(), gate()];
    let sent = 0;
    const caller = agent({
      name: "caller",
      budget: { usd: 1 },
      run: (ctx) =>
        callModel(ctx, "call", {
          estimate: { input: 10, usd: 0.4 },
          actual: { input: 5, usd: 0.1 },
          send: async () => {
            sent += 1;
            if (sent === 1) await doors[0]?.opened;
          },
        }),
    });
    const lh = await stage.worker([caller]);
    const other = await stage.worker([caller]);
    const handle = await lh.submit(caller, null);
    await until(() => sent === 1);
    await stage.takeOver(handle.runId);
    expect(await handle.result()).toBe(1);
    doors[0]?.open();
    await pause(300);
    expect(await callsOf(handle.runId)).toEqual(
      [
        { state: "abandoned", usd: "0.40000000000000000000", epoch: 1 },
        { state: "succeeded", usd: "0.10000000000000000000", epoch: 3 },
      ].map((call) => ({ ...call, usd: expect.stringMatching(call.usd.slice(0, 3)) })),
    );
    expect(await chargeOf(handle.runId)).toMatchObject({ nano_usd: "500000000", calls: 2, steps: 1 });
    expect(await other.budget(handle.runId)).toMatchObject({ spent: { usd: 0.5 }, held: { usd: 0 } });
  });

  test("and its spend counts: what was spent before it is not there again after it", async () => {
    const door = gate();
    let taken = false;
    const caller = agent({
      name: "caller",
      budget: { usd: 1 },
      async run(ctx) {
        await callModel(ctx, "first", { estimate: { usd: 0.7 } });
        await ctx.step("hang", () => (taken ? null : door.opened));
        return (await rejection(callModel(ctx, "second", { estimate: { usd: 0.4 } }))).code;
      },
    });
    const lh = await stage.worker([caller]);
    const handle = await lh.submit(caller, null);
    await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.kind === 10));
    taken = true;
    await stage.takeOver(handle.runId);
    expect(await handle.result()).toBe("BUDGET_EXCEEDED");
    door.open();
    expect(await chargeOf(handle.runId)).toMatchObject({ nano_usd: "700000000", calls: 1 });
  });
});

describe("a budget that may be raised", () => {
  const poor = agent({
    name: "poor",
    budget: { usd: 0.5, onExceeded: "ask" },
    async run(ctx) {
      await callModel(ctx, "first", { estimate: { usd: 0.4 } });
      await callModel(ctx, "second", { estimate: { usd: 0.4 } });
      return "rich";
    },
  });
  const asked = (lh: LonghaulProcess, runId: string) =>
    until(async () => (await lh.approvals({ runId, status: "pending" }))[0]);

  test("is asked for: the run sleeps, says why, and goes on with the same again", async () => {
    const lh = await stage.worker([poor]);
    const handle = await lh.submit(poor, null);
    const approval = await asked(lh, handle.runId);
    expect(approval).toMatchObject({ name: "budget", kind: "approval" });
    expect(approval.request).toEqual({
      budgetId: handle.runId,
      dimension: "usd",
      limit: 0.5,
      spent: 0.4,
      asked: 0.4,
    });
    await untilStatus(lh, handle.runId, "waiting");
    expect(await lh.why(handle.runId)).toMatchObject({
      code: "budget",
      sentence: expect.stringContaining("to raise it"),
    });
    await lh.approve(approval.approvalId, { by: "ann" });
    expect(await handle.result()).toBe("rich");
    expect(await lh.budget(handle.runId)).toMatchObject({ limits: { usd: 1 }, spent: { usd: 0.8 } });
    expect((await lh.inspect(handle.runId))?.steps.map((step) => step.key)).toEqual([
      ...["first#1", "second#1!budget#1", "second#1"],
    ]);
  });

  test("by as much as the person says; by too little is asked again, and a replay asks nothing twice", async () => {
    const lh = await stage.worker([poor], { warmMs: 0 });
    const handle = await lh.submit(poor, null);
    const first = await asked(lh, handle.runId);
    await untilStatus(lh, handle.runId, "waiting");
    await lh.approve(first.approvalId, { by: "ann", args: { raiseBy: 0.1 } });
    const second = await asked(lh, handle.runId);
    expect(second.request).toMatchObject({ limit: 0.6, spent: 0.4 });
    await untilStatus(lh, handle.runId, "waiting");
    await lh.approve(second.approvalId, { by: "ann", args: { limit: 2 } });
    expect(await handle.result()).toBe("rich");
    expect(await lh.budget(handle.runId)).toMatchObject({ limits: { usd: 2 } });
    expect(await lh.approvals({ runId: handle.runId })).toHaveLength(2);
  });

  test("denied, it ends as any other", async () => {
    const lh = await stage.worker([poor]);
    const handle = await lh.submit(poor, null);
    await lh.deny((await asked(lh, handle.runId)).approvalId, { by: "ann" });
    expect(await lh.wait(handle.runId)).toMatchObject({ status: "failed", reason: "budget_exceeded" });
  });

  test("for many who wait for it one answer does, or a raise by hand", async () => {
    const child = agent({ name: "child", run: (ctx) => callModel(ctx, "c", { estimate: { usd: 0.4 } }) });
    const parent = agent({
      name: "parent",
      budget: { usd: 0.1, onExceeded: "ask" },
      async run(ctx) {
        const children = await Promise.all(ten.map(() => ctx.spawn(child, null)));
        return (await Promise.all(children.map((one) => one.result()))).length;
      },
    });
    const lh = await stage.worker([parent, child]);
    const handle = await lh.submit(parent, null);
    const all = () => lh.approvals({ status: "pending" });
    await until(async () => (await all()).length === 10);
    await lh.approve((await all())[0]?.approvalId ?? "", { by: "ann", args: { raiseBy: 1.5 } });
    // Four of them fit; the others ask again.
    await until(async () => (await callsOfTree(handle.runId)) === 4 && (await all()).length === 6);
    await lh.raiseBudget(handle.runId, { usd: 5 }, { by: "bob" });
    expect(await handle.result()).toBe(10);
    expect(await all()).toEqual([]);
  });

  test("steps may be asked for too", async () => {
    const stepper = agent({
      name: "stepper",
      budget: { steps: 1, onExceeded: "ask" },
      async run(ctx) {
        await ctx.step("a", () => 1);
        await ctx.transaction("b", () => 2);
        return ctx.step("c", () => 3);
      },
    });
    const lh = await stage.worker([stepper], { warmMs: 0 });
    const handle = await lh.submit(stepper, null);
    const first = await asked(lh, handle.runId);
    expect(first.request).toMatchObject({ dimension: "steps", limit: 1, spent: 1, asked: 1 });
    await lh.approve(first.approvalId, { by: "ann" });
    await until(async () => (await lh.approvals({ runId: handle.runId })).length === 2);
    await lh.approve((await asked(lh, handle.runId)).approvalId, { by: "ann", args: { raiseBy: 10 } });
    expect(await handle.result()).toBe(3);
  });

  const callsOfTree = async (rootId: string): Promise<number> =>
    (await stage.db.query("select from longhaul.calls where root_id = $1", [rootId])).length;
});

describe("time", () => {
  test("ends a run that sleeps, with what it had so far", async () => {
    const sleeper = agent({
      name: "sleeper",
      async run(ctx) {
        ctx.partial("dozing");
        await ctx.signal("never");
      },
    });
    const lh = await stage.worker([sleeper], { warmMs: 0 });
    const handle = await lh.submit(sleeper, null, { budget: { wallMinutes: 0.02 } });
    expect(await lh.wait(handle.runId, { timeoutMs: 20_000 })).toMatchObject({
      status: "failed",
      reason: "budget_exceeded",
      partial: "dozing",
      failure: { code: "BUDGET_EXCEEDED", message: expect.stringContaining("0.02 minutes") },
    });
  });

  test("stops a step that runs, and everything below it", async () => {
    const aborted: string[] = [];
    const hang = (ctx: Ctx, name: string) =>
      ctx.step(
        name,
        ({ abort }) => new Promise((resolve) => abort.addEventListener("abort", () => resolve(aborted.push(name)))),
      );
    const child = agent({ name: "child", run: (ctx) => hang(ctx, "child") });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        await ctx.spawn(child, null);
        await hang(ctx, "parent");
      },
    });
    const lh = await stage.worker([parent, child]);
    const handle = await lh.submit(parent, null, { budget: { wallMinutes: 0.02 } });
    expect(await lh.wait(handle.runId, { timeoutMs: 20_000 })).toMatchObject({ reason: "budget_exceeded" });
    await until(() => aborted.length === 2);
    const [only] = await lh.list({ parentId: handle.runId });
    await until(async () => (await lh.get(only?.runId ?? ""))?.finishedAt);
  });

  test("is over for a run that nobody could start in it", async () => {
    let ran = false;
    const late = agent({ name: "late", run: () => (ran = true) });
    const client = await stage.client([late]);
    const handle = await client.submit(late, null, { budget: { wallMinutes: 0 } });
    await stage.worker([late]);
    expect(await client.wait(handle.runId)).toMatchObject({ status: "failed", reason: "budget_exceeded" });
    expect(ran).toBe(false);
  });
});

describe("declared at the submit, by the agent, at the spawn and by the plan", () => {
  const seer = agent({ name: "seer", run: (ctx) => ctx.budget() });

  test("the stricter limit holds; none is none", async () => {
    const strict = agent({ name: "strict", budget: { usd: 1, steps: 5 }, run: (ctx) => ctx.budget() });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        const slice = await ctx.spawn(strict, null, { budget: { usd: 0.5, steps: 9 } });
        const named = await ctx.spawn("strict", null, { budget: { usd: 3 } });
        return [await slice.result(), await named.result()];
      },
    });
    const lh = await stage.worker([seer, strict, parent]);
    expect(await lh.run(seer, null)).toBeNull();
    expect(await lh.run(strict, null, { budget: { usd: 2, steps: 3 } })).toMatchObject({
      limits: { usd: 1, steps: 3 },
    });
    expect(await lh.run("strict", null, { budget: { usd: 2 } })).toMatchObject({ limits: { usd: 1, steps: 5 } });
    expect(await lh.run(parent, null)).toMatchObject([
      { limits: { usd: 0.5, steps: 5 } },
      { limits: { usd: 1, steps: 5 } },
    ]);
    expect((await rejection(lh.submit(seer, null, { budget: { usd: -1 } }))).code).toBe("BUDGET_INVALID");
    expect(() => agent({ name: "x", budget: { usd: Number.NaN }, run: () => 1 })).toThrow("NaN");
  });

  test("a tenant's runs share what its plan gives", async () => {
    const caller = agent({ name: "caller", run: (ctx) => callModel(ctx, "c", { estimate: { usd: 0.4 } }) });
    const lh = await stage.worker([caller, seer]);
    await lh.plans.set("free", { budget: { usd: 1, per: "month" } });
    await lh.tenants.setPlan("ann", "free");
    const ann = lh.tenant("ann");
    const ends = await Promise.all([1, 2, 3].map(async () => ann.wait((await ann.submit(caller, null)).runId)));
    expect(ends.map((end) => end.status).toSorted()).toEqual(["failed", "succeeded", "succeeded"]);
    expect(await ann.run(seer, null)).toMatchObject({
      kind: "tenant",
      limits: { usd: 1 },
      spent: { usd: 0.8 },
      remaining: { usd: expect.closeTo(0.2) },
    });
    // Everybody else has no limit.
    expect(await lh.run(caller, null)).toBe(1);
    await lh.plans.set("free", { budget: { usd: 2, per: "month" } });
    expect(await ann.run(caller, null)).toBe(1);
  });

  test("a submit of the caller's own transaction brings its budget along", async () => {
    const lh = await stage.worker([seer]);
    const handle = await stage.db.transaction((tx) => lh.submit(seer, null, { tx: tx.client, budget: { steps: 7 } }));
    expect(await handle.result()).toMatchObject({ budgetId: handle.runId, limits: { steps: 7 } });
  });

  test("what is read of it is read once", async () => {
    const door = gate();
    let taken = false;
    const reader = agent({
      name: "reader",
      budget: { usd: 1 },
      async run(ctx) {
        const before = await ctx.budget();
        await callModel(ctx, "c", { estimate: { usd: 0.25 } });
        const after = await ctx.budget();
        await ctx.step("hang", () => (taken ? null : door.opened));
        return [before?.spent.usd, after?.spent.usd, after?.spent.steps];
      },
    });
    const lh = await stage.worker([reader]);
    const handle = await lh.submit(reader, null);
    await until(
      async () => (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === 10).length === 3,
    );
    taken = true;
    await stage.takeOver(handle.runId);
    expect(await handle.result()).toEqual([0, 0.25, expect.any(Number)]);
    door.open();
    expect(await chargeOf(handle.runId)).toMatchObject({ steps: 2 });
  });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Looks again and again whether more is spent and set aside than some budget allows. */
function watchLimit(): { stop(): Promise<unknown[]> } {
  let going = true;
  const seen: unknown[] = [];
  const looking = (async () => {
    while (going) {
      seen.push(
        ...(await stage.db.query(
          "select * from longhaul.budgets b where (b.spent).nano_usd + (b.held).nano_usd > (b.limits).nano_usd",
        )),
      );
      await pause(5);
    }
  })();
  return {
    async stop() {
      going = false;
      await looking;
      return seen;
    },
  };
}

/** How often each named statement was sent meanwhile, by whatever connection of this process. */
async function countStatements(work: () => Promise<unknown>): Promise<Map<string, number>> {
  const names = new Map<string, number>();
  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  const spy = vi.spyOn(pg.Client.prototype, "query").mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    const { name } = (args[0] ?? {}) as { name?: string };
    if (name !== undefined) names.set(name, (names.get(name) ?? 0) + 1);
    return query.apply(this, args) as never;
  });
  try {
    await work();
  } finally {
    spy.mockRestore();
  }
  return names;
}
