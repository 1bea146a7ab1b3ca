// The provider's figures as ours: whole numbers, and none of them negative, absurd or missing.
import type { LanguageModelV3Usage } from "@ai-sdk/provider";
import type { TokenUsage } from "../domain/usage.ts";

/** More tokens than any model takes or gives: a figure beyond it is a mistake. */
const TOKENS_MAX = 1_000_000_000;

/** Null when the provider did not say, or said what cannot be: the estimate counts then. */
export function usageOf(usage: LanguageModelV3Usage | undefined): TokenUsage | null {
  const input = count(usage?.inputTokens.total);
  const output = count(usage?.outputTokens.total);
  if (input === null || output === null || (input === 0 && output === 0)) return null;
  return {
    inputTokens: input,
    outputTokens: output,
    cacheReadTokens: Math.min(input, count(usage?.inputTokens.cacheRead) ?? 0),
    cacheWriteTokens: Math.min(input, count(usage?.inputTokens.cacheWrite) ?? 0),
    reasoningTokens: Math.min(output, count(usage?.outputTokens.reasoning) ?? 0),
  };
}

function count(value: number | undefined): number | null {
  if (value === undefined || !Number.isFinite(value) || value < 0 || value > TOKENS_MAX) return null;
  return Math.round(value);
}
