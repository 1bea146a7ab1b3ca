// When a failed step is tried again: the policy, the pause before the next attempt, and the errors by which users decide.
import { fail } from "./errors.ts";
import type { Failure } from "./failure.ts";
import { ATTEMPTS_MAX, RETRY_AFTER_MS_MAX, RETRY_DELAY_MS_MAX, RETRY_FACTOR_MAX } from "./limits.ts";

export interface RetryPolicy {
  /** Attempts in all, the first included: 1 means no retry. */
  readonly maxAttempts: number;
  /** Pause after the first failed attempt, in milliseconds. */
  readonly initialMs: number;
  /** By how much the pause grows from one attempt to the next. */
  readonly factor: number;
  /** The pause grows no longer than this, in milliseconds. */
  readonly maxMs: number;
  /** Part of the pause by which it varies up and down, 0 to 1, so that many failures do not come back at once. */
  readonly jitter: number;
}

/** `false`: no retry. A number: so many attempts in all. An object: the defaults with these changes. */
export type RetryInput = Partial<RetryPolicy> | number | false | undefined;

export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 3, initialMs: 500, factor: 2, maxMs: 60_000, jitter: 0.2 };

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
}

const BOUNDS: Readonly<Record<keyof RetryPolicy, Bounds>> = {
  maxAttempts: { min: 1, max: ATTEMPTS_MAX, whole: true },
  initialMs: { min: 0, max: RETRY_DELAY_MS_MAX },
  factor: { min: 1, max: RETRY_FACTOR_MAX },
  maxMs: { min: 0, max: RETRY_DELAY_MS_MAX },
  jitter: { min: 0, max: 1 },
};

/**
 * The full policy of what a user wrote; `fallback` (the defaults) fills in what is not said. A pause that starts above
 * `maxMs` raises `maxMs` if that was not given.
 * @throws RETRY_INVALID naming the field, also for fields that do not exist.
 */
export function resolveRetry(input: RetryInput, fallback: RetryPolicy = DEFAULT_RETRY): RetryPolicy {
  if (input === undefined) return fallback;
  if (input === false) return { ...fallback, maxAttempts: 1 };
  if (typeof input === "number") return resolveRetry({ maxAttempts: input }, fallback);
  if (typeof input !== "object" || input === null) {
    throw fail("RETRY_INVALID", { reason: "it is neither a number, nor false, nor an object" });
  }
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  for (const [field, value] of given) checkField(field, value);
  const policy: RetryPolicy = { ...fallback, ...Object.fromEntries(given) };
  if (policy.maxMs >= policy.initialMs) return policy;
  if (input.maxMs === undefined) return { ...policy, maxMs: policy.initialMs };
  throw fail("RETRY_INVALID", { reason: "maxMs is less than initialMs" });
}

function checkField(field: string, value: unknown): void {
  if (!Object.hasOwn(BOUNDS, field)) {
    const known = Object.keys(BOUNDS).join(", ");
    throw fail("RETRY_INVALID", { reason: `${JSON.stringify(field.slice(0, 50))} is not one of ${known}` });
  }
  const { min, max, whole = false } = BOUNDS[field as keyof RetryPolicy];
  if (typeof value === "number" && value >= min && value <= max && (!whole || Number.isInteger(value))) return;
  throw fail("RETRY_INVALID", { reason: `${field} is not a ${whole ? "whole " : ""}number from ${min} to ${max}` });
}

/**
 * Whole milliseconds to wait after failed attempt number `attempt` (from 1). Exponential, at most `maxMs`, varied by `random`
 * (0 to 1), and never below `(1 - jitter)` of the nominal pause. If the error named a time (`retryAfterMs`) it is never less
 * than that, and a little later for some, so that not all come back in one moment.
 */
export function nextDelayMs(policy: RetryPolicy, attempt: number, random: number, retryAfterMs = 0): number {
  const nominalMs = Math.min(policy.maxMs, policy.initialMs * policy.factor ** (Math.min(attempt, ATTEMPTS_MAX) - 1));
  const variedMs = Math.min(policy.maxMs, nominalMs * (1 + policy.jitter * (2 * random - 1)));
  const askedMs = Math.min(Math.max(retryAfterMs, 0), RETRY_AFTER_MS_MAX) * (1 + policy.jitter * random);
  return Math.ceil(Math.max(variedMs, askedMs));
}

/** False only when the error said that trying again cannot help: `retryable: false`, as NonRetryableError does. */
export function isRetryable(failure: Failure): boolean {
  return failure.retryable !== false;
}

/** Whether failed attempt number `attempt` (from 1) is followed by another one. */
export function mayRetry(policy: RetryPolicy, attempt: number, failure: Failure): boolean {
  return attempt < policy.maxAttempts && isRetryable(failure);
}

/** Throw it in a step to fail at once, whatever the retry policy says. */
export class NonRetryableError extends Error {
  override readonly name = "NonRetryableError";
  readonly retryable = false;
}

/** Throw it in a step to be tried again within the retry policy, not before `retryAfterMs` milliseconds have passed. */
export class RetryableError extends Error {
  override readonly name = "RetryableError";
  readonly retryable = true;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { readonly retryAfterMs?: number; readonly cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.retryAfterMs = options.retryAfterMs;
  }
}
