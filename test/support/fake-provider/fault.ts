// What can go wrong with one answer of the fake provider. Plain JSON, so that another process can ask for it too.

/** Answered with an HTTP error, in the protocol's own words. */
export const REFUSALS = [
  "rate_limit",
  "quota_exhausted",
  "billing",
  "auth",
  "forbidden",
  "unknown_model",
  "bad_request",
  "context_length",
  "content_refused",
  "server_error",
  "unavailable",
  "overloaded",
  "timeout",
  /** `status`, `headers` and `body` as given. */
  "raw",
] as const;

/** The connection stops doing what connections do. On a call that does not stream, "mid-stream" is in the middle of the JSON. */
export const BREAKS = [
  "hang_before_headers",
  "hang_after_headers",
  "hang_mid_stream",
  "reset",
  "reset_mid_stream",
  /** The stream ends in good order, but in the middle and without its last events. */
  "cut",
  /** The same, in the middle of a character. */
  "cut_character",
] as const;

/** The bytes are not what was asked for, or come in a strange way. */
export const DAMAGES = [
  "stream_error",
  "garbage_json",
  "garbage_event",
  "wrong_shape",
  "html",
  /** Right, but a few bytes at a time. */
  "slow_drip",
  /** Right, but every write ends in the middle of a character. */
  "split_characters",
] as const;

/** A well-formed answer that says something strange. */
export const ODDITIES = [
  "content_filter",
  "zero_usage",
  "missing_usage",
  "absurd_usage",
  "huge_output",
  /** The model calls a tool that nobody offered. */
  "invented_tool",
  /** The arguments of its tool calls are not JSON. */
  "garbage_arguments",
] as const;

export type Refusal = (typeof REFUSALS)[number];
export type Break = (typeof BREAKS)[number];
export type Damage = (typeof DAMAGES)[number];
export type Oddity = (typeof ODDITIES)[number];
export type FaultKind = Refusal | Break | Damage | Oddity;

export type LimitedBy = "requests" | "tokens" | "inputTokens" | "outputTokens";

export interface Fault {
  readonly kind: FaultKind;
  /** Only the first so many arrivals of the very same request fail. Default: all. */
  readonly attempts?: number;
  /** rate_limit, overloaded, unavailable…: when to come back. Sent as `retry-after`, or as Gemini's RetryInfo. */
  readonly retryAfterMs?: number;
  /** As an HTTP date instead of seconds. */
  readonly retryAfterDate?: boolean;
  /** rate_limit: with the protocol's headers of limits (Gemini: with QuotaFailure). Default: without. */
  readonly rateHeaders?: boolean;
  readonly by?: LimitedBy;
  readonly per?: "minute" | "day";
  /** Pieces of the stream that come before what goes wrong. Default: half of them. */
  readonly afterChunks?: number;
  /** slow_drip: milliseconds between writes, and bytes of each. Default: 20 and 8. */
  readonly dripMs?: number;
  readonly dripBytes?: number;
  /** huge_output: default 1,000,000. */
  readonly characters?: number;
  /** stream_error: which one. Default: overloaded. */
  readonly error?: Refusal;
  /** Replaces the protocol's own message. */
  readonly message?: string;
  readonly status?: number;
  /** Sent on top of the error's own. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export type FaultLike = FaultKind | Fault;

export function faultOf(fault: FaultLike): Fault {
  return typeof fault === "string" ? { kind: fault } : fault;
}

export function isRefusal(kind: FaultKind): kind is Refusal {
  return (REFUSALS as readonly string[]).includes(kind);
}

export function isBreakOrDamage(kind: FaultKind): kind is Break | Damage {
  return (BREAKS as readonly string[]).includes(kind) || (DAMAGES as readonly string[]).includes(kind);
}
