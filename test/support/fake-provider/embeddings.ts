// Embeddings: OpenAI's /v1/embeddings, and Gemini's :embedContent and :batchEmbedContents.
import type { Prompt, Wire } from "./conversation.ts";
import type { Complaint, Dialect } from "./dialect.ts";
import { missing } from "./openai-chat.ts";
import { hash32 } from "./seeded.ts";
import { data } from "./sse.ts";

/** Fewer than real ones, so that a benchmark measures something else. */
export const DIMENSIONS = 64;

/** Every word moves four of the dimensions: texts that share words are near each other. Of length 1. */
export function embed(text: string, dimensions: number): number[] {
  const vector = new Array<number>(dimensions).fill(0);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text]) {
    for (let at = 0; at < 4; at += 1) {
      const hash = hash32(word, at + 1);
      const place = hash % dimensions;
      vector[place] = (vector[place] ?? 0) + (hash & 0x80000000 ? 1 : -1);
    }
  }
  const length = Math.hypot(...vector);
  if (length === 0) vector[0] = 1;
  return vector.map((value) => Math.fround(length === 0 ? value : value / length));
}

const none: Omit<Prompt, "inputs"> = {
  messages: [],
  tools: [],
  toolChoice: "none",
  schema: null,
  maxOutputTokens: null,
};

export const openAiEmbeddings: Dialect = {
  operation: "embeddings",
  check: checkOpenAi,
  prompt: (body) => ({ ...none, inputs: (Array.isArray(body.input) ? body.input : [body.input]).map(String) }),
  unanswered: () => missing("input"),
  whole: ({ embeddings, model, usage }, body) => ({
    object: "list",
    data: embeddings.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: body.encoding_format === "base64" ? base64(vector) : vector,
    })),
    model,
    ...(usage === null ? {} : { usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.inputTokens } }),
  }),
  pieces: () => null,
  streamError: (error) => data(error.body),
};

export const geminiEmbeddings: Dialect = {
  operation: "embeddings",
  check: checkGemini,
  prompt: (body) => ({ ...none, inputs: (body.requests ?? [body]).map((one: Wire) => textOfContent(one.content)) }),
  unanswered: () => missing("content"),
  whole: ({ embeddings }, body) => {
    const all = embeddings.map((values) => ({ values }));
    return Array.isArray(body.requests) ? { embeddings: all } : { embedding: all[0] };
  },
  pieces: () => null,
  streamError: (error) => data(error.body),
};

/** The dimensions that a request asks for, where it does. */
export function dimensionsOf(body: Wire): number | undefined {
  return body.dimensions ?? body.outputDimensionality ?? body.requests?.[0]?.outputDimensionality;
}

function checkOpenAi(body: Wire): Complaint | null {
  if (typeof body.model !== "string") return { status: 400, message: "you must provide a model parameter" };
  if (body.input === undefined) return missing("input");
  return body.input === "" || body.input.length === 0
    ? { status: 400, message: "'$.input' is invalid. Please check the API reference." }
    : null;
}

function checkGemini(body: Wire): Complaint | null {
  if (body.content !== undefined || Array.isArray(body.requests)) return null;
  return { status: 400, message: "* EmbedContentRequest.content: content is not specified\n" };
}

function textOfContent(content: Wire): string {
  return (content?.parts ?? []).map((part: Wire) => part.text ?? "").join("");
}

function base64(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString("base64");
}
