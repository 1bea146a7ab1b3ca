// The OpenAI Agents SDK in a run: its model calls and tools are steps, whoever dies in between, and its errors are ours.
import { Agent, type FunctionTool, tool } from "@openai/agents";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent, type Ctx } from "../../../src/index.ts";
import { agentsTools } from "../../../src/openai-agents.ts";
import type { Reply } from "../../support/fake-provider/reply.ts";
import { rejection, until, untilStatus } from "../../support/longhaul.ts";
import { addTool, outputsOf, runnerOf } from "./openai-agents-stage.ts";
import { stepsOf, twice, useAiStage } from "./stage.ts";

const stage = useAiStage();
const LOOP: Reply = { loop: { tool: "add", times: 3, arguments: { n: "{round}" } }, text: "sum" };

/** The model calls one tool once, then answers. */
const callOnce = (name: string, args: unknown): void =>
  stage.fake.behave({ reply: { turns: [{ toolCalls: [{ id: "call_1", name, arguments: args }] }, { text: "done" }] } });

const adder = (ctx: Ctx, onRun?: () => void) =>
  new Agent({ name: "adder", instructions: "add up", tools: agentsTools(ctx, [addTool(onRun)]) });

// biome-ignore lint/suspicious/noExplicitAny: tools of whatever context and result
const withTools = (...tools: FunctionTool<any, any, any>[]) => new Agent({ name: "worker", tools });

const told = () => JSON.stringify(stage.fake.calls.at(-1)?.body);

describe("a run that another worker takes over sees the same", () => {
  test("with tools", async () => {
    stage.fake.behave({ reply: LOOP });
    let bodies = 0;
    const { seen, runId } = await twice(stage, "agents-tools", async (ctx) => {
      const count = () => {
        bodies += 1;
      };
      const result = await runnerOf(ctx, { feature: "sums" }).run(adder(ctx, count), "add");
      const { requests, totalTokens } = result.state.usage;
      return {
        text: result.finalOutput,
        outputs: outputsOf(result.newItems),
        requests,
        totalTokens,
        raw: result.rawResponses,
      };
    });
    expect(seen[0]).toMatchObject({ text: "sum", outputs: [10, 20, 30], requests: 4 });
    expect(seen[0]?.totalTokens).toBeGreaterThan(0);
    expect(seen[1]).toEqual(seen[0]);
    expect(bodies).toBe(3);
    expect(stage.fake.calls).toHaveLength(4);
    expect(stage.fake.calls[0]?.body).toMatchObject({ messages: [{ content: "add up" }, { content: "add" }] });
    const steps = await stepsOf(stage, runId);
    expect(steps.filter((key) => key.startsWith("add@"))).toHaveLength(3);
    const features = await stage.db.query("select distinct feature from longhaul.calls where run_id = $1", [runId]);
    expect(features).toEqual([{ feature: "sums" }]);
  });

  test("streaming", async () => {
    stage.fake.behave({ reply: LOOP, chunkCharacters: 1, chunkMs: 1 });
    const { seen } = await twice(stage, "agents-stream", async (ctx) => {
      const result = await runnerOf(ctx).run(adder(ctx), "add", { stream: true });
      const events: unknown[] = [];
      for await (const event of result) {
        if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta")
          events.push(event.data.delta);
        if (event.type === "run_item_stream_event") events.push(event.name);
      }
      await result.completed;
      return { text: result.finalOutput, events };
    });
    expect(seen[0]?.text).toBe("sum");
    expect(seen[0]?.events.filter((event) => event === "tool_output")).toHaveLength(3);
    // The agent's own code sees a reply once it is recorded; whoever follows the run sees every word.
    expect(seen[0]?.events.slice(-2)).toEqual(["sum", "message_output_created"]);
    expect(seen[1]).toEqual(seen[0]);
    expect(stage.fake.calls.map(({ stream }) => stream)).toEqual([true, true, true, true]);
  });

  test("a handoff from one agent to another, of another model", async () => {
    stage.fake.script = (request) => {
      if (request.systemText.includes("french")) return { text: "bonjour" };
      return { toolCalls: [{ id: "call_1", name: "transfer_to_french", arguments: {} }] };
    };
    const { seen } = await twice(stage, "agents-handoff", async (ctx) => {
      const french = new Agent({ name: "french", instructions: "you are french", model: "openai/gpt-5" });
      const desk = Agent.create({ name: "desk", instructions: "you are the desk", handoffs: [french] });
      const result = await runnerOf(ctx).run(desk, "hello");
      return [result.finalOutput, result.lastAgent?.name];
    });
    expect(seen).toEqual([
      ["bonjour", "french"],
      ["bonjour", "french"],
    ]);
    expect(stage.fake.calls.map(({ model }) => model)).toEqual(["gpt-5-mini", "gpt-5"]);
    expect(told()).toContain("transfer_to_french");
  });

  test("structured output", async () => {
    stage.fake.behave({ reply: { json: { name: "Ada", age: 36 } } });
    const { seen } = await twice(stage, "agents-output", async (ctx) => {
      const outputType = z.object({ name: z.string(), age: z.number() });
      return (await runnerOf(ctx).run(new Agent({ name: "namer", outputType }), "who?")).finalOutput;
    });
    expect(seen).toEqual([
      { name: "Ada", age: 36 },
      { name: "Ada", age: 36 },
    ]);
    expect(stage.fake.calls[0]?.body).toMatchObject({ response_format: { type: "json_schema" } });
  });

  test("an agent as a tool of another", async () => {
    stage.fake.script = (request) => {
      if (request.systemText.includes("expert")) return { text: "42" };
      return request.round === 0
        ? { toolCalls: [{ id: "call_1", name: "expert", arguments: { input: "what?" } }] }
        : { text: "it is 42" };
    };
    const { seen } = await twice(stage, "agents-nested", async (ctx) => {
      const runner = runnerOf(ctx);
      const expert = new Agent({ name: "expert", instructions: "you are the expert" });
      const asTool = expert.asTool({
        toolName: "expert",
        toolDescription: "asks",
        customOutputExtractor: (r) => String(r.finalOutput),
      });
      return (await runner.run(new Agent({ name: "desk", tools: [asTool] }), "ask")).finalOutput;
    });
    expect(seen).toEqual(["it is 42", "it is 42"]);
    expect(stage.fake.calls).toHaveLength(3);
  });
});

describe("tools", () => {
  test("what one throws is told to the model, and recorded once", async () => {
    callOnce("flaky", {});
    let bodies = 0;
    const { seen } = await twice(stage, "agents-throws", async (ctx) => {
      const flaky = tool({
        name: "flaky",
        description: "fails",
        parameters: z.object({}),
        execute: (): string => {
          bodies += 1;
          throw new TypeError("no such page");
        },
      });
      return (await runnerOf(ctx).run(withTools(...agentsTools(ctx, [flaky])), "go")).finalOutput;
    });
    expect(seen).toEqual(["done", "done"]);
    expect(bodies).toBe(1);
    expect(told()).toContain("An error occurred while running the tool");
  });

  test("retries where the tool lets its errors out", async () => {
    callOnce("flaky", {});
    let bodies = 0;
    const { seen } = await twice(stage, "agents-retries", async (ctx) => {
      const flaky = tool({
        name: "flaky",
        description: "fails",
        parameters: z.object({}),
        errorFunction: null,
        execute: () => {
          bodies += 1;
          if (bodies < 3) throw new Error("later");
          return "third time";
        },
      });
      const tools = agentsTools(ctx, [flaky], { tools: { flaky: { retry: { maxAttempts: 3, initialMs: 1 } } } });
      return outputsOf((await runnerOf(ctx).run(withTools(...tools), "go")).newItems);
    });
    expect(seen).toEqual([["third time"], ["third time"]]);
  });

  test.each([
    ["the SDK's", 30],
    ["ours", undefined],
  ] as const)("a time-out, %s, is an error to the model", async (whose, timeoutMs) => {
    callOnce("slow", {});
    let bodies = 0;
    let aborted = 0;
    const { seen } = await twice(stage, `agents-timeout-${timeoutMs}`, async (ctx) => {
      const slow = tool({
        name: "slow",
        description: "hangs",
        parameters: z.object({}),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        execute: (_args, _context, details) => {
          bodies += 1;
          return new Promise<string>((_resolve, reject) =>
            details?.signal?.addEventListener("abort", () => {
              aborted += 1;
              reject(details.signal?.reason);
            }),
          );
        },
      });
      const tools = agentsTools(ctx, [slow], whose === "ours" ? { tools: { slow: { timeout: "30 ms" } } } : {});
      return outputsOf((await runnerOf(ctx).run(withTools(...tools), "go")).newItems);
    });
    expect(seen[0]).toEqual([expect.stringMatching(/slow.* 30 ?ms/)]);
    expect(seen[1]).toEqual(seen[0]);
    expect([bodies, aborted]).toEqual([1, 1]);
  });

  test("arguments that do not parse, and a tool that the model invents, are told to the model where the SDK is asked to", async () => {
    const { seen } = await twice(stage, "agents-nonsense", async (ctx) => {
      stage.fake.behave({
        reply: {
          turns: [
            { toolCalls: [{ id: "c1", name: "add", arguments: '{"n": ' }] },
            { toolCalls: [{ id: "c2", name: "conjure", arguments: {} }] },
            { text: "done" },
          ],
        },
      });
      const result = await runnerOf(ctx).run(adder(ctx), "go", { toolNotFoundBehavior: "return_error_to_model" });
      return [result.finalOutput, ...outputsOf(result.newItems)];
    });
    expect(seen[0]?.[0]).toBe("done");
    expect(seen[0]).toHaveLength(3);
    expect(seen[1]).toEqual(seen[0]);
    expect(stage.fake.calls).toHaveLength(3);
  });

  test("options for a tool that is not there are refused", async () => {
    const careless = agent({
      name: "agents-careless",
      run: (ctx) => void agentsTools(ctx, [addTool()], { tools: { ad: { timeout: "1 s" } } }),
    });
    const longhaul = await stage.aiWorker([careless]);
    expect((await rejection(longhaul.run(careless, null))).cause).toMatchObject({ code: "TOOL_INVALID" });
  });
});

describe("approvals", () => {
  const refundTool = (ran: number[], needsApproval: boolean) =>
    tool({
      name: "refund",
      description: "pays back",
      parameters: z.object({ amount: z.number().max(1_000) }),
      needsApproval,
      execute: ({ amount }) => {
        ran.push(amount);
        return `refunded ${amount}`;
      },
    });

  /** A run whose model wants to refund 500, and the question that a person gets. Nothing is kept warm: every answer finds a replay. */
  async function asked(name: string, program: (ctx: Ctx, ran: number[]) => Promise<unknown>) {
    callOnce("refund", { amount: 500 });
    const ran: number[] = [];
    const refunds = agent({ name, run: (ctx) => program(ctx, ran) });
    const longhaul = await stage.aiWorker([refunds], { warmMs: 0 });
    const run = await longhaul.submit(refunds, null);
    const [question] = await until(async () => {
      const pending = await longhaul.approvals({ runId: run.runId, status: "pending" });
      return pending.length > 0 && pending;
    });
    expect(question).toMatchObject({ name: "refund", request: { amount: 500 } });
    await untilStatus(longhaul, run.runId, "waiting");
    return { longhaul, run, ran, id: question?.approvalId ?? "" };
  }
  const ours = async (ctx: Ctx, ran: number[]) => {
    const tools = agentsTools(ctx, [refundTool(ran, false)], { tools: { refund: { needsApproval: true } } });
    const result = await runnerOf(ctx).run(withTools(...tools), "refund");
    return [result.finalOutput, ...outputsOf(result.newItems)];
  };

  test("approved with other arguments: it runs with those", async () => {
    const { longhaul, run, ran, id } = await asked("agents-edited", ours);
    await longhaul.approve(id, { by: "ann", args: { amount: 50 } });
    expect(await run.result()).toEqual(["done", "refunded 50"]);
    expect(ran).toEqual([50]);
    expect(stage.fake.calls).toHaveLength(2);
  });

  test("denied: the model is told so", async () => {
    const { longhaul, run, ran, id } = await asked("agents-denied", ours);
    await longhaul.deny(id, { by: "ann", comment: "too much" });
    expect(await run.result()).toEqual(["done", "Tool refund was not run: ann denied it: too much."]);
    expect(ran).toEqual([]);
  });

  test("the SDK's own interruptions, answered by an approval of the run", async () => {
    const { longhaul, run, ran, id } = await asked("agents-interrupted", async (ctx, ran) => {
      const desk = withTools(...agentsTools(ctx, [refundTool(ran, true)]));
      let result = await runnerOf(ctx).run(desk, "refund");
      while (result.interruptions.length > 0) {
        for (const item of result.interruptions) {
          const { approved } = await ctx.approval(item.name ?? "", JSON.parse(item.arguments ?? "{}"));
          if (approved) result.state.approve(item);
          else result.state.reject(item);
        }
        result = await runnerOf(ctx).run(desk, result.state);
      }
      return [result.finalOutput, ...outputsOf(result.newItems)];
    });
    await longhaul.approve(id, { by: "ann" });
    expect(await run.result()).toEqual(["done", "refunded 500"]);
    expect(ran).toEqual([500]);
    expect(stage.fake.calls).toHaveLength(2);
  });
});

describe("errors", () => {
  async function failing(name: string, run: (ctx: Ctx) => Promise<unknown>, budget?: { steps: number }) {
    const failed = agent({ name, run, ...(budget === undefined ? {} : { budget }) });
    const longhaul = await stage.aiWorker([failed]);
    const handle = await longhaul.submit(failed, null);
    const error = await rejection(handle.result());
    return {
      error,
      cause: error.cause as { code?: string; message: string },
      reason: (await longhaul.get(handle.runId))?.reason,
    };
  }
  const asking =
    (options: object, settings: object = {}) =>
    (ctx: Ctx) =>
      runnerOf(ctx).run(new Agent({ name: "asker", ...options }), "go", settings);

  test.each<[string, string, (ctx: Ctx) => Promise<unknown>]>([
    ["a model that is not there", "MODEL_UNKNOWN", asking({ model: "openia/gpt-5" })],
    [
      "no model at all",
      "AGENTS_MODEL_MISSING",
      (ctx) => runnerOf(ctx, { model: "" }).run(new Agent({ name: "asker" }), "go"),
    ],
    ["a conversation at OpenAI's", "AGENTS_ITEM_UNSUPPORTED", asking({}, { conversationId: "conv_1" })],
    ["a hosted tool", "AGENTS_ITEM_UNSUPPORTED", asking({ tools: [{ type: "hosted_tool", name: "web_search" }] })],
  ])("%s", async (what, code, run) => {
    const { cause, reason } = await failing(`agents-${what.replaceAll(/\W/g, "-")}`, run);
    expect([cause.code, reason]).toEqual([code, code.toLowerCase()]);
    expect(stage.fake.calls).toHaveLength(0);
  });

  test("a refused key, told once also where the run streams", async () => {
    stage.fake.behave({ reply: { fault: "auth" } });
    const { cause, reason } = await failing("agents-auth", async (ctx) => {
      const result = await runnerOf(ctx).run(new Agent({ name: "asker" }), "go", { stream: true });
      await result.completed;
    });
    expect([cause.code, reason]).toEqual(["MODEL_KEY_REJECTED", "model_key_rejected"]);
    expect(stage.fake.calls).toHaveLength(1);
  });

  // Steps are model, tool, model, …: the third is a model's, the fourth a tool's.
  test.each([
    ["at a model call", 2],
    ["in a tool", 3],
  ])("a budget that ends %s", async (where, steps) => {
    stage.fake.behave({ reply: LOOP });
    const name = `agents-budget-${where.replaceAll(" ", "-")}`;
    const { reason } = await failing(name, (ctx) => runnerOf(ctx).run(adder(ctx), "add"), { steps });
    expect(reason).toBe("budget_exceeded");
  });

  test("a model that goes in circles", async () => {
    stage.fake.behave({ reply: { loop: { tool: "add", times: 20, arguments: { n: 1 } }, text: "sum" } });
    const { reason } = await failing("agents-circles", (ctx) => runnerOf(ctx).run(adder(ctx), "add", { maxTurns: 30 }));
    expect(reason).toBe("tool_loop");
  });

  test("a run that is cancelled stops its tool and its model call", async () => {
    callOnce("hang", {});
    let aborted = 0;
    const hangs = agent({
      name: "agents-cancelled",
      async run(ctx) {
        const hang = tool({
          name: "hang",
          description: "hangs",
          parameters: z.object({}),
          execute: (_args, _context, details) =>
            new Promise<string>((_resolve, reject) =>
              details?.signal?.addEventListener("abort", () => {
                aborted += 1;
                reject(new Error("stopped"));
              }),
            ),
        });
        return (await runnerOf(ctx).run(withTools(...agentsTools(ctx, [hang])), "go")).finalOutput;
      },
    });
    const longhaul = await stage.aiWorker([hangs]);
    const inTool = await longhaul.submit(hangs, null);
    await until(async () => (await longhaul.inspect(inTool.runId))?.steps.length === 1);
    await longhaul.cancel(inTool.runId);
    expect((await untilStatus(longhaul, inTool.runId, "cancelled")).status).toBe("cancelled");
    await until(() => aborted === 1);
    stage.fake.behave({ reply: { fault: "hang_before_headers" } });
    const inModel = await longhaul.submit(hangs, null);
    await stage.fake.received(2);
    await longhaul.cancel(inModel.runId);
    await untilStatus(longhaul, inModel.runId, "cancelled");
    expect(stage.fake.calls).toHaveLength(2);
  });
});
