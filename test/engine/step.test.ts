// The verb `step`: one record per step, exact values, and failures that come back as they were.
import { describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent } from "../../src/index.ts";
import { gate, journalOf, rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();

const VALUES: Readonly<Record<string, unknown>> = {
  date: new Date("2026-11-20T12:00:00.123Z"),
  map: new Map<unknown, unknown>([
    [{ deep: [1] }, new Set([1, 2])],
    ["k", undefined],
  ]),
  set: new Set(["a", new Date(0)]),
  bigint: 2n ** 70n,
  nul: "a\u0000b",
  "lone surrogate": "a\ud800b",
  bytes: new Uint8Array([0, 255, 128]),
  undefined: undefined,
  "own $": { $: "Date", v: 1 },
  numbers: [-0, Number.NaN, Number.POSITIVE_INFINITY],
};

test("a step is recorded once, with its key, attempts and time (8)", async () => {
  const once = agent({ name: "once", run: (ctx) => ctx.step("only", () => 42) });
  const longhaul = await stage.worker([once]);
  const handle = await longhaul.submit(once, null);
  expect(await handle.result()).toBe(42);
  const steps = (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === KIND.step);
  expect(steps).toMatchObject([{ key: "only#1", seq: 2 }]);
  expect(JSON.parse(steps[0]?.body ?? "")).toEqual({ n: 1, ms: expect.any(Number), v: 42 });
});

test.each(Object.keys(VALUES))("a value of kind %s is the same on the first run and on replay", async (kind) => {
  const seen: unknown[] = [];
  const hold = gate();
  const giver = agent({
    name: "giver",
    async run(ctx) {
      seen.push(await ctx.step("value", () => VALUES[kind]));
      await ctx.step("hold", () => hold.opened);
      return seen.at(-1);
    },
  });
  const longhaul = await stage.worker([giver]);
  const handle = await longhaul.submit(giver, null);
  await until(() => seen.length === 1);
  await stage.takeOver(handle.runId);
  await until(() => seen.length === 2);
  hold.open();
  expect(await handle.result()).toStrictEqual(VALUES[kind]);
  expect(seen).toStrictEqual([VALUES[kind], VALUES[kind]]);
});

test("what a step gives is a copy, also on the first run: changing what the body kept changes nothing", async () => {
  const kept = { n: 1 };
  const copier = agent({
    name: "copier",
    async run(ctx) {
      const value = await ctx.step("value", () => kept);
      kept.n = 2;
      return { same: value === kept, n: value.n };
    },
  });
  const longhaul = await stage.worker([copier]);
  expect(await longhaul.run(copier, null)).toEqual({ same: false, n: 1 });
});

test("an Error as a value keeps name, message, code and cause", async () => {
  const giver = agent({
    name: "error-value",
    run: (ctx) => ctx.step("e", () => Object.assign(new TypeError("odd", { cause: "why" }), { code: "E_ODD" })),
  });
  const longhaul = await stage.worker([giver]);
  const error = (await longhaul.run(giver, null)) as Error & { code: string };
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toMatchObject({ message: "odd", code: "E_ODD", cause: "why" });
});

test("a result that cannot be recorded fails the step on the first run, and names the place", async () => {
  const bad = agent({
    name: "bad-result",
    run: (ctx) => ctx.step("socket", { retry: false }, () => ({ list: [{ call: () => 1 }] })),
  });
  const longhaul = await stage.worker([bad]);
  const error = await rejection(longhaul.run(bad, null));
  expect(error.code).toBe("RUN_FAILED");
  expect(error.cause).toMatchObject({ code: "VALUE_NOT_SERIALIZABLE" });
  expect(error.message).toContain("list[0].call");
});

test("an output that cannot be recorded fails the run, and the steps stay recorded", async () => {
  const bad = agent({
    name: "bad-output",
    async run(ctx) {
      await ctx.step("fine", () => 1);
      return { when: new WeakMap() };
    },
  });
  const longhaul = await stage.worker([bad]);
  const handle = await longhaul.submit(bad, null);
  expect((await rejection(handle.result())).cause).toMatchObject({ code: "VALUE_NOT_SERIALIZABLE" });
  expect(await longhaul.inspect(handle.runId)).toMatchObject({ status: "failed", steps: [{ key: "fine#1" }] });
});

describe("large values", () => {
  const LARGE = "x".repeat(100_000);

  test("above 64 KiB they lie apart, once per content, and come back on replay", async () => {
    const seen: string[] = [];
    const hold = gate();
    const large = agent({
      name: "large",
      async run(ctx) {
        const first = await ctx.step("one", () => LARGE);
        const second = await ctx.step("two", () => LARGE);
        seen.push(first, second);
        await ctx.step("hold", () => hold.opened);
        return first;
      },
    });
    const longhaul = await stage.worker([large]);
    const handle = await longhaul.submit(large, LARGE);
    await until(() => seen.length === 2);
    await stage.takeOver(handle.runId);
    await until(() => seen.length === 4);
    hold.open();
    expect(await handle.result()).toBe(LARGE);
    expect(new Set(seen)).toEqual(new Set([LARGE]));
    const [{ n }] = (await stage.db.query("select count(*) as n from longhaul.blobs where tenant_id = 'default'")) as [
      { n: number },
    ];
    expect(n).toBe(1);
    expect((await longhaul.inspect(handle.runId))?.input).toBe(LARGE);
    const inline = await stage.db.query("select seq from longhaul.journal where run_id = $1 and length(body) > 65536", [
      handle.runId,
    ]);
    expect(inline).toEqual([]);
  });

  test("64 KiB exactly stay in the row", async () => {
    const edge = agent({ name: "edge", run: (ctx) => ctx.step("e", () => "y".repeat(65_534)) });
    const longhaul = await stage.worker([edge]);
    const handle = await longhaul.submit(edge, null);
    await handle.result();
    const entries = await journalOf(stage.db, handle.runId);
    expect(entries.find((entry) => entry.kind === KIND.step)).toMatchObject({ blob: null });
  });

  test("a large failure is bounded: an error of 50 MB takes at most 64 KiB", async () => {
    const loud = agent({
      name: "loud",
      run: (ctx) =>
        ctx.step("shout", { retry: false }, () => {
          throw new Error("z".repeat(50 * 1024 * 1024));
        }),
    });
    const longhaul = await stage.worker([loud]);
    const handle = await longhaul.submit(loud, null);
    expect((await longhaul.wait(handle.runId)).status).toBe("failed");
    const [row] = await stage.db.query<{ n: number }>(
      "select length(failure) as n from longhaul.outcomes where run_id = $1",
      [handle.runId],
    );
    expect(row?.n).toBeLessThan(65_536);
  });
});

describe("failures", () => {
  test("the last failure of a step comes back on replay as the same error", async () => {
    const seen: unknown[] = [];
    let bodies = 0;
    const hold = gate();
    const failing = agent({
      name: "failing",
      async run(ctx) {
        try {
          await ctx.step("boom", { retry: false }, () => {
            bodies += 1;
            throw Object.assign(new RangeError("out of range"), { code: "E_RANGE" });
          });
        } catch (error) {
          seen.push(error);
        }
        return ctx.step("hold", () => hold.opened.then(() => "caught"));
      },
    });
    const longhaul = await stage.worker([failing]);
    const handle = await longhaul.submit(failing, null);
    await until(() => seen.length === 1);
    await stage.takeOver(handle.runId);
    await until(() => seen.length === 2);
    hold.open();
    expect(await handle.result()).toBe("caught");
    expect(bodies).toBe(1);
    for (const error of seen) {
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({ message: "out of range", code: "E_RANGE" });
    }
    expect((seen[0] as Error).stack).toBe((seen[1] as Error).stack);
  });

  test.each([
    ["null", null, "null was thrown"],
    ["undefined", undefined, "undefined was thrown"],
    ["a string", "oh", "oh"],
    [
      "a hostile proxy",
      new Proxy(
        {},
        {
          get: () => {
            throw new Error("no");
          },
        },
      ),
      expect.any(String),
    ],
  ])("an agent that throws %s fails its run, and nothing else", async (_, thrown, message) => {
    const thrower = agent({
      name: "thrower",
      run: () => {
        throw thrown;
      },
    });
    const echo = agent({ name: "echo", run: (_ctx, input) => input });
    const longhaul = await stage.worker([thrower, echo]);
    const handle = await longhaul.submit(thrower, null);
    expect(await longhaul.wait(handle.runId)).toMatchObject({ status: "failed", failure: { message } });
    expect(await longhaul.run(echo, 1)).toBe(1);
  });

  test("an error of ours ends the run with its code as the reason", async () => {
    const bad = agent({ name: "bad-sleep", run: (ctx) => ctx.sleep("soon") });
    const longhaul = await stage.worker([bad]);
    const handle = await longhaul.submit(bad, null);
    expect(await longhaul.wait(handle.runId)).toMatchObject({ status: "failed", reason: "duration_invalid" });
  });
});
