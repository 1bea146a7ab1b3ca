// What durability costs an agent whose steps are model calls of two seconds.
import { agent, connect } from "../../src/index.ts";
import type { Claim } from "../lab/claim.ts";
import { median } from "../lab/statistics.ts";
import { pause } from "../lab/until.ts";

const AGENTS = 20;

export const agentCost: Claim = {
  name: "agent",
  sentence: "An agent with model calls of 2 s takes at most 1 % longer when it is durable",
  async measure(lab) {
    const calls = lab.size(5, 2);
    const callMs = lab.size(2_000, 300);
    const database = await lab.database();
    const durable = agent({
      name: "durable",
      async run(ctx, input) {
        for (let call = 0; call < calls; call++) await ctx.step("model", () => pause(input as number));
      },
    });
    const bare = async (): Promise<void> => {
      for (let call = 0; call < calls; call++) await pause(callMs);
    };
    const longhaul = await connect({ url: database.url, agents: [durable] });
    const timed = async (work: () => Promise<unknown>): Promise<number> => {
      const startedMs = performance.now();
      await work();
      return performance.now() - startedMs;
    };
    // A worker that has just started compiles its code and opens its connections: not the agents' doing.
    await Promise.all(Array.from({ length: AGENTS }, () => longhaul.run(durable, 1)));
    lab.say(`${AGENTS} durable agents and ${AGENTS} bare loops beside them, ${calls} calls of ${callMs} ms each`);
    const both = await Promise.all([
      Promise.all(Array.from({ length: AGENTS }, () => timed(() => longhaul.run(durable, callMs)))),
      Promise.all(Array.from({ length: AGENTS }, () => timed(bare))),
    ]);
    await longhaul.close();
    await database.drop();
    return [
      {
        what: `${calls} calls of ${callMs} ms, submit to result, p50`,
        value: median(both[0]),
        unit: "ms",
        baseline: { what: "the same loop without Longhaul", value: median(both[1]) },
        bar: { of: "ratio", at: "most", limit: 1.01 },
      },
    ];
  },
};
