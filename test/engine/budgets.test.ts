// Budgets of trees of runs: what they let through, what they refuse, and that nothing is lost or counted twice, whatever crashes.
import { expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { callModel } from "../support/calls.ts";
import { gate, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

async function chargeOf(runId: string): Promise<Record<string, unknown> | undefined> {
  const [row] = await stage.db.query(
    "select input_tokens, output_tokens, nano_usd::text as nano_usd, steps, calls from longhaul.charges where run_id = $1",
    [runId],
  );
  return row;
}

test("thirty calls of $0.10 at once against $1.25: exactly twelve are made", async () => {
  const buyer = agent({
    name: "buyer",
    budget: { usd: 1.25 },
    async run(ctx) {
      const made = await ctx.map(
        "buy",
        Array.from({ length: 30 }, (_, i) => i),
        (branch) =>
          callModel(branch, "call", { estimate: { input: 10, usd: 0.1 } }).then(
            () => "made",
            (error) => error.code,
          ),
      );
      return made;
    },
  });
  const lh = await stage.worker([buyer]);
  const handle = await lh.submit(buyer, null);
  const made = (await handle.result()) as string[];
  expect(made.filter((one) => one === "made")).toHaveLength(12);
  expect(made.filter((one) => one === "BUDGET_EXCEEDED")).toHaveLength(18);
  expect(await chargeOf(handle.runId)).toMatchObject({ nano_usd: "1200000000", input_tokens: 120, calls: 12 });
  expect(await lh.budget(handle.runId)).toMatchObject({
    spent: { usd: 1.2 },
    held: { usd: 0 },
    remaining: { usd: 0.05 },
  });
});

test("fifty children at once draw on one budget, and never spend more than it has", async () => {
  const child = agent({
    name: "child",
    async run(ctx) {
      for (let i = 0; i < 5; i++)
        await callModel(ctx, "call", { estimate: { output: 100, usd: 0.02 }, actual: { output: 60, usd: 0.012 } });
    },
  });
  const parent = agent({
    name: "parent",
    budget: { usd: 1 },
    async run(ctx) {
      const children = await Promise.all(Array.from({ length: 50 }, () => ctx.spawn(child, null)));
      return Promise.all(
        children.map((one) =>
          one.result().then(
            () => "done",
            (error) => error.details.failure.code,
          ),
        ),
      );
    },
  });
  const lh = await stage.worker([parent, child], { slots: 60 });
  const handle = await lh.submit(parent, null);
  const ends = (await handle.result({ timeoutMs: 60_000 })) as string[];
  const budget = await lh.budget(handle.runId);
  console.log(ends.filter((e) => e === "done").length, budget);
  expect(budget?.spent.usd).toBeLessThanOrEqual(1);
  expect(budget?.held.usd).toBe(0);
  // Nobody was refused while there was room for a call.
  expect(budget?.spent.usd).toBeGreaterThan(1 - 0.02);
}, 90_000);
