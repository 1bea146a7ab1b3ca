// What the rest of the domain needs to know about strings: their bytes in UTF-8, whether they are whole, how to cut them.

/** Bytes of a string in UTF-8. A lone surrogate counts 3, as the replacement character that would stand for it. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(index + 1))) index++;
  }
  return bytes;
}

/** True when the UTF-8 form of the text has at most `maxBytes` bytes; looks at the characters only when it must. */
export function fitsUtf8(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return false;
  return text.length * 3 <= maxBytes || utf8Length(text) <= maxBytes;
}

/** True when half of a surrogate pair stands alone: such a string has no UTF-8 form. */
export function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

/** True when jsonb takes this JSON text: no escape in it stands for NUL or for half of a surrogate pair. */
export function fitsJsonb(json: string): boolean {
  return !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/.test(json);
}

/** The text with U+FFFD in place of NUL and of lone surrogates, so that every PostgreSQL type takes it. */
export function storable(text: string): string {
  return text.replaceAll("\u0000", "\ufffd").replace(/\p{Surrogate}/gu, "\ufffd");
}

/**
 * At most `maxChars` UTF-16 units of the text; a cut is said at the end. A cut text is a fresh string: it does not
 * keep the original alive, as a plain slice does.
 */
export function clip(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const note = `… [${text.length} characters in all]`;
  const room = maxChars - note.length;
  return room > 0 ? copyHead(text, room) + note : copyHead(text, maxChars);
}

/** The first `maxChars` UTF-16 units, one less where that would split a pair, as a string of its own. */
export function copyHead(text: string, maxChars: number): string {
  const splits = isHighSurrogate(text.charCodeAt(maxChars - 1)) && isLowSurrogate(text.charCodeAt(maxChars));
  return JSON.parse(JSON.stringify(text.slice(0, splits ? maxChars - 1 : maxChars))) as string;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
