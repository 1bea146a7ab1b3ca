// The figures of OpenAI's two APIs as ours.
import type { TokenUsage } from "../../domain/usage.ts";
import { usageOf } from "../usage.ts";

/** `prompt_tokens` and `completion_tokens`, or `input_tokens` and `output_tokens`. Null when they are not there, or cannot be. */
export function usageOfMember(member: unknown): TokenUsage | null {
  if (!isObject(member)) return null;
  const input = objectOf(member["prompt_tokens_details"] ?? member["input_tokens_details"]);
  const output = objectOf(member["completion_tokens_details"] ?? member["output_tokens_details"]);
  return usageOf({
    inputTokens: {
      total: numberOf(member["prompt_tokens"] ?? member["input_tokens"]),
      noCache: undefined,
      cacheRead: numberOf(input["cached_tokens"]),
      cacheWrite: undefined,
    },
    outputTokens: {
      // Embeddings have none.
      total: numberOf(member["completion_tokens"] ?? member["output_tokens"] ?? 0),
      text: undefined,
      reasoning: numberOf(output["reasoning_tokens"]),
    },
  });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objectOf(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
