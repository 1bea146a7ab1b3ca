// Threads: one active run at a time, in the order of their submits, with a state that they share.
import { describe, expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { type Gate, gate, journalOf, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
const newThread = (): string => crypto.randomUUID();

const adder = agent({
  name: "adder",
  async run(ctx, n) {
    const before = ctx.state.get<number[]>() ?? [];
    await ctx.state.set([...before, n]);
    return ctx.state.get();
  },
});

test("the state goes from run to run of a thread, and to no other thread or tenant", async () => {
  const longhaul = await stage.worker([adder]);
  const threadId = newThread();
  expect(await longhaul.run(adder, 1, { threadId })).toEqual([1]);
  expect(await longhaul.run(adder, 2, { threadId })).toEqual([1, 2]);
  expect(await longhaul.run(adder, 3, { threadId: newThread() })).toEqual([3]);
  expect(await longhaul.tenant("other").run(adder, 4, { threadId })).toEqual([4]);
  expect(await longhaul.thread(threadId)).toMatchObject({ state: [1, 2], status: "idle", agent: "adder" });
  expect(await longhaul.tenant("third").thread(threadId)).toBeNull();
});

test("50 runs submitted at once run one after the other, in the order of their ids (24)", async () => {
  let active = 0;
  let most = 0;
  const counter = agent({
    name: "counter",
    async run(ctx, n) {
      await ctx.step("count", async () => {
        active += 1;
        most = Math.max(most, active);
        await new Promise((resolve) => setTimeout(resolve, 2));
        active -= 1;
      });
      const before = ctx.state.get<number[]>() ?? [];
      await ctx.state.set([...before, n]);
    },
  });
  const longhaul = await stage.worker([counter]);
  const threadId = newThread();
  const handles = await Promise.all(Array.from({ length: 50 }, (_, n) => longhaul.submit(counter, n, { threadId })));
  await Promise.all(handles.map((handle) => handle.result()));
  expect(most).toBe(1);
  expect((await longhaul.thread(threadId))?.state).toEqual(Array.from({ length: 50 }, (_, n) => n));
});

test("a waiting run keeps its thread: the next one does not start before it ends (24)", async () => {
  const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go") });
  const longhaul = await stage.worker([waiter, adder]);
  const threadId = newThread();
  const first = await longhaul.submit(waiter, null, { threadId });
  const second = await longhaul.submit(adder, 1, { threadId });
  await untilStatus(longhaul, first.runId, "waiting");
  expect(await longhaul.why(second.runId)).toMatchObject({
    code: "thread",
    commands: [`longhaul runs why ${first.runId}`],
  });
  await longhaul.signal(first.runId, "go");
  expect(await second.result()).toEqual([1]);
});

test.each(["cancelled while it waits", "cancelled while it is queued"])(
  "a run that is %s makes way for the next",
  async (when) => {
    const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go") });
    const longhaul = await stage.worker([waiter, adder]);
    const threadId = newThread();
    const first = await longhaul.submit(waiter, null, { threadId });
    const second = await longhaul.submit(waiter, null, { threadId });
    const third = await longhaul.submit(adder, 1, { threadId });
    await untilStatus(longhaul, first.runId, "waiting");
    if (when.endsWith("queued")) {
      expect(await second.cancel()).toBe("cancelled");
      expect((await longhaul.get(third.runId))?.status).toBe("queued");
      await first.cancel();
    } else {
      await first.cancel();
      await untilStatus(longhaul, second.runId, "waiting");
      await second.cancel();
    }
    expect(await third.result()).toEqual([1]);
  },
);

test("a failed run leaves the thread to the next, and the thread says error until then", async () => {
  const failer = agent({
    name: "failer",
    async run(ctx) {
      await ctx.state.set("written before the failure");
      throw new Error("no");
    },
  });
  const longhaul = await stage.worker([failer, adder]);
  const threadId = newThread();
  await rejection(longhaul.run(failer, null, { threadId }));
  expect(await longhaul.thread(threadId)).toMatchObject({ status: "error", state: "written before the failure" });
});

test("a state above 64 KiB goes from run to run", async () => {
  const seen: unknown[] = [];
  const large = agent({
    name: "large",
    async run(ctx, part) {
      const before = ctx.state.get<string>() ?? "";
      await ctx.state.set(before + (part as string).repeat(100_000));
      seen.push([before.length, ctx.state.get<string>()?.length]);
    },
  });
  const longhaul = await stage.worker([large]);
  const threadId = newThread();
  await longhaul.run(large, "a", { threadId });
  await longhaul.run(large, "b", { threadId });
  expect(seen).toEqual([
    [0, 100_000],
    [100_000, 200_000],
  ]);
  expect((await longhaul.thread(threadId))?.state).toHaveLength(200_000);
});

test("what a run read of the state stays what it read, after a takeover and its own later writes", async () => {
  const hold = gate();
  const seen: unknown[] = [];
  const reader = agent({
    name: "reader",
    async run(ctx) {
      const before = ctx.state.get<string>();
      await ctx.state.set("x".repeat(100_000));
      const after = ctx.state.get<string>();
      seen.push([before?.length, after?.length]);
      await ctx.step("hold", () => hold.opened);
    },
  });
  const threadId = newThread();
  const seeded = agent({ name: "seeder", run: (ctx) => ctx.state.set("s".repeat(80_000)) });
  // Both have all agents: a worker that lacks one would pause the run it claims.
  const longhaul = await stage.worker([reader, seeded]);
  const seeder = await stage.worker([seeded, reader]);
  await seeder.run(seeded, null, { threadId });
  const handle = await longhaul.submit(reader, null, { threadId });
  await until(() => seen.length === 1);
  await stage.takeOver(handle.runId);
  await until(() => seen.length === 2);
  hold.open();
  await handle.result();
  expect(seen).toEqual([
    [80_000, 100_000],
    [80_000, 100_000],
  ]);
});

test("without a thread the state lives as long as the run, over takeovers and checkpoints", async () => {
  const hold = gate();
  const seen: unknown[] = [];
  const loner = agent({
    name: "loner",
    async run(ctx) {
      if (ctx.restored() === undefined) {
        await ctx.state.set({ kept: true });
        await ctx.checkpoint("one");
      }
      seen.push(ctx.state.get());
      await ctx.step("hold", () => hold.opened);
      return ctx.state.get();
    },
  });
  const longhaul = await stage.worker([loner]);
  const handle = await longhaul.submit(loner, null);
  await until(() => seen.length === 1);
  await stage.takeOver(handle.runId);
  await until(() => seen.length === 2);
  hold.open();
  expect(await handle.result()).toEqual({ kept: true });
  expect(seen).toEqual([{ kept: true }, { kept: true }]);
});

describe("when the thread is busy", () => {
  const holds: Gate[] = [];
  const holder = agent({
    name: "holder",
    async run(ctx) {
      await ctx.step("before", () => "kept");
      return ctx.step("hold", ({ abort }) => {
        const mine = gate();
        holds.push(mine);
        return Promise.race([mine.opened, new Promise((resolve) => abort.addEventListener("abort", resolve))]);
      });
    },
  });

  test("reject refuses the new run (THREAD_BUSY), and nothing of it is stored", async () => {
    const longhaul = await stage.worker([holder]);
    const threadId = newThread();
    const first = await longhaul.submit(holder, null, { threadId });
    await until(() => holds.length === 1);
    await expect(longhaul.submit(holder, null, { threadId, ifBusy: "reject" })).rejects.toMatchObject({
      code: "THREAD_BUSY",
      status: 409,
    });
    expect(await longhaul.list({ threadId })).toHaveLength(1);
    holds.pop()?.open();
    await first.result();
    const second = await longhaul.submit(holder, null, { threadId, ifBusy: "reject" });
    await until(() => holds.length === 1);
    holds.pop()?.open();
    await second.result();
  });

  test("interrupt stops the active run, keeps its finished steps, and starts the new one", async () => {
    const longhaul = await stage.worker([holder, adder]);
    const threadId = newThread();
    const first = await longhaul.submit(holder, null, { threadId });
    await until(() => holds.length === 1);
    const second = await longhaul.submit(adder, 1, { threadId, ifBusy: "interrupt" });
    expect(await second.result()).toEqual([1]);
    expect(await longhaul.wait(first.runId)).toEqual({
      status: "cancelled",
      reason: "interrupted by a newer run of the thread",
    });
    expect((await journalOf(stage.db, first.runId)).some((entry) => entry.key === "before#1")).toBe(true);
    holds.pop();
  });

  test("of two runs that refuse a busy thread, submitted at once, one is taken", async () => {
    const longhaul = await stage.worker([adder]);
    const threadId = newThread();
    const answers = await Promise.allSettled(
      [1, 2].map((n) => longhaul.submit(adder, n, { threadId, ifBusy: "reject" })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual(["fulfilled", "rejected"]);
  });
});

test("a delayed run does not hold up its thread: it enters when its time has come", async () => {
  const longhaul = await stage.worker([adder]);
  const threadId = newThread();
  const later = await longhaul.submit(adder, "later", { threadId, delay: 400 });
  const now = await longhaul.submit(adder, "now", { threadId });
  expect(await now.result()).toEqual(["now"]);
  expect(await later.result()).toEqual(["now", "later"]);
});
