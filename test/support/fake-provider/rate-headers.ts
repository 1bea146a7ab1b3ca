// What is left of a limit, in the headers of OpenAI and of Anthropic. Gemini has none.
import type { Protocol } from "./conversation.ts";
import type { Fault, LimitedBy } from "./fault.ts";

export interface RateState {
  readonly limit: number;
  readonly remaining: number;
  /** Until it is whole again. */
  readonly resetMs: number;
}

export type RateStates = Partial<Record<LimitedBy, RateState>>;

const ANTHROPIC_NAMES: Readonly<Record<LimitedBy, string>> = {
  requests: "requests",
  tokens: "tokens",
  inputTokens: "input-tokens",
  outputTokens: "output-tokens",
};

export function rateHeaders(protocol: Protocol, rates: RateStates): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [by, { limit, remaining, resetMs }] of Object.entries(rates) as [LimitedBy, RateState][]) {
    const left = String(Math.max(0, Math.floor(remaining)));
    if (protocol === "openai" && (by === "requests" || by === "tokens")) {
      headers[`x-ratelimit-limit-${by}`] = String(limit);
      headers[`x-ratelimit-remaining-${by}`] = left;
      headers[`x-ratelimit-reset-${by}`] = goDuration(resetMs);
    }
    if (protocol === "anthropic") {
      const name = `anthropic-ratelimit-${ANTHROPIC_NAMES[by]}`;
      headers[`${name}-limit`] = String(limit);
      headers[`${name}-remaining`] = left;
      headers[`${name}-reset`] = new Date(Date.now() + resetMs).toISOString().replace(/\.\d+Z$/, "Z");
    }
  }
  return headers;
}

/** As OpenAI writes a time: `120ms`, `8.64s`, `6m0s`, `1h2m3s`. */
export function goDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.ceil(ms))}ms`;
  const seconds = Math.round(ms / 10) / 100;
  if (seconds < 60) return `${seconds}s`;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = Math.round((seconds % 60) * 100) / 100;
  return hours > 0 ? `${hours}h${minutes}m${rest}s` : `${minutes}m${rest}s`;
}

/** What a fault says about when to come back, in headers. Gemini says it in the body. */
export function retryHeaders(protocol: Protocol, { retryAfterMs, retryAfterDate }: Fault): Record<string, string> {
  if (retryAfterMs === undefined || protocol === "google") return {};
  if (retryAfterDate === true) {
    return { "retry-after": new Date(Math.ceil((Date.now() + retryAfterMs) / 1000) * 1000).toUTCString() };
  }
  const seconds = { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
  return protocol === "openai" ? { ...seconds, "retry-after-ms": String(Math.ceil(retryAfterMs)) } : seconds;
}

/** The figures of an explicit fault: nothing left of what it names, plenty of the other. */
export function faultRates({ by = "requests", retryAfterMs = 1000 }: Fault): RateStates {
  const spent = { limit: by === "requests" ? 500 : 30_000, remaining: 0, resetMs: retryAfterMs };
  const plenty: RateStates =
    by === "requests"
      ? { tokens: { limit: 30_000, remaining: 29_000, resetMs: 2000 } }
      : { requests: { limit: 500, remaining: 499, resetMs: 120 } };
  return { ...plenty, [by]: spent };
}
