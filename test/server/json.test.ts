// Values as JSON text: every kind of value has a plain form, nothing throws, and the text is valid UTF-8.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jsonText, toJson } from "../../src/server/json.ts";

describe("toJson", () => {
  test.each<[string, unknown, unknown]>([
    ["a date", new Date(0), "1970-01-01T00:00:00.000Z"],
    ["an invalid date", new Date(Number.NaN), null],
    ["a bigint", 12345678901234567890n, "12345678901234567890"],
    ["a map with text keys", new Map([["a", 1n]]), { a: "1" }],
    [
      "a map with other keys",
      new Map<unknown, unknown>([[{ k: 1 }, new Date(0)]]),
      [[{ k: 1 }, "1970-01-01T00:00:00.000Z"]],
    ],
    ["a set", new Set([1, new Set([2])]), [1, [2]]],
    ["bytes", new Uint8Array([1, 2, 255]), "AQL/"],
    ["a buffer", Buffer.from("hi"), "aGk="],
    ["a part of a buffer", Buffer.from("abcdef").subarray(2, 4), "Y2Q="],
    ["an error", Object.assign(new TypeError("no"), { code: "E1" }), { name: "TypeError", message: "no", code: "E1" }],
    [
      "a cause",
      new Error("a", { cause: new Error("b") }),
      { name: "Error", message: "a", cause: { name: "Error", message: "b" } },
    ],
    ["a regular expression", /a+/g, "/a+/g"],
    ["a URL", new URL("https://example.com/a?b"), "https://example.com/a?b"],
    ["undefined", undefined, null],
    ["undefined inside", { a: undefined, b: [undefined] }, { b: [null] }],
    ["no number", [Number.NaN, Number.POSITIVE_INFINITY, -0], [null, null, 0]],
  ])("gives %s a plain form", (_, value, expected) => {
    expect(toJson(value)).toEqual(expected);
  });

  test("keeps __proto__ as an ordinary key, also of a map", () => {
    const own = JSON.parse('{"__proto__":{"polluted":1}}') as object;
    for (const value of [own, new Map([["__proto__", { polluted: 1 }]])]) {
      expect(jsonText(value)).toBe('{"__proto__":{"polluted":1}}');
    }
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test("leaves out the stacks of failures, and only of failures, when asked to", () => {
    const value = { failure: { name: "Error", message: "no", stack: "at x" }, stack: "a pile of books" };
    expect(toJson(value, { stacks: false })).toEqual({
      failure: { name: "Error", message: "no" },
      stack: "a pile of books",
    });
    expect(jsonText(value)).toContain("at x");
  });

  test("gives JSON that survives UTF-8, for any value", () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withNullPrototype: true }),
        (value) => {
          const text = jsonText(value);
          expect(Buffer.from(text, "utf8").toString("utf8")).toBe(text);
          expect(text).not.toMatch(/[\r\n]/);
          JSON.parse(text);
        },
      ),
    );
  });

  test("is what JSON.stringify gives for plain JSON", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => void expect(jsonText(value)).toBe(JSON.stringify(value))));
  });
});
