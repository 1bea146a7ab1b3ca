// Children: submitted with the entry that names them, awaited without a slot, never lost by their parent.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { KIND } from "../../src/domain/entry.ts";
import { agent } from "../../src/index.ts";
import { gate, journalOf, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";
import { capTenant } from "../support/runs.ts";

const stage = useStage();

const square = agent({ name: "square", run: (ctx, n) => ctx.step("square", () => (n as number) ** 2) });
const sleeper = agent({ name: "sleeper", run: (ctx) => ctx.signal("never") });
const failer = agent({
  name: "failer",
  run: () => {
    throw new RangeError("child broke");
  },
});

async function claims(runId: string): Promise<number> {
  return (await journalOf(stage.db, runId)).filter((entry) => entry.kind === KIND.claimed).length;
}

async function childrenOf(runId: string): Promise<{ run_id: string; status: string | null; state: string | null }[]> {
  return stage.db.query(
    `select r.run_id, o.status, l.state from longhaul.runs r left join longhaul.outcomes o using (run_id)
       left join longhaul.live l using (run_id) where r.parent_id = $1 order by 1`,
    [runId],
  );
}

test("a child runs, and its result comes to the parent, which holds no slot meanwhile (34)", async () => {
  const parent = agent({
    name: "parent",
    async run(ctx) {
      const child = await ctx.spawn(square, 7);
      return { runId: child.runId, result: await child.result() };
    },
  });
  const longhaul = await stage.worker([parent, square], { slots: 1 });
  const handle = await longhaul.submit(parent, null);
  const { runId, result } = (await handle.result()) as { runId: string; result: number };
  expect(result).toBe(49);
  expect(await longhaul.get(runId)).toMatchObject({ parentId: handle.runId, rootId: handle.runId, agent: "square" });
});

test("a map over 200 items wakes the parent once, when the last child has ended", async () => {
  const mapper = agent({
    name: "mapper",
    run: (ctx) =>
      ctx.map(
        "squares",
        Array.from({ length: 200 }, (_, i) => i),
        square,
      ),
  });
  const longhaul = await stage.worker([mapper, square], { slots: 64 });
  const handle = await longhaul.submit(mapper, null);
  expect(await handle.result()).toEqual(Array.from({ length: 200 }, (_, i) => i * i));
  expect(await claims(handle.runId)).toBe(2);
});

test("a map with a bound never has more children unfinished than that", async () => {
  const mapper = agent({
    name: "mapper",
    run: (ctx) => ctx.map("squares", [1, 2, 3, 4, 5], square, { concurrency: 2 }),
  });
  const longhaul = await stage.worker([mapper, square]);
  const handle = await longhaul.submit(mapper, null);
  expect(await handle.result()).toEqual([1, 4, 9, 16, 25]);
  const spans = await stage.db.query<{ a: Date; z: Date }>(
    "select r.created_at as a, o.finished_at as z from longhaul.runs r join longhaul.outcomes o using (run_id) where parent_id = $1",
    [handle.runId],
  );
  for (const span of spans)
    expect(spans.filter((other) => other.a <= span.a && other.z > span.a).length).toBeLessThanOrEqual(2);
});

test("large inputs and outputs of children come through whole", async () => {
  const echo = agent({ name: "echo", run: (_ctx, input) => input });
  const parent = agent({ name: "parent", run: (ctx, input) => ctx.map("m", [input, input], echo) });
  const longhaul = await stage.worker([parent, echo]);
  const large = "l".repeat(150_000);
  expect(await longhaul.run(parent, large)).toEqual([large, large]);
});

test("a child's failure reaches the parent as CHILD_FAILED with the child's error as its cause", async () => {
  const parent = agent({
    name: "parent",
    async run(ctx) {
      const child = await ctx.spawn(failer, null);
      try {
        await child.result();
      } catch (error) {
        const { code, cause, details } = error as { code: string; cause: Error; details: { runId: string } };
        return { code, name: cause.name, message: cause.message, same: details.runId === child.runId };
      }
    },
  });
  const longhaul = await stage.worker([parent, failer]);
  expect(await longhaul.run(parent, null)).toEqual({
    code: "CHILD_FAILED",
    name: "RangeError",
    message: "child broke",
    same: true,
  });
});

test("the first child of a map that fails fails the map at once, and the others are cancelled (19)", async () => {
  const either = agent({
    name: "either",
    run: async (ctx, bad) => {
      if (bad === true) throw new Error("bad item");
      return ctx.signal("never");
    },
  });
  const mapper = agent({ name: "mapper", run: (ctx) => ctx.map("m", [false, false, true, false], either) });
  const longhaul = await stage.worker([mapper, either]);
  const handle = await longhaul.submit(mapper, null);
  expect((await rejection(handle.result())).cause).toMatchObject({ code: "CHILD_FAILED" });
  await until(async () => (await childrenOf(handle.runId)).every((child) => child.status !== null));
  const statuses = (await childrenOf(handle.runId)).map((child) => child.status);
  expect(statuses).toEqual(["cancelled", "cancelled", "failed", "cancelled"]);
});

test("cancelling a run reaches its children and grandchildren (19)", async () => {
  const middle = agent({ name: "middle", run: async (ctx) => (await ctx.spawn(sleeper, null)).result() });
  const top = agent({ name: "top", run: (ctx) => ctx.map("m", [1, 2], middle) });
  const longhaul = await stage.worker([top, middle, sleeper]);
  const handle = await longhaul.submit(top, null);
  const tree = () =>
    stage.db.query<{ status: string | null; state: string | null }>(
      "select o.status, l.state from longhaul.runs r left join longhaul.outcomes o using (run_id) left join longhaul.live l using (run_id) where root_id = $1",
      [handle.runId],
    );
  await until(async () => {
    const runs = await tree();
    return runs.length === 5 && runs.every((run) => run.state === "waiting");
  });
  await handle.cancel("enough");
  await until(async () => (await tree()).every((run) => run.status === "cancelled"));
  expect(await longhaul.wait(handle.runId)).toEqual({ status: "cancelled", reason: "enough" });
});

test("a child that is cancelled from outside reaches its parent as CHILD_CANCELLED", async () => {
  const parent = agent({
    name: "parent",
    run: async (ctx) =>
      (await ctx.spawn(sleeper, null)).result().catch((error: { code: string; message: string }) => error.code),
  });
  const longhaul = await stage.worker([parent, sleeper]);
  const handle = await longhaul.submit(parent, null);
  const [child] = await until(async () => {
    const children = await childrenOf(handle.runId);
    return children[0]?.state === "waiting" && children;
  });
  await longhaul.cancel(child?.run_id ?? "", "by hand");
  expect(await handle.result()).toBe("CHILD_CANCELLED");
});

describe("children that nobody awaits", () => {
  test("an attached one is waited for: the parent ends after it (19)", async () => {
    const hold = gate();
    const slow = agent({ name: "slow", run: (ctx) => ctx.step("s", () => hold.opened) });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        await ctx.spawn(slow, null);
        await ctx.spawn(square, 2);
        return "parent done";
      },
    });
    const longhaul = await stage.worker([parent, slow, square]);
    const handle = await longhaul.submit(parent, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    hold.open();
    expect(await handle.result()).toBe("parent done");
    const ends = await stage.db.query<{ run_id: string }>(
      "select o.run_id from longhaul.outcomes o join longhaul.runs r using (run_id) where root_id = $1 order by finished_at",
      [handle.runId],
    );
    expect(ends.at(-1)?.run_id).toBe(handle.runId);
  });

  test("they are still waited for when the parent is taken over after some have ended (19)", async () => {
    const holds = [gate(), gate(), gate()];
    const slow = agent({ name: "slow", run: (ctx, i) => ctx.step("s", () => holds[i as number]?.opened) });
    const background = gate();
    let starts = 0;
    const parent = agent({
      name: "parent",
      async run(ctx) {
        starts += 1;
        for (const i of [0, 1, 2]) await ctx.spawn(slow, i);
        // Keeps the parent running while the ends of its children come in.
        void ctx.step("background", () => background.opened);
        return "parent done";
      },
    });
    const longhaul = await stage.worker([parent, slow], { warmMs: 0 });
    const handle = await longhaul.submit(parent, null);
    holds[0]?.open();
    await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.kind === KIND.received));
    await stage.takeOver(handle.runId);
    await until(() => starts === 2);
    holds[1]?.open();
    holds[2]?.open();
    background.open();
    expect(await handle.result()).toBe("parent done");
    expect((await childrenOf(handle.runId)).map((child) => child.status)).toEqual([
      "succeeded",
      "succeeded",
      "succeeded",
    ]);
  });

  test("one whose branch lost its race is waited for like any other", async () => {
    const hold = gate();
    const slow = agent({ name: "slow", run: (ctx) => ctx.step("s", () => hold.opened) });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        const { winner } = await ctx.race({
          child: async (c) => (await c.spawn(slow, null)).result(),
          timer: (c) => c.sleep(300),
        });
        return winner;
      },
    });
    const longhaul = await stage.worker([parent, slow], { warmMs: 0 });
    const handle = await longhaul.submit(parent, null);
    await until(async () =>
      (await journalOf(stage.db, handle.runId)).some(
        (entry) => entry.key === "race#1.timer/sleep#1" && entry.kind === KIND.received,
      ),
    );
    await untilStatus(longhaul, handle.runId, "waiting");
    hold.open();
    expect(await handle.result()).toBe("timer");
  });

  test("a failure of one that nobody awaits does not fail the parent", async () => {
    const parent = agent({
      name: "parent",
      async run(ctx) {
        await ctx.spawn(failer, null);
        return "fine";
      },
    });
    const longhaul = await stage.worker([parent, failer]);
    expect(await longhaul.run(parent, null)).toBe("fine");
  });

  test("when the parent fails, they are cancelled", async () => {
    const parent = agent({
      name: "parent",
      async run(ctx) {
        await ctx.spawn(sleeper, null);
        throw new Error("parent broke");
      },
    });
    const longhaul = await stage.worker([parent, sleeper]);
    const handle = await longhaul.submit(parent, null);
    await rejection(handle.result());
    await until(async () => (await childrenOf(handle.runId)).every((child) => child.status === "cancelled"));
  });

  test("a detached one goes on without its parent, and a cancel of the parent does not reach it", async () => {
    const hold = gate();
    const slow = agent({ name: "slow", run: (ctx) => ctx.step("s", () => hold.opened.then(() => "alone")) });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        return (await ctx.spawn(slow, null, { detached: true })).runId;
      },
    });
    const longhaul = await stage.worker([parent, slow]);
    const handle = await longhaul.submit(parent, null);
    const child = (await handle.result()) as string;
    expect((await longhaul.get(child))?.parentId).toBeNull();
    hold.open();
    expect(await longhaul.wait(child)).toEqual({ status: "succeeded", output: "alone" });
  });
});

describe("takeovers", () => {
  test("a parent that is taken over spawns nobody twice, and gets the results it had", async () => {
    const hold = gate();
    let starts = 0;
    const parent = agent({
      name: "parent",
      async run(ctx) {
        starts += 1;
        const squares = await ctx.map("m", [1, 2, 3], square);
        const child = await ctx.spawn(square, 9);
        await ctx.step("hold", () => hold.opened);
        return [...squares, await child.result()];
      },
    });
    const longhaul = await stage.worker([parent, square], { warmMs: 0 });
    const handle = await longhaul.submit(parent, null);
    await until(async () => (await childrenOf(handle.runId)).length === 4);
    await stage.takeOver(handle.runId);
    const before = starts;
    await until(() => starts > before);
    hold.open();
    expect(await handle.result()).toEqual([1, 4, 9, 81]);
    expect(await childrenOf(handle.runId)).toHaveLength(4);
  });

  test("a child's end and the waking of its parent are one commit (35)", async () => {
    const parent = agent({ name: "parent", run: async (ctx) => (await ctx.spawn(sleeper, null)).result() });
    const longhaul = await stage.worker([parent, sleeper]);
    const handle = await longhaul.submit(parent, null);
    const [child] = await until(async () => {
      const children = await childrenOf(handle.runId);
      return children[0]?.state === "waiting" && children;
    });
    await untilStatus(longhaul, handle.runId, "waiting");
    const seen = () =>
      stage.db.query(
        `select exists (select from longhaul.outcomes where run_id = $2) as ended,
                (select inbox_seq > 0 and state <> 'waiting' from longhaul.live where run_id = $1) as woken`,
        [handle.runId, child?.run_id],
      );
    await stage.db.transaction(async (tx) => {
      await tx.query("select longhaul.cancel($1, 'x')", [child?.run_id]);
      expect(await seen()).toEqual([{ ended: false, woken: false }]);
    });
    const [after] = await seen();
    expect(after).toMatchObject({ ended: true });
    expect(after).not.toMatchObject({ woken: false });
    expect((await longhaul.wait(handle.runId)).status).toBe("failed");
  });
});

describe("limits", () => {
  test("CHILDREN_LIMIT bounds what one run spawns in all, and nothing of the refused batch exists", async () => {
    const greedy = agent({
      name: "greedy",
      limits: { children: 3 },
      async run(ctx) {
        await ctx.map("first", [1, 2], square);
        return ctx.map("second", [3, 4], square);
      },
    });
    const longhaul = await stage.worker([greedy, square]);
    const handle = await longhaul.submit(greedy, null);
    expect((await rejection(handle.result())).cause).toMatchObject({ code: "CHILDREN_LIMIT" });
    expect(await childrenOf(handle.runId)).toHaveLength(2);
  });

  test("DEPTH_LIMIT ends an agent that spawns itself", async () => {
    const deep: ReturnType<typeof agent> = agent({
      name: "deep",
      limits: { depth: 3 },
      run: async (ctx, n): Promise<unknown> => (await ctx.spawn("deep", (n as number) + 1)).result(),
    });
    const longhaul = await stage.worker([deep]);
    const handle = await longhaul.submit(deep, 0);
    await rejection(handle.result());
    const tree = await stage.db.query("select depth from longhaul.runs where root_id = $1 order by depth", [
      handle.runId,
    ]);
    expect(tree).toEqual([{ depth: 0 }, { depth: 1 }, { depth: 2 }, { depth: 3 }]);
  });

  test("TREE_LIMIT is strict, also when many branches grow the tree at once", async () => {
    const bush: ReturnType<typeof agent> = agent({
      name: "bush",
      limits: { treeSize: 20, depth: 8 },
      async run(ctx): Promise<unknown> {
        const results = await Promise.allSettled([1, 2, 3].map((i) => ctx.step(`s${i}`, () => i)));
        const children = await ctx.map("m", [1, 2, 3], (c) =>
          c.spawn("bush", null).then(
            (child) => child.result().catch(() => 0),
            () => 0,
          ),
        );
        return results.length + children.length;
      },
    });
    const longhaul = await stage.worker([bush]);
    const handle = await longhaul.submit(bush, null);
    await handle.result();
    const [row] = await stage.db.query<{ n: number }>("select count(*) as n from longhaul.runs where root_id = $1", [
      handle.runId,
    ]);
    expect(row?.n).toBe(20);
  });

  test("a tree under a cap of one ends: parents that wait make room for their children (22)", async () => {
    const leaf = agent({ name: "leaf", queue: "narrow", run: (ctx, n) => ctx.step("l", () => n) });
    const branch = agent({ name: "branch", queue: "narrow", run: (ctx, n) => ctx.map("leaves", [n, n], leaf) });
    const root = agent({ name: "root", queue: "narrow", run: (ctx) => ctx.map("branches", [1, 2, 3], branch) });
    const longhaul = await stage.worker([root, branch, leaf]);
    await capTenant(stage.db, "narrow", 1);
    expect(await longhaul.tenant("narrow").run(root, null)).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    const [row] = await stage.db.query("select in_flight from longhaul.tenants where tenant_id = 'narrow'");
    expect(row).toEqual({ in_flight: 0 });
  });

  test("a child whose input its schema refuses fails the parent's call, before anything is stored", async () => {
    const strict = agent({ name: "strict", input: z.object({ n: z.number() }), run: (_ctx, { n }) => n });
    const parent = agent({
      name: "parent",
      run: async (ctx) => (await ctx.spawn(strict, { n: "x" } as never)).result(),
    });
    const longhaul = await stage.worker([parent, strict]);
    const handle = await longhaul.submit(parent, null);
    expect((await rejection(handle.result())).cause).toMatchObject({
      code: "INPUT_INVALID",
      message: expect.stringContaining("$.n"),
    });
    expect(await childrenOf(handle.runId)).toEqual([]);
  });
});
