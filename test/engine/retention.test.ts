// Retention beside real workers: it drops what has ended long ago, and never what is still going on or referred to (54).
import { afterEach, expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import { agent } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { retain } from "../../src/store/retention.ts";
import { until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
afterEach(() => stage.db.query("update longhaul.retention set next_at = '-infinity', began_at = '-infinity'"));

const DAY_MS = 86_400_000;
const POLICY = { finishedMs: 30 * DAY_MS, failedMs: 30 * DAY_MS, threadsMs: null };

/** Makes runs older, past the guards that forbid it. */
async function age(days: number, ...runIds: string[]): Promise<void> {
  await stage.db.transaction(async (tx) => {
    await tx.query("set local session_replication_role = replica");
    for (const [table, column] of [
      ["runs", "created_at"],
      ["outcomes", "finished_at"],
    ])
      await tx.query(
        `update longhaul.${table} set ${column} = ${column} - $1 * interval '1 day' where run_id = any($2::uuid[])`,
        [days, runIds],
      );
  });
}

async function dropOld(): Promise<void> {
  for (;;) {
    await stage.db.query("update longhaul.retention set next_at = '-infinity'");
    const round = await retain(stage.db, POLICY, { limit: 100, share: 1, everyMs: 60_000 });
    if (round !== null && round.did === null) return;
  }
}

const isThere = async (longhaul: LonghaulProcess, runId: string): Promise<boolean> =>
  (await longhaul.get(runId)) !== null;

const echo = agent({ name: "echo", run: (ctx, input) => ctx.step("echo", () => input) });

test("a worker drops old runs by itself, with their journals and large values", async () => {
  const longhaul = await stage.worker([echo], { retentionEveryMs: 50 }, { retention: { finished: "1 day" } });
  const big = await longhaul.submit(echo, "x".repeat(100_000));
  const young = await longhaul.submit(echo, 1);
  await Promise.all([big.result(), young.result()]);
  await age(2, big.runId);
  await until(async () => !(await isThere(longhaul, big.runId)));
  await until(async () => (await stage.db.query("select 1 from longhaul.blobs")).length === 0);
  expect(await stage.db.query("select 1 from longhaul.journal where run_id = $1", [big.runId])).toEqual([]);
  expect(await young.result()).toBe(1);
});

test("a worker that is told to keep everything drops nothing, and one that drops stops with its worker", async () => {
  const keeper = await stage.worker([echo], { retentionEveryMs: 20 }, { retention: false });
  const run = await keeper.submit(echo, 1);
  await run.result();
  await age(4_000, run.runId);
  // Whatever it would do, it would have done by the end of these.
  for (let i = 0; i < 20; i++) await keeper.run(echo, i);
  expect(await isThere(keeper, run.runId)).toBe(true);
  const dropper = await stage.worker([echo], { retentionEveryMs: 20 });
  await until(async () => !(await isThere(keeper, run.runId)));
  await dropper.close();
});

test("a tree stays as long as one of it goes on, and goes as a whole", async () => {
  const slow = agent({ name: "slow", run: (ctx) => ctx.signal("go") });
  const family = agent({
    name: "family",
    async run(ctx) {
      const child = await ctx.spawn(echo, "quick");
      await ctx.spawn(slow, null, { detached: true });
      return child.result();
    },
  });
  const longhaul = await stage.worker([echo, slow, family]);
  const { runId, result } = await longhaul.submit(family);
  await result();
  const tree = await stage.db.query<{ run_id: string; agent: string }>(
    "select run_id, agent from longhaul.runs where root_id = $1",
    [runId],
  );
  expect(tree).toHaveLength(3);
  const ids = tree.map((row) => row.run_id);
  const alive = tree.find((row) => row.agent === "slow")?.run_id ?? "";
  await untilStatus(longhaul, alive, "waiting");
  await age(400, ...ids);
  await dropOld();
  for (const id of ids) expect(await isThere(longhaul, id)).toBe(true);
  await longhaul.signal(alive, "go");
  await untilStatus(longhaul, alive, "succeeded");
  await dropOld();
  for (const id of ids) expect(await isThere(longhaul, id)).toBe(true);
  await age(31, alive);
  await dropOld();
  for (const id of ids) expect(await isThere(longhaul, id)).toBe(false);
});

test("a run that has waited for ten years is not old: it has not ended", async () => {
  const patient = agent({ name: "patient", run: (ctx) => ctx.signal("at last") });
  const longhaul = await stage.worker([patient]);
  const { runId, result } = await longhaul.submit(patient);
  await untilStatus(longhaul, runId, "waiting");
  await age(3_653, runId);
  await dropOld();
  await longhaul.signal(runId, "at last", "hello");
  expect(await result()).toBe("hello");
});

test("a thread keeps its state when its runs are gone, and the next run goes on from it", async () => {
  const chat = agent({
    name: "chat",
    async run(ctx, input) {
      const said = [...((await ctx.state.get<string[]>()) ?? []), input as string];
      await ctx.state.set(said);
      return said;
    },
  });
  const longhaul = await stage.worker([chat]);
  const threadId = newId();
  const first = await longhaul.submit(chat, "one", { threadId });
  await first.result();
  await age(31, first.runId);
  await dropOld();
  expect(await isThere(longhaul, first.runId)).toBe(false);
  expect(await longhaul.run(chat, "two", { threadId })).toEqual(["one", "two"]);
});

test("a fork stands on its own journal when its source is gone", async () => {
  const calls: string[] = [];
  const two = agent({
    name: "two",
    async run(ctx) {
      const first = await ctx.step("first", () => {
        calls.push("first");
        return "x".repeat(100_000);
      });
      await ctx.step("second", () => void calls.push("second"));
      await ctx.signal("go");
      return first.length;
    },
  });
  const longhaul = await stage.worker([two], { warmMs: 0 });
  const source = await longhaul.submit(two);
  await untilStatus(longhaul, source.runId, "waiting");
  await longhaul.signal(source.runId, "go");
  await source.result();
  const fork = await longhaul.fork(source.runId, { beforeStep: "second" });
  await untilStatus(longhaul, fork.runId, "waiting");
  await age(31, source.runId);
  await dropOld();
  expect(await isThere(longhaul, source.runId)).toBe(false);
  await longhaul.signal(fork.runId, "go");
  expect(await fork.result()).toBe(100_000);
  expect(calls).toEqual(["first", "second", "second"]);
  await expect(longhaul.fork(source.runId)).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
});

test("questions and their answers go with their run", async () => {
  const asker = agent({ name: "asker", run: (ctx) => ctx.approval("go", "y".repeat(100_000)) });
  const longhaul = await stage.worker([asker]);
  const run = await longhaul.submit(asker);
  const [question] = await until(async () => {
    const found = await longhaul.approvals({ status: "pending", runId: run.runId });
    return found.length > 0 && found;
  });
  await longhaul.approve(question?.approvalId ?? "", { by: "ann" });
  await run.result();
  const kept = "select 1 from longhaul.blobs where body like '%yyyy%'";
  expect(await stage.db.query(kept)).not.toEqual([]);
  await age(31, run.runId);
  await dropOld();
  expect(await longhaul.approvals({ runId: run.runId })).toEqual([]);
  expect(await stage.db.query(kept)).toEqual([]);
});
