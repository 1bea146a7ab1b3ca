// A chat call as a job of the gateway: sent through an AI SDK model, in one piece or as a stream, to whichever target serves it.
import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { decodeValue, encodeValue } from "../domain/value.ts";
import { Assembly } from "./assemble.ts";
import { callIdentity } from "./call-identity.ts";
import { type ChatReply, replyOf } from "./reply.ts";
import type { Attempt, Job, Sent, Target } from "./roles.ts";
import { usageOf } from "./usage.ts";

export interface ChatRequest {
  /** As an AI SDK model gets them; `abortSignal` is the gateway's. */
  readonly options: LanguageModelV3CallOptions;
  readonly stream: boolean;
  /** Every part of a stream as it comes. */
  readonly onPart?: (part: LanguageModelV3StreamPart, attempt: Attempt) => void;
  /** What was shown of an attempt is replaced by what follows. False where that is not possible. Default true. */
  readonly onReset?: (attempt: Attempt) => boolean;
}

export function chatJob(request: ChatRequest, modelOf: (target: Target) => Promise<LanguageModelV3>): Job<ChatReply> {
  const { options, stream, onPart, onReset } = request;
  const { abortSignal: _, ...plain } = options;
  const identity = callIdentity("chat", options);
  let hasShown = false;
  const show = (part: LanguageModelV3StreamPart, attempt: Attempt): void => {
    hasShown ||= isContent(part);
    onPart?.(part, attempt);
  };
  return {
    kind: "chat",
    inputBytes: Buffer.byteLength(identity ?? JSON.stringify(options.prompt)),
    maxOutputTokens: options.maxOutputTokens ?? null,
    hasTools: (options.tools?.length ?? 0) > 0,
    streams: stream,
    identity,
    codec: {
      encode: (reply) => encodeValue(reply),
      decode: (text) => decodeValue(text) as ChatReply,
    },
    hasShown: () => hasShown,
    reset: (attempt) => {
      hasShown = false;
      return onReset?.(attempt) ?? true;
    },
    send: async (attempt) => {
      const model = await modelOf(attempt.target);
      const max = attempt.maxOutputTokens === null ? {} : { maxOutputTokens: attempt.maxOutputTokens };
      const call = { abortSignal: attempt.abort, ...plain, ...max };
      return stream ? streamed(model, call, attempt, onPart === undefined ? undefined : show) : whole(model, call);
    },
  };
}

function whole(model: LanguageModelV3, call: LanguageModelV3CallOptions): Promise<Sent<ChatReply>> {
  return Promise.resolve(model.doGenerate(call)).then((result) => {
    const headers = result.response?.headers ?? {};
    return { result: replyOf(result), usage: usageOf(result.usage), headers, firstChunkMs: null };
  });
}

async function streamed(
  model: LanguageModelV3,
  call: LanguageModelV3CallOptions,
  attempt: Attempt,
  onPart: ChatRequest["onPart"],
): Promise<Sent<ChatReply>> {
  const startMs = performance.now();
  let firstChunkMs: number | null = null;
  const { stream, response } = await model.doStream(call);
  attempt.alive();
  const assembly = new Assembly();
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      attempt.alive();
      attempt.abort.throwIfAborted();
      if (firstChunkMs === null && isContent(value)) firstChunkMs = performance.now() - startMs;
      assembly.add(value);
      onPart?.(value, attempt);
    }
    const result = assembly.reply();
    return { result, usage: usageOf(result.usage), headers: response?.headers ?? {}, firstChunkMs };
  } finally {
    // Whoever stops reading says so, or the provider goes on sending, and charging.
    reader.cancel().catch(() => undefined);
  }
}

function isContent(part: LanguageModelV3StreamPart): boolean {
  return part.type !== "stream-start" && part.type !== "response-metadata" && part.type !== "raw";
}
