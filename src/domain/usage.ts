// What a model call uses, and what that costs: the figures that budgets, quotas, the ledger and the reports share.

/** Money is counted in whole billionths of a US dollar, so that sums are exact. As `bigint` in code, `bigint` in PostgreSQL. */
export type NanoUsd = bigint;

export const NANO_PER_USD = 1_000_000_000;

/** Tokens of one model call, as the provider counted them. `input` includes what was cached, `output` includes the reasoning. */
export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input: read from the provider's cache. */
  readonly cacheReadTokens: number;
  /** Of the input: written to the provider's cache. */
  readonly cacheWriteTokens: number;
  /** Of the output: spent on reasoning. */
  readonly reasoningTokens: number;
}

/** What is taken from a budget: by one call, one step, or a whole tree. */
export interface Spend {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly nanoUsd: NanoUsd;
  readonly steps: number;
}

export const NO_SPEND: Spend = { inputTokens: 0, outputTokens: 0, nanoUsd: 0n, steps: 0 };

export const NO_TOKENS: TokenUsage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
};

export function addSpend(a: Spend, b: Spend): Spend {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    nanoUsd: a.nanoUsd + b.nanoUsd,
    steps: a.steps + b.steps,
  };
}

/** Whole billionths, rounded up: a charge is never less than its price. */
export function toNanoUsd(usd: number): NanoUsd {
  return BigInt(Math.ceil(usd * NANO_PER_USD - 1e-3));
}

/** US dollars, for people and for JSON. */
export function toUsd(nano: NanoUsd): number {
  return Number(nano) / NANO_PER_USD;
}
