// `ctx.model`: an AI SDK language model whose every call is a step of the run.
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3GenerateResult,
  LanguageModelV3StreamPart,
  LanguageModelV3StreamResult,
} from "@ai-sdk/provider";
import { hashInput } from "../../domain/hash.ts";
import { callIdentity } from "../../gateway/call-identity.ts";
import { partsOf } from "../../gateway/reply.ts";
import { askModel, type Question } from "./ask-model.ts";
import { batchTimes } from "./batch-model.ts";
import { type AiHost, gatewayOf } from "./host.ts";
import { LiveStream } from "./live-stream.ts";
import type { ModelRecord } from "./model-record.ts";
import type { ModelOptions } from "./options.ts";

/** Digits of the hash in a step's key. */
const MARK_DIGITS = 12;

export class DurableModel implements LanguageModelV3 {
  readonly specificationVersion = "v3";
  readonly provider = "longhaul";
  readonly modelId: string;
  readonly supportedUrls = {};
  readonly #host: AiHost;
  readonly #options: ModelOptions;

  /** @throws GATEWAY_MISSING */
  constructor(host: AiHost, model: string, options: ModelOptions) {
    gatewayOf(host);
    if (options.batch !== undefined) batchTimes(options.batch);
    this.modelId = model;
    this.#host = host;
    this.#options = options;
  }

  async doGenerate(call: LanguageModelV3CallOptions): Promise<LanguageModelV3GenerateResult> {
    return resultOf(await askModel(this.#host, this.#question(call, false)));
  }

  async doStream(call: LanguageModelV3CallOptions): Promise<LanguageModelV3StreamResult> {
    const question = this.#question(call, true);
    if (this.#options.live !== true) return { stream: streamOf(partsOf(await this.#streamed(question))) };
    const live = new LiveStream();
    live.follow(this.#streamed({ ...question, live }));
    return { stream: live.stream };
  }

  async #streamed(question: Question): Promise<ModelRecord> {
    try {
      return await askModel(this.#host, question);
    } catch (error) {
      this.#host.streams.note(error);
      throw error;
    }
  }

  #question(call: LanguageModelV3CallOptions, stream: boolean): Question {
    return {
      model: this.modelId,
      mark: markOf(this.modelId, call),
      request: () => call,
      stream,
      options: this.#options,
    };
  }
}

/** What is asked, as part of the step's identity: two conversations in one scope keep apart, in whatever order they ask. */
function markOf(model: string, { headers: _, ...call }: LanguageModelV3CallOptions): string | null {
  const identity = callIdentity("chat", call);
  return identity === null ? null : hashInput(`${model}\n${identity}`).slice(0, MARK_DIGITS);
}

function resultOf({ call: _, ...reply }: ModelRecord): LanguageModelV3GenerateResult {
  return reply;
}

function streamOf(parts: Iterable<LanguageModelV3StreamPart>): ReadableStream<LanguageModelV3StreamPart> {
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });
}
