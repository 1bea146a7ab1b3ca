// What the journal keeps of a model call: the reply as it came, where it came from and what it cost.
import type { LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { fail } from "../../domain/errors.ts";
import { hashInput } from "../../domain/hash.ts";
import { TOOL_CALLS_MAX } from "../../domain/limits.ts";
import type { AnswerSource } from "../../domain/model-call.ts";
import type { TokenPart } from "../../domain/tokens.ts";
import { toUsd } from "../../domain/usage.ts";
import type { ChatReply } from "../../gateway/reply.ts";
import type { Performed } from "../../gateway/roles.ts";

/** The value of a model step. `content`, `finishReason` and `usage` are what readers of the journal know a message by. */
export interface ModelRecord extends ChatReply {
  readonly call: {
    /** `provider/model` that served it. */
    readonly target: string;
    readonly source: AnswerSource;
    readonly attempts: number;
    readonly usd: number;
    readonly latencyMs: number;
    readonly firstChunkMs: number | null;
  };
}

/** @throws TOOL_CALLS_TOO_MANY */
export function recordOf(performed: Performed<ChatReply>, callKey: string, nowMs: number): ModelRecord {
  const { result, target, source, attempts, spend, latencyMs, firstChunkMs } = performed;
  const calls = result.content.filter(({ type }) => type === "tool-call").length;
  if (calls > TOOL_CALLS_MAX) throw fail("TOOL_CALLS_TOO_MANY", { count: calls, limit: TOOL_CALLS_MAX });
  const { id, timestamp, modelId } = result.response;
  return {
    ...(withoutUndefined(result) as ChatReply),
    // Whatever the AI SDK would make up by itself would be another in every replay.
    response: {
      id: id ?? `lh-${hashInput(callKey)}`,
      timestamp: timestamp ?? new Date(nowMs),
      modelId: modelId ?? target.model,
    },
    call: {
      target: `${target.provider}/${target.model}`,
      source,
      attempts,
      usd: toUsd(spend.nanoUsd),
      latencyMs: Math.round(latencyMs),
      firstChunkMs: firstChunkMs === null ? null : Math.round(firstChunkMs),
    },
  };
}

/** What readers of the run get to see of a part while the reply is being made. */
export function shownPart(part: LanguageModelV3StreamPart): TokenPart | null {
  switch (part.type) {
    case "text-start":
    case "text-delta":
    case "text-end":
    case "reasoning-start":
    case "reasoning-delta":
    case "reasoning-end":
    case "tool-input-start":
    case "tool-input-delta":
    case "tool-input-end":
    case "tool-call":
    case "source":
      return withoutUndefined(part) as TokenPart;
    case "stream-start":
    case "response-metadata":
    case "raw":
    case "error":
    case "finish":
    // Often megabytes: they come with the record.
    case "file":
    case "tool-result":
    case "tool-approval-request":
      return null;
  }
}

/** A copy of plain data in which nothing is there that is undefined: half of a provider's answer is. */
function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(kept.map(([key, member]) => [key, withoutUndefined(member)]));
}
