// The identity of an AI SDK call: everything that the provider will see of it, and nothing else.
import { canonicalJson } from "./identity.ts";

/** Not part of what is asked: how it is stopped, and who sends it. */
const LEFT_OUT = new Set(["abortSignal", "includeRawChunks", "_internal"]);
/** They differ from process to process, or from call to call, and change no answer. */
const HEADERS_LEFT_OUT =
  /^(user-agent|authorization|x-api-key|x-goog-api-key|traceparent|tracestate|baggage|idempotency-key|x-request-id)$/i;

/**
 * Canonical text of the options of `doGenerate`, `doStream` or `doEmbed`, without the model; null when there is none.
 * An answer that streamed and one that did not are the same answer.
 */
export function callIdentity(kind: "chat" | "embedding", options: object): string | null {
  const asked = Object.entries(options).filter(([name]) => !LEFT_OUT.has(name));
  const { headers, ...request } = Object.fromEntries(asked) as Record<string, unknown>;
  return canonicalJson({ kind, headers: sentHeaders(headers), request });
}

function sentHeaders(headers: unknown): Record<string, unknown> | undefined {
  if (typeof headers !== "object" || headers === null) return undefined;
  const kept = Object.entries(headers)
    .filter(([name, value]) => value !== undefined && !HEADERS_LEFT_OUT.test(name))
    .map(([name, value]) => [name.toLowerCase(), value] as const);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}
