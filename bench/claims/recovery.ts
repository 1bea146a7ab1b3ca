// Taking up a run with a long past: with checkpoints it makes no difference how long.
import { agent, connect, type Longhaul } from "../../src/index.ts";
import type { Claim } from "../lab/claim.ts";
import { median } from "../lab/statistics.ts";
import { until } from "../lab/until.ts";

const TURNS_PER_CHECKPOINT = 10;

export const recovery: Claim = {
  name: "recovery",
  sentence: "With checkpoints a run of 10,000 turns is taken up as fast as one of 10",
  async measure(lab) {
    const long = lab.size(10_000, 500);
    const database = await lab.database();
    const lines = new Map<string, number>();
    const looper = agent({
      name: "looper",
      async run(ctx, input) {
        const turns = input as number;
        let turn = ctx.restored<number>() ?? 0;
        while (turn < turns) {
          await ctx.step("turn", () => ({ text: "what the model said" }));
          turn += 1;
          if (turn % TURNS_PER_CHECKPOINT === 0) await ctx.checkpoint(turn);
        }
        await ctx.signal("go");
        lines.set(ctx.runId, performance.now());
        // Not ended, so that it can be woken again: what is after the checkpoint stays small.
        for (;;) {
          await ctx.signal("go");
          lines.set(ctx.runId, performance.now());
        }
      },
    });
    const longhaul = await connect({ url: database.url, agents: [looper], worker: { warmMs: 0 } });
    lab.say(`recording ${long} turns`);
    const runs = await Promise.all([longhaul.submit(looper, 10), longhaul.submit(looper, long)]);
    const [few, many] = runs.map(({ runId }) => ({ runId, times: [] as number[] }));
    if (few === undefined || many === undefined) throw new Error("no runs");
    for (const { runId } of [few, many]) await untilWaiting(longhaul, runId);
    lab.say("waking both in turns");
    for (let round = 0; round <= lab.size(11, 3); round++) {
      for (const { runId, times } of [few, many]) {
        lines.delete(runId);
        const sentMs = performance.now();
        await longhaul.signal(runId, "go");
        await until("the next line", 60_000, () => lines.has(runId));
        if (round > 0) times.push((lines.get(runId) ?? Number.NaN) - sentMs);
        await untilWaiting(longhaul, runId);
      }
    }
    await longhaul.close();
    await database.drop();
    return [
      {
        what: `answer to next line after ${long} turns`,
        value: median(many.times),
        unit: "ms",
        baseline: { what: "after 10 turns", value: median(few.times) },
        bar: { of: "ratio", at: "most", limit: 1.25 },
        note: `a checkpoint every ${TURNS_PER_CHECKPOINT} turns; the run is not in memory when the answer comes`,
      },
    ];
  },
};

async function untilWaiting(longhaul: Longhaul, runId: string): Promise<void> {
  await until("the wait", 300_000, async () => (await longhaul.get(runId))?.status === "waiting");
}
