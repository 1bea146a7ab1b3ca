// Equal requests have one text, different ones never the same.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callIdentity } from "../../src/gateway/call-identity.ts";
import { canonicalJson } from "../../src/gateway/identity.ts";

/** The same value with the keys of every object the other way round. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).reverse();
  return Object.fromEntries(entries.map(([key, entry]) => [key, turned(entry)]));
}

const anyJson = fc.jsonValue({ maxDepth: 5 });

describe("canonicalJson", () => {
  test("does not care for the order of keys", () => {
    fc.assert(fc.property(anyJson, (value) => void expect(canonicalJson(turned(value))).toBe(canonicalJson(value))));
  });

  test("is JSON that means the same, for values without tags", () => {
    const plain = fc.object({
      key: fc.string().filter((key) => !key.startsWith("$") && key !== "__proto__" && key !== "toJSON"),
      values: [fc.string(), fc.integer(), fc.boolean(), fc.constant(null)],
    });
    fc.assert(
      fc.property(
        plain,
        (value) => void expect(JSON.parse(canonicalJson(value) ?? "")).toEqual(JSON.parse(JSON.stringify(value))),
      ),
    );
  });

  test("tells different values apart", () => {
    fc.assert(
      fc.property(anyJson, anyJson, (a, b) => {
        const [left, right] = [canonicalJson(a), canonicalJson(b)];
        expect(left === right).toBe(JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)));
      }),
    );
  });

  test("tells bytes, dates, addresses and numbers from texts that look like them", () => {
    const date = new Date(0);
    const values = [
      ...[new Uint8Array([1, 2]), { 0: 1, 1: 2 }, [1, 2], "AQI=", { $bytes: "AQI=" }, { $$bytes: "AQI=" }],
      ...[date, date.toISOString(), 0, { $date: 0 }],
      ...[new URL("https://a.test/"), "https://a.test/", { $url: "https://a.test/" }],
      ...[10n, 10, "10", { $bigint: "10" }, Number.NaN, null, "NaN", Number.POSITIVE_INFINITY],
      ...[new Map([["a", 1]]), { a: 1 }, new Set([1]), [1], /a/g, "/a/g"],
    ];
    // [1, 2], null and others stand once: every text must be one of a kind.
    const texts = values.map(canonicalJson);
    expect(new Set(texts).size).toBe(texts.length);
  });

  test("takes equal bytes in any view for equal", () => {
    const bytes = Buffer.from("hello");
    expect(canonicalJson(new Uint8Array(bytes))).toBe(canonicalJson(bytes));
    expect(canonicalJson(Buffer.from("xhellox").subarray(1, 6))).toBe(canonicalJson(bytes));
    expect(canonicalJson(new Uint8Array(bytes).buffer)).toBe(canonicalJson(bytes));
  });

  test("leaves out what JSON leaves out", () => {
    expect(canonicalJson({ a: undefined, b: () => 1, c: Symbol("x"), d: [undefined] })).toBe('{"d":[null]}');
    expect(canonicalJson({ at: { toJSON: () => ({ z: 1, a: 2 }) } })).toBe('{"at":{"a":2,"z":1}}');
    expect(canonicalJson(-0)).toBe("0");
  });

  test("keeps hostile keys as what they are", () => {
    const hostile = JSON.parse(
      '{ "__proto__": { "a": 1 }, "constructor": 2, "toJSON": "no function", "\\ud800": 3 }',
    ) as object;
    const text = canonicalJson(hostile) ?? "";
    expect(JSON.parse(text)).toEqual(hostile);
    expect(text).toContain('"\\ud800":3');
    expect(canonicalJson({})).not.toBe(text);
  });

  test("has no text for what has none", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = { circle };
    const throwing = {
      get value() {
        throw new Error("no");
      },
    };
    let deep: unknown = 1;
    for (let level = 0; level < 200; level++) deep = [deep];
    expect([circle, throwing, deep].map(canonicalJson)).toEqual([null, null, null]);
    const shared = { a: 1 };
    expect(canonicalJson([shared, shared])).toBe('[{"a":1},{"a":1}]');
  });
});

describe("callIdentity", () => {
  const options = { prompt: [{ role: "user", content: [{ type: "text", text: "hi" }] }], temperature: 0 };

  test("does not depend on how a call is stopped, traced or authorised", () => {
    const plain = callIdentity("chat", options);
    const headers = { "User-Agent": "ai/6", Authorization: "Bearer x", traceparent: "00-1" };
    expect(callIdentity("chat", { ...options, abortSignal: new AbortController().signal, headers })).toBe(plain);
    expect(callIdentity("chat", { temperature: 0, prompt: options.prompt, seed: undefined })).toBe(plain);
  });

  test("depends on everything that is asked", () => {
    const asked = [
      ...[options, { ...options, temperature: 1 }, { ...options, maxOutputTokens: 5 }, { ...options, tools: [] }],
      ...[
        { ...options, headers: { "anthropic-beta": "x" } },
        { ...options, providerOptions: { openai: { store: true } } },
      ],
    ];
    const texts = [...asked.map((one) => callIdentity("chat", one)), callIdentity("embedding", options)];
    expect(new Set(texts).size).toBe(texts.length);
  });
});

/** What two values are compared by, without the code that is tested: objects as lists of their entries in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? 0 : value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return { entries: entries.map(([key, entry]) => [key, sorted(entry)]) };
}
