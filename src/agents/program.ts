// An agent as the engine runs it.
import { CHILDREN_MAX, JOURNAL_ENTRIES_MAX, TREE_DEPTH_MAX, TREE_RUNS_MAX } from "../domain/limits.ts";
import type { Program } from "../engine/execution.ts";
import type { ModelGateway } from "./ai/host.ts";
import { StreamFailures } from "./ai/stream-failures.ts";
import { Context } from "./context.ts";
import type { AnyAgent } from "./ctx.ts";
import { waitForRoom } from "./needs.ts";

/** @param gateway Of the process, for its model calls; null where it has none. */
export function toProgram(agent: AnyAgent, gateway: ModelGateway | null): Program {
  const { limits } = agent;
  return {
    name: agent.name,
    limits: {
      children: limits.children ?? CHILDREN_MAX,
      depth: limits.depth ?? TREE_DEPTH_MAX,
      treeSize: limits.treeSize ?? TREE_RUNS_MAX,
      activeMs: limits.activeMinutes === undefined ? null : limits.activeMinutes * 60_000,
      entries: limits.steps ?? JOURNAL_ENTRIES_MAX,
    },
    budget: agent.budget,
    async run(execution, input) {
      const { generation } = execution.replay;
      const streams = new StreamFailures();
      const run = { generation, restoredAsked: false, began: null, gateway, streams };
      if (agent.needs !== null) await waitForRoom(execution, gateway, agent.needs);
      return streams.tell(execution, () => agent.run(new Context(execution, execution.root, run), input as never));
    },
  };
}
