// A run that a budget has ended, as people see it on a terminal and programs in JSON: which limit, what was spent, and what it had so far.
import { expect, test } from "vitest";
import { layOut } from "../../src/cli/layout.ts";
import { viewRun } from "../../src/cli/view-runs.ts";
import { agent } from "../../src/index.ts";
import type { RunDetail } from "../../src/runtime/api.ts";
import { callModel } from "../support/calls.ts";
import { useStage } from "../support/longhaul.ts";

const stage = useStage();
const paper = { columns: 140, color: false };
const shown = (run: RunDetail | null): string => layOut(viewRun(run as RunDetail), paper as never);

const writer = agent({
  name: "writer",
  budget: { usd: 0.5 },
  async run(ctx) {
    ctx.partial({ chapters: ["one", "two"] });
    await callModel(ctx, "first", { estimate: { usd: 0.4 } });
    await callModel(ctx, "second", { estimate: { usd: 0.4 } });
  },
});

test("the limit, what is spent and the part that there is", async () => {
  const lh = await stage.worker([writer]);
  const { runId } = await lh.submit(writer, null);
  await lh.wait(runId);
  const run = await lh.inspect(runId);
  const text = shown(run);
  expect(text).toMatch(/status\s+failed: budget_exceeded/);
  expect(text).toMatch(/failure\s+.*allows 0\.5 US dollars: 0\.4 are spent, and 0\.4 more were asked for/);
  expect(text).toMatch(new RegExp(`limit\\s+0\\.5 US dollars \\(budget ${runId}\\)`));
  expect(text).toMatch(/spent\s+0\.4 US dollars/);
  expect(text).toMatch(/partial\s+\{ chapters: \[ 'one', 'two' \] \}/);
  expect(JSON.parse(JSON.stringify(run))).toMatchObject({
    status: "failed",
    reason: "budget_exceeded",
    result: {
      partial: { chapters: ["one", "two"] },
      failure: {
        code: "BUDGET_EXCEEDED",
        details: { budgetId: runId, dimension: "usd", limit: 0.5, spent: 0.4, asked: 0.4 },
      },
    },
  });
});

test("also where the agent has put the error into one of its own", async () => {
  const wrapper = agent({
    name: "wrapper",
    budget: { steps: 1 },
    async run(ctx) {
      await ctx.step("one", () => 1);
      await ctx
        .step("two", () => 2)
        .catch((cause: unknown) => {
          throw new Error("nothing to show", { cause });
        });
    },
  });
  const lh = await stage.worker([wrapper]);
  const { runId } = await lh.submit(wrapper, null);
  expect(await lh.wait(runId)).toMatchObject({ reason: "budget_exceeded" });
  const text = shown(await lh.inspect(runId));
  expect(text).toMatch(/limit\s+1 steps/);
  expect(text).toMatch(/spent\s+1 steps/);
  expect(text).not.toMatch(/\npartial/);
});

test("of any other failure there is none to show", async () => {
  const broken = agent({ name: "broken", run: () => Promise.reject(new Error("no")) });
  const lh = await stage.worker([broken]);
  const { runId } = await lh.submit(broken, null);
  await lh.wait(runId);
  expect(shown(await lh.inspect(runId))).not.toMatch(/\n(limit|spent|partial)\s/);
});
