// The text of an API key: `lh_<id>_<secret><checksum>`. The prefix lets scanners of repositories find a leaked one, and the checksum
// tells a key from a typing error or from noise without asking anybody.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 64 random bits: public, in lists and logs. */
export const KEY_ID_BYTES = 8;
/** 256 random bits. */
export const SECRET_BYTES = 32;

const ID_CHARS = 11;
const SECRET_CHARS = 43;
const CHECKSUM_CHARS = 6;
const TOKEN = new RegExp(
  `^lh_([0-9A-Za-z]{${ID_CHARS}})_([0-9A-Za-z]{${SECRET_CHARS}})([0-9A-Za-z]{${CHECKSUM_CHARS}})$`,
);
const TOKEN_CHARS = "lh__".length + ID_CHARS + SECRET_CHARS + CHECKSUM_CHARS;
const ID = new RegExp(`^(?:lh_)?([0-9A-Za-z]{${ID_CHARS}})(?:_[0-9A-Za-z]*)?$`);

export interface ApiKey {
  readonly keyId: string;
  readonly secret: string;
}

/** A key of these random bytes. */
export function makeApiKey(id: Uint8Array, secret: Uint8Array): ApiKey & { readonly token: string } {
  const keyId = inBase62(id, ID_CHARS);
  const text = inBase62(secret, SECRET_CHARS);
  const body = `lh_${keyId}_${text}`;
  return { keyId, secret: text, token: body + checksumOf(body) };
}

/** Null for what is no key; as quick for a megabyte as for a letter. */
export function parseApiKey(token: string): ApiKey | null {
  if (token.length !== TOKEN_CHARS) return null;
  const [, keyId, secret, checksum] = TOKEN.exec(token) ?? [];
  if (keyId === undefined || secret === undefined) return null;
  return checksumOf(token.slice(0, -CHECKSUM_CHARS)) === checksum ? { keyId, secret } : null;
}

/** The id of a key that is named by its id, by what lists show of it, or as a whole by somebody who has found it. */
export function keyIdOf(text: unknown): string | null {
  if (typeof text !== "string" || text.length > 2 * TOKEN_CHARS) return null;
  return ID.exec(text)?.[1] ?? null;
}

function checksumOf(text: string): string {
  const value = crc32(text);
  return inBase62(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value), CHECKSUM_CHARS);
}

/** As in zip and Ethernet, over ASCII. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index++) {
    crc ^= text.charCodeAt(index);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function inBase62(bytes: Uint8Array, chars: number): string {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  let text = "";
  for (; value > 0n; value /= 62n) text = (DIGITS[Number(value % 62n)] ?? "") + text;
  return text.padStart(chars, "0");
}
