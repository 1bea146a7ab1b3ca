// Server-sent events, and a text in the pieces in which a model says it.

export function data(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

export function event(name: string, value: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;
}

/** No piece ends between the two halves of a character. */
export function chunksOf(text: string, characters: number): string[] {
  if (text === "") return [];
  if (text.length <= characters) return [text];
  const chunks: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + Math.max(1, characters), text.length);
    const last = text.charCodeAt(end - 1);
    if (last >= 0xd800 && last <= 0xdbff && end < text.length) end += 1;
    chunks.push(text.slice(start, end));
    start = end;
  }
  return chunks;
}
