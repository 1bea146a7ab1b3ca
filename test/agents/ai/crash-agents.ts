// The agents of the crash tests, for worker processes that are killed: the same loop written in the ways that people write it.
import * as ai6 from "ai";
import * as ai7 from "ai7";
import { z } from "zod";
import { chatAgent, tool } from "../../../src/ai.ts";
import { agent } from "../../../src/index.ts";

const loop = (name: string, ai: typeof ai6) =>
  agent({
    name,
    async run(ctx) {
      const add = ai.tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n * 10 });
      const result = await ai.generateText({
        model: ctx.model("smart"),
        tools: ctx.tools({ add }),
        prompt: "add",
        stopWhen: ai.stepCountIs(9),
        ...ctx.ai,
      });
      return [result.text, result.steps.flatMap((step) => step.toolResults.map(({ output }) => output))];
    },
  });

const chat = chatAgent({
  name: "crash-chat",
  model: "smart",
  tools: { add: tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n * 10 }) },
});

export const agents = [loop("crash-6", ai6), loop("crash-7", ai7 as unknown as typeof ai6), chat];
