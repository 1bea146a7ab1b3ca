// The queue's limits through real workers: trees under caps end, children are never refused, nobody's crowd holds up another tenant.
import pg from "pg";
import { describe, expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { gate, rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();
const echo = agent({ name: "echo", run: (_ctx, input) => input });

async function onPlan(
  longhaul: LonghaulProcess,
  tenant: string,
  limits: Parameters<LonghaulProcess["plans"]["set"]>[1],
) {
  await longhaul.plans.set(`plan of ${tenant}`, limits);
  await longhaul.tenants.setPlan(tenant, `plan of ${tenant}`);
  return longhaul.tenant(tenant);
}

/** Counts who is inside a step at the same time. */
class Inside {
  now = 0;
  most = 0;
  async while<T>(work: () => Promise<T>): Promise<T> {
    this.now += 1;
    this.most = Math.max(this.most, this.now);
    try {
      return await work();
    } finally {
      this.now -= 1;
    }
  }
}
const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe("a tree", () => {
  const leaf = agent({ name: "leaf", run: (_ctx, n) => n });
  const branch = agent({
    name: "branch",
    run: async (ctx, n) =>
      (
        await ctx.map(
          "m",
          [0, 1, 2].map((i) => Number(n) * 10 + i),
          leaf,
        )
      ).length,
  });
  const root = agent({ name: "root", run: (ctx) => ctx.map("m", [1, 2, 3], branch) });

  test("under a cap of one ends: who waits for children holds no slot", async () => {
    const longhaul = await stage.worker([leaf, branch, root]);
    const tenant = await onPlan(longhaul, "narrow", 1);
    expect(await tenant.run(root, null)).toEqual([3, 3, 3]);
    expect(await longhaul.tenants.get("narrow")).toMatchObject({ cap: 1, inFlight: 0, unfinished: 0, ready: 0 });
  }, 60_000);

  test("of a tenant that may have one unfinished run finishes: children are never refused", async () => {
    const parent = agent({ name: "parent", run: (ctx) => ctx.map("m", [1, 2, 3, 4, 5], leaf) });
    const longhaul = await stage.worker([leaf, parent]);
    const tenant = await onPlan(longhaul, "single", { unfinishedMax: 1, submitsPerMinute: 2 });
    const handle = await tenant.submit(parent, null);
    expect(await rejection(tenant.submit(parent, null))).toMatchObject({
      code: "TENANT_FULL",
      status: 429,
      retryable: true,
      details: { retryAfterMs: 5_000 },
    });
    expect(await handle.result()).toEqual([1, 2, 3, 4, 5]);
    expect(await tenant.run(parent, null)).toEqual([1, 2, 3, 4, 5]);
    expect(await rejection(tenant.submit(parent, null))).toMatchObject({ code: "SUBMIT_RATE", status: 429 });
  });

  test("of two hundred children waits behind its tenant's cap, while another tenant's run starts at once", async () => {
    const hold = gate();
    const inside = new Inside();
    const slow = agent({ name: "slow", run: (ctx) => ctx.step("s", () => inside.while(() => hold.opened)) });
    const parent = agent({
      name: "parent",
      run: (ctx) =>
        ctx.map(
          "m",
          Array.from({ length: 200 }, (_, i) => i),
          slow,
        ),
    });
    const longhaul = await stage.worker([slow, parent, echo], { slots: 50 });
    const crowd = await onPlan(longhaul, "crowd of children", 4);
    const handle = await crowd.submit(parent, null);
    await until(async () => inside.now === 4 && (await longhaul.tenants.get("crowd of children"))?.ready === 196);
    expect(await longhaul.tenant("another").run(echo, "quick")).toBe("quick");
    expect(inside.now).toBe(4);
    hold.open();
    expect(await handle.result()).toHaveLength(200);
    expect(inside.most).toBe(4);
  }, 60_000);
});

describe("an agent's own limits hold over all workers", () => {
  test("in all, and for each key of a tenant", async () => {
    const all = new Inside();
    const perKey = new Map<string, Inside>();
    const limited = agent({
      name: "limited",
      concurrency: { limit: 4, perKey: 2 },
      run: (ctx, key) =>
        ctx.step("s", () => {
          const name = `${ctx.tenant} ${String(key)}`;
          const own = perKey.get(name) ?? new Inside();
          perKey.set(name, own);
          return all.while(() => own.while(moment));
        }),
    });
    const workers = [await stage.worker([limited]), await stage.worker([limited]), await stage.worker([limited])];
    const handles = await Promise.all(
      Array.from({ length: 60 }, (_, i) => {
        const key = `k${i % 3}`;
        return workers[i % 3]?.tenant(`t${i % 2}`).submit(limited, key, { concurrencyKey: key });
      }),
    );
    for (const handle of handles) await handle?.result();
    expect([all.most <= 4, [...perKey.values()].every(({ most }) => most <= 2), perKey.size]).toEqual([true, true, 6]);
  }, 60_000);

  test("of one key without a limit of the agent, one at a time, in their order", async () => {
    const order: unknown[] = [];
    const inside = new Inside();
    const keyed = agent({
      name: "keyed",
      run: (ctx, n) => ctx.step("s", () => inside.while(() => moment().then(() => void order.push(n)))),
    });
    const longhaul = await stage.worker([keyed]);
    const answers = await longhaul.submitMany(
      Array.from({ length: 12 }, (_, input) => ({ agent: keyed, input, concurrencyKey: "one" })),
    );
    for (const answer of answers) if ("run" in answer) await answer.run.result();
    expect([inside.most, order]).toEqual([1, Array.from({ length: 12 }, (_, i) => i)]);
  });

  test("a band of an agent comes before another, and a plan has the last word", async () => {
    const order: string[] = [];
    const make = (name: string, band?: "interactive" | "background") =>
      agent({
        name,
        ...(band && { band }),
        run: (ctx) => ctx.step("s", () => void order.push(`${name} ${ctx.tenant}`)),
      });
    const [quick, plain, late] = [make("quick", "interactive"), make("plain"), make("late", "background")];
    const client = await stage.client([quick, plain, late]);
    const demoted = await onPlan(client, "demoted", { band: "background" });
    const usual = client.tenant("usual");
    const handles = [await usual.submit(late, 1), await usual.submit(plain, 1), await demoted.submit(quick, 1)];
    handles.push(await usual.submit(quick, 1));
    await stage.worker([quick, plain, late], { slots: 1 });
    for (const handle of handles) await handle.result();
    expect(order.slice(0, 2)).toEqual(["quick usual", "plain usual"]);
    expect(order.slice(2).toSorted()).toEqual(["late usual", "quick demoted"]);
  });

  test("a queue that may fill only some of a worker's slots leaves the others free", async () => {
    const hold = gate();
    const inside = new Inside();
    const heavy = agent({
      name: "heavy",
      queue: "heavy",
      run: (ctx) => ctx.step("s", () => inside.while(() => hold.opened)),
    });
    const longhaul = await stage.worker([heavy, echo], { slots: 10, queues: ["heavy:2", "default"] });
    const handles = await Promise.all(Array.from({ length: 8 }, () => longhaul.submit(heavy, null)));
    await until(() => inside.now === 2);
    expect(await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => longhaul.run(echo, n)))).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8,
    ]);
    expect(inside.now).toBe(2);
    hold.open();
    for (const handle of handles) await handle.result();
    expect(inside.most).toBe(2);
  });
});

describe("a submit in the caller's own transaction", () => {
  test("takes its concurrency key and its time to start with it", async () => {
    const inside = new Inside();
    const keyed = agent({ name: "keyed", run: (ctx) => ctx.step("s", () => inside.while(moment)) });
    const client = await stage.client([keyed]);
    const own = new pg.Client({ connectionString: stage.url });
    await own.connect();
    await own.query("begin");
    const handles = [];
    for (let i = 0; i < 4; i++) handles.push(await client.submit(keyed, i, { tx: own, concurrencyKey: "k" }));
    const late = await client.submit(keyed, 5, { tx: own, delay: "1 hour", startWithin: "1 minute" });
    await own.query("commit");
    await own.end();
    await stage.worker([keyed]);
    for (const handle of handles) await handle.result();
    expect(inside.most).toBe(1);
    // It has a minute from when it may start.
    const { details } = await client.why(late.runId);
    const leftMs = Date.parse(String(details["startBy"])) - Date.now();
    expect([leftMs > 55 * 60_000, leftMs < 61.5 * 60_000]).toEqual([true, true]);
    await late.cancel();
    const stored = await stage.db.query("select concurrency_key from longhaul.runs where run_id = $1", [
      handles[0]?.runId,
    ]);
    expect(stored).toEqual([{ concurrency_key: "k" }]);
  });
});

describe("time", () => {
  test("a start in the past is now, also for what may take its time from then on", async () => {
    const longhaul = await stage.worker([echo]);
    for (const runAt of [new Date(0), new Date(-8.64e15), new Date(Date.now() - 3_600_000)]) {
      const handle = await longhaul.submit(echo, 1, { runAt, startWithin: "1 minute" });
      expect(await handle.result()).toBe(1);
    }
  });

  test.each([
    ["in ten thousand years", new Date(Date.now() + 10_000 * 365.25 * 86_400_000)],
    ["at the end of time", new Date(8.64e15)],
    ["at no time", new Date(Number.NaN)],
    ["as a text", "2030-01-01" as unknown as Date],
    ["as a number", 1e12 as unknown as Date],
  ])("a start %s is refused", async (_, runAt) => {
    const longhaul = await stage.client([echo]);
    expect(await rejection(longhaul.submit(echo, 1, { runAt }))).toMatchObject({ code: "RUN_AT_INVALID", status: 400 });
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, "soon", "11 years", "-5 s"])(
    "%s is no time to start in, and no delay",
    async (length) => {
      const longhaul = await stage.client([echo]);
      for (const options of [{ startWithin: length }, { delay: length }])
        expect(await rejection(longhaul.submit(echo, 1, options))).toMatchObject({ code: "DURATION_INVALID" });
    },
  );

  test("a run that nobody starts in time ends as expired", async () => {
    const longhaul = await stage.worker([echo]);
    await longhaul.plans.set("halted", 0);
    await longhaul.tenants.setPlan("late", "halted");
    const handle = await longhaul.tenant("late").submit(echo, 1, { startWithin: 20 });
    expect(await rejection(handle.result())).toMatchObject({ code: "RUN_CANCELLED" });
    expect(await longhaul.tenant("late").get(handle.runId)).toMatchObject({ status: "cancelled", reason: "expired" });
    expect(await longhaul.tenant("late").deadLetters.list()).toEqual([]);
  });
});

describe("what cannot be asked for", () => {
  test.each([-1, 32_768, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "0", null])("the priority %s", async (priority) => {
    const longhaul = await stage.client([echo]);
    const options = { priority: priority as number };
    const asked = longhaul.submit(echo, 1, options);
    if (priority === null) return expect(await asked).toMatchObject({ existing: false });
    expect(await rejection(asked)).toMatchObject({ code: "PRIORITY_INVALID", status: 422 });
  });

  test.each([
    [{ concurrency: -1 }],
    [{ concurrency: 1.5 }],
    [{ concurrency: Number.NaN }],
    [{ concurrency: 2 ** 31 }],
    [{ concurrency: { limit: -1 } }],
    [{ concurrency: { perKey: Number.POSITIVE_INFINITY } }],
    [{ band: "first" as "normal" }],
  ])("an agent with %o", (limits) => {
    expect(() => agent({ name: "odd", run: () => 1, ...limits })).toThrowError(
      expect.objectContaining({ code: "AGENT_INVALID" }),
    );
  });

  test("an agent's concurrency of none starts nothing, and why says so", async () => {
    const none = agent({ name: "none", concurrency: 0, run: () => 1 });
    const longhaul = await stage.worker([none]);
    const handle = await longhaul.submit(none, 1);
    await until(async () => (await longhaul.why(handle.runId)).code === "agent_limit");
    expect((await longhaul.why(handle.runId)).sentence).toContain(
      "(0 of 0 runs of all tenants in flight); none may start.",
    );
    await handle.cancel();
  });
});

test("a queue that nobody serves takes runs, and is told of with the age of the oldest", async () => {
  const { examineQueue } = await import("../../src/cli/examine-queue.ts");
  const longhaul = await stage.worker([echo]);
  const handle = await longhaul.submit(echo, 1, { queue: "nowhere" });
  expect(await longhaul.why(handle.runId)).toMatchObject({
    code: "no_worker",
    sentence: expect.stringMatching(/on queue "nowhere", and it has waited for .+; start one\.$/),
  });
  const { unserved } = await examineQueue(stage.db, undefined);
  expect(unserved.filter(({ queue }) => queue === "nowhere")).toEqual([
    { queue: "nowhere", build: stage.build, waiting: 1, oldestMs: expect.any(Number) },
  ]);
  await stage.worker([echo], { queues: ["nowhere"] });
  expect(await handle.result()).toBe(1);
  expect(await examineQueue(stage.db, 0)).toMatchObject({ full: true, unfinishedMax: 0 });
});

test("a plan that is deleted while its runs are queued lets them start", async () => {
  const longhaul = await stage.worker([echo], { tickMs: 600_000 });
  const tenant = await onPlan(longhaul, "left", { concurrency: 0, band: "background" });
  const handles = await Promise.all([1, 2, 3].map((n) => tenant.submit(echo, n)));
  await until(async () => (await longhaul.tenants.get("left"))?.ready === 3);
  expect(await longhaul.plans.delete("plan of left")).toMatchObject({ tenants: 1 });
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([1, 2, 3]);
});
