// What stands in for an agent that is not there.
import type { Program } from "./execution.ts";

/** Stands in for an agent that this build does not have: the run is paused with the reason, until it is deployed. */
export function missingProgram(name: string): Program {
  return {
    name,
    limits: { children: 0, depth: 0, treeSize: 0, activeMs: null, entries: Number.MAX_SAFE_INTEGER },
    budget: null,
    run(execution) {
      execution.stop("pause", `agent_unknown: this worker's build has no agent ${name}`);
      return execution.never();
    },
  };
}
