// Whatever is recorded comes back as it was: the round trip of every kind of value, and what the text looks like.
import vm from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../src/domain/value.ts";
import { anyKey, anyString, anySupported, levelled, same } from "./arbitraries.ts";

const roundTrip = (value: unknown): unknown => decodeValue(encodeValue(value));

describe("any value", () => {
  test("comes back equal, and encodes to the same text again", () => {
    fc.assert(
      fc.property(anySupported, (value) => {
        const text = encodeValue(value);
        const back = decodeValue(text);
        expect(same(back, levelled(value)), text).toBe(true);
        expect(encodeValue(back)).toBe(text);
      }),
      { numRuns: 2_000 },
    );
    expect(Reflect.ownKeys(Object.prototype)).toHaveLength(12);
  });

  test("that is a string comes back unit by unit, also as a key", () => {
    fc.assert(
      fc.property(anyString, (text) => {
        expect(roundTrip(text)).toBe(text);
        expect(Object.entries(roundTrip({ [text]: text }) as object)).toEqual([[text, text]]);
      }),
    );
  });

  test("that is a number comes back bit by bit", () => {
    const bitsOf = (value: unknown) => new BigUint64Array(new Float64Array([value as number]).buffer)[0];
    fc.assert(
      fc.property(fc.double(), (number) => {
        expect(bitsOf(roundTrip(number))).toBe(bitsOf(number));
      }),
      { examples: [[-0], [Number.NaN], [Number.POSITIVE_INFINITY], [Number.MIN_VALUE], [Number.MAX_VALUE]] },
    );
  });

  test("made of JSON alone is written as JSON.stringify writes it", () => {
    const hasDollarKey = (json: unknown): boolean =>
      typeof json === "object" && json !== null && (Object.hasOwn(json, "$") || Object.values(json).some(hasDollarKey));
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        const plain: unknown = JSON.parse(JSON.stringify(json)); // -0 becomes 0
        fc.pre(!hasDollarKey(plain));
        expect(encodeValue(plain)).toBe(JSON.stringify(plain));
      }),
    );
  });

  test("with keys that look like tags is never mistaken for a tagged one", () => {
    const tagLike = fc.dictionary(
      fc.constantFrom("$", "v", "$ ", "type"),
      fc.oneof(
        fc.constantFrom("Date", "Object", "undefined", "Map", "Nonsense", null, 1),
        fc.anything({ key: anyKey }),
      ),
    );
    fc.assert(
      fc.property(tagLike, (value) => {
        expect(same(roundTrip(value), levelled(value))).toBe(true);
      }),
    );
  });

  test("may be composed as JSON with other encoded values", () => {
    fc.assert(
      fc.property(anySupported, anySupported, (a, b) => {
        const composed = decodeValue(`{"a":${encodeValue(a)},"list":[${encodeValue(b)}]}`);
        expect(same(composed, { a: levelled(a), list: [levelled(b)] })).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe("the text", () => {
  test.each([
    [undefined, '{"$":"undefined"}'],
    [{ a: undefined }, '{"a":{"$":"undefined"}}'],
    [-0, '{"$":"Number","v":"-0"}'],
    [12345678901234567890n, '{"$":"BigInt","v":"12345678901234567890"}'],
    [new Date(0), '{"$":"Date","v":"1970-01-01T00:00:00.000Z"}'],
    [new Date(Number.NaN), '{"$":"Date","v":null}'],
    [new Date(8.64e15), '{"$":"Date","v":"+275760-09-13T00:00:00.000Z"}'],
    [new Map<unknown, unknown>([["a", new Set([1])]]), '{"$":"Map","v":[["a",{"$":"Set","v":[1]}]]}'],
    [/a"b/gi, '{"$":"RegExp","v":["a\\"b","gi"]}'],
    [new URL("https://example.com/a b"), '{"$":"URL","v":"https://example.com/a%20b"}'],
    [new Uint8Array([1, 2, 253]), '{"$":"Uint8Array","v":"AQL9"}'],
    [new Float32Array([1]), '{"$":"Float32Array","v":"AACAPw=="}'],
    [{ $: "Date", v: 1 }, '{"$":"Object","v":{"$":"Date","v":1}}'],
    ["\u0000\ud800", '"\\u0000\\ud800"'],
  ])("of %o is stored for ever as it is", (value, text) => {
    expect(encodeValue(value)).toBe(text);
    expect(decodeValue(text)).toStrictEqual(value);
  });

  test("contains neither NUL nor a lone surrogate", () => {
    fc.assert(
      fc.property(anySupported, (value) => {
        expect(encodeValue(value)).not.toMatch(/\0|\p{Surrogate}/u);
      }),
    );
  });
});

describe("objects", () => {
  test("keep own keys that name parts of the prototype, and pollute nothing", () => {
    const hostile: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    for (const value of [hostile, { $: 1, nested: [hostile] }, new Map([[hostile, hostile]])]) {
      const back = roundTrip(value);
      expect(same(back, value)).toBe(true);
    }
    const back = roundTrip(hostile) as object;
    expect(Object.keys(back)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test("without prototype, from another realm and with getters become plain ones", () => {
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
    expect(roundTrip(vm.runInNewContext("({ a: [1, { b: 2 }] })"))).toStrictEqual({ a: [1, { b: 2 }] });
    expect(roundTrip({ get a() { return new Date(5); } })).toStrictEqual({ a: new Date(5) }); // biome-ignore format: one line
  });

  test("are read once: a getter that changes its mind cannot lose anything", () => {
    let reads = 0;
    const fickle = {
      get a() {
        reads += 1;
        return reads === 1 ? "first" : () => {};
      },
    };
    expect(roundTrip(fickle)).toStrictEqual({ a: "first" });
    expect(reads).toBe(1);
  });

  test("shared by several places are written at each of them", () => {
    const shared = { n: 1 };
    expect(roundTrip([shared, { shared }, shared])).toStrictEqual([{ n: 1 }, { shared: { n: 1 } }, { n: 1 }]);
  });
});

describe("bytes", () => {
  test("of a Buffer or of a part of a larger one come back as their own Uint8Array", () => {
    const back = roundTrip(Buffer.from("xhellox").subarray(1, 6));
    expect(back).toStrictEqual(new TextEncoder().encode("hello"));
    expect((back as Uint8Array).buffer.byteLength).toBe(5);
  });

  test("of a typed array from another realm come back", () => {
    expect(roundTrip(vm.runInNewContext("new Uint16Array([1, 2])"))).toStrictEqual(new Uint16Array([1, 2]));
  });
});

test("a pattern keeps where it stands", () => {
  const pattern = /a/g;
  pattern.lastIndex = 3;
  expect((roundTrip(pattern) as RegExp).lastIndex).toBe(3);
});

test("holes of an array become undefined", () => {
  // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested
  expect(roundTrip([1, , 3])).toStrictEqual([1, undefined, 3]);
  expect(roundTrip(new Array(2))).toStrictEqual([undefined, undefined]);
});
