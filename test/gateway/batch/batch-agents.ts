// The agents of the test that kills a process in the middle of a batch.
import { z } from "zod";
import { modelBatcher } from "../../../src/ai.ts";
import { agent } from "../../../src/index.ts";

export const classify = modelBatcher({
  name: "classify",
  model: "smart",
  instructions: "Say whether the number is even.",
  maxOutputTokens: 50,
  schema: z.object({ even: z.boolean() }),
  maxItems: 50,
  maxDelayMs: 300,
});

export const agents = [
  agent({
    name: "even",
    input: z.number(),
    batchers: [classify],
    budget: { usd: 1 },
    run: async (ctx, n) => (await ctx.batch(classify, n)).even,
  }),
];
