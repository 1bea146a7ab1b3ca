// A model call as everybody speaks of it: who asked, what went wrong, how the answer came about.

/** Who asked for a call: what costs are attributed to. */
export interface Attribution {
  readonly tenant: string;
  /** Null outside of runs. */
  readonly runId: string | null;
  readonly rootId: string | null;
  /** The step's key in the run's journal. */
  readonly step: string | null;
  readonly agent: string | null;
  /** The user's word for what it is for: `triage`, `summary`… */
  readonly feature: string | null;
}

/**
 * Every failure of a call is exactly one of these:
 * `rate_window` a limit that refills (readyAt known or guessed) · `quota_exhausted` a long limit or spend cap · `overloaded` the provider
 * is (503, 529) · `transient` network, time-out, 5xx · `auth_key` the key is refused · `billing` · `bad_request` · `content_filter` ·
 * `context_too_long` · `truncated_stream` it broke off or hung after it began · `unknown_model`.
 */
export const CALL_FAILURES = [
  "rate_window",
  "quota_exhausted",
  "overloaded",
  "transient",
  "auth_key",
  "billing",
  "bad_request",
  "content_filter",
  "context_too_long",
  "truncated_stream",
  "unknown_model",
] as const;
export type CallFailureKind = (typeof CALL_FAILURES)[number];

/** How an answer came about: asked for, read from the cache, shared with an identical call in flight, or from a provider's batch. */
export type AnswerSource = "provider" | "cache" | "coalesced" | "batch";
