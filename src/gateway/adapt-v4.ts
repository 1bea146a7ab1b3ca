// A model of specification v4 (AI SDK 7) as one of v3: files are written otherwise on the way in, and some parts are new on the way out.
import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { promptForV4 } from "./prompt-v4.ts";

type Part = Readonly<Record<string, unknown>>;

interface ModelV4 {
  readonly provider: string;
  readonly modelId: string;
  readonly supportedUrls: LanguageModelV3["supportedUrls"];
  doGenerate(
    options: object,
  ): PromiseLike<{ readonly content: readonly Part[]; readonly finishReason: Part; readonly warnings: Part[] }>;
  doStream(options: object): PromiseLike<{ readonly stream: ReadableStream<Part> }>;
}

export function languageFromV4(model: unknown): LanguageModelV3 {
  const inner = model as ModelV4;
  const owner = inner.provider.split(".")[0] ?? inner.provider;
  const optionsFor = ({ prompt, ...options }: LanguageModelV3CallOptions): object => ({
    ...options,
    prompt: promptForV4(prompt, owner),
  });
  return {
    specificationVersion: "v3",
    provider: inner.provider,
    modelId: inner.modelId,
    supportedUrls: inner.supportedUrls,
    async doGenerate(options) {
      const result = await inner.doGenerate(optionsFor(options));
      const content = result.content.flatMap((part) => partFromV4(part) ?? []);
      const finished = { ...result, content, finishReason: reasonFromV4(result.finishReason) };
      return finished as unknown as Awaited<ReturnType<LanguageModelV3["doGenerate"]>>;
    },
    async doStream(options) {
      const result = await inner.doStream(optionsFor(options));
      return { ...result, stream: result.stream.pipeThrough(new TransformStream({ transform: pass })) };
    },
  };
}

function pass(part: Part, controller: TransformStreamDefaultController<LanguageModelV3StreamPart>): void {
  const passed = partFromV4(part);
  if (passed !== null) controller.enqueue(passed as unknown as LanguageModelV3StreamPart);
}

/** Null for what v3 has no word for: signs of life, files of the reasoning, and what only this provider understands. */
function partFromV4(part: Part): Part | null {
  switch (part["type"]) {
    case "ping":
    case "custom":
    case "reasoning-file":
      return null;
    case "file":
      return fileFromV4(part);
    case "finish":
      return { ...part, finishReason: reasonFromV4(part["finishReason"] as Part) };
    default:
      return part;
  }
}

/** A file that lies elsewhere is named as a source: v3 knows only files that are there. */
function fileFromV4(part: Part): Part {
  const file = part["data"] as { readonly type?: string; readonly data?: unknown; readonly url?: URL };
  if (file.type === "data") return { ...part, data: file.data };
  if (file.type !== "url" || file.url === undefined) return part;
  const url = String(file.url);
  return {
    type: "source",
    sourceType: "url",
    id: url,
    url,
    title: part["mediaType"],
    providerMetadata: part["providerMetadata"],
  };
}

function reasonFromV4(reason: Part): Part {
  return reason["unified"] === "interrupted" ? { unified: "other", raw: reason["raw"] ?? "interrupted" } : reason;
}
