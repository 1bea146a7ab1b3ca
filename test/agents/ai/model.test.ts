// ctx.model under the AI SDK's own functions, in both of its majors: every call is a step, and a replay is exact.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { MAJORS, stepsOf, twice, useAiStage } from "./stage.ts";

const stage = useAiStage();

describe.each(MAJORS)("with ai %s", (major, ai) => {
  test("generateText asks once, and gives the same response after a takeover", async () => {
    stage.fake.behave({ reply: { text: "a plan" } });
    const { seen, runId } = await twice(stage, `generate-${major}`, async (ctx) => {
      const result = await ai.generateText({ model: ctx.model("smart"), prompt: "plan", ...ctx.ai });
      return { text: result.text, usage: result.usage, response: result.response };
    });
    expect(seen[0]?.text).toBe("a plan");
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[0]?.response.timestamp).toBeInstanceOf(Date);
    expect(stage.fake.calls).toHaveLength(1);
    expect(await stepsOf(stage, runId)).toEqual([expect.stringMatching(/^model smart@[0-9a-f]{12}#1$/)]);
  });

  test("streamText gives the same parts live and in a replay", async () => {
    stage.fake.behave({ reply: { text: "one two three four five six" }, chunkCharacters: 4, chunkMs: 5 });
    const { seen } = await twice(stage, `stream-${major}`, async (ctx) => {
      const result = ai.streamText({ model: ctx.model("smart"), prompt: "count", ...ctx.ai });
      const parts: unknown[] = [];
      // How long things took is this process's own, not the reply's.
      for await (const part of result.fullStream) parts.push({ ...part, performance: null });
      return parts;
    });
    expect(seen[0]?.length).toBeGreaterThan(4);
    expect(seen[1]).toEqual(seen[0]);
    expect(stage.fake.calls.map(({ stream }) => stream)).toEqual([true]);
  });

  test("an object is generated", async () => {
    stage.fake.behave({ reply: { json: { name: "Ada", age: 36 } } });
    const schema = z.object({ name: z.string(), age: z.number() });
    const { seen } = await twice(stage, `object-${major}`, async (ctx) => {
      const result = await ai.generateText({
        model: ctx.model("smart"),
        prompt: "who?",
        output: ai.Output.object({ schema }),
        ...ctx.ai,
      });
      const old = await ai.generateObject({ model: ctx.model("smart"), prompt: "who else?", schema });
      return [result.output, old.object];
    });
    expect(seen).toEqual([
      [
        { name: "Ada", age: 36 },
        { name: "Ada", age: 36 },
      ],
      [
        { name: "Ada", age: 36 },
        { name: "Ada", age: 36 },
      ],
    ]);
    expect(stage.fake.calls).toHaveLength(2);
  });

  test("a ToolLoopAgent makes each call and each tool's execution once", async () => {
    stage.fake.behave({ reply: { loop: { tool: "add", times: 3, arguments: { n: "{round}" } }, text: "sum" } });
    let bodies = 0;
    const { seen, runId } = await twice(stage, `agent-${major}`, async (ctx) => {
      const add = ai.tool({
        inputSchema: z.object({ n: z.number() }),
        execute: ({ n }) => {
          bodies += 1;
          return n * 10;
        },
      });
      const adder = new ai.ToolLoopAgent({ model: ctx.model("smart"), tools: ctx.tools({ add }) });
      const result = await adder.generate({ prompt: "add", abortSignal: ctx.abort });
      return {
        text: result.text,
        outputs: result.steps.flatMap((step) => step.toolResults.map(({ output }) => output)),
      };
    });
    expect(seen[0]).toEqual({ text: "sum", outputs: [10, 20, 30] });
    expect(seen[1]).toEqual(seen[0]);
    expect(bodies).toBe(3);
    expect(stage.fake.calls).toHaveLength(4);
    const steps = await stepsOf(stage, runId);
    expect(steps.filter((key) => key.startsWith("add@"))).toHaveLength(3);
  });

  test("parallel tools, under whatever names the model gives the calls", async () => {
    stage.fake.behave({
      reply: { loop: { tool: "read", times: 2, parallel: 5, arguments: { n: "{call}" } }, text: "read" },
    });
    const { seen } = await twice(stage, `parallel-${major}`, async (ctx) => {
      const read = ai.tool({
        inputSchema: z.object({ n: z.number() }),
        execute: async ({ n }) => {
          // The last one begun ends first.
          await new Promise((resolve) => setTimeout(resolve, 30 - (n % 5) * 6));
          return `page ${n}`;
        },
      });
      const result = await ai.generateText({
        model: ctx.model("smart"),
        tools: ctx.tools({ read }),
        prompt: "read",
        stopWhen: ai.stepCountIs(5),
        ...ctx.ai,
      });
      return result.steps.map((step) => step.toolResults.map(({ output }) => output));
    });
    expect(seen[0]).toEqual([
      ["page 1", "page 2", "page 3", "page 4", "page 5"],
      ["page 6", "page 7", "page 8", "page 9", "page 10"],
      [],
    ]);
    expect(seen[1]).toEqual(seen[0]);
    expect(stage.fake.calls).toHaveLength(3);
  });

  test("conversations that go on at the same time in one scope keep apart", async () => {
    stage.fake.behave({ latencyMs: [1, 40], reply: { loop: { tool: "look", times: 3 }, text: "seen" } });
    const { seen } = await twice(stage, `concurrent-${major}`, async (ctx) => {
      const tools = ctx.tools(
        { look: ai.tool({ inputSchema: z.object({}), execute: () => "nothing" }) },
        { loopGuard: false },
      );
      const ask = (prompt: string) =>
        ai.generateText({ model: ctx.model("smart"), tools, prompt, stopWhen: ai.stepCountIs(5), ...ctx.ai });
      const results = await Promise.all(["a", "b", "c", "d"].map(ask));
      return results.map((result) => [result.steps.length, result.response.id]);
    });
    expect(seen[0]?.map(([steps]) => steps)).toEqual([4, 4, 4, 4]);
    expect(seen[1]).toEqual(seen[0]);
    expect(stage.fake.calls).toHaveLength(16);
  });
});
