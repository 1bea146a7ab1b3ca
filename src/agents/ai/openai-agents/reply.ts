// A model's reply as the OpenAI Agents SDK wants it.
import type { LanguageModelV3Content } from "@ai-sdk/provider";
import type { AgentOutputItem } from "@openai/agents";
import type { ChatReply } from "../../../gateway/reply.ts";

/** Ids are made of the reply's, so that they are the same in a replay. */
export function outputOf(reply: ChatReply): AgentOutputItem[] {
  const id = reply.response.id ?? "reply";
  return reply.content.flatMap((part, place) => itemOf(part, `${id}-${place}`));
}

function itemOf(part: LanguageModelV3Content, id: string): AgentOutputItem[] {
  const data = part.providerMetadata === undefined ? {} : { providerData: { providerMetadata: part.providerMetadata } };
  switch (part.type) {
    case "text":
      return [
        {
          type: "message",
          id,
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: part.text }],
          ...data,
        },
      ];
    case "reasoning":
      return [{ type: "reasoning", id, content: [{ type: "input_text", text: part.text }], ...data }];
    case "tool-call":
      if (part.providerExecuted === true) return [];
      return [
        {
          type: "function_call",
          id,
          callId: part.toolCallId,
          name: part.toolName,
          arguments: part.input,
          status: "completed",
          ...data,
        },
      ];
    case "file":
    case "source":
    case "tool-result":
    case "tool-approval-request":
      return [];
  }
}

export interface UsageFigures {
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly inputTokensDetails: Record<string, number>;
  readonly outputTokensDetails: Record<string, number>;
}

export function usageOf({ usage }: ChatReply): UsageFigures {
  const inputTokens = usage.inputTokens.total ?? 0;
  const outputTokens = usage.outputTokens.total ?? 0;
  return {
    requests: 1,
    inputTokens,
    outputTokens,
    totalTokens: inputTokens + outputTokens,
    inputTokensDetails: { cached_tokens: usage.inputTokens.cacheRead ?? 0 },
    outputTokensDetails: { reasoning_tokens: usage.outputTokens.reasoning ?? 0 },
  };
}
