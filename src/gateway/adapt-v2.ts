// A model of specification v2 (AI SDK 5) as one of v3: its finish reasons and its usage are written otherwise.
import type {
  LanguageModelV3,
  LanguageModelV3FinishReason,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
} from "@ai-sdk/provider";

interface ModelV2 {
  readonly provider: string;
  readonly modelId: string;
  readonly supportedUrls: LanguageModelV3["supportedUrls"];
  doGenerate(options: object): PromiseLike<Record<string, unknown>>;
  doStream(options: object): PromiseLike<{ readonly stream: ReadableStream<Record<string, unknown>> }>;
}

interface UsageV2 {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly totalTokens?: number;
  readonly reasoningTokens?: number;
  readonly cachedInputTokens?: number;
}

export function languageFromV2(model: unknown): LanguageModelV3 {
  const inner = model as ModelV2;
  return {
    specificationVersion: "v3",
    provider: inner.provider,
    modelId: inner.modelId,
    supportedUrls: inner.supportedUrls,
    async doGenerate(options) {
      const result = await inner.doGenerate(optionsForV2(options));
      return withEnd(result) as unknown as Awaited<ReturnType<LanguageModelV3["doGenerate"]>>;
    },
    async doStream(options) {
      const result = await inner.doStream(optionsForV2(options));
      return { ...result, stream: result.stream.pipeThrough(new TransformStream({ transform: partFromV2 })) };
    },
  };
}

/** Tools of the provider had another name, and nobody could answer an approval. */
function optionsForV2({ tools, prompt, ...options }: Parameters<LanguageModelV3["doGenerate"]>[0]): object {
  return {
    ...options,
    ...(tools === undefined
      ? {}
      : { tools: tools.map((tool) => (tool.type === "provider" ? { ...tool, type: "provider-defined" } : tool)) }),
    prompt: prompt.map((message) => {
      if (message.role !== "tool") return message;
      return { ...message, content: message.content.filter((part) => part.type === "tool-result") };
    }),
  };
}

function partFromV2(
  part: Record<string, unknown>,
  controller: TransformStreamDefaultController<LanguageModelV3StreamPart>,
): void {
  controller.enqueue((part["type"] === "finish" ? withEnd(part) : part) as unknown as LanguageModelV3StreamPart);
}

function withEnd(result: Record<string, unknown>): Record<string, unknown> {
  return {
    ...result,
    finishReason: reasonFromV2(result["finishReason"]),
    usage: usageFromV2((result["usage"] ?? {}) as UsageV2),
  };
}

/** `unknown` is what a v2 model says when the provider never said why it ended. */
function reasonFromV2(reason: unknown): LanguageModelV3FinishReason {
  if (reason === "unknown" || typeof reason !== "string") return { unified: "other", raw: undefined };
  return { unified: reason as LanguageModelV3FinishReason["unified"], raw: reason };
}

function usageFromV2({
  inputTokens,
  outputTokens,
  totalTokens,
  reasoningTokens,
  cachedInputTokens,
}: UsageV2): LanguageModelV3Usage {
  return {
    inputTokens: { total: inputTokens, noCache: undefined, cacheRead: cachedInputTokens, cacheWrite: undefined },
    outputTokens: { total: outputTokens, text: undefined, reasoning: reasoningTokens },
    ...(totalTokens === undefined ? {} : { raw: { totalTokens } }),
  };
}
