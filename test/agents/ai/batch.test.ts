// ctx.batch: small tasks of many runs go out as one request, and come back one by one, to the run that asked.
import { expect, test } from "vitest";
import { z } from "zod";
import { batcher, modelBatcher } from "../../../src/ai.ts";
import { agent, type Ctx } from "../../../src/index.ts";
import { journalOf, until } from "../../support/longhaul.ts";
import { stepsOf, useAiStage } from "./stage.ts";

const stage = useAiStage();

interface Asked {
  readonly id: number;
  readonly input: string;
}

/** What a model does that keeps to the frame: `answer` gives an output, or undefined for none. */
function answering(answer: (input: string, together: number) => unknown): void {
  stage.fake.script = ({ lastUserText }) => {
    const { items } = JSON.parse(lastUserText) as { items: Asked[] };
    const results = items.flatMap(({ id, input }) => {
      const output = answer(input, items.length);
      return output === undefined ? [] : [{ id, output }];
    });
    return { json: { results } };
  };
}

const label = (input: string): string => (input.includes("refund") ? "billing" : "other");

function classifier(name: string, sizes: { maxItems?: number; maxDelayMs?: number } = {}) {
  const classify = modelBatcher({
    name,
    model: "smart",
    instructions: "Say what the text is about.",
    maxOutputTokens: 50,
    schema: z.object({ label: z.enum(["billing", "other"]) }),
    ...sizes,
  });
  return agent({
    name,
    batchers: [classify],
    input: z.string(),
    budget: { usd: 1 },
    run: async (ctx, text) => (await ctx.batch(classify, text, { feature: "triage" })).label,
  });
}

interface CallRow {
  run_id: string;
  state: string;
  source: string;
  feature: string;
  nano_usd: string;
  input_tokens: string;
  output_tokens: string;
}

const callsOf = (runIds: readonly string[]): Promise<CallRow[]> =>
  stage.db.query<CallRow>("select * from longhaul.calls where run_id = any($1::uuid[])", [runIds]);

const texts = (count: number): string[] => Array.from({ length: count }, (_, n) => (n % 2 ? `refund ${n}` : `hi ${n}`));

test("items of many runs in two processes are one request, its charge is divided, the sum exact", async () => {
  answering((input) => ({ label: label(input) }));
  const program = classifier("triage", { maxItems: 50, maxDelayMs: 400 });
  const one = await stage.aiWorker([program], { slots: 6 });
  const two = await stage.aiWorker([program], { slots: 6 });
  const asked = texts(10);
  const handles = await Promise.all(asked.map((text) => one.submit(program, text)));
  const outputs = await Promise.all(handles.map((handle) => handle.result()));
  expect(outputs).toEqual(asked.map(label));
  expect(stage.fake.calls).toHaveLength(1);
  const rows = await callsOf(handles.map(({ runId }) => runId));
  expect(rows).toHaveLength(10);
  expect(
    rows.every(({ state, source, feature }) => state === "succeeded" && source === "batch" && feature === "triage"),
  ).toBe(true);
  const [whole] = await stage.db.query<{
    nano_usd: string;
    input_tokens: string;
    output_tokens: string;
    items: number;
  }>("select * from longhaul.batches where batcher = $1", [`${stage.build}/triage`]);
  expect(whole?.items).toBe(10);
  for (const figure of ["nano_usd", "input_tokens", "output_tokens"] as const)
    expect(rows.reduce((sum, row) => sum + BigInt(row[figure]), 0n)).toBe(BigInt(whole?.[figure] ?? 0));
  const usage = stage.fake.calls[0]?.usage;
  expect(Number(whole?.input_tokens)).toBe(usage?.inputTokens);
  await Promise.all([one.close(), two.close()]);
});

test("a full batch does not wait for its time", async () => {
  answering((input) => ({ label: label(input) }));
  const program = classifier("full", { maxItems: 4, maxDelayMs: 60_000 });
  const longhaul = await stage.aiWorker([program]);
  const outputs = await Promise.all(texts(8).map((text) => longhaul.run(program, text)));
  expect(outputs).toEqual(texts(8).map(label));
  expect(stage.fake.calls).toHaveLength(2);
});

test("tenants are never in one request", async () => {
  answering((input) => ({ label: label(input) }));
  const program = classifier("tenants", { maxItems: 50, maxDelayMs: 200 });
  const longhaul = await stage.aiWorker([program]);
  const names = ["ann", "bob", "cyd"];
  await Promise.all(
    names.flatMap((name) => texts(4).map((text) => longhaul.tenant(name).run(program, `${name}: ${text}`))),
  );
  expect(stage.fake.calls).toHaveLength(3);
  for (const { body } of stage.fake.calls) {
    const text = JSON.stringify(body);
    expect(names.filter((name) => text.includes(`${name}: `))).toHaveLength(1);
  }
});

test("an item that is missing, wrong or told twice is asked again alone, and its neighbours are not", async () => {
  const seen: string[][] = [];
  stage.fake.script = ({ lastUserText }) => {
    const { items } = JSON.parse(lastUserText) as { items: Asked[] };
    seen.push(items.map(({ input }) => input));
    const results = items.flatMap(({ id, input }) => {
      const good = { id, output: { label: label(input) } };
      if (items.length === 1 && input !== "hopeless") return [good];
      if (input === "missing") return [];
      if (input === "wrong" || input === "hopeless") return [{ id, output: { label: "nonsense" } }];
      return input === "twice" ? [good, good] : [good];
    });
    return { json: { results } };
  };
  const program = classifier("odd", { maxItems: 5, maxDelayMs: 5_000 });
  const longhaul = await stage.aiWorker([program]);
  const asked = ["refund", "missing", "wrong", "twice", "hopeless"];
  const outputs = await Promise.allSettled(asked.map((text) => longhaul.run(program, text)));
  expect(outputs.slice(0, 4).map((output) => (output as { value?: unknown }).value)).toEqual([
    ...["billing", "other", "other", "other"],
  ]);
  expect(outputs[4]).toMatchObject({ status: "rejected" });
  expect(String((outputs[4] as { reason: Error }).reason)).toContain("cannot be used for this item: $.label");
  expect(seen.filter(({ length }) => length === 5)).toHaveLength(1);
  expect(seen.flat().filter((text) => text === "refund")).toHaveLength(1);
  expect(
    seen
      .filter(({ length }) => length === 1)
      .flat()
      .sort(),
  ).toEqual(["hopeless", "missing", "twice", "wrong"]);
});

test("an answer that is no JSON is asked for again, item by item", async () => {
  stage.fake.script = ({ lastUserText }) => {
    const { items } = JSON.parse(lastUserText) as { items: Asked[] };
    if (items.length > 1) return { text: "Sure! Here you go." };
    return { json: { results: [{ id: 1, output: { label: label(items[0]?.input ?? "") } }] } };
  };
  const program = classifier("prose", { maxItems: 3, maxDelayMs: 5_000 });
  const longhaul = await stage.aiWorker([program]);
  expect(await Promise.all(texts(3).map((text) => longhaul.run(program, text)))).toEqual(texts(3).map(label));
  expect(stage.fake.calls).toHaveLength(4);
});

test("a run whose item takes long sleeps as a row, and is woken by the answer", async () => {
  answering((input) => ({ label: label(input) }));
  stage.fake.behave({ latencyMs: 1_500 });
  const program = classifier("slow", { maxItems: 2, maxDelayMs: 100 });
  const gateway = { ...stage.gateway, hold: "200 ms" };
  const longhaul = await stage.worker([program], { warmMs: 0 }, { gateway });
  const handles = await Promise.all(texts(2).map((text) => longhaul.submit(program, text)));
  await until(async () => (await longhaul.get(handles[0]?.runId ?? ""))?.status === "waiting");
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(texts(2).map(label));
  expect(stage.fake.calls).toHaveLength(1);
  const rows = await callsOf(handles.map(({ runId }) => runId));
  expect(rows.map(({ state }) => state)).toEqual(["succeeded", "succeeded"]);
  expect(await stepsOf(stage, handles[0]?.runId ?? "")).toHaveLength(1);
});

test("a replay gives the recorded answer, and asks nobody", async () => {
  answering((input) => ({ label: label(input) }));
  const program = classifier("again", { maxDelayMs: 20 });
  const seen: string[] = [];
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const holding = agent({
    name: "holding",
    batchers: program.batchers,
    async run(ctx: Ctx) {
      const { label: found } = await ctx.batch<{ label: string }>("again", "refund me");
      seen.push(found);
      await ctx.step("hold", () => held);
      return found;
    },
  });
  const longhaul = await stage.aiWorker([holding]);
  const handle = await longhaul.submit(holding, null);
  await until(() => seen.length === 1);
  await stage.takeOver(handle.runId);
  await until(() => seen.length === 2);
  release();
  expect(await handle.result()).toBe("billing");
  expect(stage.fake.calls).toHaveLength(1);
});

test("a budget without room refuses the item alone", async () => {
  answering((input) => ({ label: label(input) }));
  const [{ batchers }] = [classifier("dear", { maxDelayMs: 50 })];
  const run = async (ctx: Ctx, text: string) => (await ctx.batch<{ label: string }>("dear", text)).label;
  const poor = agent({ name: "poor", input: z.string(), batchers, budget: { outputTokens: 10 }, run });
  const rich = agent({ name: "rich", input: z.string(), batchers, run });
  const longhaul = await stage.aiWorker([poor, rich]);
  const [refused, given] = await Promise.allSettled([longhaul.run(poor, "hi"), longhaul.run(rich, "refund")]);
  expect(refused).toMatchObject({ status: "rejected" });
  expect(given).toMatchObject({ value: "billing" });
  expect(stage.fake.calls).toHaveLength(1);
});

test("a request that the provider refuses because of one item is asked item by item", async () => {
  stage.fake.script = ({ lastUserText }) => {
    const { items } = JSON.parse(lastUserText) as { items: Asked[] };
    if (items.some(({ input }) => input === "poison")) return { fault: "bad_request" };
    return { json: { results: items.map(({ id, input }) => ({ id, output: { label: label(input) } })) } };
  };
  const program = classifier("poison", { maxItems: 3, maxDelayMs: 5_000 });
  const longhaul = await stage.aiWorker([program]);
  const outputs = await Promise.allSettled(["refund", "poison", "hi"].map((text) => longhaul.run(program, text)));
  expect(outputs.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

test("functions are batched too: an error in the place of an output fails that item alone", async () => {
  const sizes: number[] = [];
  const square = batcher<number, number>({
    name: "square",
    maxItems: 4,
    maxDelayMs: 5_000,
    run(items) {
      sizes.push(items.length);
      return items.map((n) => (n === 3 ? new Error("three is not to be squared") : n * n));
    },
  });
  const program = agent({
    name: "squares",
    batchers: [square],
    run: (ctx) => Promise.all([1, 2, 3, 4].map((n) => ctx.batch(square, n).catch((error: Error) => error.message))),
  });
  const longhaul = await stage.aiWorker([program]);
  const handle = await longhaul.submit(program, null);
  expect(await handle.result()).toEqual([1, 4, "three is not to be squared", 16]);
  expect(sizes).toEqual([4]);
  const entries = await journalOf(stage.db, handle.runId);
  expect(entries.filter(({ key }) => key?.startsWith("batch square@") === true)).toHaveLength(4);
});

test("bad input is refused in words", async () => {
  const invalid = expect.objectContaining({ code: "BATCHER_INVALID" });
  const thrown = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      return error;
    }
  };
  const make = (more: object = {}) => batcher({ name: "b", run: () => [], ...more });
  for (const more of [{ maxItems: 0 }, { maxItems: 1.5 }, { maxDelayMs: -1 }, { name: "" }, { run: null }])
    expect(thrown(() => make(more))).toEqual(invalid);
  const unnamed = { name: "m", model: "", instructions: "x", schema: z.string() };
  expect(thrown(() => modelBatcher(unnamed))).toEqual(invalid);
  const [a, b] = [make(), make()];
  expect(thrown(() => agent({ name: "two", batchers: [a, b], run: () => 1 }))).toEqual(invalid);
  expect(thrown(() => agent({ name: "none", batchers: [{}] as never, run: () => 1 }))).toEqual(invalid);
  const listing = [a, b].map((one, n) => agent({ name: `a${n}`, batchers: [one], run: () => 1 }));
  await expect(stage.aiWorker(listing)).rejects.toEqual(invalid);
  const asks = (name: string, item: unknown) => async (ctx: Ctx) =>
    ctx.batch(name, item).catch((error: { code: string }) => error.code);
  const program = agent({
    name: "asks",
    batchers: [a],
    run: (ctx) =>
      Promise.all(
        [asks("nobody", 1), asks("b", () => 1), asks("b", "x".repeat(100_000)), asks("b", 1)].map((ask) => ask(ctx)),
      ),
  });
  const longhaul = await stage.aiWorker([program]);
  expect(await longhaul.run(program, null)).toEqual([
    ...["BATCHER_UNKNOWN", "BATCH_ITEM_INVALID", "BATCH_ITEM_INVALID", "BATCH_ANSWER_INVALID"],
  ]);
});
