// A step's key says its name and its mark again, whatever characters they are made of.
import fc from "fast-check";
import { expect, test } from "vitest";
import { markedName, readStepKey } from "../../src/domain/step-key.ts";

test.each([
  ["plan#1", "plan", null],
  ["@3/plan#2", "plan", null],
  ["all#1.left/model smart@3f9a1c#1", "model smart", "3f9a1c"],
  ["read[4]/search@call_1#12", "search", "call_1"],
  ["model openai%2fgpt-5@aa#1", "model openai/gpt-5", "aa"],
  ["(end) 123456789012", "(end) 123456789012", null],
])("%s", (key, name, mark) => {
  expect(readStepKey(key)).toEqual({ name, mark });
});

test("names and marks survive, and no two make the same key", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1 }).filter((value) => !/\p{Cc}/u.test(value));
  fc.assert(
    fc.property(text, fc.option(text, { nil: undefined }), fc.nat(), (name, mark, count) => {
      const key = `@2/all#1.x/${markedName(name, mark)}#${count}`;
      expect(readStepKey(key)).toEqual({ name, mark: mark ?? null });
    }),
  );
});
