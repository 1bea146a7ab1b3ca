// ctx.tools: what becomes of a model's tool calls, good ones and bad ones, in both majors of the AI SDK.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent, type Ctx } from "../../../src/index.ts";
import { rejection, until } from "../../support/longhaul.ts";
import { MAJORS, stepsOf, twice, useAiStage } from "./stage.ts";

const stage = useAiStage();

/** The model calls one tool once, then answers. */
function callOnce(tool: string, args: unknown): void {
  stage.fake.behave({
    reply: { turns: [{ toolCalls: [{ id: "call_1", name: tool, arguments: args }] }, { text: "done" }] },
  });
}

describe.each(MAJORS)("with ai %s", (major, ai) => {
  const ask = async (ctx: Ctx, tools: Parameters<typeof ai.generateText>[0]["tools"] & object) => {
    const result = await ai.generateText({
      model: ctx.model("smart"),
      tools,
      prompt: "go",
      stopWhen: ai.stepCountIs(5),
      ...ctx.ai,
    });
    const [first] = result.steps;
    return {
      text: result.text,
      results: first?.toolResults.map(({ output }) => output),
      errors: first?.content.flatMap((part) =>
        part.type === "tool-error" ? [String((part.error as Error).message)] : [],
      ),
    };
  };

  test("a tool that throws is an error to the model, recorded once", async () => {
    callOnce("flaky", {});
    let bodies = 0;
    const { seen, runId } = await twice(stage, `throws-${major}`, (ctx) =>
      ask(
        ctx,
        ctx.tools({
          flaky: ai.tool({
            inputSchema: z.object({}),
            execute: (): string => {
              bodies += 1;
              throw new TypeError("no such page");
            },
          }),
        }),
      ),
    );
    expect(seen[0]).toEqual({ text: "done", results: [], errors: ["no such page"] });
    expect(seen[1]).toEqual(seen[0]);
    expect(bodies).toBe(1);
    expect(await stepsOf(stage, runId)).toContain("flaky@call_1#1");
    expect(JSON.stringify(stage.fake.calls[1]?.body)).toContain("no such page");
  });

  test("retries where they are asked for", async () => {
    callOnce("flaky", {});
    let bodies = 0;
    const { seen } = await twice(stage, `retries-${major}`, (ctx) =>
      ask(
        ctx,
        ctx.tools(
          {
            flaky: ai.tool({
              inputSchema: z.object({}),
              execute: () => {
                bodies += 1;
                if (bodies < 3) throw new Error("later");
                return bodies;
              },
            }),
          },
          { tools: { flaky: { retry: { maxAttempts: 3, initialMs: 1 } } } },
        ),
      ),
    );
    expect(seen[1]).toEqual({ text: "done", results: [3], errors: [] });
  });

  test("a time-out stops it, and is an error to the model", async () => {
    callOnce("slow", {});
    const { seen } = await twice(stage, `timeout-${major}`, (ctx) =>
      ask(
        ctx,
        ctx.tools(
          {
            slow: ai.tool({
              inputSchema: z.object({}),
              execute: (_, { abortSignal }) =>
                new Promise((_resolve, reject) =>
                  abortSignal?.addEventListener("abort", () => reject(abortSignal.reason)),
                ),
            }),
          },
          { tools: { slow: { timeout: "50 ms" } } },
        ),
      ),
    );
    expect(seen[1]?.errors).toEqual([expect.stringMatching(/slow.* 50 ms/)]);
  });

  test("of preliminary results the last one counts", async () => {
    callOnce("watch", {});
    const { seen } = await twice(stage, `preliminary-${major}`, (ctx) =>
      ask(
        ctx,
        ctx.tools({
          watch: ai.tool({
            inputSchema: z.object({}),
            async *execute() {
              yield "10 %";
              yield "50 %";
              yield "all of it";
            },
          }),
        }),
      ),
    );
    expect(seen[1]?.results).toEqual(["all of it"]);
  });

  test("a tool without execute ends the loop and is left alone", async () => {
    callOnce("locate", { city: "Ulm" });
    const { seen } = await twice(stage, `client-${major}`, async (ctx) => {
      const result = await ai.generateText({
        model: ctx.model("smart"),
        tools: ctx.tools({ locate: ai.tool({ inputSchema: z.object({ city: z.string() }) }) }),
        prompt: "go",
        stopWhen: ai.stepCountIs(5),
        ...ctx.ai,
      });
      return [result.finishReason, result.toolCalls.map(({ input }) => input)];
    });
    expect(seen[1]).toEqual(["tool-calls", [{ city: "Ulm" }]]);
    expect(stage.fake.calls).toHaveLength(1);
  });

  test("what the model is told of an output is the tool's to say", async () => {
    callOnce("read", {});
    await twice(stage, `model-output-${major}`, (ctx) =>
      ask(
        ctx,
        ctx.tools({
          read: ai.tool({
            inputSchema: z.object({}),
            execute: () => ({ secret: "hidden", title: "shown" }),
            toModelOutput: ({ output }) => ({ type: "text", value: output.title }),
          }),
        }),
      ),
    );
    const said = JSON.stringify(stage.fake.calls[1]?.body);
    expect(said).toContain("shown");
    expect(said).not.toContain("hidden");
  });

  test("arguments that do not fit are told to the model, also those of a tool that only has JSON Schema", async () => {
    const tools = {
      typed: ai.tool({ inputSchema: z.object({ n: z.number() }), execute: () => "ran" }),
      // As an MCP client gives them.
      listed: ai.dynamicTool({
        description: "of a server",
        inputSchema: ai.jsonSchema({ type: "object", properties: { n: { type: "integer" } }, required: ["n"] }),
        execute: async () => "ran",
      }),
    };
    for (const name of ["typed", "listed"] as const) {
      stage.fake.clear();
      callOnce(name, { n: "one" });
      const { seen } = await twice(stage, `arguments-${name}-${major}`, (ctx) => ask(ctx, ctx.tools(tools)));
      expect(seen[1]?.results).toEqual([]);
      expect(seen[1]?.text).toBe("done");
      const said = JSON.stringify(stage.fake.calls[1]?.body);
      expect(said).toMatch(name === "typed" ? /Invalid input for tool typed/ : /do not fit its schema: \$\.n: /);
    }
  });

  test("arguments that are no JSON, and a tool that the model made up, are told to the model", async () => {
    const tools = { known: ai.tool({ inputSchema: z.object({ a: z.string() }), execute: () => "ran" }) };
    stage.fake.next({ toolCalls: [{ id: "x", name: "known", arguments: '{"a": ' }] }, { text: "done" });
    const garbage = await twice(stage, `garbage-${major}`, (ctx) => ask(ctx, ctx.tools(tools)));
    expect(garbage.seen[1]?.text).toBe("done");
    stage.fake.next({ toolCalls: [{ id: "y", name: "invented", arguments: {} }] }, { text: "done" });
    const invented = await twice(stage, `invented-${major}`, (ctx) => ask(ctx, ctx.tools(tools)));
    expect(invented.seen[1]?.text).toBe("done");
    expect(JSON.stringify(stage.fake.calls.at(-1)?.body)).toMatch(/unavailable tool 'invented'.*known/);
  });

  test("an output of 50 MB is refused with what to do, and nothing else is lost", async () => {
    callOnce("dump", {});
    const { seen } = await twice(stage, `large-${major}`, (ctx) =>
      ask(ctx, ctx.tools({ dump: ai.tool({ inputSchema: z.object({}), execute: () => "x".repeat(50_000_000) }) })),
    );
    expect(seen[1]).toEqual({
      text: "done",
      results: [],
      errors: ["Tool dump gave more than 4194304 bytes."],
    });
  });

  test("a model that makes the same call again and again ends the run with the reason", async () => {
    stage.fake.behave({ reply: { loop: { tool: "look", times: 50, arguments: { at: "the same" } } } });
    let bodies = 0;
    const looping = agent({
      name: `looping-${major}`,
      run: (ctx) =>
        ask(
          ctx,
          ctx.tools({
            look: ai.tool({
              inputSchema: z.object({ at: z.string() }),
              execute: () => {
                bodies += 1;
                return "nothing";
              },
            }),
          }),
        ).then(() => ai.generateText({ model: ctx.model("smart"), prompt: "never" })),
    });
    const longhaul = await stage.aiWorker([looping]);
    const run = await longhaul.submit(looping, null);
    stage.fake.behave({ reply: { loop: { tool: "look", times: 50, arguments: { at: "the same" } } } });
    const error = await rejection(run.result());
    expect(error).toMatchObject({ code: "RUN_FAILED" });
    expect(await longhaul.get(run.runId)).toMatchObject({ status: "failed", reason: "tool_loop" });
    expect(bodies).toBe(4);
  });

  test("CPU work runs in a thread", async () => {
    callOnce("crunch", { n: 5 });
    const { seen } = await twice(stage, `cpu-${major}`, (ctx) =>
      ask(
        ctx,
        ctx.tools(
          { crunch: ai.tool({ inputSchema: z.object({ n: z.number() }) }) },
          { tools: { crunch: { cpu: true, module: new URL("./thread-work.mjs", import.meta.url), export: "square" } } },
        ),
      ),
    );
    expect(seen[1]?.results).toEqual([{ square: 25, main: false }]);
  });

  test("a tool made of steps asks models and people itself", async () => {
    callOnce("research", { topic: "tides" });
    stage.fake.script = (request) => (request.lastUserText.startsWith("sub:") ? { text: "the moon" } : null);
    const researching = agent({
      name: `researching-${major}`,
      run: (ctx) =>
        ask(
          ctx,
          ctx.tools(
            {
              research: ai.tool({
                inputSchema: z.object({ topic: z.string() }),
                async execute({ topic }, info) {
                  const { ctx: inner } = info as unknown as { ctx: Ctx };
                  const { text } = await ai.generateText({ model: inner.model("smart"), prompt: `sub: ${topic}` });
                  const { approved } = await inner.approval("use it", { text });
                  return { text, approved };
                },
              }),
            },
            { tools: { research: { steps: true } } },
          ),
        ),
    });
    const longhaul = await stage.aiWorker([researching], { warmMs: 0 });
    const run = await longhaul.submit(researching, null);
    const [asked] = await until(async () => {
      const pending = await longhaul.approvals({ runId: run.runId, status: "pending" });
      return pending.length > 0 && pending;
    });
    await longhaul.approve(asked?.approvalId ?? "", { by: "ann" });
    expect(await run.result()).toMatchObject({ text: "done", results: [{ text: "the moon", approved: true }] });
    expect(stage.fake.calls).toHaveLength(3);
  });

  test("a verb inside a plain tool says what to do", async () => {
    callOnce("nested", {});
    const { seen } = await twice(stage, `nested-${major}`, (ctx) =>
      ask(
        ctx,
        ctx.tools({
          nested: ai.tool({
            inputSchema: z.object({}),
            execute: async () => (await ai.generateText({ model: ctx.model("smart"), prompt: "inside" })).text,
          }),
        }),
      ),
    );
    expect(seen[1]?.errors).toEqual(["ctx.model was called inside the body of step nested@call_1#1."]);
  });
});

describe.each(MAJORS)("approvals with ai %s", (major, ai) => {
  /** A run whose model wants to refund 500, and the question that a person gets. */
  async function asked(name: string) {
    callOnce("refund", { amount: 500 });
    const ran: number[] = [];
    const refunds = agent({
      name: `${name}-${major}`,
      async run(ctx) {
        const refund = ai.tool({
          inputSchema: z.object({ amount: z.number().max(1_000) }),
          needsApproval: ({ amount }) => amount > 100,
          execute: ({ amount }) => {
            ran.push(amount);
            return `refunded ${amount}`;
          },
        });
        const result = await ai.generateText({
          model: ctx.model("smart"),
          tools: ctx.tools({ refund }),
          prompt: "refund",
          stopWhen: ai.stepCountIs(5),
          ...ctx.ai,
        });
        return { text: result.text, results: result.steps[0]?.toolResults.map(({ output }) => output) };
      },
    });
    // Nothing is kept warm: every answer finds a run that has to be replayed.
    const longhaul = await stage.aiWorker([refunds], { warmMs: 0 });
    const run = await longhaul.submit(refunds, null);
    const [question] = await until(async () => {
      const pending = await longhaul.approvals({ runId: run.runId, status: "pending" });
      return pending.length > 0 && pending;
    });
    expect(question).toMatchObject({ name: "refund", request: { amount: 500 } });
    await until(async () => (await longhaul.get(run.runId))?.status === "waiting");
    return { longhaul, run, ran, id: question?.approvalId ?? "" };
  }
  const told = () => JSON.stringify(stage.fake.calls.at(-1)?.body);

  test("approved: it runs with what was shown", async () => {
    const { longhaul, run, ran, id } = await asked("approved");
    await longhaul.approve(id, { by: "ann" });
    expect(await run.result()).toEqual({ text: "done", results: ["refunded 500"] });
    expect(ran).toEqual([500]);
    expect(stage.fake.calls).toHaveLength(2);
  });

  test("approved with other arguments: it runs with those", async () => {
    const { longhaul, run, ran, id } = await asked("edited");
    await longhaul.approve(id, { by: "ann", args: { amount: 50 } });
    expect(await run.result()).toEqual({ text: "done", results: ["refunded 50"] });
    expect(ran).toEqual([50]);
  });

  test("approved with arguments that do not fit: it does not run", async () => {
    const { longhaul, run, ran, id } = await asked("misfit");
    await longhaul.approve(id, { by: "ann", args: { amount: 5_000 } });
    expect(await run.result()).toEqual({ text: "done", results: [] });
    expect(ran).toEqual([]);
    expect(told()).toMatch(/as ann edited them, \$\.amount/);
  });

  test("denied: the model is told so", async () => {
    const { longhaul, run, ran, id } = await asked("denied");
    await longhaul.deny(id, { by: "ann", comment: "too much" });
    expect(await run.result()).toEqual({ text: "done", results: [] });
    expect(ran).toEqual([]);
    expect(told()).toContain("Tool refund was not run: ann denied it: too much.");
  });
});

test("what is wrong with a declaration is said when it is made", async () => {
  const problems: unknown[] = [];
  const careless = agent({
    name: "careless",
    run(ctx) {
      const tool = { inputSchema: z.object({}), execute: () => 1 };
      const wrong = [
        () => ctx.tools({ tool }, { tools: { tool: { retry: { maxAttempts: 0 } } } }),
        () => ctx.tools({ tool }, { tools: { tool: { cpu: true } } }),
        () => ctx.tools({ tool }, { tools: { tool: { cpu: true, module: "x" } } }),
        () => ctx.tools({ tool }, { tools: { other: {} } as never }),
        () => ctx.tools({ tool }, { tools: { tool: { outputBytesMax: 0 } } }),
        () => ctx.tools({ tool }, { tools: { tool: { timeout: "soon" } } }),
        () => ctx.tools({ tool }, { loopGuard: { inARow: 1 } }),
        () => ctx.tools({ tool }, { tools: { tool: { needApproval: true } as never } }),
      ];
      for (const make of wrong) {
        try {
          make();
        } catch (error) {
          problems.push((error as { code: string }).code);
        }
      }
    },
  });
  const longhaul = await stage.aiWorker([careless]);
  await longhaul.run(careless, null);
  expect(problems).toEqual(Array(8).fill("TOOL_INVALID"));
});
