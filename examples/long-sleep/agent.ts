// An agent that sleeps for days between two steps. Asleep it is a row with a time in it; any worker wakes it.
import { z } from "zod";
import { agent } from "../../src/index.ts"; // in a project of your own: from "longhaul"

export const reminder = agent({
  name: "reminder",
  description: "Writes a reminder now and delivers it later, however many deploys and crashes lie between",
  input: z.object({ to: z.string().min(1), about: z.string().min(1), after: z.string().default("3 days") }),
  async run(ctx, { to, about, after }) {
    const text = await ctx.step("write", () => `Dear ${to}, do not forget ${about}.`);
    const askedMs = ctx.now();

    await ctx.sleep(after);

    return ctx.step("deliver", () => ({ to, text, sleptMs: Date.now() - askedMs }));
  },
});
