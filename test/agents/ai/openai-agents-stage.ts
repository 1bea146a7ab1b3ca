// The agents that the tests of the OpenAI Agents SDK run, here and in processes that are killed.
import { Agent, Runner, tool } from "@openai/agents";
import { z } from "zod";
import { agent, type Ctx } from "../../../src/index.ts";
import { agentsModelProvider, agentsTools } from "../../../src/openai-agents.ts";

export const runnerOf = (ctx: Ctx, options: Parameters<typeof agentsModelProvider>[1] = {}): Runner =>
  new Runner({ modelProvider: agentsModelProvider(ctx, { model: "smart", ...options }), tracingDisabled: true });

export const addTool = (onRun: () => void = () => undefined) =>
  tool({
    name: "add",
    description: "ten times as much",
    parameters: z.object({ n: z.number() }),
    execute: ({ n }) => {
      onRun();
      return n * 10;
    },
  });

/** What the tools of a run gave, in order. */
export const outputsOf = (items: readonly { type: string }[]): unknown[] =>
  items.flatMap((item) => (item.type === "tool_call_output_item" ? [(item as { output?: unknown }).output] : []));

export const agents = [
  agent({
    name: "crash-agents",
    async run(ctx) {
      const adder = new Agent({ name: "adder", instructions: "add up", tools: agentsTools(ctx, [addTool()]) });
      const result = await runnerOf(ctx).run(adder, "add");
      return [result.finalOutput, outputsOf(result.newItems)];
    },
  }),
  agent({
    name: "crash-agents-stream",
    async run(ctx) {
      const adder = new Agent({ name: "adder", instructions: "add up", tools: agentsTools(ctx, [addTool()]) });
      const result = await runnerOf(ctx).run(adder, "add", { stream: true });
      await result.completed;
      return [result.finalOutput, outputsOf(result.newItems)];
    },
  }),
];
