// The fingerprint of a step's input is stable for ever and spreads well.
import fc from "fast-check";
import { expect, test } from "vitest";
import { hashInput } from "../../src/domain/hash.ts";
import { anyString } from "./arbitraries.ts";

test.each([
  ["", "bc471bf08c47feb1"],
  ["a", "3a947f03b8698566"],
  ["ab", "4f53a2c56ee2e32e"],
  ['{"question":"why"}', "423523ded8fd3f17"],
  ["\ud800€😀", "e26dee8c8ea427b5"],
])("of %j never changes: it is in journals", (text, hash) => {
  expect(hashInput(text)).toBe(hash);
});

test("is 16 hexadecimal digits, equal for equal texts", () => {
  fc.assert(
    fc.property(anyString, (text) => {
      expect(hashInput(text)).toMatch(/^[0-9a-f]{16}$/);
      expect(hashInput(`${text.slice(0, 3)}${text.slice(3)}`)).toBe(hashInput(text));
    }),
  );
});

test("tells texts apart that differ in one unit, in length or in order", () => {
  fc.assert(
    fc.property(anyString, anyString, fc.nat(0xffff), (before, after, unit) => {
      const text = `${before}${String.fromCharCode(unit)}${after}`;
      const changed = `${before}${String.fromCharCode(unit ^ 1)}${after}`;
      expect(new Set([text, changed, `${text}\u0000`, `\u0000${text}`].map(hashInput)).size).toBe(4);
    }),
  );
});

test("does not collide on 300,000 similar inputs, nor does either half more than chance has it", () => {
  const texts = Array.from({ length: 100_000 }, (_, n) => [`{"id":${n}}`, `step-${n}`, `${n.toString(2)}x`]).flat();
  const distinct = new Set(texts);
  const hashes = [...distinct].map(hashInput);
  expect(new Set(hashes).size).toBe(distinct.size);
  const expected = distinct.size ** 2 / 2 / 2 ** 32;
  for (const half of [hashes.map((hash) => hash.slice(0, 8)), hashes.map((hash) => hash.slice(8))]) {
    expect(distinct.size - new Set(half).size).toBeLessThan(expected + 6 * Math.sqrt(expected));
  }
});

test("changes each output bit for about half of all one-bit changes", () => {
  const flips = new Array<number>(64).fill(0);
  const texts = Array.from({ length: 500 }, (_, n) => `{"question":"number ${n}","limit":${n * 7}}`);
  let changes = 0;
  for (const [n, text] of texts.entries()) {
    const at = n % text.length;
    const base = BigInt(`0x${hashInput(text)}`);
    for (let bit = 0; bit < 16; bit++) {
      const unit = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
      const changed = BigInt(`0x${hashInput(text.slice(0, at) + unit + text.slice(at + 1))}`) ^ base;
      for (let out = 0; out < 64; out++) flips[out] = (flips[out] ?? 0) + Number((changed >> BigInt(out)) & 1n);
      changes += 1;
    }
  }
  for (const flipped of flips) expect(Math.abs(flipped / changes - 0.5)).toBeLessThan(0.04);
});
