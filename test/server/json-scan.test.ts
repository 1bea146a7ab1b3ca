// Depth and faults of JSON texts, against what JSON.parse itself accepts.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findJsonFault, nestsDeeper } from "../../src/server/json-scan.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("findJsonFault", () => {
  test.each([
    ['{"a":}', 5, 'expected a value, found "}"'],
    ['{"a":1,}', 7, 'expected a key, found "}"'],
    ["[1,2", 4, "expected , or ], found the end"],
    ["[1 2]", 3, 'expected , or ], found "2"'],
    ["nope", 0, 'expected a value, found "n"'],
    ["", 0, "expected a value, found the end"],
    ['{"a":"x', 7, "expected a closing quote, found the end"],
    ['{"a\\q":1}', 3, 'expected a valid escape, found "\\\\"'],
    ['"\u0001"', 1, 'expected an escaped control character, found "\\u0001"'],
    ["{} x", 3, 'expected the end, found "x"'],
    ["01", 1, 'expected the end, found "1"'],
    ["{a:1}", 1, 'expected a key or }, found "a"'],
    ["[1,]", 3, 'expected a value, found "]"'],
  ])("finds the fault in %j at %i", (text, position, problem) => {
    expect(parses(text)).toBe(false);
    expect(findJsonFault(text)).toMatchObject({ position, problem });
  });

  test("counts lines and columns from one", () => {
    expect(findJsonFault('{\n  "a": 1,\n  b\n}')).toMatchObject({ position: 14, line: 3, column: 3 });
  });

  test("reads to the end exactly when JSON.parse does, for damaged JSON", () => {
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom("", ",", '"', "]", "{", "\\", "0", "\u0000"))
      .map(([text, at, junk]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + junk + text.slice(place + 1);
      });
    fc.assert(
      fc.property(damaged, (text) => {
        const fault = findJsonFault(text);
        const complete = fault.problem === "expected the end, found the end";
        expect(complete).toBe(parses(text));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("nestsDeeper", () => {
  test.each([
    ["[".repeat(100), 100, false],
    ["[".repeat(101), 100, true],
    ['{"a":'.repeat(101), 100, true],
    ["[]".repeat(1_000), 1, false],
    [`"${"[".repeat(1_000)}"`, 1, false],
    ['"\\"[[[', 1, false],
    [`["\\"",[[]]]`, 2, true],
  ])("tells the depth of text %#", (text, depthMax, deeper) => {
    expect(nestsDeeper(text, depthMax)).toBe(deeper);
  });
});
