// What an AI SDK model replied as a chat completion, whole or as the chunks of a stream.
import { randomUUID } from "node:crypto";
import type {
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3ResponseMetadata,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
} from "@ai-sdk/provider";
import type { ChatReply } from "../reply.ts";
import { usageOf } from "../usage.ts";

const FINISH_REASONS: Readonly<Record<LanguageModelV3FinishReason["unified"], string>> = {
  stop: "stop",
  length: "length",
  "content-filter": "content_filter",
  "tool-calls": "tool_calls",
  error: "stop",
  other: "stop",
};

/** `model`: what to call it when the provider does not say. */
export function completionOf(reply: ChatReply, model: string): Record<string, unknown> {
  const { content, finishReason, usage } = reply;
  const texts = content.flatMap((part) => (part.type === "text" ? [part.text] : []));
  const thoughts = content.flatMap((part) => (part.type === "reasoning" ? [part.text] : []));
  const calls = content.filter(isCall).map(callOf);
  const annotations = content.flatMap(annotationOf);
  return {
    ...head(reply.response, model, "chat.completion"),
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: texts.length === 0 ? null : texts.join(""),
          refusal: null,
          ...(thoughts.length === 0 ? {} : { reasoning_content: thoughts.join("") }),
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
          ...(annotations.length === 0 ? {} : { annotations }),
        },
        logprobs: null,
        finish_reason: FINISH_REASONS[finishReason.unified],
      },
    ],
    ...usageMember(usage),
  };
}

/** Gives the chunks of one reply, part by part. */
export class ChunkWriter {
  readonly #model: string;
  readonly #includeUsage: boolean;
  /** Place among the tool calls, by their ids. */
  readonly #calls = new Map<string, number>();
  #response: LanguageModelV3ResponseMetadata = {};
  #head: Record<string, unknown> | null = null;

  constructor(model: string, includeUsage: boolean) {
    this.#model = model;
    this.#includeUsage = includeUsage;
  }

  chunks(part: LanguageModelV3StreamPart): Record<string, unknown>[] {
    switch (part.type) {
      case "response-metadata":
        this.#response = { ...this.#response, ...part };
        return [];
      case "text-delta":
        return this.#deltas({ content: part.delta });
      case "reasoning-delta":
        return this.#deltas({ reasoning_content: part.delta });
      case "tool-input-start":
        if (part.providerExecuted === true) return [];
        return this.#deltas(this.#callStart(part.id, part.toolName, ""));
      case "tool-input-delta": {
        const index = this.#calls.get(part.id);
        if (index === undefined) return [];
        return this.#deltas({ tool_calls: [{ index, function: { arguments: part.delta } }] });
      }
      case "tool-call":
        if (part.providerExecuted === true || this.#calls.has(part.toolCallId)) return [];
        return this.#deltas(this.#callStart(part.toolCallId, part.toolName, part.input));
      case "source":
        return annotationOf(part).flatMap((annotation) => this.#deltas({ annotations: [annotation] }));
      case "finish":
        return this.#end(part.finishReason, part.usage);
      default:
        return [];
    }
  }

  #callStart(id: string, name: string, input: string): Record<string, unknown> {
    const index = this.#calls.size;
    this.#calls.set(id, index);
    return { tool_calls: [{ index, id, type: "function", function: { name, arguments: input } }] };
  }

  /** The first one says whose words these are. */
  #deltas(delta: Record<string, unknown>): Record<string, unknown>[] {
    const isFirst = this.#head === null;
    return [this.#chunk(isFirst ? { role: "assistant", ...delta } : delta, null)];
  }

  #end({ unified }: LanguageModelV3FinishReason, usage: LanguageModelV3Usage): Record<string, unknown>[] {
    const last = this.#chunk(this.#head === null ? { role: "assistant", content: "" } : {}, FINISH_REASONS[unified]);
    if (!this.#includeUsage) return [last];
    return [last, { ...this.#head, choices: [], ...usageMember(usage) }];
  }

  #chunk(delta: Record<string, unknown>, finishReason: string | null): Record<string, unknown> {
    this.#head ??= head(this.#response, this.#model, "chat.completion.chunk");
    const choice = { index: 0, delta, logprobs: null, finish_reason: finishReason };
    return { ...this.#head, choices: [choice], ...(this.#includeUsage ? { usage: null } : {}) };
  }
}

function head({ id, modelId, timestamp }: LanguageModelV3ResponseMetadata, model: string, object: string) {
  return {
    id: id ?? `chatcmpl-${randomUUID()}`,
    object,
    created: Math.floor((timestamp?.getTime() ?? Date.now()) / 1_000),
    model: modelId ?? model,
  };
}

/** Left out when the provider did not say. */
function usageMember(given: LanguageModelV3Usage): { usage?: Record<string, unknown> } {
  const usage = usageOf(given);
  if (usage === null) return {};
  return {
    usage: {
      prompt_tokens: usage.inputTokens,
      completion_tokens: usage.outputTokens,
      total_tokens: usage.inputTokens + usage.outputTokens,
      prompt_tokens_details: { cached_tokens: usage.cacheReadTokens },
      completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    },
  };
}

type Call = Extract<LanguageModelV3Content, { type: "tool-call" }>;

function isCall(part: LanguageModelV3Content): part is Call {
  return part.type === "tool-call" && part.providerExecuted !== true;
}

function callOf({ toolCallId, toolName, input }: Call): Record<string, unknown> {
  return { id: toolCallId, type: "function", function: { name: toolName, arguments: input } };
}

function annotationOf(part: LanguageModelV3Content | LanguageModelV3StreamPart): Record<string, unknown>[] {
  if (part.type !== "source" || part.sourceType !== "url") return [];
  const { url, title } = part;
  return [{ type: "url_citation", url_citation: { url, title: title ?? url, start_index: 0, end_index: 0 } }];
}
