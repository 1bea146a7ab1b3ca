// An embedding call as a job of the gateway.
import type { EmbeddingModelV3, EmbeddingModelV3CallOptions } from "@ai-sdk/provider";
import { decodeValue, encodeValue } from "../domain/value.ts";
import { callIdentity } from "./call-identity.ts";
import type { Job, Target } from "./roles.ts";

export interface EmbeddingReply {
  readonly embeddings: number[][];
}

export function embeddingJob(
  options: EmbeddingModelV3CallOptions,
  modelOf: (target: Target) => Promise<EmbeddingModelV3>,
): Job<EmbeddingReply> {
  const identity = callIdentity("embedding", options);
  return {
    kind: "embedding",
    inputBytes: options.values.reduce((sum, value) => sum + Buffer.byteLength(value), 0),
    maxOutputTokens: 0,
    hasTools: false,
    streams: false,
    identity,
    codec: {
      encode: (reply) => encodeValue(reply),
      decode: (text) => decodeValue(text) as EmbeddingReply,
    },
    send: async (attempt) => {
      const model = await modelOf(attempt.target);
      const { embeddings, usage, response } = await model.doEmbed({ ...options, abortSignal: attempt.abort });
      const tokens = usage?.tokens;
      const known = tokens !== undefined && Number.isFinite(tokens) && tokens > 0;
      return {
        result: { embeddings },
        usage: known
          ? {
              inputTokens: Math.round(tokens),
              outputTokens: 0,
              cacheReadTokens: 0,
              cacheWriteTokens: 0,
              reasoningTokens: 0,
            }
          : null,
        headers: response?.headers ?? {},
        firstChunkMs: null,
      };
    },
  };
}
