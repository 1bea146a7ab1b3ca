// A database in which something of everything has happened: runs in every state, children, questions, threads, timers, blobs.
import { agent, connect } from "../../src/index.ts";
import { claimRuns } from "../../src/store/claim.ts";
import { callModel } from "../support/calls.ts";
import type { FreshDatabase } from "../support/postgres.ts";

// Late enough that its parent sleeps by then.
const child = agent({
  name: "child",
  concurrency: { limit: 100, perKey: 100 },
  run: (ctx, input) => (input === "stay" ? ctx.signal("go") : ctx.sleep(400)),
});
const parent = agent({ name: "parent", run: (ctx) => ctx.map("children", ["end", "stay"], child) });
const family = agent({ name: "family", run: async (ctx) => (await ctx.spawn(child, "end")).result() });
const asker = agent({
  name: "asker",
  async run(ctx) {
    await ctx.sleep(5);
    return await ctx.approval("publish", "text", { expires: "1 hour" });
  },
});
const sleeper = agent({ name: "sleeper", run: (ctx) => ctx.sleep("1 hour") });
const flaky = agent({
  name: "flaky",
  async run(ctx, fails) {
    return await ctx.step("try", { retry: { maxAttempts: 2, initialMs: 5 } }, ({ attempt }) => {
      if (attempt === 1 || fails === true) throw new Error("not yet");
      return "x".repeat(100_000);
    });
  },
});
const spender = agent({
  name: "spender",
  budget: { usd: 5 },
  async run(ctx, stays) {
    await callModel(ctx, "call", { estimate: { input: 10, usd: 0.2 }, actual: { input: 9, usd: 0.1 } });
    if (stays === true) await ctx.signal("go");
  },
});
const stranger = agent({ name: "stranger", run: () => null });

const THREAD = "0b0e0f7c-4a3c-4f5e-9d0a-7d0f8b6f1a11";

/** Fills it with the help of a worker that is gone afterwards; one run is left in the hands of a worker that never was. */
export async function fillDatabase({ url, db }: FreshDatabase): Promise<void> {
  const agents = [child, parent, family, asker, sleeper, flaky, spender];
  const lh = await connect({ url, agents, worker: { warmMs: 0 } });
  const outside = await connect({ url, agents: [...agents, stranger], worker: false });
  await lh.plans.set("default", { budget: { usd: 1_000, per: "month" } });
  await lh.run(flaky, false, { idempotencyKey: "flaky" });
  await lh.run(spender, false);
  await lh.run(flaky, true, { idempotencyKey: "hopeless" }).catch(() => undefined);
  await lh.run(family, null);
  const answered = await lh.submit(asker, null);
  await until(async () => (await lh.approvals({ status: "pending", runId: answered.runId })).length === 1);
  for (const { approvalId } of await lh.approvals({ runId: answered.runId }))
    await lh.approve(approvalId, { by: "ann" });
  await answered.result();
  const waiting = [
    await lh.submit(asker, null),
    await lh.submit(asker, null),
    await lh.submit(parent, null),
    await lh.submit(spender, true),
    await lh.submit(sleeper, null, { threadId: THREAD }),
  ];
  await lh.submit(sleeper, null, { threadId: THREAD });
  const paused = await outside.submit(stranger, null);
  for (const { runId } of waiting) await until(async () => (await lh.get(runId))?.status === "waiting");
  await until(async () => (await lh.get(paused.runId))?.status === "paused");
  // The parent sleeps, and one of its two children has ended.
  await until(async () => (await db.query("select from longhaul.inbox where kind = 'child'")).length === 1);
  await lh.close();

  const [question] = await outside.approvals({ status: "pending" });
  await outside.approve(question?.approvalId ?? "", { by: "bob" });
  await (await outside.submit(sleeper, null, { delay: "1 hour" })).cancel();
  await outside.submit(sleeper, null, { delay: "1 hour" });
  await outside.submit(child, "stay", { queue: "held" });
  const hold = { workerId: THREAD, leaseMs: 3_600_000, queue: "held", builds: ["default"], bands: [1] };
  await claimRuns(db, { ...hold, floors: [0], count: 1, turns: 1 });
  await outside.close();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}
