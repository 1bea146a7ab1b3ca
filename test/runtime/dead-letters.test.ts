// Dead letters: what failed for good is listed until somebody deals with it, and is dealt with once.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import type { DeadNews } from "../../src/runtime/limits-api.ts";
import { reviveRun } from "../../src/store/submit.ts";
import { rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();
let broken = true;
const bodies: string[] = [];
const job = agent({
  name: "job",
  input: z.object({ n: z.number(), note: z.string().default("none") }),
  async run(ctx, { n, note }) {
    await ctx.step("kept", () => bodies.push(`kept ${n}`));
    return ctx.step("second", { retry: false }, () => {
      if (broken) throw new RangeError(`out of order ${n}`);
      return { n, note };
    });
  },
});

async function dies(longhaul: LonghaulProcess, tenant: string, n = 1): Promise<string> {
  broken = true;
  const { runId } = await longhaul.tenant(tenant).submit(job, { n, note: "none" });
  await longhaul.tenant(tenant).wait(runId);
  return runId;
}

async function all(news: AsyncIterable<DeadNews>): Promise<DeadNews[]> {
  const found: DeadNews[] = [];
  for await (const one of news) found.push(one);
  return found;
}

const runsOf = (tenant: string) =>
  stage.db.query<{ run_id: string }>("select run_id from longhaul.runs where tenant_id = $1", [tenant]);

describe("a run that fails for good", () => {
  test("is listed with its error; a child, a success and a cancelled run are not", async () => {
    const parent = agent({ name: "parent", run: async (ctx) => (await ctx.spawn(job, { n: 9, note: "" })).result() });
    const careful = agent({
      name: "careful",
      run: async (ctx) => {
        const child = await ctx.spawn(job, { n: 8, note: "" });
        return child.result().catch(() => "dealt with");
      },
    });
    const longhaul = await stage.worker([job, parent, careful]);
    const tenant = longhaul.tenant("listed");
    const { deadLetters } = tenant;
    const runId = await dies(longhaul, "listed");
    const above = await tenant.submit(parent, null);
    await tenant.wait(above.runId);
    expect(await tenant.run(careful, null)).toBe("dealt with");
    const gone = await tenant.submit(job, { n: 1 }, { delay: "1 hour" });
    await gone.cancel();
    expect(await deadLetters.list()).toEqual([
      expect.objectContaining({ runId: above.runId, kind: "dead", agent: "parent", code: expect.any(String) }),
      {
        runId,
        kind: "dead",
        agent: "job",
        queue: "default",
        code: "RangeError",
        message: "out of order 1",
        diedAt: expect.stringMatching(/^2.*Z$/),
      },
    ]);
    expect(await deadLetters.list({ agent: "job", code: "RangeError", queue: "default" })).toHaveLength(1);
    expect(await deadLetters.list({ code: "*" })).toEqual([]);
    expect(await deadLetters.list({ since: new Date(Date.now() + 3_600_000) })).toEqual([]);
    expect(await deadLetters.list({ before: runId })).toEqual([]);
    expect(await longhaul.tenant("eve").deadLetters.list()).toEqual([]);
  });

  test("is retried once, however often that is asked for, and keeps what succeeded", async () => {
    const longhaul = await stage.worker([job]);
    const tenant = longhaul.tenant("retried");
    const runId = await dies(longhaul, "retried", 7);
    broken = false;
    const handles = await Promise.all(Array.from({ length: 8 }, () => tenant.deadLetters.retry(runId, { by: "ann" })));
    expect(new Set(handles.map((handle) => handle.runId)).size).toBe(1);
    expect(await handles[0]?.result()).toEqual({ n: 7, note: "none" });
    expect(bodies.filter((body) => body === "kept 7")).toHaveLength(1);
    expect(await tenant.deadLetters.list()).toEqual([]);
    expect(await tenant.get(handles[0]?.runId ?? "")).toMatchObject({ forkedFrom: runId });
    // A repeat after the answer was lost, also from another process.
    const other = await stage.client([job]);
    const again = await other.tenant("retried").deadLetters.retry(runId, { by: "ann" });
    expect(again.runId).toBe(handles[0]?.runId);
    expect(await runsOf("retried")).toHaveLength(2);
  });

  test("that fails again is a letter of its own, which is retried into a third run", async () => {
    const longhaul = await stage.worker([job]);
    const { deadLetters } = longhaul.tenant("again");
    const first = await dies(longhaul, "again");
    const second = await deadLetters.retry(first, { by: "ann" });
    await rejection(second.result());
    expect(await deadLetters.list()).toMatchObject([{ runId: second.runId }]);
    const third = await deadLetters.retry(second.runId, { by: "ann" });
    expect(new Set([first, second.runId, third.runId]).size).toBe(3);
    await rejection(third.result());
  });

  test("starts anew with another input, which the agent's schema checks", async () => {
    const longhaul = await stage.worker([job]);
    const { deadLetters } = longhaul.tenant("edited");
    const runId = await dies(longhaul, "edited", 3);
    expect(await rejection(deadLetters.edit(runId, { n: "three" }))).toMatchObject({ code: "INPUT_INVALID" });
    expect(await deadLetters.list()).toHaveLength(1);
    broken = false;
    const [one, two] = await Promise.all([deadLetters.edit(runId, { n: 4 }), deadLetters.edit(runId, { n: 4 })]);
    expect(one.runId).toBe(two.runId);
    expect(await one.result()).toEqual({ n: 4, note: "none" });
    expect(await rejection(deadLetters.edit(runId, { n: 5 }))).toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
    expect(await rejection(deadLetters.retry(runId, { by: "ann" }))).toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
    expect(await runsOf("edited")).toHaveLength(2);
  });

  test("is discarded: the run and its outcome stay", async () => {
    const longhaul = await stage.worker([job]);
    const tenant = longhaul.tenant("discarded");
    const runId = await dies(longhaul, "discarded");
    await tenant.deadLetters.discard(runId);
    expect(await tenant.deadLetters.list()).toEqual([]);
    expect(await tenant.result(runId)).toMatchObject({ status: "failed" });
    expect(await rejection(tenant.deadLetters.discard(runId))).toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  });

  test("is dealt with by a retry of the run itself too", async () => {
    const longhaul = await stage.worker([job]);
    const tenant = longhaul.tenant("plainly");
    const runId = await dies(longhaul, "plainly");
    const forked = await tenant.fork(runId);
    await rejection(forked.result());
    expect(await tenant.deadLetters.list()).toHaveLength(2);
    await rejection((await tenant.retry(runId, { by: "ann" })).result());
    expect((await tenant.deadLetters.list()).map((letter) => letter.runId)).not.toContain(runId);
    expect(await rejection(tenant.deadLetters.retry(runId, { by: "ann" }))).toMatchObject({
      code: "DEAD_LETTER_NOT_FOUND",
    });
  });

  test("belongs to its tenant, in every verb", async () => {
    const longhaul = await stage.worker([job]);
    const runId = await dies(longhaul, "mine");
    const { deadLetters } = longhaul.tenant("eve");
    for (const verb of [
      () => deadLetters.retry(runId, { by: "eve" }),
      () => deadLetters.edit(runId, { n: 1 }),
      () => deadLetters.discard(runId),
    ])
      expect(await rejection(verb())).toMatchObject({ code: "RUN_NOT_FOUND" });
    expect(await all(deadLetters.discardAll({}))).toEqual([]);
    expect(await longhaul.tenant("mine").deadLetters.list()).toHaveLength(1);
  });

  test("a retry that is rolled back loses neither the letter nor makes a run", async () => {
    const longhaul = await stage.worker([job]);
    const runId = await dies(longhaul, "crashed");
    const next = "0199f3a0-7c1e-7000-8000-000000000001";
    const cut = stage.db.transaction(async (tx) => {
      expect(await reviveRun(tx, next, runId, [], null, true)).toBe(true);
      throw new Error("the process is gone");
    });
    await rejection(cut);
    expect(await longhaul.tenant("crashed").deadLetters.list()).toHaveLength(1);
    expect(await runsOf("crashed")).toHaveLength(1);
    expect(await reviveRun(stage.db, next, runId, [], null, true)).toBe(true);
    expect(await reviveRun(stage.db, next, runId, [], null, true)).toBe(true);
    expect(await runsOf("crashed")).toHaveLength(2);
    await longhaul.tenant("crashed").wait(next);
  });
});

describe("many letters", () => {
  test("are retried by what they have in common, and what dies again meanwhile is left", async () => {
    const other = agent({
      name: "other",
      run: (ctx) => ctx.step("s", { retry: false }, () => Promise.reject(new TypeError("no"))),
    });
    const longhaul = await stage.worker([job, other]);
    const tenant = longhaul.tenant("many");
    await Promise.all(Array.from({ length: 12 }, (_, n) => dies(longhaul, "many", n)));
    await rejection(tenant.run(other, null));
    const news = await all(tenant.deadLetters.retryAll({ agent: "job" }, { by: "ann" }));
    expect(news.map(({ did }) => did)).toEqual(Array(12).fill("retried"));
    expect(new Set(news.map(({ newRunId }) => newRunId)).size).toBe(12);
    for (const { newRunId } of news) await tenant.wait(newRunId ?? "");
    expect(await tenant.deadLetters.list({ agent: "job" })).toHaveLength(12);
    const some = await all(tenant.deadLetters.discardAll({ code: "RangeError" }, { limit: 5 }));
    expect(some.map(({ did }) => did)).toEqual(Array(5).fill("discarded"));
    expect(await tenant.deadLetters.list()).toHaveLength(8);
    expect(await all(tenant.deadLetters.discardAll({}))).toHaveLength(8);
    expect(await tenant.deadLetters.list()).toEqual([]);
  });
});

test("a paused run is listed with its reason, and a retry releases it", async () => {
  let name = "before";
  const changing = agent({
    name: "changing",
    run: async (ctx) => {
      await ctx.step(name, () => 1);
      await ctx.signal("go");
      return "done";
    },
  });
  const longhaul = await stage.worker([changing], { warmMs: 0 });
  const tenant = longhaul.tenant("paused");
  const handle = await tenant.submit(changing, null);
  await until(async () => (await tenant.get(handle.runId))?.status === "waiting");
  name = "after";
  await tenant.signal(handle.runId, "go");
  await until(async () => (await tenant.get(handle.runId))?.status === "paused");
  expect(await tenant.deadLetters.list()).toMatchObject([
    {
      runId: handle.runId,
      kind: "paused",
      code: "paused",
      agent: "changing",
      message: expect.stringContaining("before"),
      diedAt: null,
    },
  ]);
  expect(await tenant.deadLetters.list({ paused: false })).toEqual([]);
  expect(await rejection(tenant.deadLetters.discard(handle.runId))).toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  expect(await rejection(tenant.deadLetters.edit(handle.runId, 1))).toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  name = "before";
  expect(await tenant.deadLetters.retry(handle.runId, { by: "ann" })).toMatchObject({ runId: handle.runId });
  expect(await handle.result()).toBe("done");
});
