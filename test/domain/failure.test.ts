// Anything that can be thrown becomes a bounded description, and the error made from it says the same.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fail } from "../../src/domain/errors.ts";
import { type Failure, fromFailure, toFailure } from "../../src/domain/failure.ts";
import {
  FAILURE_CAUSES_MAX,
  FAILURE_CHARS_MAX,
  FAILURE_ERRORS_MAX,
  FAILURE_MESSAGE_CHARS_MAX,
  FAILURE_NODES_MAX,
  FAILURE_STACK_CHARS_MAX,
  FAILURE_STACK_FRAMES_MAX,
  RETRY_AFTER_MS_MAX,
} from "../../src/domain/limits.ts";
import { decodeValue, encodeValue } from "../../src/domain/value.ts";
import { anyKey, anyString } from "./arbitraries.ts";

const hostile = (): never => {
  throw new Error("trapped");
};

const throwingGetters = Object.defineProperties(
  new Error("hidden"),
  Object.fromEntries(["stack", "name", "message", "code", "cause", "retryable"].map((key) => [key, { get: hostile }])),
);

const revoked = Proxy.revocable(new Error("gone"), {});
revoked.revoke();

/** All failures in one, itself first. */
const everyFailure = (failure: Failure): Failure[] => [
  failure,
  ...(failure.cause ? everyFailure(failure.cause) : []),
  ...(failure.errors ?? []).flatMap(everyFailure),
];

const framesOf = (stack: string | undefined) => (stack ?? "").split("\n").filter((line) => line.startsWith("    at "));

function checkBounds(failure: Failure): void {
  const all = everyFailure(failure);
  expect(all.length).toBeLessThanOrEqual(FAILURE_NODES_MAX);
  for (const { message, stack } of all) {
    expect(message.length).toBeLessThanOrEqual(FAILURE_MESSAGE_CHARS_MAX);
    expect((stack ?? "").length).toBeLessThanOrEqual(FAILURE_STACK_CHARS_MAX);
    expect(framesOf(stack).length).toBeLessThanOrEqual(FAILURE_STACK_FRAMES_MAX);
  }
  const chars = all.reduce(
    (sum, { name, message, stack = "" }) => sum + name.length + message.length + stack.length,
    0,
  );
  expect(chars).toBeLessThanOrEqual(FAILURE_CHARS_MAX);
}

describe("toFailure", () => {
  test("describes an error with its name, message, stack, code and cause", () => {
    const error = Object.assign(new TypeError("outer", { cause: new Error("inner") }), { code: "E_OUTER" });
    const failure = toFailure(error);
    expect(failure).toMatchObject({
      name: "TypeError",
      message: "outer",
      code: "E_OUTER",
      cause: { message: "inner" },
    });
    expect(failure.stack).toBe(error.stack);
    expect("retryable" in failure).toBe(false);
  });

  // Made inside the test: vitest would trip over the hostile ones when it prints the titles.
  test.each<[string, () => unknown, Partial<Failure>]>([
    ["null", () => null, { name: "Error", message: "null was thrown" }],
    ["undefined", () => undefined, { message: "undefined was thrown" }],
    ["a string", () => "quota exceeded", { name: "Error", message: "quota exceeded" }],
    ["an empty string", () => "", { message: "an empty string was thrown" }],
    ["a number", () => 42, { message: "42 was thrown" }],
    ["a symbol", () => Symbol("s"), { message: "Symbol(s) was thrown" }],
    ["a function", () => () => 1, { message: "a function was thrown" }],
    ["an object with a message", () => ({ message: "m", code: 429 }), { name: "Error", message: "m", code: 429 }],
    ["an object without one", () => ({ status: 429, body: { a: 1 } }), { message: "{ status: 429, body: (object) }" }],
    ["an empty object", () => ({}), { message: "an object without a message was thrown" }],
    [
      "a class that left the name alone",
      () => new (class Declined extends Error {})("no"),
      { name: "Declined", message: "no" },
    ],
    ["an error whose getters throw", () => throwingGetters, { name: "Error" }],
    ["a proxy that throws", () => new Proxy({}, { get: hostile, ownKeys: hostile }), { name: "Error" }],
    ["a revoked proxy", () => revoked.proxy, { name: "Error" }],
    ["NUL and a lone surrogate", () => new Error("a\u0000b\ud800"), { message: "a\ufffdb\ufffd" }],
    [
      "an error of ours",
      () => fail("RETRY_INVALID", { reason: "r" }),
      { name: "LonghaulError", code: "RETRY_INVALID", retryable: false },
    ],
    ["an error of the AI SDK's kind", () => Object.assign(new Error("x"), { isRetryable: true }), { retryable: true }],
    ["a request to wait", () => Object.assign(new Error("x"), { retryAfterMs: 1_500.2 }), { retryAfterMs: 1_501 }],
    [
      "a request to wait for years",
      () => Object.assign(new Error("x"), { retryAfterMs: 1e12 }),
      { retryAfterMs: RETRY_AFTER_MS_MAX },
    ],
    ["an abort", () => new DOMException("stopped", "AbortError"), { name: "AbortError", message: "stopped" }],
  ])("takes %s", (_what, make, expected) => {
    const failure = toFailure(make());
    expect(failure).toMatchObject(expected);
    expect(decodeValue(encodeValue(failure))).toStrictEqual(failure);
    expect(encodeValue(failure)).toBe(JSON.stringify(failure));
  });

  test("ignores waits and codes that are not what they should be", () => {
    const error = Object.assign(new Error("x"), { retryAfterMs: -1, code: Number.NaN, retryable: "yes", cause: null });
    expect(Object.keys(toFailure(error)).sort()).toEqual(["message", "name", "stack"]);
  });

  test("cuts a message at the limit, and says so", () => {
    const atLimit = toFailure(new Error("m".repeat(FAILURE_MESSAGE_CHARS_MAX)));
    expect(atLimit.message).toBe("m".repeat(FAILURE_MESSAGE_CHARS_MAX));
    const above = toFailure(new Error("m".repeat(FAILURE_MESSAGE_CHARS_MAX + 1)));
    expect(above.message).toHaveLength(FAILURE_MESSAGE_CHARS_MAX);
    expect(above.message).toMatch(/m… \[8193 characters in all\]$/);
  });

  test("takes 50 MB of message, and keeps the frames of the stack", () => {
    const failure = toFailure(new Error("50 MB ".repeat(8_738_133)));
    checkBounds(failure);
    expect(framesOf(failure.stack).length).toBeGreaterThan(0);
    expect(failure.stack).toContain("failure.test.ts");
    checkBounds(toFailure("x".repeat(50_000_000)));
  });

  test("keeps 50 frames and not one more", () => {
    const stackOf = (frames: number) =>
      `Error: x\n${Array.from({ length: frames }, (_, n) => `    at f${n} (a.ts:1:1)`).join("\n")}`;
    const withStack = (stack: string) => toFailure(Object.assign(new Error("x"), { stack })).stack;
    expect(withStack(stackOf(FAILURE_STACK_FRAMES_MAX))).toBe(stackOf(FAILURE_STACK_FRAMES_MAX));
    expect(withStack(stackOf(FAILURE_STACK_FRAMES_MAX + 1))).toBe(stackOf(FAILURE_STACK_FRAMES_MAX));
    const long = "s".repeat(FAILURE_STACK_CHARS_MAX);
    expect(withStack(long)).toBe(long);
    expect(withStack(`${long}s`)).toBe(long);
  });

  test("keeps causes to the limit, and ends where they bite their own tail", () => {
    let error = new Error("0");
    for (let level = 1; level <= FAILURE_CAUSES_MAX + 1; level++) error = new Error(String(level), { cause: error });
    const messages = everyFailure(toFailure(error)).map((failure) => failure.message);
    expect(messages).toEqual(["6", "5", "4", "3", "2", "1"]);
    const one: Error = new Error("one");
    const two = new Error("two", { cause: one });
    one.cause = two;
    expect(everyFailure(toFailure(one)).map((failure) => failure.message)).toEqual(["one", "two"]);
  });

  test("keeps the first ten of an AggregateError, and bounds the whole tree", () => {
    const many = (length: number) => Array.from({ length }, (_, n) => new Error(`e${n}`));
    expect(toFailure(new AggregateError(many(FAILURE_ERRORS_MAX))).errors).toHaveLength(FAILURE_ERRORS_MAX);
    expect(toFailure(new AggregateError(many(FAILURE_ERRORS_MAX + 1))).errors).toHaveLength(FAILURE_ERRORS_MAX);
    const tree = (depth: number): Error =>
      depth === 0
        ? new Error("leaf ".repeat(5_000))
        : new AggregateError(
            Array.from({ length: 10 }, () => tree(depth - 1)),
            "node ".repeat(5_000),
          );
    const failure = toFailure(tree(4));
    checkBounds(failure);
    expect(everyFailure(failure)).toHaveLength(FAILURE_NODES_MAX);
  });

  test("never throws and stays within its bounds, whatever is thrown", () => {
    const data = fc.oneof(
      fc.anything({ key: anyKey, withMap: true, withDate: true, withBoxedValues: true, withBigInt: true }),
      fc.dictionary(
        fc.constantFrom("name", "message", "stack", "code", "cause", "errors", "constructor"),
        fc.anything(),
      ),
    );
    // As functions: fast-check itself looks into the values that it hands out.
    const anything: fc.Arbitrary<() => unknown> = fc.oneof(
      data.map((value) => () => value),
      fc.constantFrom(
        () => throwingGetters,
        () => revoked.proxy,
        () => new Proxy(new Error("p"), { get: hostile, getPrototypeOf: hostile }),
      ),
    );
    fc.assert(
      fc.property(anything, anything, (thrown, cause) => {
        checkBounds(toFailure(thrown()));
        checkBounds(toFailure(new AggregateError([thrown(), cause()], "both", { cause: cause() })));
      }),
      { numRuns: 500 },
    );
  });
});

describe("fromFailure", () => {
  test("gives an error that is described by the same failure", () => {
    const { failure } = fc.letrec<{ failure: Failure }>((tie) => ({
      failure: fc.record(
        {
          name: fc.oneof(
            fc.constantFrom("Error", "TypeError", "QuotaError"),
            anyString.filter((name) => name !== ""),
          ),
          message: anyString,
          stack: anyString,
          code: fc.oneof(anyString, fc.integer()),
          cause: fc.option(tie("failure"), { nil: { name: "Error", message: "end" }, maxDepth: 3 }),
          retryable: fc.boolean(),
          retryAfterMs: fc.nat(RETRY_AFTER_MS_MAX),
        },
        { requiredKeys: ["name", "message"] },
      ) as fc.Arbitrary<Failure>,
    }));
    fc.assert(
      fc.property(failure, (given) => {
        const first = toFailure(fromFailure(given)); // bounded and storable, which `given` may not be
        expect(toFailure(fromFailure(first))).toStrictEqual(first);
      }),
    );
  });

  test("gives the built-in class of that name, with everything where errors have it", () => {
    const thrown = new TypeError("t", { cause: new AggregateError([new RangeError("r")], "a") });
    const failure = toFailure(Object.assign(thrown, { code: "E_T", retryable: false, retryAfterMs: 5 }));
    const error = fromFailure(failure);
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({
      name: "TypeError",
      message: "t",
      stack: thrown.stack,
      code: "E_T",
      retryable: false,
    });
    expect(error.cause).toBeInstanceOf(AggregateError);
    expect((error.cause as AggregateError).errors[0]).toBeInstanceOf(RangeError);
    expect(Object.keys(error).sort()).toEqual(["code", "retryAfterMs", "retryable"]);
    expect(toFailure(error)).toStrictEqual(failure);
  });

  test("constructs nothing but errors, whatever the name says", () => {
    for (const name of ["Function", "constructor", "__proto__", "toString", "Proxy"]) {
      const error = fromFailure({ name, message: "m" });
      expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
      expect([error.name, error.message, error.stack]).toEqual([name, "m", undefined]);
    }
  });
});
