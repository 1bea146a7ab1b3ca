// Whatever goes wrong with a model call leaves with a code and what to do, recorded once; nothing that was paid is paid again.
import * as ai from "ai";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent, type Ctx } from "../../../src/index.ts";
import type { Fault } from "../../support/fake-provider/fault.ts";
import { rejection, until } from "../../support/longhaul.ts";
import { twice, useAiStage } from "./stage.ts";

const stage = useAiStage();
const ask = (ctx: Ctx, model = "smart") => ai.generateText({ model: ctx.model(model), prompt: "go", ...ctx.ai });

describe("the error of the run names", () => {
  test.each<[string, string, Fault | null]>([
    ["a model that is not there", "MODEL_UNKNOWN", null],
    ["a key that is refused", "MODEL_KEY_REJECTED", { kind: "auth" }],
    ["too long a conversation", "MODEL_CONTEXT_TOO_LONG", { kind: "context_length" }],
    ["a content filter", "MODEL_CONTENT_FILTERED", { kind: "content_refused" }],
    ["a bad request", "MODEL_REQUEST_REFUSED", { kind: "bad_request" }],
  ])("%s", async (what, code, fault) => {
    if (fault !== null) stage.fake.behave({ reply: { fault } });
    const refused = agent({
      name: `refused-${what.replaceAll(/\W/g, "-")}`,
      run: (ctx) => ask(ctx, fault === null ? "openia/gpt-5-mini" : "smart"),
    });
    const longhaul = await stage.aiWorker([refused]);
    const run = await longhaul.submit(refused, null);
    const error = await rejection(run.result());
    expect([error.code, (error.cause as { code: string }).code]).toEqual(["RUN_FAILED", code]);
    expect((await longhaul.get(run.runId))?.reason).toBe(code.toLowerCase());
    expect(stage.fake.calls.length).toBeLessThanOrEqual(1);
  });
});

describe("before anything is sent", () => {
  const openai = { api: "chat", baseUrl: "http://127.0.0.1:9" } as const;
  const limited = { "*": { tpm: 100 } };

  test.each<[string, string, { budget?: object; provider?: object; prompt?: string }]>([
    ["no key", "PROVIDER_KEY_MISSING", { provider: { ...openai, apiKeyEnv: "LONGHAUL_TEST_NO_SUCH_KEY" } }],
    ["a budget of 0 dollars", "BUDGET_EXCEEDED", { budget: { usd: 0 } }],
    ["a budget of 0 tokens", "BUDGET_EXCEEDED", { budget: { outputTokens: 0 } }],
    [
      "more than a limit ever has",
      "QUOTA_IMPOSSIBLE",
      { provider: { ...openai, apiKey: "k", limits: limited }, prompt: "word ".repeat(2_000) },
    ],
  ])(
    "%s ends the run with its code, and keeps what was done",
    async (what, code, { budget, provider, prompt = "go" }) => {
      let bodies = 0;
      const refused = agent({
        name: `unsent-${what.replaceAll(/\W/g, "-")}`,
        ...(budget === undefined ? {} : { budget }),
        run: async (ctx) => {
          await ctx.step("before", () => {
            bodies += 1;
          });
          ctx.partial("half of it");
          return (await ai.generateText({ model: ctx.model("smart"), prompt, ...ctx.ai })).text;
        },
      });
      const gateway = provider === undefined ? stage.gateway : { ...stage.gateway, providers: { openai: provider } };
      const longhaul = await stage.worker([refused], {}, { gateway });
      const run = await longhaul.submit(refused, null);
      expect((await rejection(run.result())).cause).toMatchObject({ code });
      expect(await longhaul.result(run.runId)).toMatchObject({ status: "failed", partial: "half of it" });
      expect((await longhaul.get(run.runId))?.reason).toBe(code.toLowerCase());
      expect((await longhaul.inspect(run.runId))?.steps[0]).toMatchObject({ key: "before#1" });
      expect(bodies).toBe(1);
      expect(stage.fake.calls).toHaveLength(0);
    },
  );
});

test("a tool's output of 50 MB, arguments that are no JSON and an invented tool are told to the model, each recorded once", async () => {
  stage.fake.behave({
    reply: {
      turns: [
        { toolCalls: [{ id: "big", name: "dump", arguments: {} }] },
        { toolCalls: [{ id: "bad", name: "dump", arguments: "{" }] },
        { toolCalls: [{ id: "new", name: "conjure", arguments: {} }] },
        { text: "done" },
      ],
    },
  });
  let bodies = 0;
  const { seen } = await twice(stage, "nonsense", async (ctx) => {
    const dump = ai.tool({
      inputSchema: z.object({}),
      execute: () => {
        bodies += 1;
        return "x".repeat(50_000_000);
      },
    });
    const tools = ctx.tools({ dump });
    const result = await ai.generateText({
      model: ctx.model("smart"),
      prompt: "go",
      tools,
      stopWhen: ai.stepCountIs(9),
      ...ctx.ai,
    });
    return result.text;
  });
  expect(seen).toEqual(["done", "done"]);
  expect(bodies).toBe(1);
  expect(stage.fake.calls).toHaveLength(4);
  const told = JSON.stringify(stage.fake.calls.at(-1)?.body);
  expect(told).toMatch(/Tool dump gave more than 4194304 bytes/);
  expect(told).toMatch(/conjure/);
  expect(told.length).toBeLessThan(10_000);
});

test("a loop of 10,000 tool calls, each another one, ends where the budget of steps does", async () => {
  stage.fake.behave({
    reply: { loop: { tool: "look", times: 100, parallel: 100, arguments: { n: "{call}" } }, text: "done" },
  });
  let bodies = 0;
  const endless = agent({
    name: "endless",
    budget: { steps: 150 },
    run: async (ctx) => {
      const look = ai.tool({
        inputSchema: z.object({ n: z.number() }),
        execute: () => {
          bodies += 1;
          return 1;
        },
      });
      const tools = ctx.tools({ look });
      return (
        await ai.generateText({
          model: ctx.model("smart"),
          prompt: "go",
          tools,
          stopWhen: ai.stepCountIs(200),
          ...ctx.ai,
        })
      ).text;
    },
  });
  const longhaul = await stage.aiWorker([endless]);
  const run = await longhaul.submit(endless, null);
  await rejection(run.result());
  expect((await longhaul.get(run.runId))?.reason).toBe("budget_exceeded");
  expect(bodies).toBeLessThanOrEqual(150);
  expect(stage.fake.calls.length).toBeLessThanOrEqual(3);
});

test("the AI SDK does not try again what the gateway has given up", async () => {
  stage.fake.behave({ reply: { fault: "auth" } });
  const { seen } = await twice(stage, "no-retry", async (ctx) => {
    // With the AI SDK's own default of two retries.
    const error = await rejection(ai.generateText({ model: ctx.model("smart"), prompt: "go" }));
    return error.code;
  });
  expect(seen).toEqual(["MODEL_KEY_REJECTED", "MODEL_KEY_REJECTED"]);
  expect(stage.fake.calls).toHaveLength(1);
});

test("what streamText hides is told when the run ends", async () => {
  stage.fake.behave({ reply: { fault: "auth" } });
  const streams = agent({
    name: "streams",
    run: async (ctx) => await ai.streamText({ model: ctx.model("smart"), prompt: "go", onError: () => undefined }).text,
  });
  const longhaul = await stage.aiWorker([streams]);
  const run = await longhaul.submit(streams, null);
  expect((await rejection(run.result())).cause).toMatchObject({ code: "MODEL_KEY_REJECTED" });
  expect((await longhaul.get(run.runId))?.reason).toBe("model_key_rejected");
});

test("a streaming loop whose budget is spent does not end as if it were done", async () => {
  stage.fake.behave({ reply: { loop: { tool: "look", times: 5, arguments: { n: "{round}" } }, text: "done" } });
  const spender = agent({
    name: "spender",
    budget: { steps: 3 },
    run: async (ctx) => {
      const look = ai.tool({ inputSchema: z.object({ n: z.number() }), execute: () => 1 });
      const result = ai.streamText({
        model: ctx.model("smart"),
        prompt: "go",
        tools: ctx.tools({ look }),
        stopWhen: ai.stepCountIs(9),
        onError: () => undefined,
      });
      return (await result.steps).length;
    },
  });
  const longhaul = await stage.aiWorker([spender]);
  const run = await longhaul.submit(spender, null);
  await rejection(run.result());
  expect((await longhaul.get(run.runId))?.reason).toBe("budget_exceeded");
  expect(await longhaul.result(run.runId)).toMatchObject({ status: "failed", partial: 2 });
});

test("10,000 tool calls in one reply are refused, and the reply is not asked for again", async () => {
  const toolCalls = Array.from({ length: 10_000 }, (_, n) => ({ id: `c${n}`, name: "look", arguments: { n } }));
  stage.fake.behave({ reply: { toolCalls } });
  let bodies = 0;
  const { seen } = await twice(stage, "many-calls", async (ctx) => {
    const look = ai.tool({
      inputSchema: z.object({ n: z.number() }),
      execute: () => {
        bodies += 1;
        return 1;
      },
    });
    const error = await rejection(
      ai.generateText({ model: ctx.model("smart"), prompt: "go", tools: ctx.tools({ look }), ...ctx.ai }),
    );
    return [error.code, error.message];
  });
  expect(seen[1]).toEqual([
    "TOOL_CALLS_TOO_MANY",
    "The model asked for 10000 tool calls in one reply; at most 1000 are made.",
  ]);
  expect(seen[1]).toEqual(seen[0]);
  expect(bodies).toBe(0);
  expect(stage.fake.calls).toHaveLength(1);
});

test("a limit that refills later puts the run to sleep, and the model hears nothing of it", async () => {
  stage.fake.next({ fault: { kind: "rate_limit", retryAfterMs: 12_000 } }, { text: "at last" });
  let bodies = 0;
  const patient = agent({
    name: "patient",
    run: async (ctx) => {
      await ctx.step("before", () => {
        bodies += 1;
      });
      return (await ask(ctx)).text;
    },
  });
  const longhaul = await stage.aiWorker([patient], { warmMs: 0 });
  const run = await longhaul.submit(patient, null);
  const waiting = await until(async () => {
    const view = await longhaul.get(run.runId);
    return view?.status === "waiting" && view;
  });
  expect(waiting.workerId).toBeNull();
  expect((await longhaul.why(run.runId)).sentence).toMatch(/openai\/gpt-5-mini/);
  expect(await run.result()).toBe("at last");
  expect(bodies).toBe(1);
  const [first, second] = stage.fake.calls;
  expect((second?.startedAtMs ?? 0) - (first?.startedAtMs ?? 0)).toBeGreaterThanOrEqual(12_000);
}, 40_000);

test("a model inside a step's body is refused with what to do", async () => {
  const nested = agent({ name: "nested", run: (ctx) => ctx.step("outer", { retry: false }, () => ask(ctx)) });
  const longhaul = await stage.aiWorker([nested]);
  const run = await longhaul.submit(nested, null);
  expect((await rejection(run.result())).cause).toMatchObject({ code: "NESTED_STEP" });
});

test("another prompt where one was recorded pauses the run with the reason", async () => {
  let starts = 0;
  const changing = agent({
    name: "changing",
    run: async (ctx) => {
      starts += 1;
      await ai.generateText({ model: ctx.model("smart"), prompt: `go ${starts}` });
      await ctx.step("hold", () => new Promise(() => undefined));
    },
  });
  const longhaul = await stage.aiWorker([changing]);
  const run = await longhaul.submit(changing, null);
  await until(async () => (await longhaul.inspect(run.runId))?.steps.some(({ key }) => key.startsWith("model smart@")));
  await stage.takeOver(run.runId);
  const paused = await until(async () => {
    const view = await longhaul.get(run.runId);
    return view?.status === "paused" && view;
  });
  expect(paused.reason).toMatch(/the journal has step model smart@\w+#1 .* but the code asks for model smart@\w+#1/);
});

describe("embeddings", () => {
  test("come in batches, each a step, exactly the same in a replay", async () => {
    const values = Array.from({ length: 25 }, (_, n) => `text ${n}`);
    const { seen } = await twice(stage, "embeds", async (ctx) => {
      const all = await ctx.embed("openai/text-embedding-3-small", values, { batch: 10 });
      const one = await ctx.embed("openai/text-embedding-3-small", "text 3");
      return { all, one };
    });
    expect(seen[0]?.all).toHaveLength(25);
    expect(seen[0]?.all[3]).toEqual(seen[0]?.one);
    expect(seen[1]).toEqual(seen[0]);
    expect(stage.fake.calls).toHaveLength(4);
  });

  test("of nothing are nothing; a batch that cannot be is refused", async () => {
    const codes: unknown[] = [];
    const empty = agent({
      name: "empty",
      run: async (ctx) => {
        for (const batch of [0, 257, 1.5, Number.NaN])
          codes.push((await rejection(ctx.embed("openai/text-embedding-3-small", ["a"], { batch }))).code);
        return ctx.embed("openai/text-embedding-3-small", []);
      },
    });
    const longhaul = await stage.aiWorker([empty]);
    expect(await longhaul.run(empty, null)).toEqual([]);
    expect(codes).toEqual(Array(4).fill("EMBED_BATCH_INVALID"));
    expect(stage.fake.calls).toHaveLength(0);
  });
});
