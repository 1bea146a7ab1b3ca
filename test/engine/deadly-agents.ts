// Agents that end the process they run in, and harmless ones beside them. Every body writes a line to the witness file.
import { appendFileSync } from "node:fs";
import { agent } from "../../src/index.ts";

interface Task {
  readonly witness: string;
  readonly n?: number;
}

const note = ({ witness }: Task, line: string): void => appendFileSync(witness, `${line}\n`);

/** Ends its process in a step, every time. */
const exiter = agent({
  name: "exiter",
  run: (ctx, input) =>
    ctx.step("exit", () => {
      note(input as Task, "exit");
      process.exit(3);
    }),
});

/** Ends its process in step `n`, the first time that it gets there: each death comes after progress. */
const stumbler = agent({
  name: "stumbler",
  async run(ctx, input) {
    const task = input as Task;
    for (let i = 0; i < (task.n ?? 4); i++) {
      await ctx.step("before", () => note(task, `before ${i}`));
      await ctx.step("stumble", ({ attempt }) => {
        note(task, `stumble ${i}`);
        if (!process.env["LONGHAUL_SURE_FOOTED"] && attempt === 1) process.exit(3);
      });
    }
    return "arrived";
  },
});

/** Steps of some milliseconds each. */
const walker = agent({
  name: "walker",
  async run(ctx, input) {
    const task = input as Task;
    for (let i = 0; i < (task.n ?? 20); i++) {
      await ctx.step("walk", async () => {
        note(task, `walk ${i}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      });
    }
    return "arrived";
  },
});

const echo = agent({ name: "echo", run: (_ctx, input) => input });

export const agents = [exiter, stumbler, walker, echo];
