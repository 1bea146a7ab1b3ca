// Hostile keys are inert (invariant 27): accepted as they are, or refused with the reason.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkKey, checkName } from "../../src/domain/key.ts";
import { AGENT_NAME_CHARS_MAX, KEY_BYTES_MAX, STEP_NAME_CHARS_MAX } from "../../src/domain/limits.ts";
import { anyString } from "./arbitraries.ts";

const invalid = (reason: RegExp) =>
  expect.objectContaining({ code: "KEY_INVALID", status: 400, message: expect.stringMatching(reason) });

describe("a key", () => {
  test.each([
    "*",
    ":",
    "../..",
    "__proto__",
    "constructor",
    " ",
    "a\nb",
    "%",
    "'; drop table runs; --",
    "🙂",
    "\ufeff",
  ])("may be %j", (key) => {
    expect(checkKey("tenant", key)).toBe(key);
  });

  test.each([
    ["a", 1],
    ["é", 2],
    ["€", 3],
    ["😀", 4],
  ])("of %s has at most 512 bytes", (char, bytes) => {
    const atLimit = "x".repeat(KEY_BYTES_MAX % bytes) + char.repeat(Math.floor(KEY_BYTES_MAX / bytes));
    expect(Buffer.byteLength(atLimit)).toBe(KEY_BYTES_MAX);
    expect(checkKey("queue", atLimit)).toBe(atLimit);
    expect(() => checkKey("queue", `${atLimit}x`)).toThrow(invalid(/queue cannot be used: it has more than 512 bytes/));
  });

  test.each<[unknown, RegExp]>([
    ["", /it is empty/],
    ["a\u0000", /NUL/],
    ["\ud800", /half of a surrogate pair/],
    ["\udc00\ud800", /half of a surrogate pair/],
    [undefined, /not a string/],
    [Object("boxed"), /not a string/],
    [["a"], /not a string/],
  ])("cannot be %j", (value, reason) => {
    expect(() => checkKey("idempotency key", value)).toThrow(invalid(reason));
  });

  test("is accepted exactly when PostgreSQL can hold it and it is short enough", () => {
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(fc.oneof(anyString, fc.string({ unit: "binary", maxLength: 300 })), (text) => {
        const acceptable =
          text !== "" &&
          !text.includes("\u0000") &&
          Buffer.from(text).toString() === text &&
          Buffer.byteLength(text) <= KEY_BYTES_MAX;
        if (acceptable) expect(checkKey("signal name", text)).toBe(text);
        else expect(() => checkKey("signal name", text)).toThrow(invalid(/signal name/));
        seen[acceptable ? "accepted" : "refused"] += 1;
      }),
      { numRuns: 1_000 },
    );
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(10);
  });
});

describe("a name", () => {
  test.each(["researcher", "a", "my_agent-2.1", "Prüfer", "研究員", "हिन्दी"])("of an agent may be %s", (name) => {
    expect(checkName("agent", name)).toBe(name);
  });

  test.each(["", ".hidden", "-x", "a b", "a/b", "a:b", "a?b", "a\u0000", "\ud800", "a\n", "🙂", 5])(
    "of an agent cannot be %j",
    (name) => {
      expect(() => checkName("agent", name)).toThrow(invalid(/agent name/));
    },
  );

  test.each(["plan", "read page 3", "openai/gpt-5", "🙂", "a#2"])("of a step may be %s", (name) => {
    expect(checkName("step", name)).toBe(name);
  });

  test.each(["", "a\nb", "\u0007", "a\u0000", "\ud800", null])("of a step cannot be %j", (name) => {
    expect(() => checkName("step", name)).toThrow(invalid(/step name/));
  });

  test.each([
    ["agent", AGENT_NAME_CHARS_MAX],
    ["step", STEP_NAME_CHARS_MAX],
  ] as const)("of a %s has at most %d characters, however many bytes they take", (kind, max) => {
    for (const char of ["a", "研", "𠀀"]) {
      expect(checkName(kind, char.repeat(max))).toBe(char.repeat(max));
      expect(() => checkName(kind, char.repeat(max + 1))).toThrow(invalid(/has more than \d+ characters/));
    }
  });
});
