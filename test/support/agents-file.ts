// The agents of the command-line tests: one that answers, one that asks a person, one that waits, fails, blocks, or kills.

export const AGENTS_FILE = `
import { appendFileSync } from "node:fs";
import { agent } from "longhaul";
import { z } from "zod";

export const hello = agent({
  name: "hello",
  input: z.object({ name: z.string() }),
  async run(ctx, { name }) {
    const loud = await ctx.step("loud", () => name.toUpperCase());
    ctx.emit("progress", { loud });
    return { greeting: "hello " + loud };
  },
});

export const ask = agent({
  name: "ask",
  run: (ctx) => ctx.approval("publish", { draft: "text" }),
});

export const paid = agent({
  name: "paid",
  run: (ctx) => ctx.signal("paid"),
});

export const fails = agent({
  name: "fails",
  async run(ctx) {
    await ctx.step("first", () => "kept");
    return ctx.step("second", { retry: false }, () => {
      throw new Error("out of order");
    });
  },
});

/** A step that lasts as long as its input says, in milliseconds. */
export const slow = agent({
  name: "slow",
  async run(ctx, ms) {
    await ctx.step("started", () => process.pid);
    await ctx.step("long", () => new Promise((resolve) => setTimeout(() => resolve("slept"), Number(ms))));
    return "done";
  },
});

/** Ends the process that runs it. */
export const killer = agent({
  name: "killer",
  run(ctx, file) {
    appendFileSync(String(file), process.pid + "\\n");
    process.exit(0);
  },
});
`;

export const CONFIG_FILE = `
import { defineConfig } from "longhaul";
export default defineConfig({ agents: "./agents", server: { port: 0 } });
`;
