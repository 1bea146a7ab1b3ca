// What cannot be recorded is refused when it is encoded, with the place and the reason, and nothing but coded errors comes out.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fail, LonghaulError } from "../../src/domain/errors.ts";
import { VALUE_BYTES_MAX, VALUE_DEPTH_HARD_MAX, VALUE_DEPTH_MAX } from "../../src/domain/limits.ts";
import { decodeValue, encodeValue } from "../../src/domain/value.ts";
import { anyKey, levelled, same } from "./arbitraries.ts";

/** The error of an attempt to encode, which must be one of ours. */
function refusal(value: unknown, options?: Parameters<typeof encodeValue>[1]): LonghaulError {
  try {
    encodeValue(value, options);
  } catch (error) {
    if (error instanceof LonghaulError) return error;
    throw new Error("a foreign error escaped", { cause: error });
  }
  throw new Error("the value was encoded");
}

class Point {
  x = 1;
}

class Money {
  toJSON() {
    return "1 EUR";
  }
}

const looped: { list: unknown[] } = { list: [] };
looped.list.push(1, { back: looped });

const throwing = {
  ok: 1,
  get bad(): never {
    throw new TypeError("no");
  },
};

const revoked = Proxy.revocable({}, {});
revoked.revoke();

describe("a value is refused", () => {
  test.each<[string, unknown, string, RegExp]>([
    ["a function", { a: [0, 1, 2, { b: () => 1 }] }, "$.a[3].b", /it is a function/],
    ["a symbol", [Symbol("s")], "$[0]", /it is a symbol/],
    ["an instance of a class", { at: new Point() }, "$.at", /an instance of Point/],
    ["an instance with toJSON", new Money(), "$", /an instance of Money.*/],
    ["a plain object with toJSON", { toJSON: () => 1 }, "$.toJSON", /it is a function/],
    ["an instance of an anonymous class", new (class {})(), "$", /an instance of a class/],
    ["a promise", { p: Promise.resolve(1) }, "$.p", /it is a promise/],
    ["a WeakMap", new WeakMap(), "$", /an instance of WeakMap/],
    ["a boxed string", [Object("text")], "$[0]", /an instance of String/],
    ["a subclass of Map", new (class Registry extends Map {})(), "$", /an instance of Registry/],
    ["a subclass of Array", new (class Stack extends Array {})(), "$", /an instance of Stack/],
    ["an object that inherits data", Object.create({ a: 1 }), "$", /an instance of a class/],
    ["an impostor", Object.create(Date.prototype), "$", /reading it threw "this is not a Date object/],
    ["an ArrayBuffer", new ArrayBuffer(1), "$", /an instance of ArrayBuffer/],
    ["the result of a match", "abc".match(/b/), "$", /named properties beside its contents/],
    ["a Map with properties", Object.assign(new Map(), { extra: 1 }), "$", /named properties beside its contents/],
    ["a key that is a symbol", { a: { [Symbol("s")]: 1 } }, "$.a", /whose key is a symbol/],
    ["a cycle", looped, "$.list[1].back", /it is also \$, which contains it/],
    ["a throwing getter", { deep: throwing }, "$.deep.bad", /reading it threw "no"/],
    ["a revoked proxy", { p: revoked.proxy }, "$.p", /reading it threw "Cannot perform/],
    ["a function in a Map's value", new Map([["k", () => 1]]), "$[0][1]", /it is a function/],
    ["a function in a Map's key", { m: new Map([[() => 1, 1]]) }, "$.m[0][0]", /it is a function/],
    ["a function in a Set", new Set([1, () => 1]), "$[1]", /it is a function/],
    ["a strange key", { "a b": { "\u0000\ud800": () => 1 } }, '$["a b"]["\\u0000\\ud800"]', /it is a function/],
  ])("for %s", (_what, value, path, reason) => {
    const error = refusal(value);
    expect(error).toMatchObject({ code: "VALUE_NOT_SERIALIZABLE", status: 422, retryable: false });
    expect(error.message).toContain(`The value at ${path} cannot be recorded: `);
    expect(error.message).toMatch(reason);
    expect(error.hint).toMatch(/^Record plain data only: \w.*\.$/);
  });

  test("with a hint that fits: toJSON, promises", () => {
    expect(refusal(new Money()).hint).toContain("toJSON()");
    expect(refusal(Promise.resolve()).hint).toContain("await it");
  });

  test("and what a getter threw is the cause, even if it is an error of ours or no error at all", () => {
    for (const thrown of [new Error("mine"), fail("VALUE_TOO_LARGE", { maxBytes: 1 }), null, "text", revoked.proxy]) {
      const value = {
        get a(): never {
          throw thrown;
        },
      };
      const error = refusal(value);
      expect(error.code).toBe("VALUE_NOT_SERIALIZABLE");
      expect(error.cause === thrown).toBe(true);
    }
  });

  test("with a path of bounded length", () => {
    let value: unknown = () => 1;
    for (let level = 0; level < 50; level++) value = { ["k".repeat(10_000)]: value };
    expect(refusal(value).message.length).toBeLessThan(600);
  });
});

describe("proxies", () => {
  const traps: (keyof ProxyHandler<object>)[] = ["get", "getOwnPropertyDescriptor", "getPrototypeOf", "has", "ownKeys"];

  test.each(traps)("whose trap %s throws are contained", (trap) => {
    const hostile = (): never => {
      throw new Error("trapped");
    };
    for (const target of [{ a: 1 }, [1], new Error("e"), new Map([[1, 2]])]) {
      const value = new Proxy(target, { [trap]: hostile });
      try {
        encodeValue({ value });
      } catch (error) {
        expect(error).toMatchObject({ code: "VALUE_NOT_SERIALIZABLE" });
      }
    }
    expect(refusal(new Proxy({ a: 1 }, { ownKeys: hostile })).message).toContain("trapped");
  });

  test("that behave like plain data are recorded as what they show", () => {
    expect(decodeValue(encodeValue(new Proxy({ a: new Proxy([1], {}) }, {})))).toStrictEqual({ a: [1] });
  });
});

describe("depth", () => {
  const nested = (levels: number, wrap: (inner: unknown) => unknown): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < levels; level++) value = wrap(value);
    return value;
  };
  const inArray = (inner: unknown) => [inner];
  const inObject = (inner: unknown) => ({ a: inner });

  test.each([
    ["arrays", inArray],
    ["objects", inObject],
    ["objects with a key $", (inner: unknown) => ({ $: inner })],
    ["sets", (inner: unknown) => new Set([inner])],
    ["errors", (inner: unknown) => new Error("e", { cause: inner })],
  ])("of %s: the limit passes and comes back, one more is refused", (_what, wrap) => {
    const value = nested(VALUE_DEPTH_MAX, wrap);
    expect(encodeValue(decodeValue(encodeValue(value)))).toBe(encodeValue(value));
    expect(refusal(nested(VALUE_DEPTH_MAX + 1, wrap))).toMatchObject({ code: "VALUE_TOO_DEEP", status: 422 });
  });

  test("can be set, up to a hard limit", () => {
    expect(encodeValue([[1]], { maxDepth: 2 })).toBe("[[1]]");
    expect(refusal([[[1]]], { maxDepth: 2 }).code).toBe("VALUE_TOO_DEEP");
    const deepest = nested(VALUE_DEPTH_HARD_MAX, (inner) => new Set([inner]));
    expect(same(decodeValue(encodeValue(deepest, { maxDepth: 1e9 })), deepest)).toBe(true);
    expect(refusal(nested(VALUE_DEPTH_HARD_MAX + 1, inArray), { maxDepth: 1e9 }).code).toBe("VALUE_TOO_DEEP");
  });

  test("without end gives the coded error, not a stack overflow", () => {
    expect(refusal(nested(200_000, inObject)).code).toBe("VALUE_TOO_DEEP");
    const handler: ProxyHandler<object> = {
      ownKeys: () => ["a"],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
      get: () => new Proxy({}, handler),
    };
    expect(refusal(new Proxy({}, handler)).code).toBe("VALUE_TOO_DEEP");
    const recursive = {
      get again(): unknown {
        return Object.create(Object.prototype, Object.getOwnPropertyDescriptors(recursive));
      },
    };
    expect(refusal(recursive).code).toBe("VALUE_TOO_DEEP");
  });
});

describe("size", () => {
  test.each([
    ["ASCII", "a", 1],
    ["two bytes", "é", 2],
    ["three bytes", "€", 3],
    ["four bytes", "😀", 4],
    ["escapes", "\u0000", 6],
    ["lone surrogates", "\ud800", 6],
  ])("counts %s as UTF-8 bytes of the text: the limit passes, one more byte is refused", (_what, char, bytes) => {
    const value = char.repeat(50);
    const maxBytes = 50 * bytes + 2;
    expect(Buffer.byteLength(encodeValue(value, { maxBytes }))).toBe(maxBytes);
    expect(refusal(value, { maxBytes: maxBytes - 1 })).toMatchObject({ code: "VALUE_TOO_LARGE", status: 413 });
  });

  test("is measured exactly for any value", () => {
    fc.assert(
      fc.property(fc.anything({ key: anyKey, withDate: true, withMap: true, withBigInt: true }), (value) => {
        const maxBytes = Buffer.byteLength(encodeValue(value));
        expect(Buffer.byteLength(encodeValue(value, { maxBytes }))).toBe(maxBytes);
        expect(refusal(value, { maxBytes: maxBytes - 1 }).code).toBe("VALUE_TOO_LARGE");
      }),
    );
  });

  test("is 16 MiB unless said otherwise", () => {
    expect(encodeValue("x".repeat(VALUE_BYTES_MAX - 2))).toHaveLength(VALUE_BYTES_MAX);
    expect(refusal("x".repeat(VALUE_BYTES_MAX - 1)).code).toBe("VALUE_TOO_LARGE");
  });

  test("ends the walk early through values that are small in memory and huge in writing", () => {
    let tangled: unknown = [];
    for (let level = 0; level < 90; level++) tangled = [tangled, tangled];
    expect(refusal(tangled, { maxBytes: 1_000_000 }).code).toBe("VALUE_TOO_LARGE");
    expect(refusal(new Array(4_294_967_295)).code).toBe("VALUE_TOO_LARGE");
    expect(refusal(new Float64Array(4_000_000)).code).toBe("VALUE_TOO_LARGE");
  });
});

test("anything at all either comes back equal or is refused with a code", () => {
  const outcomes = { recorded: 0, refused: 0 };
  const anything = fc.anything({
    key: anyKey,
    values: [
      fc.func(fc.nat()),
      fc.constantFrom(new Point(), Symbol("s"), looped, throwing, /x/, new Error("e")),
      fc.nat(),
    ],
    withBoxedValues: true,
    withMap: true,
    withSet: true,
    withDate: true,
    withSparseArray: true,
  });
  fc.assert(
    fc.property(anything, (value) => {
      let text: string;
      try {
        text = encodeValue(value);
      } catch (error) {
        expect(error).toMatchObject({ code: "VALUE_NOT_SERIALIZABLE" });
        outcomes.refused += 1;
        return;
      }
      const back = decodeValue(text);
      if (!text.includes('"$":"Error"')) expect(same(back, levelled(value)), text).toBe(true);
      outcomes.recorded += 1;
    }),
    { numRuns: 1_000 },
  );
  expect(outcomes.recorded).toBeGreaterThan(50);
  expect(outcomes.refused).toBeGreaterThan(50);
});
