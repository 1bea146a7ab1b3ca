// Retries respect their policy (invariant 20): attempts, pauses, and what an error says about itself.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toFailure } from "../../src/domain/failure.ts";
import { ATTEMPTS_MAX, RETRY_AFTER_MS_MAX, RETRY_DELAY_MS_MAX, RETRY_FACTOR_MAX } from "../../src/domain/limits.ts";
import {
  DEFAULT_RETRY,
  isRetryable,
  mayRetry,
  NonRetryableError,
  nextDelayMs,
  RetryableError,
  type RetryInput,
  type RetryPolicy,
  resolveRetry,
} from "../../src/domain/retry.ts";

const anyPolicy: fc.Arbitrary<RetryPolicy> = fc
  .record({
    maxAttempts: fc.integer({ min: 1, max: ATTEMPTS_MAX }),
    initialMs: fc.integer({ min: 0, max: RETRY_DELAY_MS_MAX }),
    factor: fc.double({ min: 1, max: RETRY_FACTOR_MAX, noNaN: true }),
    maxMs: fc.integer({ min: 0, max: RETRY_DELAY_MS_MAX }),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map((policy) => resolveRetry({ ...policy, maxMs: Math.max(policy.initialMs, policy.maxMs) }));
const anyAttempt = fc.integer({ min: 1, max: ATTEMPTS_MAX });
const anyRandom = fc.double({ min: 0, max: 1, noNaN: true });

describe("nextDelayMs", () => {
  test("without jitter doubles up to the maximum", () => {
    const policy = resolveRetry({ jitter: 0, maxMs: 3_000 });
    expect([1, 2, 3, 4, 100].map((attempt) => nextDelayMs(policy, attempt, 0.5))).toEqual([
      500, 1_000, 2_000, 3_000, 3_000,
    ]);
  });

  test("varies by the jitter in both directions", () => {
    expect([0, 0.5, 1].map((random) => nextDelayMs(DEFAULT_RETRY, 1, random))).toEqual([400, 500, 600]);
  });

  test("is never below (1 - jitter) of the nominal pause, never above the maximum, and whole", () => {
    fc.assert(
      fc.property(anyPolicy, anyAttempt, anyRandom, (policy, attempt, random) => {
        const nominalMs = Math.min(policy.maxMs, policy.initialMs * policy.factor ** (attempt - 1));
        const delayMs = nextDelayMs(policy, attempt, random);
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(Math.floor(nominalMs * (1 - policy.jitter)));
        expect(delayMs).toBeLessThanOrEqual(Math.ceil(Math.min(policy.maxMs, nominalMs * (1 + policy.jitter))));
      }),
    );
  });

  test("waits as long as the error asked, within a day", () => {
    const asked = fc.double({ min: 0, max: RETRY_AFTER_MS_MAX, noNaN: true });
    fc.assert(
      fc.property(anyPolicy, anyAttempt, anyRandom, asked, (policy, attempt, random, retryAfterMs) => {
        const delayMs = nextDelayMs(policy, attempt, random, retryAfterMs);
        expect(delayMs).toBeGreaterThanOrEqual(retryAfterMs);
        expect(delayMs).toBeGreaterThanOrEqual(nextDelayMs(policy, attempt, random));
        const latestMs = Math.max(policy.maxMs, retryAfterMs * (1 + policy.jitter));
        expect(delayMs).toBeLessThanOrEqual(Math.ceil(latestMs));
      }),
    );
    expect(nextDelayMs(resolveRetry({ jitter: 0 }), 1, 0, 1e15)).toBe(RETRY_AFTER_MS_MAX);
  });
});

describe("resolveRetry", () => {
  test("fills in what is not said", () => {
    expect(resolveRetry(undefined)).toEqual({ maxAttempts: 3, initialMs: 500, factor: 2, maxMs: 60_000, jitter: 0.2 });
    expect(resolveRetry(false).maxAttempts).toBe(1);
    expect(resolveRetry(7)).toEqual({ ...DEFAULT_RETRY, maxAttempts: 7 });
    expect(resolveRetry({ factor: 3, jitter: undefined } as never)).toEqual({ ...DEFAULT_RETRY, factor: 3 });
    const fallback = { ...DEFAULT_RETRY, jitter: 0 };
    expect(resolveRetry({ maxAttempts: 2 }, fallback)).toEqual({ ...fallback, maxAttempts: 2 });
    expect(resolveRetry({ initialMs: 120_000 }).maxMs).toBe(120_000);
  });

  test("takes every limit and refuses what is just beyond", () => {
    const limits: [keyof RetryPolicy, number, number][] = [
      ["maxAttempts", 1, ATTEMPTS_MAX],
      ["initialMs", 0, RETRY_DELAY_MS_MAX],
      ["factor", 1, RETRY_FACTOR_MAX],
      ["maxMs", 500, RETRY_DELAY_MS_MAX],
      ["jitter", 0, 1],
    ];
    for (const [field, min, max] of limits) {
      expect(resolveRetry({ [field]: min })[field]).toBe(min);
      expect(resolveRetry({ [field]: max })[field]).toBe(max);
      const step = field === "jitter" || field === "factor" ? 0.001 : 1;
      for (const bad of [min - step, max + step, Number.NaN]) {
        expect(() => resolveRetry({ [field]: bad }), `${field} ${bad}`).toThrow(
          expect.objectContaining({ code: "RETRY_INVALID" }),
        );
      }
    }
  });

  test.each<[unknown, RegExp]>([
    [0, /maxAttempts is not a whole number from 1 to 100/],
    [2.5, /maxAttempts is not a whole number/],
    [true, /neither a number, nor false, nor an object/],
    [null, /neither a number/],
    ["3", /neither a number/],
    [{ attempts: 3 }, /"attempts" is not one of maxAttempts, initialMs/],
    [JSON.parse('{"__proto__":1}'), /"__proto__" is not one of/],
    [{ maxAttempts: "3" }, /maxAttempts is not a whole number/],
    [{ initialMs: 100, maxMs: 50 }, /maxMs is less than initialMs/],
  ])("refuses %j", (input, reason) => {
    expect(() => resolveRetry(input as RetryInput)).toThrow(
      expect.objectContaining({ code: "RETRY_INVALID", status: 400, message: expect.stringMatching(reason) }),
    );
  });
});

describe("errors", () => {
  test("say whether trying again can help", () => {
    expect(isRetryable(toFailure(new Error("unknown")))).toBe(true);
    expect(isRetryable(toFailure(new NonRetryableError("invalid card")))).toBe(false);
    expect(isRetryable(toFailure(new RetryableError("busy")))).toBe(true);
    expect(isRetryable(toFailure("text"))).toBe(true);
  });

  test("carry their advice into the failure", () => {
    const cause = new Error("429");
    expect(toFailure(new RetryableError("busy", { retryAfterMs: 2_000, cause }))).toMatchObject({
      name: "RetryableError",
      message: "busy",
      retryable: true,
      retryAfterMs: 2_000,
      cause: { message: "429" },
    });
    expect(toFailure(new NonRetryableError("no", { cause }))).toMatchObject({
      name: "NonRetryableError",
      retryable: false,
      cause: { message: "429" },
    });
  });

  test("are tried again until the attempts are used up", () => {
    const failure = toFailure(new Error("x"));
    expect([1, 2, 3, 4].map((attempt) => mayRetry(DEFAULT_RETRY, attempt, failure))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(mayRetry(resolveRetry(false), 1, failure)).toBe(false);
    expect(mayRetry(DEFAULT_RETRY, 1, toFailure(new NonRetryableError("x")))).toBe(false);
  });
});
