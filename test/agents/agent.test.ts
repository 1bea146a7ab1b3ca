// How an agent is declared, and the small things its ctx gives.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { KIND } from "../../src/domain/entry.ts";
import { agent, connect } from "../../src/index.ts";
import { gate, journalOf, rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();

describe("a declaration", () => {
  test.each([
    ["no name", { name: "" }, "KEY_INVALID"],
    ["a name with a slash", { name: "a/b" }, "KEY_INVALID"],
    ["a name that is too long", { name: "a".repeat(101) }, "KEY_INVALID"],
    ["run that is no function", { name: "a", run: "code" }, "AGENT_INVALID"],
    ["a limit of nothing", { name: "a", limits: { children: 0 } }, "AGENT_INVALID"],
    ["a limit that is no number", { name: "a", limits: { depth: "deep" } }, "AGENT_INVALID"],
  ])("with %s is refused where it is written", (_, wrong, code) => {
    expect(() => agent({ run: () => 1, ...wrong } as never)).toThrow(expect.objectContaining({ code }));
  });

  test("cannot be changed afterwards", () => {
    expect(Object.isFrozen(agent({ name: "a", run: () => 1 }))).toBe(true);
  });

  test("of two agents with one name is refused when they are opened together", async () => {
    const agents = [agent({ name: "same", run: () => 1 }), agent({ name: "same", run: () => 2 })];
    await expect(connect({ url: stage.url, agents, migrate: false })).rejects.toMatchObject({ code: "AGENT_INVALID" });
  });
});

describe("the input", () => {
  const strict = agent({
    name: "strict",
    input: z.object({
      n: z.number().int(),
      list: z.array(z.object({ name: z.string() })).default([]),
      at: z
        .string()
        .transform((text) => new Date(text))
        .optional(),
    }),
    run: (_ctx, input) => input,
  });

  test("is what the schema makes of it: defaults and transforms included", async () => {
    const longhaul = await stage.worker([strict]);
    expect(await longhaul.run(strict, { n: 1, at: "2026-01-01T00:00:00Z" })).toEqual({
      n: 1,
      list: [],
      at: new Date("2026-01-01T00:00:00Z"),
    });
  });

  test("that the schema refuses is refused before anything is stored, with the path of every issue (INPUT_INVALID)", async () => {
    const longhaul = await stage.worker([strict]);
    const error = await rejection(longhaul.submit(strict, { n: 1.5, list: [{ name: "ok" }, { name: 7 }] } as never));
    expect(error).toMatchObject({ code: "INPUT_INVALID", status: 422 });
    expect((error.details as { issues: { path: string }[] }).issues.map((issue) => issue.path)).toEqual([
      "$.n",
      "$.list[1].name",
    ]);
    expect(await longhaul.list({ agent: "strict", limit: 1 })).toEqual(
      await longhaul.list({ agent: "strict", status: "succeeded", limit: 1 }),
    );
  });

  test("is any plain value without a schema, and is kept exactly", async () => {
    const echo = agent({ name: "echo", run: (_ctx, input) => input });
    const longhaul = await stage.worker([echo]);
    const input = { when: new Date(0), big: 1n, map: new Map([["k", new Set([1])]]), nothing: undefined };
    expect(await longhaul.run(echo, input)).toStrictEqual(input);
  });

  test("that cannot be recorded is refused at the submit, and names the place", async () => {
    const echo = agent({ name: "echo", run: (_ctx, input) => input });
    const longhaul = await stage.worker([echo]);
    await expect(longhaul.submit(echo, { f: () => 1 })).rejects.toMatchObject({
      code: "VALUE_NOT_SERIALIZABLE",
      message: expect.stringContaining("$.f"),
    });
  });
});

test("ctx says whose run this is", async () => {
  const who = agent({
    name: "who",
    run: (ctx) => ({
      runId: ctx.runId,
      threadId: ctx.threadId,
      tenant: ctx.tenant,
      agent: ctx.agent,
      metadata: ctx.metadata,
      aborted: ctx.abort.aborted,
    }),
  });
  const longhaul = await stage.worker([who]);
  const threadId = crypto.randomUUID();
  const handle = await longhaul.tenant("acme").submit(who, null, { threadId, metadata: { source: "test" } });
  expect(await handle.result()).toEqual({
    runId: handle.runId,
    threadId,
    tenant: "acme",
    agent: "who",
    metadata: { source: "test" },
    aborted: false,
  });
});

test("ctx.now is the database's time and goes forward, ctx.uuid gives different ones, ctx.random lies between 0 and 1", async () => {
  const values = agent({
    name: "values",
    async run(ctx) {
      const first = ctx.now();
      await ctx.sleep(20);
      return { first, second: ctx.now(), ids: [ctx.uuid(), ctx.uuid()], random: ctx.random() };
    },
  });
  const longhaul = await stage.worker([values]);
  const { first, second, ids, random } = (await longhaul.run(values, null)) as {
    first: number;
    second: number;
    ids: string[];
    random: number;
  };
  expect(second - first).toBeGreaterThanOrEqual(20);
  const [row] = await stage.db.query<{ now: Date }>("select clock_timestamp() as now");
  expect(Math.abs((row?.now.getTime() ?? 0) - second)).toBeLessThan(60_000);
  expect(ids[0]).not.toBe(ids[1]);
  expect(random).toBeGreaterThanOrEqual(0);
  expect(random).toBeLessThan(1);
});

test("a line that is logged during a replay is not written again", async () => {
  const lines: string[] = [];
  const hold = gate();
  let starts = 0;
  const talker = agent({
    name: "talker",
    async run(ctx) {
      starts += 1;
      await ctx.step("a", () => 1);
      ctx.log.info("after a", { n: 1 });
      await ctx.step("b", () => 2);
      ctx.log.warn("after b");
      await ctx.step("hold", () => hold.opened);
    },
  });
  const log = (level: string, message: string, fields?: Record<string, unknown>): void => {
    if (message.startsWith("after")) lines.push(`${level} ${message} ${fields?.["agent"]}`);
  };
  const longhaul = await stage.worker([talker], {}, { log });
  const handle = await longhaul.submit(talker, null);
  await until(() => lines.length === 2);
  await stage.takeOver(handle.runId);
  await until(() => starts === 2);
  hold.open();
  await handle.result();
  expect(lines.slice(0, 2)).toEqual(["info after a talker", "warn after b talker"]);
  // The line after the last recorded step is on the edge: it may come once more, never the ones before it.
  expect(lines.filter((line) => line.includes("after a"))).toHaveLength(1);
});

test("ctx.cpu runs an exported function on another thread, and records it like a step", async () => {
  const module = new URL("cpu-work.mjs", import.meta.url);
  const computer = agent({
    name: "computer",
    run: async (ctx) => [
      await ctx.cpu("sum", module, [1, 2, 3]),
      await ctx.cpu("where", module, null, { export: "thread" }),
    ],
  });
  const longhaul = await stage.worker([computer]);
  const handle = await longhaul.submit(computer, null);
  const [sum, thread] = (await handle.result()) as [number, number];
  expect(sum).toBe(6);
  expect(thread).toBeGreaterThan(0);
  const steps = (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === KIND.step);
  expect(steps.map((entry) => entry.key)).toEqual(["sum#1", "where#1"]);
});

test("an error on the other thread fails the step", async () => {
  const module = new URL("cpu-work.mjs", import.meta.url);
  const computer = agent({
    name: "computer",
    run: (ctx) => ctx.cpu("broken", module, null, { export: "broken", retry: false }),
  });
  const longhaul = await stage.worker([computer]);
  expect((await rejection(longhaul.run(computer, null))).message).toContain("the thread says no");
});
