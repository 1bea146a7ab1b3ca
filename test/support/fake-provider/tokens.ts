// How the fake provider counts tokens: so many for each byte of UTF-8.

export const TOKENS_PER_BYTE = 0.25;

export function countTokens(text: string, tokensPerByte = TOKENS_PER_BYTE): number {
  return text === "" ? 0 : Math.ceil(Buffer.byteLength(text) * tokensPerByte);
}

/** The longest beginning of a text that counts no more than so many tokens, without half a character at its end. */
export function cutToTokens(text: string, tokens: number, tokensPerByte = TOKENS_PER_BYTE): string {
  const bytes = Buffer.from(text);
  let end = Math.max(0, Math.floor(tokens / tokensPerByte));
  if (end >= bytes.length) return text;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}
