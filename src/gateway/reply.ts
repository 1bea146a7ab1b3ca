// What a chat model answered, as one value: the same whether it came in one piece or as a stream, live or from a journal.
import type {
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3GenerateResult,
  LanguageModelV3ResponseMetadata,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  SharedV3ProviderMetadata,
  SharedV3Warning,
} from "@ai-sdk/provider";

export interface ChatReply {
  readonly content: LanguageModelV3Content[];
  readonly finishReason: LanguageModelV3FinishReason;
  readonly usage: LanguageModelV3Usage;
  readonly warnings: SharedV3Warning[];
  readonly response: LanguageModelV3ResponseMetadata;
  readonly providerMetadata?: SharedV3ProviderMetadata;
}

export function replyOf(result: LanguageModelV3GenerateResult): ChatReply {
  const { id, modelId, timestamp } = result.response ?? {};
  return {
    content: result.content,
    finishReason: result.finishReason,
    usage: result.usage,
    warnings: result.warnings,
    response: {
      ...(id === undefined ? {} : { id }),
      ...(modelId === undefined ? {} : { modelId }),
      ...(timestamp === undefined ? {} : { timestamp }),
    },
    ...(result.providerMetadata === undefined ? {} : { providerMetadata: result.providerMetadata }),
  };
}

/** The stream that a reply would have been: every block whole, in its order. */
export function* partsOf(reply: ChatReply): Generator<LanguageModelV3StreamPart> {
  yield { type: "stream-start", warnings: reply.warnings };
  yield { type: "response-metadata", ...reply.response };
  for (const [place, block] of reply.content.entries()) yield* blockParts(block, String(place));
  const { usage, finishReason, providerMetadata } = reply;
  yield { type: "finish", usage, finishReason, ...(providerMetadata === undefined ? {} : { providerMetadata }) };
}

function* blockParts(block: LanguageModelV3Content, id: string): Generator<LanguageModelV3StreamPart> {
  if (block.type === "text" || block.type === "reasoning") {
    const meta = block.providerMetadata === undefined ? {} : { providerMetadata: block.providerMetadata };
    yield { type: `${block.type}-start`, id, ...meta };
    if (block.text !== "") yield { type: `${block.type}-delta`, id, delta: block.text };
    yield { type: `${block.type}-end`, id, ...meta };
    return;
  }
  if (block.type === "tool-call" && block.providerExecuted !== true) {
    yield { type: "tool-input-start", id: block.toolCallId, toolName: block.toolName };
    yield { type: "tool-input-delta", id: block.toolCallId, delta: block.input };
    yield { type: "tool-input-end", id: block.toolCallId };
  }
  yield block;
}
