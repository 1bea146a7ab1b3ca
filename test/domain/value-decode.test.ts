// Text that encodeValue did not write is refused with a code, and never makes anything but inert data.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeValue } from "../../src/domain/value.ts";

test.each([
  ["nothing", ""],
  ["no JSON", "{"],
  ["an unknown tag", '{"$":"Buffer","v":[]}'],
  ["a tag of another library", '{"$":"lc","v":{"type":"constructor","id":["fs"]}}'],
  ["a tag that is a property of objects", '{"$":"constructor"}'],
  ["a tag that is no text", '{"$":{}}'],
  ["a number", '{"$":"Number","v":"1"}'],
  ["a bigint", '{"$":"BigInt","v":"1.5"}'],
  ["a date", '{"$":"Date","v":"yesterday"}'],
  ["a date without value", '{"$":"Date"}'],
  ["a map", '{"$":"Map","v":[1]}'],
  ["a set", '{"$":"Set","v":{}}'],
  ["a pattern", '{"$":"RegExp","v":["(",""]}'],
  ["flags of a pattern", '{"$":"RegExp","v":["a","zz"]}'],
  ["an address", '{"$":"URL","v":"nowhere"}'],
  ["bytes", '{"$":"Uint8Array","v":"AQI"}'],
  ["bytes with a foreign character", '{"$":"Uint8Array","v":"AQ*="}'],
  ["bytes that are no whole elements", '{"$":"Float64Array","v":"AQL9"}'],
  ["an error", '{"$":"Error","v":[]}'],
  ["properties of an error", '{"$":"Error","v":{"name":"E","message":"m","props":1}}'],
  ["an escaped object", '{"$":"Object","v":null}'],
  ["depth", `${"[".repeat(50_000)}{"$":"undefined"}${"]".repeat(50_000)}`],
])("malformed: %s", (_what, text) => {
  expect(() => decodeValue(text)).toThrow(
    expect.objectContaining({ name: "LonghaulError", code: "VALUE_UNREADABLE", status: 500, retryable: false }),
  );
});

test("any tagged JSON gives a value or the coded error, and touches no prototype", () => {
  const tag = fc.constantFrom(
    "Date",
    "Map",
    "Set",
    "Error",
    "Object",
    "RegExp",
    "URL",
    "Uint8Array",
    "BigInt",
    "Number",
  );
  const key = fc.constantFrom(
    "$",
    "v",
    "__proto__",
    "constructor",
    "prototype",
    "props",
    "cause",
    "errors",
    "stack",
    "type",
  );
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      fc.oneof(fc.constantFrom(null, "a", 1, "AQL9", "TypeError"), tag),
      fc.array(tie("json"), { maxLength: 3 }),
      fc.dictionary(key, tie("json"), { maxKeys: 4 }),
      fc.record({ $: tag, v: tie("json") }),
    ),
  }));
  let revived = 0;
  fc.assert(
    fc.property(json, (value) => {
      try {
        decodeValue(JSON.stringify(value));
        revived += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: "VALUE_UNREADABLE" });
      }
      expect(Reflect.ownKeys(Object.prototype)).toHaveLength(12);
      expect(Object.keys(Error.prototype)).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
  expect(revived).toBeGreaterThan(100);
});

test("text without a tag is nothing but JSON", () => {
  expect(decodeValue('{"price":"$5","k$":[1,{"v":"Date"}]}')).toStrictEqual({ price: "$5", k$: [1, { v: "Date" }] });
});
