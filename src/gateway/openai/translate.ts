// A request in OpenAI's words through an AI SDK model of any make, and its answer back in them.
import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { Assembly } from "../assemble.ts";
import { type ChatReply, replyOf } from "../reply.ts";
import type { Attempt, Sent, Target } from "../roles.ts";
import { usageOf } from "../usage.ts";
import type { OpenAiCall } from "./call.ts";
import { ChunkWriter, completionOf } from "./chat-completion.ts";
import { chatOptions } from "./chat-options.ts";
import { embedThrough } from "./embedding-call.ts";
import { fetchedByProvider } from "./media.ts";
import type { Outlets } from "./outlets.ts";
import { patient } from "./patience.ts";
import { refusal } from "./refusal.ts";
import { ResponseWriter, responseOf } from "./response-writer.ts";
import { responsesOptions } from "./responses-options.ts";

/** @throws a refusal that names what cannot be translated, before anything is sent */
export async function translate(call: OpenAiCall, attempt: Attempt, outlets: Outlets): Promise<Sent<string>> {
  const { target, abort } = attempt;
  const kind = outlets.kind(target);
  if (call.api === "embeddings") {
    const { json, ...rest } = await embedThrough(await outlets.embedding(target), call.body, target, kind, abort);
    return { result: json, ...rest, firstChunkMs: null };
  }
  const options = (call.api === "chat" ? chatOptions : responsesOptions)(call.body, target, kind);
  const model = await outlets.language(target);
  checkAddresses(options, await model.supportedUrls, target);
  // There may be no budget for a longer answer.
  const max = attempt.maxOutputTokens === null ? {} : { maxOutputTokens: attempt.maxOutputTokens };
  const asked = { abortSignal: abort, ...options, ...max };
  return call.stream ? streamed(call, attempt, model, asked) : whole(call, attempt, model, asked);
}

async function whole(
  call: OpenAiCall,
  { target }: Attempt,
  model: LanguageModelV3,
  options: LanguageModelV3CallOptions,
): Promise<Sent<string>> {
  const answer = await model.doGenerate(options);
  const headers = answer.response?.headers ?? {};
  return { result: jsonOf(call, replyOf(answer), target), usage: usageOf(answer.usage), headers, firstChunkMs: null };
}

async function streamed(
  call: OpenAiCall,
  attempt: Attempt,
  model: LanguageModelV3,
  options: LanguageModelV3CallOptions,
): Promise<Sent<string>> {
  const startMs = performance.now();
  const { stream, response } = await model.doStream(options);
  attempt.alive();
  const assembly = new Assembly();
  const frames = framesFor(call, attempt.target);
  let firstChunkMs: number | null = null;
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      attempt.alive();
      attempt.abort.throwIfAborted();
      assembly.add(value);
      const text = frames(value);
      if (text === "") continue;
      firstChunkMs ??= performance.now() - startMs;
      await patient(call.sink?.(text, attempt), attempt);
    }
    const reply = assembly.reply();
    const result = call.keeps ? jsonOf(call, reply, attempt.target) : "";
    return { result, usage: usageOf(reply.usage), headers: response?.headers ?? {}, firstChunkMs };
  } finally {
    // Whoever stops reading says so, or the provider goes on sending, and charging.
    reader.cancel().catch(() => undefined);
  }
}

function jsonOf({ api, body }: OpenAiCall, reply: ChatReply, { model }: Target): string {
  return JSON.stringify(api === "chat" ? completionOf(reply, model) : responseOf(reply, body, model));
}

/** What a part of the stream is in the words of the API that was asked. */
function framesFor(
  { api, body, wantsUsage }: OpenAiCall,
  { model }: Target,
): (part: LanguageModelV3StreamPart) => string {
  if (api === "chat") {
    const writer = new ChunkWriter(model, wantsUsage);
    return (part) =>
      writer
        .chunks(part)
        .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
        .join("");
  }
  const writer = new ResponseWriter(body, model);
  return (part) =>
    writer
      .events(part)
      .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      .join("");
}

function checkAddresses(
  { prompt }: LanguageModelV3CallOptions,
  supportedUrls: Readonly<Record<string, readonly RegExp[]>>,
  target: Target,
): void {
  for (const { role, content } of prompt) {
    if (role !== "user") continue;
    for (const part of content)
      if (part.type === "file" && !fetchedByProvider(part, supportedUrls))
        throw refusal(target, "image_url", "cannot be an address for this model: send the bytes in a data: URL");
  }
}
