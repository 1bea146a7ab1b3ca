// A step whose body says that it cannot go on now: it has not failed, its run sleeps, and it runs again as the same attempt.
import { describe, expect, test } from "vitest";
import { Context } from "../../src/agents/context.ts";
import { Postponed } from "../../src/domain/postponed.ts";
import { DEFAULT_RETRY } from "../../src/domain/retry.ts";
import { performStep, type StepEnding } from "../../src/engine/step.ts";
import { agent, type Ctx } from "../../src/index.ts";
import { callModel } from "../support/calls.ts";
import { gate, journalOf, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
const HOUR_MS = 3_600_000;

const nowOf = (ctx: Ctx): number => Context.partsOf(ctx).execution.owner.clock.now();
const attemptsOf = async (runId: string) =>
  (await journalOf(stage.db, runId)).filter((entry) => entry.kind === 11).map((entry) => entry.body);

describe("put off", () => {
  test("for long, the run sleeps as a row that says why, and wakes at that moment", async () => {
    const attempts: number[] = [];
    const patient = agent({
      name: "patient",
      run: (ctx) =>
        ctx.step("call", { retry: false }, ({ attempt }) => {
          attempts.push(attempt);
          if (attempts.length === 1)
            throw new Postponed(nowOf(ctx) + HOUR_MS, "quota openai/gpt-5 (tokens per minute)");
          return "answered";
        }),
    });
    const lh = await stage.worker([patient], { warmMs: 0 });
    const handle = await lh.submit(patient, null);
    const run = await untilStatus(lh, handle.runId, "waiting");
    expect(run.workerId).toBeNull();
    const detail = await lh.inspect(handle.runId);
    expect(detail?.waits).toMatchObject([{ label: "quota openai/gpt-5 (tokens per minute)" }]);
    expect(detail?.steps).toMatchObject([
      { key: "call#1", status: "waiting", attempts: 0, value: "quota openai/gpt-5 (tokens per minute)" },
    ]);
    const [later] = await stage.db.query<{ ms: number }>(
      "select extract(epoch from due_at - clock_timestamp()) * 1000 as ms from longhaul.later where run_id = $1",
      [handle.runId],
    );
    expect(Number(later?.ms)).toBeGreaterThan(HOUR_MS - 20_000);
    await stage.db.query("update longhaul.later set due_at = clock_timestamp() where run_id = $1", [handle.runId]);
    // Woken too early it sleeps again, for the rest of the time.
    await until(async () => (await lh.get(handle.runId))?.epoch === 2);
    await untilStatus(lh, handle.runId, "waiting");
    expect(attempts).toEqual([1]);
    await handle.cancel();
  });

  test("for a moment, it goes on in place; nothing is counted", async () => {
    const attempts: number[] = [];
    const quick = agent({
      name: "quick",
      run: (ctx) =>
        ctx.step("call", { retry: { maxAttempts: 2, initialMs: 1 } }, ({ attempt }) => {
          attempts.push(attempt);
          if (attempts.length <= 3) throw new Postponed(nowOf(ctx) + 30, "a moment");
          if (attempts.length === 4) throw new Error("the first failure");
          if (attempts.length === 5) throw new Postponed(nowOf(ctx) + 30, "another moment");
          return attempt;
        }),
    });
    const lh = await stage.worker([quick]);
    const handle = await lh.submit(quick, null);
    expect(await handle.result()).toBe(2);
    expect(attempts).toEqual([1, 1, 1, 1, 2, 2]);
    const bodies = await attemptsOf(handle.runId);
    expect(bodies.map((body) => /"p":true/.test(body ?? ""))).toEqual([true, true, true, false, true]);
    expect(bodies.map((body) => /^\{"n":(\d)/.exec(body ?? "")?.[1])).toEqual(["0", "0", "0", "1", "1"]);
  });

  test("a replay waits for what is left of the time, as the same attempt", async () => {
    const door = gate();
    const attempts: number[] = [];
    const twice = agent({
      name: "twice",
      async run(ctx) {
        const waiting = ctx.step("call", { retry: false }, ({ attempt }) => {
          attempts.push(attempt);
          if (attempts.length === 1) throw new Postponed(nowOf(ctx) + 1_500, "a while");
          return attempt;
        });
        await ctx.step("hang", () => (attempts.length > 1 ? null : door.opened));
        return waiting;
      },
    });
    const lh = await stage.worker([twice]);
    const handle = await lh.submit(twice, null);
    const startMs = performance.now();
    await until(async () => (await attemptsOf(handle.runId)).length === 1);
    door.open();
    await stage.takeOver(handle.runId);
    expect(await handle.result()).toBe(1);
    expect(performance.now() - startMs).toBeGreaterThan(1_400);
    expect(attempts).toEqual([1, 1]);
  });

  test("beside others, only this branch waits", async () => {
    let postponed = false;
    const both = agent({
      name: "both",
      run: (ctx) =>
        ctx.race({
          slow: (c) =>
            c.step("call", () => {
              postponed = true;
              throw new Postponed(nowOf(ctx) + HOUR_MS, "long");
            }),
          quick: async (c) => {
            await until(() => postponed);
            return c.step("other", () => "quick");
          },
        }),
    });
    const lh = await stage.worker([both]);
    expect(await lh.run(both, null)).toMatchObject({ winner: "quick" });
  });

  test("cancelled while it sleeps, it ends; a moment that is none is now", async () => {
    const odd = agent({
      name: "odd",
      async run(ctx) {
        let times = 0;
        for (const moment of [Number.NaN, Number.NEGATIVE_INFINITY, 0])
          await ctx.step("odd", () => {
            if (times++ % 2 === 0) throw new Postponed(moment, "odd\u0000\ud800 ".repeat(1_000));
          });
        await ctx.step("long", () => {
          throw new Postponed(nowOf(ctx) + HOUR_MS, "long");
        });
      },
    });
    const lh = await stage.worker([odd]);
    const handle = await lh.submit(odd, null);
    await untilStatus(lh, handle.runId, "waiting");
    expect(await handle.cancel()).toBe("cancelled");
  });
});

describe("what goes with the record of a step", () => {
  test("is told how the body ended, and is in the same commit", async () => {
    const endings: StepEnding["is"][] = [];
    const settled = agent({
      name: "settled",
      async run(ctx) {
        const { execution, scope } = Context.partsOf(ctx);
        let times = 0;
        const spec = {
          name: "s",
          input: null,
          retry: { ...DEFAULT_RETRY, maxAttempts: 2, initialMs: 1 },
          timeoutMs: null,
          body: () => {
            times += 1;
            if (times === 1) throw new Postponed(0, "once");
            if (times === 2) throw new Error("once");
            return times;
          },
          settle: (ending: StepEnding) => {
            endings.push(ending.is);
            return null;
          },
        };
        const value = await performStep(execution, scope, spec);
        const failing = { ...spec, name: "f", body: () => Promise.reject(new Error("always")) };
        return [value, (await rejection(performStep(execution, scope, failing))).message];
      },
    });
    const lh = await stage.worker([settled]);
    expect(await lh.run(settled, null)).toEqual([3, "always"]);
    expect(endings).toEqual(["postponed", "retried", "done", "retried", "failed"]);
  });
});

describe("waiting for what others hold", () => {
  test("costs a row when it takes long, and says so; it goes on when it comes back", async () => {
    const [sent, door] = [gate(), gate()];
    const send = (): Promise<void> => {
      sent.open();
      return door.opened;
    };
    const holder = agent({
      name: "holder",
      run: (ctx) => callModel(ctx, "c", { estimate: { usd: 0.9 }, actual: { usd: 0.1 }, send }),
    });
    const other = agent({ name: "other", run: (ctx) => callModel(ctx, "c", { estimate: { usd: 0.5 } }) });
    const parent = agent({
      name: "parent",
      budget: { usd: 1 },
      async run(ctx) {
        const first = await ctx.spawn(holder, null);
        await ctx.step("until it holds", () => sent.opened);
        const second = await ctx.spawn(other, null);
        return [await first.result(), await second.result()];
      },
    });
    const lh = await stage.worker([parent, holder, other], { warmMs: 0 });
    const handle = await lh.submit(parent, null);
    const waiting = await until(
      async () => (await lh.list({ agent: "other", status: "waiting", parentId: handle.runId }))[0],
    );
    expect(await lh.why(waiting.runId)).toMatchObject({
      code: "budget",
      sentence: expect.stringContaining("set aside for what others of its tree have under way"),
    });
    door.open();
    expect(await handle.result({ timeoutMs: 25_000 })).toEqual([1, 1]);
    expect(await lh.budget(handle.runId)).toMatchObject({ spent: { usd: 0.6 }, held: { usd: 0 } });
  }, 60_000);

  test("what a run has taken ahead and does not use goes back while it runs, when others need it", async () => {
    const door = gate();
    const greedy = agent({
      name: "greedy",
      async run(ctx) {
        await callModel(ctx, "c", { estimate: { usd: 0.05 } });
        await ctx.step("think", () => door.opened);
      },
    });
    const other = agent({ name: "other", run: (ctx) => callModel(ctx, "c", { estimate: { usd: 0.945 } }) });
    const lh = await stage.worker([greedy, other]);
    await lh.plans.set("one", { budget: { usd: 1, per: "day" } });
    await lh.tenants.setPlan("one", "one");
    const one = lh.tenant("one");
    const first = await one.submit(greedy, null);
    await until(async () => (await journalOf(stage.db, first.runId)).some((entry) => entry.kind === 10));
    const second = await one.submit(other, null);
    expect(await second.result({ timeoutMs: 25_000 })).toBe(1);
    door.open();
    await first.result();
  }, 60_000);
});
