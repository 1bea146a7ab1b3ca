// Agents that end the process they run in, and harmless ones beside them. Every body writes a line to the witness file.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { agent } from "../../src/index.ts";

interface Task {
  readonly witness: string;
  readonly n?: number;
}

const note = ({ witness }: Task, line: string): void => appendFileSync(witness, `${line}\n`);

const isOpen = ({ witness }: Task): boolean => existsSync(`${witness}.open`);
const count = ({ witness }: Task, line: string): number =>
  readFileSync(witness, "utf8")
    .split("\n")
    .filter((one) => one === line).length;

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

/** Waits in its first step until somebody opens the gate, then goes a step further. */
const waiter = agent({
  name: "waiter",
  async run(ctx, input) {
    const task = input as Task;
    await ctx.step("wait", async () => {
      note(task, "waits");
      while (!isOpen(task)) await new Promise((resolve) => setTimeout(resolve, 20));
    });
    return ctx.step("end", () => "arrived");
  },
});

/** Ends its process when `n` waiters wait beside it, or at once when the gate is open. */
const bomber = agent({
  name: "bomber",
  run: (ctx, input) =>
    ctx.step("bomb", async () => {
      const task = input as Task;
      note(task, "bomb");
      while (!isOpen(task) && count(task, "waits") < (task.n ?? 0) * count(task, "bomb"))
        await new Promise((resolve) => setTimeout(resolve, 20));
      process.exit(3);
    }),
});

const echo = agent({ name: "echo", run: (_ctx, input) => input });

export const agents = [exiter, stumbler, walker, waiter, bomber, echo];
