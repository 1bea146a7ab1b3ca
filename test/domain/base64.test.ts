// Our base64 is Node's.
import fc from "fast-check";
import { expect, test } from "vitest";
import { base64Length, fromBase64, toBase64 } from "../../src/domain/base64.ts";

test("encodes as Buffer does, of every length, and decodes it again", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = toBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64"));
      expect(text).toHaveLength(base64Length(bytes.length));
      expect(fromBase64(text)).toStrictEqual(Uint8Array.from(bytes));
    }),
  );
});

test("does not decode what is not padded base64", () => {
  for (const text of ["A", "AA", "AAA", "A===", "====", "AA=A", "A*==", "AA=é", "AAAA====", "AAA\n"]) {
    expect(fromBase64(text), text).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), (text) => {
      const valid = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text);
      expect(fromBase64(text) !== undefined).toBe(valid);
    }),
  );
});
