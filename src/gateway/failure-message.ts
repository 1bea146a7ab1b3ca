// One line about a failure for people: the provider's own words where it has any, without keys.
import type { CallFailureKind } from "../domain/model-call.ts";
import { clip, storable } from "../domain/text.ts";
import type { ErrorFacts } from "./error-facts.ts";

const MESSAGE_CHARS_MAX = 500;

/** What the SDK says when it does not know either; the cause knows more. */
const SAYS_NOTHING =
  /^(?:failed to process (?:successful|error) response|fetch failed|failed after \d+ attempts?|terminated)\b/i;

/** Keys of OpenAI, Anthropic, Groq, Google, and bearer tokens: some providers repeat what they refuse. */
const SECRETS = /\b(?:sk|gsk|pk|xai|key)[-_][\w*-]{12,}|\bAIza[\w-]{20,}|\bBearer\s+\S{8,}/g;

const SILENT: Readonly<Record<CallFailureKind, string>> = {
  rate_window: "The provider's rate limit was reached.",
  quota_exhausted: "The provider's quota is used up.",
  overloaded: "The provider is overloaded.",
  transient: "The provider did not answer.",
  auth_key: "The provider refused the API key.",
  billing: "The provider wants to be paid.",
  bad_request: "The provider refused the request.",
  content_filter: "The provider's content filter stopped the call.",
  context_too_long: "The request is too long for the model.",
  truncated_stream: "The answer broke off.",
  unknown_model: "The provider has no such model.",
};

export function failureMessage({ messages, status }: ErrorFacts, kind: CallFailureKind): string {
  const lines = messages.map(oneLine).filter((message) => message !== "" && !isMarkup(message));
  const said = lines.find((line) => !SAYS_NOTHING.test(line)) ?? lines[0];
  const text = said ?? SILENT[kind];
  return status !== null && status >= 400 ? `${text} (HTTP ${status})` : text;
}

function oneLine(message: string): string {
  const line = storable(message.slice(0, 4 * MESSAGE_CHARS_MAX))
    .replace(/\s+/g, " ")
    .trim();
  return clip(
    line.replace(SECRETS, (secret) => `${secret.slice(0, 4)}…`),
    MESSAGE_CHARS_MAX,
  );
}

/** The page of a proxy. */
function isMarkup(message: string): boolean {
  return /^<(?:!doctype|html|\?xml)/i.test(message);
}
