// How large a request is, for the estimate of what it will use.
import type { OpenAiApi } from "./outlets.ts";

/** What an image counts for, in bytes of text: providers take 85 to some 1,500 tokens, by its size. */
const MEDIUM_BYTES = 4_000;
const DATA_URL = /"data:[^"]{200,}"/g;

/** UTF-8 bytes of what goes in. Images and files in it count as what they cost, not as what they weigh. */
export function sizeOf(text: string): number {
  let bytes = Buffer.byteLength(text);
  if (!text.includes('"data:')) return bytes;
  for (const [url] of text.matchAll(DATA_URL)) bytes -= Math.max(0, url.length - MEDIUM_BYTES);
  return bytes;
}

/** The most that the answer may have; null when the request does not say. */
export function outputTokensOf(api: OpenAiApi, body: Readonly<Record<string, unknown>>): number | null {
  if (api === "embeddings") return 0;
  if (api === "responses") return countOf(body["max_output_tokens"]);
  const most = countOf(body["max_completion_tokens"]) ?? countOf(body["max_tokens"]);
  return most === null ? null : most * (countOf(body["n"]) ?? 1);
}

function countOf(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : null;
}
