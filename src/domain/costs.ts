// Reports on what model calls cost: by what they are grouped, and what a line says.

export const COST_GROUPS = ["tenant", "agent", "feature", "model", "provider", "step", "run", "day"] as const;
export type CostGroup = (typeof COST_GROUPS)[number];

/** What many calls used and took. Failed and abandoned ones are in it with what they cost. */
export interface CostFigures {
  /** Attempts at models, and answers that needed none. */
  readonly calls: number;
  readonly failed: number;
  /** Answered from the cache, and by sharing the answer of an identical call. */
  readonly cached: number;
  readonly coalesced: number;
  /** What was read from the provider's cache is part of the input, what was spent on reasoning part of the output. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly reasoningTokens: number;
  readonly usd: number;
  /** Calls whose price nobody knows: they count as 0 in `usd`. */
  readonly unpriced: number;
  /** Of the attempts that succeeded, in milliseconds; null where there are none. The first chunk only where it streamed. */
  readonly latencyMs: Percentiles | null;
  readonly firstChunkMs: Percentiles | null;
}

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
}

/** `key` null: calls of which it is not known. A model is `provider/model`, a day `2030-01-31` (UTC), a step its name with the agent's. */
export interface CostLine extends CostFigures {
  readonly key: string | null;
}

export interface CostReport {
  readonly by: CostGroup;
  readonly since: string;
  readonly until: string;
  /** The most expensive first; days in their order. */
  readonly lines: readonly CostLine[];
  /** Of all calls, also of those whose lines are not shown. */
  readonly total: CostFigures;
  /** How many lines there are beyond those shown. */
  readonly more: number;
  /** False: there were more calls than a report looks at, and the oldest are not in it. */
  readonly isComplete: boolean;
}

/** How unevenly runs cost: a run here is a whole tree, with all that was spawned. */
export interface ConcentrationReport {
  readonly since: string;
  readonly until: string;
  /** Trees that made calls. */
  readonly runs: number;
  readonly usd: number;
  /** Which part of the cost the most expensive 1, 5, 10, 25 and 50 percent of the runs have, from 0 to 1. */
  readonly shares: readonly { readonly percent: number; readonly runs: number; readonly part: number }[];
  /** The most expensive runs. */
  readonly top: readonly ExpensiveRun[];
  readonly isComplete: boolean;
}

export interface ExpensiveRun {
  readonly runId: string;
  readonly tenant: string;
  /** The root's, where it made calls itself; else one of the tree's. */
  readonly agent: string | null;
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly usd: number;
}

export const CONCENTRATION_PERCENTS = [1, 5, 10, 25, 50] as const;
