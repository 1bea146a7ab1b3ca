// How hard a model shall think, in the words of each provider.
import type { SharedV3ProviderOptions } from "@ai-sdk/provider";
import type { ProviderKind } from "../config.ts";
import type { Effort } from "./chat-schema.ts";

/** Tokens that Gemini 2.5 may think, as Google's own OpenAI-compatible address translates the words. */
const GEMINI_BUDGETS: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1_024,
  low: 1_024,
  medium: 8_192,
  high: 24_576,
  xhigh: 24_576,
  max: 24_576,
};

/** Null where nobody knows how to say it. */
export function effortOptions(
  effort: Effort,
  kind: ProviderKind | "own",
  model: string,
): SharedV3ProviderOptions | null {
  switch (kind) {
    case "openai":
      return { openai: { reasoningEffort: effort } };
    case "openai-compatible":
      return { openaiCompatible: { reasoningEffort: effort } };
    case "anthropic":
      if (effort === "none") return { anthropic: { thinking: { type: "disabled" } } };
      return { anthropic: { effort: effort === "minimal" ? "low" : effort } };
    case "google":
      return { google: { thinkingConfig: geminiThinking(effort, model) } };
    case "own":
      return null;
  }
}

function geminiThinking(effort: Effort, model: string): { thinkingBudget: number } | { thinkingLevel: string } {
  if (/gemini-2/.test(model) || effort === "none") return { thinkingBudget: GEMINI_BUDGETS[effort] };
  return { thinkingLevel: effort === "xhigh" || effort === "max" ? "high" : effort };
}
