// Bytes, wholeness and cutting of strings, against what Node's own encoders say.
import fc from "fast-check";
import { expect, test } from "vitest";
import { clip, copyHead, fitsUtf8, hasLoneSurrogate, storable, utf8Length } from "../../src/domain/text.ts";
import { anyString } from "./arbitraries.ts";

const anyText = fc.oneof(anyString, fc.string({ unit: "binary" }), fc.string());

test("utf8Length and fitsUtf8 agree with Buffer", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const bytes = Buffer.byteLength(text);
      expect(utf8Length(text)).toBe(bytes);
      expect(fitsUtf8(text, bytes)).toBe(true);
      expect(fitsUtf8(text, bytes - 1)).toBe(false);
    }),
  );
});

test("hasLoneSurrogate is what does not survive UTF-8, and storable survives it", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(hasLoneSurrogate(text)).toBe(Buffer.from(text).toString() !== text);
      expect(storable(text)).toBe(Buffer.from(text).toString().replaceAll("\u0000", "\ufffd"));
    }),
  );
});

test("clip keeps short texts, cuts long ones to the limit and never through a pair", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.integer({ min: 1, max: 150 }), (text, maxChars) => {
      const clipped = clip(text, maxChars);
      if (text.length <= maxChars) expect(clipped).toBe(text);
      else expect(clipped.length).toBeLessThanOrEqual(maxChars);
      expect(hasLoneSurrogate(clipped)).toBe(false);
      expect(text.startsWith(copyHead(text, maxChars))).toBe(true);
    }),
  );
  expect(clip("a".repeat(100), 50)).toBe(`${"a".repeat(25)}… [100 characters in all]`);
});
