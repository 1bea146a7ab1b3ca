// Going on from a journal: what succeeded is kept, what failed or was never answered happens anew, under ids of its own.
import { describe, expect, test } from "vitest";
import { type Approval, agent } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

async function question(longhaul: LonghaulProcess, runId: string): Promise<Approval> {
  return until(async () => (await longhaul.approvals({ status: "pending", runId }))[0]);
}

describe("retry", () => {
  test("of a failed run is a new run: recorded successes are kept, the failed step runs again with all its attempts", async () => {
    const bodies: string[] = [];
    let broken = true;
    const job = agent({
      name: "job",
      async run(ctx) {
        const a = await ctx.step("a", () => bodies.push("a"));
        const b = await ctx.step("b", { retry: { maxAttempts: 2, initialMs: 1 } }, ({ attempt }) => {
          bodies.push(`b${attempt}`);
          if (broken) throw new Error("broken");
          return "b";
        });
        return [a, b, await ctx.step("c", () => bodies.push("c"))];
      },
    });
    const longhaul = await stage.worker([job]);
    const handle = await longhaul.submit(job, "input", { metadata: { m: 1 } });
    await rejection(handle.result());
    broken = false;
    const again = await longhaul.retry(handle.runId, { by: "ann" });
    expect(again.runId).not.toBe(handle.runId);
    expect(await again.result()).toEqual([1, "b", 5]);
    expect(bodies).toEqual(["a", "b1", "b2", "b1", "c"]);
    expect(await longhaul.get(again.runId)).toMatchObject({ forkedFrom: handle.runId, metadata: { m: 1 } });
    expect(await longhaul.get(handle.runId)).toMatchObject({ status: "failed" });
  });

  test("of a run whose step failed beside others that succeeded keeps those", async () => {
    const bodies: string[] = [];
    let broken = true;
    const job = agent({
      name: "job",
      run: (ctx) =>
        ctx.all({
          good: (c) => c.step("good", () => bodies.push("good")),
          bad: async (c) => {
            await c.step("wait", () => until(() => bodies.includes("good")));
            return c.step("bad", { retry: false }, () => {
              if (broken) throw new Error("broken");
              return "mended";
            });
          },
        }),
    });
    const longhaul = await stage.worker([job]);
    const handle = await longhaul.submit(job, null);
    await rejection(handle.result());
    broken = false;
    expect(await (await longhaul.retry(handle.runId, { by: "ann" })).result()).toEqual({ good: 1, bad: "mended" });
    expect(bodies).toEqual(["good"]);
  });

  test("of a run that went on after a failure it had caught keeps that failure, too", async () => {
    const bodies: string[] = [];
    let broken = true;
    const job = agent({
      name: "job",
      async run(ctx) {
        const first = await ctx
          .step("optional", { retry: false }, () => {
            bodies.push("optional");
            throw new Error("never mind");
          })
          .catch((error: Error) => error.message);
        const second = await ctx.step("after", () => bodies.push("after"));
        const third = await ctx.step("last", { retry: false }, () => {
          bodies.push("last");
          if (broken) throw new Error("broken");
          return "ok";
        });
        return [first, second, third];
      },
    });
    const longhaul = await stage.worker([job]);
    const handle = await longhaul.submit(job, null);
    await rejection(handle.result());
    broken = false;
    const again = await longhaul.retry(handle.runId, { by: "ann" });
    await until(async () =>
      ["succeeded", "failed", "paused"].includes((await longhaul.get(again.runId))?.status ?? ""),
    );
    expect(await longhaul.get(again.runId)).toMatchObject({ status: "succeeded" });
    expect(await again.result()).toEqual(["never mind", 2, "ok"]);
    expect(bodies).toEqual(["optional", "after", "last", "last"]);
  });

  test("of a run whose child failed starts that child anew, and keeps those that succeeded", async () => {
    const bodies: string[] = [];
    let broken = true;
    const child = agent({
      name: "child",
      run: (ctx, n) =>
        ctx.step("s", { retry: false }, () => {
          bodies.push(`child ${n}`);
          if (n === 2 && broken) throw new Error("broken");
          return n;
        }),
    });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        const first = await (await ctx.spawn(child, 1)).result();
        const second = await (await ctx.spawn(child, 2)).result();
        return [first, second];
      },
    });
    const longhaul = await stage.worker([parent, child]);
    const handle = await longhaul.submit(parent, null);
    await rejection(handle.result());
    broken = false;
    const again = await longhaul.retry(handle.runId, { by: "ann" });
    expect(await longhaul.wait(again.runId, { timeoutMs: 15_000 })).toEqual({ status: "succeeded", output: [1, 2] });
    expect(bodies).toEqual(["child 1", "child 2", "child 2"]);
  });

  test("of a run whose map failed runs the whole map again", async () => {
    let broken = true;
    const bodies: unknown[] = [];
    const child = agent({
      name: "child",
      run: (ctx, n) =>
        ctx.step("s", { retry: false }, async () => {
          bodies.push(n);
          if (n === 2 && broken) {
            await until(() => bodies.length === 3);
            throw new Error("broken");
          }
          return n;
        }),
    });
    const parent = agent({ name: "parent", run: (ctx) => ctx.map("m", [1, 2, 3], child) });
    const longhaul = await stage.worker([parent, child]);
    const handle = await longhaul.submit(parent, null);
    await rejection(handle.result());
    broken = false;
    const again = await longhaul.retry(handle.runId, { by: "ann" });
    expect(await longhaul.wait(again.runId, { timeoutMs: 15_000 })).toEqual({ status: "succeeded", output: [1, 2, 3] });
  });

  test("of a cancelled run goes on from what it had", async () => {
    const bodies: string[] = [];
    const job = agent({
      name: "job",
      async run(ctx) {
        await ctx.step("a", () => bodies.push("a"));
        return ctx.signal("go");
      },
    });
    const longhaul = await stage.worker([job]);
    const handle = await longhaul.submit(job, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    await handle.cancel();
    const again = await longhaul.retry(handle.runId, { by: "ann" });
    await longhaul.signal(again.runId, "go", "went");
    expect(await again.result()).toBe("went");
    expect(bodies).toEqual(["a"]);
  });

  test("of an unfinished run is that run; of a succeeded one it is the same again, without running anything", async () => {
    let bodies = 0;
    const job = agent({ name: "job", run: (ctx) => ctx.step("s", () => ++bodies) });
    const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go") });
    const longhaul = await stage.worker([job, waiter]);
    const waiting = await longhaul.submit(waiter, null);
    expect((await longhaul.retry(waiting.runId, { by: "ann" })).runId).toBe(waiting.runId);
    await waiting.cancel();
    const done = await longhaul.submit(job, null);
    await done.result();
    expect(await (await longhaul.retry(done.runId, { by: "ann" })).result()).toBe(1);
    expect(bodies).toBe(1);
  });
});

describe("fork", () => {
  const steps = (bodies: string[]) =>
    agent({
      name: "steps",
      async run(ctx, input) {
        const a = await ctx.step("a", () => bodies.push(`a ${input}`));
        const b = await ctx.step("b", () => bodies.push(`b ${input}`));
        const c = await ctx.step("c", () => bodies.push(`c ${input}`));
        return [a, b, c];
      },
    });

  test("from the start runs everything again, also with another input", async () => {
    const bodies: string[] = [];
    const longhaul = await stage.worker([steps(bodies)]);
    const handle = await longhaul.submit("steps", "old");
    await handle.result();
    const forked = await longhaul.fork(handle.runId, { input: "new" });
    await forked.result();
    expect(bodies).toEqual(["a old", "b old", "c old", "a new", "b new", "c new"]);
    expect((await longhaul.inspect(forked.runId))?.input).toBe("new");
  });

  test.each(["b", "b#1"])("before step %s keeps what came before, and runs the rest", async (beforeStep) => {
    const bodies: string[] = [];
    const longhaul = await stage.worker([steps(bodies)]);
    const handle = await longhaul.submit("steps", "x");
    await handle.result();
    const forked = await longhaul.fork(handle.runId, { beforeStep });
    expect(await forked.result()).toEqual([1, 4, 5]);
    expect(bodies).toEqual(["a x", "b x", "c x", "b x", "c x"]);
  });

  test("before a step that is not there is refused (STEP_UNKNOWN)", async () => {
    const longhaul = await stage.worker([steps([])]);
    const handle = await longhaul.submit("steps", "x");
    await handle.result();
    await expect(longhaul.fork(handle.runId, { beforeStep: "z" })).rejects.toMatchObject({ code: "STEP_UNKNOWN" });
  });

  test("of a run that waits for an answer asks anew, under an id of its own; the old question stays valid for the old run (32)", async () => {
    const asker = agent({
      name: "asker",
      async run(ctx) {
        await ctx.step("draft", () => "text");
        return (await ctx.approval("publish", "text")).by;
      },
    });
    const longhaul = await stage.worker([asker]);
    const handle = await longhaul.submit(asker, null);
    const old = await question(longhaul, handle.runId);
    const forked = await longhaul.fork(handle.runId, { beforeStep: "approval publish" });
    const fresh = await question(longhaul, forked.runId);
    expect(fresh.approvalId).not.toBe(old.approvalId);
    await longhaul.approve(old.approvalId, { by: "ann" });
    expect(await handle.result()).toBe("ann");
    expect((await longhaul.get(forked.runId))?.status).toBe("waiting");
    await longhaul.approve(fresh.approvalId, { by: "bob" });
    expect(await forked.result()).toBe("bob");
  });

  test("after an answered question keeps the answer", async () => {
    const asker = agent({
      name: "asker",
      async run(ctx) {
        const verdict = await ctx.approval("publish", "text");
        return [verdict.by, await ctx.step("publish", () => 1)];
      },
    });
    const longhaul = await stage.worker([asker]);
    const handle = await longhaul.submit(asker, null);
    await longhaul.approve((await question(longhaul, handle.runId)).approvalId, { by: "ann" });
    await handle.result();
    const forked = await longhaul.fork(handle.runId, { beforeStep: "publish" });
    expect(await forked.result()).toEqual(["ann", 1]);
    expect(await longhaul.approvals({ runId: forked.runId })).toEqual([]);
  });

  test("of another tenant's run, of an unknown one and of no id is not found", async () => {
    const longhaul = await stage.worker([steps([])]);
    const handle = await longhaul.submit("steps", "x");
    await handle.result();
    for (const ask of [
      () => longhaul.tenant("eve").fork(handle.runId),
      () => longhaul.tenant("eve").retry(handle.runId, { by: "eve" }),
      () => longhaul.fork(crypto.randomUUID()),
      () => longhaul.retry("no id", { by: "x" }),
    ]) {
      await expect(ask()).rejects.toMatchObject({ code: "RUN_NOT_FOUND", status: 404 });
    }
  });

  test("is held to what the tenant's plan allows, as a submit is", async () => {
    const longhaul = await stage.worker([agent({ name: "waits", run: (ctx) => ctx.signal("go") }), steps([])]);
    await longhaul.plans.set("one-at-a-time", { unfinishedMax: 1 });
    await longhaul.tenants.setPlan("modest", "one-at-a-time");
    const modest = longhaul.tenant("modest");
    const source = await modest.submit("steps", "x");
    await source.result();
    const waiting = await modest.submit("waits", null);
    await expect(modest.fork(source.runId)).rejects.toMatchObject({ code: "TENANT_FULL", status: 429 });
    expect(await modest.list()).toHaveLength(2);
    await modest.signal(waiting.runId, "go");
    await waiting.result();
    expect(await (await modest.fork(source.runId)).result()).toHaveLength(3);
  });

  test("after a checkpoint starts from its state", async () => {
    const turns: number[] = [];
    const looper = agent({
      name: "looper",
      async run(ctx) {
        for (let turn = ctx.restored<number>() ?? 0; turn < 3; turn++) {
          await ctx.step("turn", () => turns.push(turn));
          await ctx.checkpoint(turn + 1);
        }
        return ctx.step("end", () => "end");
      },
    });
    const longhaul = await stage.worker([looper]);
    const handle = await longhaul.submit(looper, null);
    await handle.result();
    const forked = await longhaul.fork(handle.runId, { beforeStep: "@2/turn" });
    expect(await forked.result()).toBe("end");
    expect(turns).toEqual([0, 1, 2, 2]);
  });
});
