// A request for embeddings through an AI SDK model, and its answer in OpenAI's words.
import type { EmbeddingModelV3, SharedV3ProviderOptions } from "@ai-sdk/provider";
import * as z from "zod";
import { MODEL_EMBEDDINGS_MAX } from "../../domain/limits.ts";
import type { TokenUsage } from "../../domain/usage.ts";
import { NO_TOKENS } from "../../domain/usage.ts";
import type { ProviderKind } from "../config.ts";
import type { Target } from "../roles.ts";
import { refusal, translatable } from "./refusal.ts";

const schema = z.strictObject({
  model: z.string(),
  input: z.union([z.string(), z.array(z.string()).min(1).max(MODEL_EMBEDDINGS_MAX)]),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.int().min(1).nullish(),
  user: z.unknown().optional(),
});

export interface Embedded {
  readonly json: string;
  readonly usage: TokenUsage | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** @throws a refusal that names the parameter that cannot be expressed */
export async function embedThrough(
  model: EmbeddingModelV3,
  body: unknown,
  target: Target,
  kind: ProviderKind | "own",
  abort: AbortSignal,
): Promise<Embedded> {
  const request = translatable(schema, body, target);
  const values = typeof request.input === "string" ? [request.input] : request.input;
  const providerOptions = dimensionsOf(request.dimensions, target, kind);
  const embeddings: number[][] = [];
  let tokens: number | undefined = 0;
  let headers: Record<string, string> = {};
  for (const some of await batches(values, model)) {
    const answer = await model.doEmbed({ values: some, abortSignal: abort, ...providerOptions });
    embeddings.push(...answer.embeddings);
    tokens = tokens === undefined || answer.usage === undefined ? undefined : tokens + answer.usage.tokens;
    headers = answer.response?.headers ?? headers;
  }
  const encode = request.encoding_format === "base64" ? base64 : (embedding: readonly number[]) => embedding;
  const json = JSON.stringify({
    object: "list",
    data: embeddings.map((embedding, index) => ({ object: "embedding", index, embedding: encode(embedding) })),
    model: target.model,
    usage: { prompt_tokens: tokens ?? 0, total_tokens: tokens ?? 0 },
  });
  const known = tokens !== undefined && Number.isFinite(tokens) && tokens > 0;
  return { json, usage: known ? { ...NO_TOKENS, inputTokens: Math.round(tokens as number) } : null, headers };
}

/** As many at once as the model takes. */
async function batches(values: readonly string[], model: EmbeddingModelV3): Promise<string[][]> {
  const most = (await model.maxEmbeddingsPerCall) ?? values.length;
  const size = Math.max(1, Math.min(most, values.length));
  return Array.from({ length: Math.ceil(values.length / size) }, (_, place) =>
    values.slice(place * size, (place + 1) * size),
  );
}

function dimensionsOf(
  dimensions: number | null | undefined,
  target: Target,
  kind: ProviderKind | "own",
): { providerOptions?: SharedV3ProviderOptions } {
  if (dimensions === null || dimensions === undefined) return {};
  if (kind === "google") return { providerOptions: { google: { outputDimensionality: dimensions } } };
  if (kind === "openai") return { providerOptions: { openai: { dimensions } } };
  throw refusal(target, "dimensions", "cannot be expressed");
}

/** Little-endian floats of 32 bits, as OpenAI's own programs ask for them. */
function base64(embedding: readonly number[]): string {
  const bytes = Buffer.alloc(embedding.length * 4);
  for (const [place, value] of embedding.entries()) bytes.writeFloatLE(value, place * 4);
  return bytes.toString("base64");
}
