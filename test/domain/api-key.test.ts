// The text of an API key: found by scanners, told from noise without asking anybody.
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KEY_ID_BYTES, keyIdOf, makeApiKey, parseApiKey, SECRET_BYTES } from "../../src/domain/api-key.ts";

const fresh = () => makeApiKey(randomBytes(KEY_ID_BYTES), randomBytes(SECRET_BYTES));

describe("a key", () => {
  test("is read back, for all bytes there are", () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(bytes(KEY_ID_BYTES), bytes(SECRET_BYTES), (id, secret) => {
        const made = makeApiKey(id, secret);
        expect(made.token).toMatch(/^lh_[0-9A-Za-z]{11}_[0-9A-Za-z]{49}$/);
        expect(parseApiKey(made.token)).toEqual({ keyId: made.keyId, secret: made.secret });
      }),
    );
    const [least, most] = [0, 255].map((byte) =>
      makeApiKey(new Uint8Array(KEY_ID_BYTES).fill(byte), new Uint8Array(SECRET_BYTES).fill(byte)),
    );
    expect(parseApiKey(least?.token ?? "")).not.toBeNull();
    expect(parseApiKey(most?.token ?? "")).not.toBeNull();
  });

  test("never changes its form: those that were given out go on working", () => {
    const made = makeApiKey(new Uint8Array(KEY_ID_BYTES).fill(7), new Uint8Array(SECRET_BYTES).fill(9));
    expect(made.token).toMatchInlineSnapshot(`"lh_0bPELAU4eqF_28pwpFvXuOCuClQJSgvJUKf8mA3ApwedogOvpU3VfJJ48vd51"`);
  });

  test("with one letter changed is none", () => {
    const { token } = fresh();
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === "x" ? "y" : "x";
      expect(parseApiKey(token.slice(0, at) + other + token.slice(at + 1))).toBeNull();
    }
  });

  test.each([
    ["nothing", ""],
    ["a megabyte", "x".repeat(1_048_576)],
    ["a megabyte that begins well", `lh_${"a".repeat(1_048_576)}`],
    ["a key and more", `${fresh().token} `],
    ["two keys", `${fresh().token}, ${fresh().token}`],
    ["another service's", "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789"],
    ["NUL", `${fresh().token.slice(0, -1)}\u0000`],
    ["a line break", `${fresh().token}\n`],
    ["letters that look alike", fresh().token.replace("lh", "ℓh")],
  ])("%s is none", (_, text) => {
    expect(parseApiKey(text)).toBeNull();
  });
});

test("a key is named by its id, by its beginning, or by all of it", () => {
  const { keyId, token } = fresh();
  for (const name of [keyId, `lh_${keyId}`, token]) expect(keyIdOf(name)).toBe(keyId);
  for (const none of ["", "lh_", keyId.slice(1), `${keyId}x`, `${keyId}\u0000`, "x".repeat(1_048_576), null, 5, {}])
    expect(keyIdOf(none)).toBeNull();
});
