// One request to an OpenAI-compatible address, passed on as it came; and what went wrong with it, as the AI SDK would say it.
import { APICallError } from "@ai-sdk/provider";
import { lazily } from "../../domain/lazy.ts";
import { MODEL_REPLY_BYTES_MAX } from "../../domain/limits.ts";
import { TruncatedStream } from "../truncated-stream.ts";

/** Only who asks a model loads what it takes. */
const http = lazily(() => import("../http.ts"));

/** Where a provider is, and who we are to it. */
export interface Address {
  /** Without a slash at the end: `https://api.openai.com/v1`. */
  readonly baseUrl: string;
  /** The key among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** How many a process keeps to one server. */
  readonly connections: number;
  /** What it calls the limit of a chat's output. */
  readonly outputLimit: "max_tokens" | "max_completion_tokens";
}

export interface UpstreamReply {
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** The whole body as text. @throws TruncatedStream for one beyond the limit */
  text(): Promise<string>;
}

/** @throws APICallError for every status but a success; what undici throws */
export async function post(address: Address, path: string, body: string, abort: AbortSignal): Promise<UpstreamReply> {
  const url = address.baseUrl + path;
  const { poolOf, request } = await http();
  const reply = await request(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...address.headers },
    body,
    dispatcher: poolOf(address.connections),
    signal: abort,
    // The gateway watches over silence itself.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const headers = plainHeaders(reply.headers);
  const text = (): Promise<string> => textOf(reply.body);
  if (reply.statusCode < 200 || reply.statusCode > 299) {
    const responseBody = await text();
    throw failedCall(url, reply.statusCode, headers, responseBody);
  }
  return { headers, body: reply.body, text };
}

/** An error that came in the midst of a stream, which has no status of its own. */
export function failedStream(error: unknown): APICallError {
  return failedCall("", undefined, {}, JSON.stringify({ error }));
}

function failedCall(
  url: string,
  statusCode: number | undefined,
  responseHeaders: Record<string, string>,
  responseBody: string,
): APICallError {
  const message = messageOf(responseBody) ?? (statusCode === undefined ? "the stream failed" : `HTTP ${statusCode}`);
  return new APICallError({
    message,
    url,
    requestBodyValues: null,
    ...(statusCode === undefined ? {} : { statusCode }),
    responseHeaders,
    responseBody,
  });
}

function messageOf(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } | string };
    if (typeof error === "string") return error;
    return typeof error?.message === "string" ? error.message : undefined;
  } catch {
    return undefined;
  }
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > MODEL_REPLY_BYTES_MAX)
      throw new TruncatedStream(`the reply is larger than ${MODEL_REPLY_BYTES_MAX} bytes`, "");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString("utf8");
}

function plainHeaders(given: Record<string, string | string[] | undefined>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given))
    if (value !== undefined) headers[name.toLowerCase()] = typeof value === "string" ? value : value.join(", ");
  return headers;
}
