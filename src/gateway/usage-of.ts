// What a call used, from what an AI SDK model says about it: providers leave figures out, and some send nonsense.
import type { LanguageModelV3Usage } from "@ai-sdk/provider";
import type { TokenUsage } from "../domain/usage.ts";

/** Null where the provider did not say: then only the estimate is known. */
export function usageOf(usage: LanguageModelV3Usage | undefined): TokenUsage | null {
  const { inputTokens: input, outputTokens: output } = usage ?? {};
  const cacheReadTokens = count(input?.cacheRead) ?? 0;
  const cacheWriteTokens = count(input?.cacheWrite) ?? 0;
  const reasoningTokens = count(output?.reasoning) ?? 0;
  const inputTokens = count(input?.total) ?? plus(count(input?.noCache), cacheReadTokens + cacheWriteTokens);
  const outputTokens = count(output?.total) ?? plus(count(output?.text), reasoningTokens);
  if (inputTokens === null && outputTokens === null) return null;
  return {
    inputTokens: inputTokens ?? 0,
    outputTokens: outputTokens ?? 0,
    cacheReadTokens,
    cacheWriteTokens,
    reasoningTokens,
  };
}

function plus(one: number | null, others: number): number | null {
  return one === null && others === 0 ? null : (one ?? 0) + others;
}

function count(tokens: number | undefined): number | null {
  return typeof tokens === "number" && Number.isFinite(tokens) && tokens >= 0 ? Math.ceil(tokens) : null;
}
