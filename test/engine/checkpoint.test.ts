// Checkpoints: a state that makes everything before it unnecessary, and recovery that costs the same however long a run is.
import { describe, expect, test } from "vitest";
import { agent, type Ctx } from "../../src/index.ts";
import { readForReplay } from "../../src/store/journal.ts";
import { gate, journalOf, rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();

test("a run that checkpoints starts after its last checkpoint, and runs no turn again (7)", async () => {
  const bodies: string[] = [];
  const starts: unknown[] = [];
  const hold = gate();
  const looper = agent({
    name: "looper",
    async run(ctx) {
      let state = ctx.restored<{ turn: number; sum: number }>() ?? { turn: 0, sum: 0 };
      starts.push(state);
      while (state.turn < 6) {
        const add = await ctx.step("turn", async () => {
          bodies.push(`turn ${state.turn}`);
          if (state.turn === 4) await hold.opened;
          return state.turn;
        });
        state = { turn: state.turn + 1, sum: state.sum + add };
        await ctx.checkpoint(state);
      }
      return state.sum;
    },
  });
  const longhaul = await stage.worker([looper]);
  const handle = await longhaul.submit(looper, null);
  await until(() => bodies.length === 5);
  await stage.takeOver(handle.runId);
  await until(() => starts.length === 2);
  hold.open();
  expect(await handle.result()).toBe(15);
  expect(starts).toEqual([
    { turn: 0, sum: 0 },
    { turn: 4, sum: 6 },
  ]);
  expect(bodies).toEqual(["turn 0", "turn 1", "turn 2", "turn 3", "turn 4", "turn 4", "turn 5"]);
});

test("recovery reads what came after the last checkpoint, and nothing before it", async () => {
  const hold = gate();
  const looper = agent({
    name: "looper",
    async run(ctx) {
      let turn = ctx.restored<number>() ?? 0;
      for (; turn < 50; turn++) {
        await ctx.step("turn", () => "x".repeat(100));
        await ctx.checkpoint(turn + 1);
      }
      await ctx.step("hold", () => hold.opened);
      return turn;
    },
  });
  const longhaul = await stage.worker([looper]);
  const handle = await longhaul.submit(looper, null);
  await until(async () => (await journalOf(stage.db, handle.runId)).length === 101);
  const read = await readForReplay(stage.db, [handle.runId]);
  expect(read.get(handle.runId)?.map((entry) => entry.seq)).toEqual([101]);
  hold.open();
  expect(await handle.result()).toBe(50);
});

test("keys name one step of the whole run: each generation has its own", async () => {
  const looper = agent({
    name: "looper",
    async run(ctx) {
      for (let turn = ctx.restored<number>() ?? 0; turn < 2; turn++) {
        await ctx.step("s", () => turn);
        await ctx.all({ b: (c) => c.step("s", () => turn) });
        await ctx.checkpoint(turn + 1);
      }
      await ctx.step("s", () => "last");
    },
  });
  const longhaul = await stage.worker([looper]);
  const handle = await longhaul.submit(looper, null);
  await handle.result();
  const keys = (await longhaul.inspect(handle.runId))?.steps
    .filter((step) => step.kind === "step")
    .map((step) => step.key);
  expect(keys).toEqual(["s#1", "all#1.b/s#1", "@1/s#1", "@1/all#1.b/s#1", "@2/s#1"]);
});

test("a state above 64 KiB comes back whole", async () => {
  const large = "c".repeat(150_000);
  const seen: unknown[] = [];
  const hold = gate();
  const looper = agent({
    name: "looper",
    async run(ctx) {
      const state = ctx.restored<string>();
      seen.push(state);
      if (state === undefined) await ctx.checkpoint(large);
      await ctx.step("hold", () => hold.opened);
      return state?.length;
    },
  });
  const longhaul = await stage.worker([looper]);
  const handle = await longhaul.submit(looper, null);
  await until(async () => (await journalOf(stage.db, handle.runId)).length === 2);
  await stage.takeOver(handle.runId);
  await until(() => seen.length === 2);
  hold.open();
  expect(await handle.result()).toBe(150_000);
  expect(seen).toEqual([undefined, large]);
});

test("children spawned before a checkpoint are still waited for after a takeover (19)", async () => {
  const childHold = gate();
  const hold = gate();
  let starts = 0;
  const slow = agent({ name: "slow", run: (ctx) => ctx.step("s", () => childHold.opened) });
  const parent = agent({
    name: "parent",
    limits: { children: 1 },
    async run(ctx) {
      starts += 1;
      if (ctx.restored() === undefined) {
        await ctx.spawn(slow, null);
        await ctx.checkpoint("spawned");
      }
      await ctx.step("hold", () => hold.opened);
      return ctx.spawn(slow, null).then(
        () => "one too many",
        (error: { code: string }) => error.code,
      );
    },
  });
  const longhaul = await stage.worker([parent, slow]);
  const handle = await longhaul.submit(parent, null);
  await until(async () => (await longhaul.list({ parentId: handle.runId }))[0]?.status === "running");
  await until(async () => (await journalOf(stage.db, handle.runId)).length === 3);
  await stage.takeOver(handle.runId);
  await until(() => starts === 2);
  hold.open();
  await until(async () => (await longhaul.get(handle.runId))?.status === "waiting");
  childHold.open();
  expect(await handle.result()).toBe("CHILDREN_LIMIT");
  expect(await longhaul.list({ parentId: handle.runId })).toMatchObject([{ status: "succeeded" }]);
});

describe("what would lose something is refused", () => {
  async function failure(run: (ctx: Ctx) => unknown): Promise<unknown> {
    const longhaul = await stage.worker([agent({ name: "tried", run })]);
    return (await rejection(longhaul.run("tried", null))).cause;
  }

  test("a checkpoint without having asked for the last one (CHECKPOINT_NOT_RESTORED)", async () => {
    const cause = await failure(async (ctx) => {
      await ctx.step("s", () => 1);
      await ctx.checkpoint(1);
    });
    expect(cause).toMatchObject({ code: "CHECKPOINT_NOT_RESTORED", message: expect.stringContaining("asked for s") });
  });

  test("asking too late, after the first step", async () => {
    const cause = await failure(async (ctx) => {
      await ctx.step("s", () => 1);
      ctx.restored();
      await ctx.checkpoint(1);
    });
    expect(cause).toMatchObject({ code: "CHECKPOINT_NOT_RESTORED" });
  });

  test("a checkpoint while a step of another branch is under way (CHECKPOINT_IN_PARALLEL)", async () => {
    const hold = gate();
    const cause = await failure(async (ctx) => {
      ctx.restored();
      const other = ctx.step("other", () => hold.opened);
      try {
        await ctx.checkpoint(1);
      } finally {
        hold.open();
        await other;
      }
    });
    expect(cause).toMatchObject({ code: "CHECKPOINT_IN_PARALLEL", message: expect.stringContaining("other#1") });
  });

  test("a checkpoint while a wait is open", async () => {
    const cause = await failure(async (ctx) => {
      ctx.restored();
      void ctx.signal("s");
      await ctx.checkpoint(1);
    });
    expect(cause).toMatchObject({ code: "CHECKPOINT_IN_PARALLEL", message: expect.stringContaining("signal s") });
  });

  test("a checkpoint inside a branch", async () => {
    const cause = await failure(async (ctx) => {
      ctx.restored();
      await ctx.all({ a: (c) => c.checkpoint(1) });
    });
    expect(cause).toMatchObject({ code: "CHECKPOINT_IN_PARALLEL", message: expect.stringContaining("all") });
  });
});

test("the limit of journal entries counts from the last checkpoint (JOURNAL_FULL)", async () => {
  const endless = (checkpoints: boolean) =>
    agent({
      name: checkpoints ? "with" : "without",
      limits: { steps: 20 },
      async run(ctx) {
        for (let i = ctx.restored<number>() ?? 0; i < 40; i++) {
          await ctx.step("s", () => i);
          if (checkpoints) await ctx.checkpoint(i + 1);
        }
        return "end";
      },
    });
  const longhaul = await stage.worker([endless(true), endless(false)]);
  expect((await rejection(longhaul.run("without", null))).cause).toMatchObject({ code: "JOURNAL_FULL" });
  expect(await longhaul.run("with", null)).toBe("end");
});
