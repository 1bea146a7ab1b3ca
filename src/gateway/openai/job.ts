// A request in OpenAI's words as a job of the gateway: passed on as it is to whoever speaks them, translated for everybody else.
import { canonicalJson } from "../identity.ts";
import type { Attempt, Job, Sent } from "../roles.ts";
import type { OpenAiCall } from "./call.ts";
import { outputTokensOf, sizeOf } from "./measure.ts";
import type { Outlets } from "./outlets.ts";
import { pass } from "./pass.ts";
import { translate } from "./translate.ts";

/** The result is the answer as JSON text; empty where it was streamed and nobody wanted to keep it. */
export function openAiJob(call: OpenAiCall, outlets: Outlets): Job<string> {
  const { api, body, keeps, sink } = call;
  let hasShown = false;
  const show = (frames: string, attempt: Attempt): Promise<void> | undefined => {
    hasShown = true;
    return sink?.(frames, attempt);
  };
  const shown: OpenAiCall = { ...call, sink: sink === null ? null : show };
  return {
    kind: api === "embeddings" ? "embedding" : "chat",
    inputBytes: sizeOf(call.text),
    maxOutputTokens: outputTokensOf(api, body),
    hasTools: Array.isArray(body["tools"]) && body["tools"].length > 0,
    streams: call.stream,
    identity: keeps ? identityOf(call) : null,
    codec: { encode: (json) => json, decode: (json) => json },
    hasShown: () => hasShown,
    // What an OpenAI client has read it cannot be asked to forget.
    reset: () => !hasShown,
    send: (attempt): Promise<Sent<string>> => {
      const address = outlets.address(attempt.target, api);
      return address === null ? translate(shown, attempt, outlets) : pass(shown, attempt, address);
    },
  };
}

/** How an answer travels is no part of what was asked. */
function identityOf({ api, body, idempotencyKey }: OpenAiCall): string | null {
  const { model: _model, stream: _stream, stream_options: _options, ...asked } = body;
  return canonicalJson({ api, asked, idempotencyKey });
}
