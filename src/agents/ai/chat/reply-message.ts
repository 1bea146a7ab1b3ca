// A model's reply as a message of the thread, and back again as the model wants it with the next turn.
import type { LanguageModelV3Content, LanguageModelV3Message, LanguageModelV3ToolCall } from "@ai-sdk/provider";
import type { ModelRecord } from "../model-record.ts";
import type { AiMessage, AiToolCall, KeptPart } from "./messages.ts";

type AssistantParts = Extract<LanguageModelV3Message, { role: "assistant" }>["content"];

export function messageOfReply(reply: ModelRecord, id: string): AiMessage {
  const calls = reply.content.filter((part) => part.type === "tool-call");
  const invalid = calls.filter((call) => argsOf(call) === null);
  const { inputTokens, outputTokens } = reply.usage;
  const input = inputTokens.total ?? 0;
  const output = outputTokens.total ?? 0;
  const parts = keptParts(reply.content);
  return {
    type: "ai",
    id,
    content: reply.content.map((part) => (part.type === "text" ? part.text : "")).join(""),
    tool_calls: calls.flatMap((call): AiToolCall[] => {
      const args = argsOf(call);
      return args === null ? [] : [{ id: call.toolCallId, name: call.toolName, args, type: "tool_call" }];
    }),
    ...(invalid.length === 0
      ? {}
      : {
          invalid_tool_calls: invalid.map(({ toolCallId, toolName, input: args }) => ({
            id: toolCallId,
            name: toolName,
            args,
          })),
        }),
    usage_metadata: { input_tokens: input, output_tokens: output, total_tokens: input + output },
    response_metadata: { model_name: reply.call.target, finish_reason: reply.finishReason.unified },
    ...(parts === null ? {} : { additional_kwargs: { longhaul: { parts } } }),
  };
}

/** The arguments, or null where they are no JSON object. */
export function argsOf(call: LanguageModelV3ToolCall): Readonly<Record<string, unknown>> | null {
  if (call.input.trim() === "") return {};
  try {
    const args: unknown = JSON.parse(call.input);
    return typeof args === "object" && args !== null && !Array.isArray(args) ? (args as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Null where the message says it all: text, then calls, and nothing that is the provider's own. */
function keptParts(content: readonly LanguageModelV3Content[]): KeptPart[] | null {
  const parts = content.flatMap((part): KeptPart[] => {
    if (part.type === "source") return [];
    // Some providers begin a text for every reply, and refuse to be given an empty one.
    if (part.type === "text" && part.text === "") return [];
    const meta = part.providerMetadata === undefined ? {} : { providerMetadata: part.providerMetadata };
    if (part.type === "text") return [{ type: "text", chars: part.text.length, ...meta }];
    if (part.type === "tool-call" && part.providerExecuted !== true)
      return [{ type: "call", id: part.toolCallId, ...meta }];
    return [{ type: "other", part }];
  });
  const firstCall = parts.findIndex(({ type }) => type === "call");
  const plain = parts.every((part, at) => {
    if (part.type === "other" || part.providerMetadata !== undefined) return false;
    return part.type === "call" || firstCall === -1 || at < firstCall;
  });
  return plain ? null : parts;
}

export function assistantParts(message: AiMessage): AssistantParts {
  const calls = new Map<string, { readonly name: string; readonly input: unknown }>();
  for (const { id, name, args } of message.invalid_tool_calls ?? []) calls.set(id, { name, input: args });
  for (const { id, name, args } of message.tool_calls) calls.set(id, { name, input: args });
  const callPart = (id: string, meta: unknown): AssistantParts => {
    const call = calls.get(id);
    if (call === undefined) return [];
    return [{ type: "tool-call", toolCallId: id, toolName: call.name, input: call.input, ...options(meta) }];
  };
  const kept = message.additional_kwargs?.longhaul?.parts;
  if (kept === undefined) {
    const text: AssistantParts = message.content === "" ? [] : [{ type: "text", text: message.content }];
    return [...text, ...[...calls.keys()].flatMap((id) => callPart(id, undefined))];
  }
  let at = 0;
  return kept.flatMap((part): AssistantParts => {
    if (part.type === "call") return callPart(part.id, part.providerMetadata);
    if (part.type === "other") return otherPart(part.part);
    const text = message.content.slice(at, at + part.chars);
    at += part.chars;
    return [{ type: "text", text, ...options(part.providerMetadata) }];
  });
}

function otherPart(part: LanguageModelV3Content): AssistantParts {
  switch (part.type) {
    case "reasoning":
      return [{ type: "reasoning", text: part.text, ...options(part.providerMetadata) }];
    case "file":
      return [{ type: "file", data: part.data, mediaType: part.mediaType, ...options(part.providerMetadata) }];
    case "tool-call":
      return [
        {
          type: "tool-call",
          toolCallId: part.toolCallId,
          toolName: part.toolName,
          input: argsOf(part) ?? part.input,
          ...(part.providerExecuted === true ? { providerExecuted: true } : {}),
          ...options(part.providerMetadata),
        },
      ];
    case "tool-result":
      return [
        {
          type: "tool-result",
          toolCallId: part.toolCallId,
          toolName: part.toolName,
          output: { type: part.isError === true ? "error-json" : "json", value: part.result },
          ...options(part.providerMetadata),
        },
      ];
    case "text":
    case "source":
    case "tool-approval-request":
      return [];
  }
}

/** What a provider said of a part goes back to it with the part. */
function options(metadata: unknown): { readonly providerOptions?: never } {
  return metadata === undefined ? {} : { providerOptions: metadata as never };
}
