// Errors as values: what of them is recorded, and that no stored name chooses a class.
import vm from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fail } from "../../src/domain/errors.ts";
import { decodeValue, encodeValue } from "../../src/domain/value.ts";
import { anyKey, anyString } from "./arbitraries.ts";

const roundTrip = (error: unknown): Error & Record<string, unknown> => decodeValue(encodeValue(error)) as never;

/** Everything about an error that must survive. */
function anatomy(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack } = error;
  const cause = Object.hasOwn(error, "cause") ? [anatomy(error.cause)] : [];
  const errors = error instanceof AggregateError ? error.errors.map(anatomy) : [];
  const own = Object.entries(error).filter(([key]) => key !== "name");
  return { prototype: Object.getPrototypeOf(error)?.name, name, message, stack, cause, errors, own };
}

const FIELDS = ["name", "message", "stack", "cause", "errors"];

const anyError: fc.Arbitrary<Error> = fc
  .record({
    make: fc.constantFrom(Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError),
    message: anyString,
    name: fc.option(anyString, { nil: undefined }),
    code: fc.option(fc.oneof(anyString, fc.integer()), { nil: undefined }),
    cause: fc.option(fc.oneof(anyString, fc.constant(undefined), fc.constant(new Error("below"))), { nil: null }),
    props: fc.dictionary(
      anyKey.filter((key) => !FIELDS.includes(key)),
      fc.oneof(anyString, fc.date({ noInvalidDate: true })),
    ),
    errors: fc.option(fc.array(fc.constant(new TypeError("inner"))), { nil: undefined }),
  })
  .map(({ make, message, name, code, cause, props, errors }) => {
    const options = cause === null ? undefined : { cause };
    const error = errors === undefined ? new make(message, options) : new AggregateError(errors, message, options);
    if (name !== undefined) error.name = name;
    if (code !== undefined) Object.assign(error, { code });
    for (const [key, value] of Object.entries(props)) {
      Object.defineProperty(error, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return error;
  });

test("name, message, stack, code, cause, errors, class and own properties of any error survive", () => {
  fc.assert(
    fc.property(anyError, (error) => {
      const back = roundTrip(error);
      expect(anatomy(back)).toStrictEqual(anatomy(error));
      expect(encodeValue(back)).toBe(encodeValue(error));
    }),
    { numRuns: 500 },
  );
});

test("an error of a class of one's own comes back as an Error with its name and properties", () => {
  class QuotaError extends Error {
    override readonly name = "QuotaError";
    readonly limit = 5;
  }
  const back = roundTrip(new QuotaError("too much", { cause: fail("RETRY_INVALID", { reason: "why not" }) }));
  expect(back).toBeInstanceOf(Error);
  expect(Object.getPrototypeOf(back)).toBe(Error.prototype);
  expect(back).toMatchObject({ name: "QuotaError", message: "too much", limit: 5 });
  expect(back.cause).toMatchObject({ name: "LonghaulError", code: "RETRY_INVALID", status: 400, retryable: false });
});

test("errors of other kinds are taken: system errors, aborts, other realms, no stack", () => {
  expect(roundTrip(new DOMException("stopped", "AbortError"))).toMatchObject({
    name: "AbortError",
    message: "stopped",
  });
  const system = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", errno: -111, port: 5432 });
  expect(roundTrip(system)).toMatchObject({ code: "ECONNREFUSED", errno: -111, port: 5432 });
  expect(roundTrip(vm.runInNewContext('new Error("far")'))).toMatchObject({ name: "Error", message: "far" });
  const bare = new Error("bare");
  delete bare.stack;
  expect(roundTrip(bare).stack).toBeUndefined();
});

test("what an error carries obeys the same rules as any value", () => {
  const error = Object.assign(new Error("request failed"), { request: { onDone: () => {} } });
  expect(() => encodeValue({ last: error })).toThrow(/The value at \$\.last\.request\.onDone cannot be recorded/);
  const circular: Error & { self?: unknown } = new Error("round");
  circular.self = circular;
  expect(() => encodeValue(circular)).toThrow(expect.objectContaining({ code: "VALUE_NOT_SERIALIZABLE" }));
});

test("a stored class name constructs nothing but the built-in errors", () => {
  for (const type of ["Function", "Proxy", "constructor", "__proto__", "DOMException", 1]) {
    const text = JSON.stringify({ $: "Error", v: { type, name: "x", message: "m" } });
    expect(() => decodeValue(text), text).toThrow(expect.objectContaining({ code: "VALUE_UNREADABLE" }));
  }
});
