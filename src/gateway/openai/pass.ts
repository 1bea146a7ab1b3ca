// A request passed on to somebody who speaks OpenAI's words: its body as it came but for the model's name, its answer as it comes.
import { MODEL_EVENT_BYTES_MAX } from "../../domain/limits.ts";
import type { Attempt, Sent } from "../roles.ts";
import { TruncatedStream } from "../truncated-stream.ts";
import type { OpenAiCall } from "./call.ts";
import { ChatRelay } from "./chat-relay.ts";
import { serverEvents } from "./event-stream.ts";
import { withMembers } from "./members.ts";
import type { OpenAiApi } from "./outlets.ts";
import { patient } from "./patience.ts";
import type { Relay, Taken } from "./relay.ts";
import { ResponsesRelay } from "./responses-relay.ts";
import { type Address, failedStream, post, type UpstreamReply } from "./upstream.ts";
import { isObject, usageOfMember } from "./usage-members.ts";

const PATHS: Readonly<Record<OpenAiApi, string>> = {
  chat: "/chat/completions",
  responses: "/responses",
  embeddings: "/embeddings",
};

export async function pass(call: OpenAiCall, attempt: Attempt, address: Address): Promise<Sent<string>> {
  const startMs = performance.now();
  const reply = await post(address, PATHS[call.api], bodyFor(call, attempt, address), attempt.abort);
  attempt.alive();
  return call.stream ? streamed(call, attempt, reply, startMs) : whole(reply);
}

function bodyFor(call: OpenAiCall, { target, maxOutputTokens }: Attempt, address: Address): string {
  const { model } = target;
  return withMembers(call.text, { model, ...usageAsked(call), ...shortened(call, maxOutputTokens, address) });
}

/** Asks for the figures of a stream also when the client does not want to see them. */
function usageAsked({ api, body, stream, wantsUsage }: OpenAiCall): Record<string, unknown> {
  if (!stream || api !== "chat" || wantsUsage) return {};
  const given = isObject(body["stream_options"]) ? body["stream_options"] : {};
  return { stream_options: { ...given, include_usage: true } };
}

/** There is no budget for a longer answer; of several answers each has its part. */
function shortened({ api, body }: OpenAiCall, most: number | null, { outputLimit }: Address): Record<string, unknown> {
  if (most === null || api === "embeddings") return {};
  if (api === "responses") return { max_output_tokens: most };
  const answers = typeof body["n"] === "number" && body["n"] > 1 ? body["n"] : 1;
  const [named = outputLimit] = OUTPUT_LIMITS.filter((name) => typeof body[name] === "number");
  return { [named]: Math.max(1, Math.floor(most / answers)) };
}

const OUTPUT_LIMITS = ["max_completion_tokens", "max_tokens"] as const;

async function whole({ headers, text }: UpstreamReply): Promise<Sent<string>> {
  const json = await text();
  const answer = parsed(json);
  // A response that failed comes with HTTP 200.
  if (answer["status"] === "failed") throw failedStream(answer["error"]);
  return { result: json, usage: usageOfMember(answer["usage"]), headers, firstChunkMs: null };
}

function parsed(json: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(json);
    if (isObject(answer)) return answer;
  } catch (cause) {
    throw new TruncatedStream("the reply is not JSON", "", { cause });
  }
  throw new TruncatedStream("the reply is not a JSON object", "");
}

async function streamed(
  call: OpenAiCall,
  attempt: Attempt,
  { headers, body }: UpstreamReply,
  startMs: number,
): Promise<Sent<string>> {
  const relay: Relay = call.api === "chat" ? new ChatRelay(call.wantsUsage, call.keeps) : new ResponsesRelay();
  // Until the answer begins, everything could still come from somewhere else.
  let held = "";
  let firstChunkMs: number | null = null;
  try {
    for await (const event of serverEvents(body, MODEL_EVENT_BYTES_MAX)) {
      attempt.alive();
      attempt.abort.throwIfAborted();
      const { text, isContent } = taken(relay, event);
      if (text === null) continue;
      if (firstChunkMs === null && !isContent) {
        held += text;
        continue;
      }
      firstChunkMs ??= performance.now() - startMs;
      const frames = held + text;
      held = "";
      await patient(call.sink?.(frames, attempt), attempt);
    }
  } catch (error) {
    throw brokenOff(error, relay, attempt);
  }
  if (!relay.isWhole) throw new TruncatedStream("the stream ended before the reply did", relay.text);
  return { result: relay.whole(), usage: relay.usage, headers, firstChunkMs };
}

function taken(relay: Relay, event: { readonly event: string | null; readonly data: string }): Taken {
  try {
    return relay.take(event);
  } catch (error) {
    if (error instanceof SyntaxError) throw new TruncatedStream("the stream is not JSON", relay.text, { cause: error });
    throw error;
  }
}

/** What had come by then is known, whatever the network calls its end. */
function brokenOff(error: unknown, relay: Relay, { abort }: Attempt): unknown {
  if (abort.aborted || error instanceof TruncatedStream || isSaid(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new TruncatedStream(`the stream broke off: ${message}`, relay.text, { cause: error });
}

/** The provider said what went wrong. */
function isSaid(error: unknown): boolean {
  return error instanceof Error && error.name === "AI_APICallError";
}
