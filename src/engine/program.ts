// What the engine knows of an agent: something with a name and limits that it can run on an execution.
import type { Execution } from "./execution.ts";

export interface ProgramLimits {
  readonly children: number;
  readonly depth: number;
  readonly treeSize: number;
  /** Null: unlimited. */
  readonly activeMs: number | null;
  readonly entries: number;
}

export interface Program {
  readonly name: string;
  readonly limits: ProgramLimits;
  run(execution: Execution, input: unknown): Promise<unknown>;
}

/** The programs of one build, by name. */
export type Programs = ReadonlyMap<string, Program>;

/** Stands in for an agent that this build does not have: the run is paused with the reason, until it is deployed. */
export function missingProgram(name: string): Program {
  return {
    name,
    limits: { children: 0, depth: 0, treeSize: 0, activeMs: null, entries: Number.MAX_SAFE_INTEGER },
    run(execution) {
      execution.stop("pause", `agent_unknown: this worker's build has no agent ${name}`);
      return execution.never();
    },
  };
}
