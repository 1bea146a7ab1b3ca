// One JSON call to a model provider over fetch, with every way it can fail told apart.
import { ModelError, type ModelErrorCode } from "./model-contract.ts";

export interface ProviderCall {
  provider: string;
  url: string;
  /** Never part of an error's message. */
  apiKey: string;
  headers: Record<string, string>;
  body: unknown;
  signal: AbortSignal | undefined;
  /** Default 60 seconds. */
  timeoutMs?: number;
}

/** Posts a call and returns the parsed answer. Throws `ModelError`, or the signal's reason when it was cancelled. */
export async function callProvider(call: ProviderCall): Promise<unknown> {
  const timeout = AbortSignal.timeout(call.timeoutMs ?? 60_000);
  try {
    const response = await fetch(call.url, {
      method: "POST",
      headers: { "content-type": "application/json", ...call.headers },
      body: JSON.stringify(call.body),
      signal: call.signal ? AbortSignal.any([call.signal, timeout]) : timeout,
      // A redirect would carry the key to a place that nobody chose.
      redirect: "error",
    });
    const text = await response.text();
    if (!response.ok) throw refusal(call, response, text);
    return parse(call, text);
  } catch (error) {
    if (error instanceof ModelError) throw error;
    call.signal?.throwIfAborted();
    if (timeout.aborted)
      throw new ModelError("MODEL_TIMED_OUT", `${call.provider} did not answer.`, { retryable: true });
    const reason = error instanceof Error ? (causeOf(error) ?? error.message) : String(error);
    throw new ModelError("MODEL_UNREACHABLE", `${call.provider} cannot be reached: ${withoutKey(call, reason)}`, {
      retryable: true,
      cause: error,
    });
  }
}

function parse(call: ProviderCall, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ModelError("MODEL_BAD_RESPONSE", `${call.provider} answered with something that is not JSON.`, {
      retryable: true,
      cause,
    });
  }
}

function refusal(call: ProviderCall, response: Response, text: string): ModelError {
  const { message, kinds } = errorOf(text);
  const code = codeOf(response.status, kinds);
  const retryable =
    ["MODEL_OVERLOADED", "MODEL_RATE_LIMITED", "MODEL_UNAVAILABLE"].includes(code) &&
    response.headers.get("x-should-retry") !== "false";
  return new ModelError(code, `${call.provider} answered ${response.status}: ${withoutKey(call, message)}`, {
    status: response.status,
    retryable,
    retryAfterMs: retryAfterMs(response.headers),
  });
}

function codeOf(status: number, kinds: string[]): ModelErrorCode {
  // Both come with a status that means "later" elsewhere, but no waiting helps against an empty account.
  if (kinds.some((kind) => kind === "insufficient_quota" || kind === "billing_error")) return "MODEL_QUOTA_EXHAUSTED";
  if (status === 429) return "MODEL_RATE_LIMITED";
  if (status === 529 || kinds.includes("overloaded_error")) return "MODEL_OVERLOADED";
  if (status === 401 || status === 403) return "MODEL_UNAUTHORIZED";
  if (status === 408 || status >= 500) return "MODEL_UNAVAILABLE";
  return "MODEL_BAD_REQUEST";
}

/** Both providers send `{ error: { type, message } }`; OpenAI adds a `code`. */
function errorOf(text: string): { message: string; kinds: string[] } {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown; type?: unknown; code?: unknown } };
    const kinds = [error?.type, error?.code].filter((kind) => typeof kind === "string");
    if (typeof error?.message === "string") return { message: error.message.slice(0, 500), kinds };
  } catch {
    // A proxy's HTML page, for one: its text is shown as it is.
  }
  return { message: text.replaceAll(/\s+/g, " ").slice(0, 200) || "(no body)", kinds: [] };
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date; undefined when there is neither. */
export function retryAfterMs(headers: Headers, nowMs = Date.now()): number | undefined {
  const exact = Number(headers.get("retry-after-ms") ?? Number.NaN);
  if (Number.isFinite(exact) && exact >= 0) return Math.ceil(exact);
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  const ms = /^\d+(\.\d+)?$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - nowMs;
  return Number.isFinite(ms) ? Math.max(0, Math.ceil(ms)) : undefined;
}

function withoutKey(call: ProviderCall, text: string): string {
  return text.replaceAll(call.apiKey, "***");
}

function causeOf(error: Error): string | undefined {
  const { cause } = error;
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : undefined;
}
