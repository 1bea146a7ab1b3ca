// Base64 (RFC 4648, padded) between bytes and text, without Buffer: the domain also runs in browsers.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = "=".charCodeAt(0);
const NOT_A_DIGIT = 0xff;

const charOfDigit = Uint8Array.from(ALPHABET, (char) => char.charCodeAt(0));
const digitOfChar = new Uint8Array(256).fill(NOT_A_DIGIT);
for (const [digit, char] of charOfDigit.entries()) digitOfChar[char] = digit;

/** Characters that `toBase64` gives for so many bytes. */
export function base64Length(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

export function toBase64(bytes: Uint8Array): string {
  const chars = new Uint8Array(base64Length(bytes.length));
  let at = 0;
  for (let from = 0; from < bytes.length; from += 3) {
    const group = ((bytes[from] ?? 0) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    const left = bytes.length - from;
    chars[at++] = charOfDigit[group >> 18] ?? PAD;
    chars[at++] = charOfDigit[(group >> 12) & 63] ?? PAD;
    chars[at++] = left > 1 ? (charOfDigit[(group >> 6) & 63] ?? PAD) : PAD;
    chars[at++] = left > 2 ? (charOfDigit[group & 63] ?? PAD) : PAD;
  }
  return new TextDecoder("latin1").decode(chars);
}

/** The bytes, or undefined when the text is not padded base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let group = 0;
  let at = 0;
  for (let index = 0; index < text.length; index++) {
    const digit = index < digits ? (digitOfChar[text.charCodeAt(index)] ?? NOT_A_DIGIT) : 0;
    if (digit === NOT_A_DIGIT) return undefined;
    group = (group << 6) | digit;
    if (index % 4 !== 3) continue;
    bytes[at++] = group >> 16;
    bytes[at++] = group >> 8;
    bytes[at++] = group;
    group = 0;
  }
  return bytes;
}
