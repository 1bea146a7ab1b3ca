// Puts the parts of a model's stream together into the reply they are.
import type {
  LanguageModelV3Content,
  LanguageModelV3ResponseMetadata,
  LanguageModelV3StreamPart,
  SharedV3ProviderMetadata,
  SharedV3Warning,
} from "@ai-sdk/provider";
import type { ChatReply } from "./reply.ts";
import { TruncatedStream } from "./truncated-stream.ts";

type Finish = Extract<LanguageModelV3StreamPart, { type: "finish" }>;

interface Block {
  readonly type: "text" | "reasoning";
  /** Joined at the end: a reply comes in thousands of pieces. */
  readonly deltas: string[];
  providerMetadata: SharedV3ProviderMetadata | undefined;
}

export class Assembly {
  readonly #blocks: (Block | LanguageModelV3Content)[] = [];
  readonly #open = new Map<string, Block>();
  #warnings: SharedV3Warning[] = [];
  #response: LanguageModelV3ResponseMetadata = {};
  #finish: Finish | null = null;

  /** @throws what an `error` part carries */
  add(part: LanguageModelV3StreamPart): void {
    switch (part.type) {
      case "stream-start":
        this.#warnings = part.warnings;
        return;
      case "response-metadata": {
        const { type: _, ...metadata } = part;
        this.#response = { ...this.#response, ...metadata };
        return;
      }
      case "text-start":
      case "reasoning-start":
        this.#begin(part.type === "text-start" ? "text" : "reasoning", part.id, part.providerMetadata);
        return;
      case "text-delta":
      case "reasoning-delta":
        this.#extend(part.type === "text-delta" ? "text" : "reasoning", part);
        return;
      case "text-end":
      case "reasoning-end":
        this.#close(part.type === "text-end" ? "text" : "reasoning", part);
        return;
      case "finish":
        this.#finish = part;
        return;
      case "error":
        throw part.error;
      case "tool-input-start":
      case "tool-input-delta":
      case "tool-input-end":
      case "raw":
        return;
      default:
        this.#blocks.push(part);
    }
  }

  /** @throws TruncatedStream when the stream ended without saying so */
  reply(): ChatReply {
    if (this.#finish === null || isGuessed(this.#finish))
      throw new TruncatedStream("the stream ended before the reply did", this.text);
    const { usage, finishReason, providerMetadata } = this.#finish;
    return {
      content: this.#blocks.map(wholeBlock),
      finishReason,
      usage,
      warnings: this.#warnings,
      response: this.#response,
      ...(providerMetadata === undefined ? {} : { providerMetadata }),
    };
  }

  /** What has come of the answer's text so far. */
  get text(): string {
    return this.#blocks
      .map((block) => (isOpenBlock(block) && block.type === "text" ? block.deltas.join("") : ""))
      .join("");
  }

  #begin(type: Block["type"], id: string, providerMetadata: SharedV3ProviderMetadata | undefined): Block {
    const block: Block = { type, deltas: [], providerMetadata };
    this.#blocks.push(block);
    this.#open.set(`${type} ${id}`, block);
    return block;
  }

  #extend(type: Block["type"], part: { id: string; delta: string; providerMetadata?: SharedV3ProviderMetadata }): void {
    const block = this.#open.get(`${type} ${part.id}`) ?? this.#begin(type, part.id, undefined);
    block.deltas.push(part.delta);
    // A signature of the reasoning comes with its last piece.
    if (part.providerMetadata !== undefined) block.providerMetadata = part.providerMetadata;
  }

  #close(type: Block["type"], part: { id: string; providerMetadata?: SharedV3ProviderMetadata }): void {
    const block = this.#open.get(`${type} ${part.id}`);
    if (block !== undefined && part.providerMetadata !== undefined) block.providerMetadata = part.providerMetadata;
    this.#open.delete(`${type} ${part.id}`);
  }
}

/** The SDK's own word for a stream that ended without the provider's: a reason that nobody gave. */
function isGuessed({ finishReason }: Finish): boolean {
  const isUnsaid = finishReason.unified === "other" || finishReason.unified === "error";
  return isUnsaid && finishReason.raw === undefined;
}

function isOpenBlock(block: Block | LanguageModelV3Content): block is Block {
  return "deltas" in block;
}

function wholeBlock(block: Block | LanguageModelV3Content): LanguageModelV3Content {
  if (!isOpenBlock(block)) return block;
  const { type, deltas, providerMetadata } = block;
  return { type, text: deltas.join(""), ...(providerMetadata === undefined ? {} : { providerMetadata }) };
}
