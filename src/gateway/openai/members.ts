// A JSON object's text with some of its members changed and everything else as it was written: numbers that JavaScript would round,
// the order of the keys, members that nobody here knows.

interface Span {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

const STRUCTURE = /["{}[\],]/g;

/** `text` must be a JSON object: JSON.parse has taken it. A member that is not there yet comes last. */
export function withMembers(text: string, changes: Readonly<Record<string, unknown>>): string {
  const spans = membersOf(text);
  let changed = "";
  let at = 0;
  for (const { key, start, end } of spans) {
    if (!Object.hasOwn(changes, key)) continue;
    changed += text.slice(at, start) + JSON.stringify(changes[key]);
    at = end;
  }
  const missing = Object.keys(changes).filter((key) => !spans.some((span) => span.key === key));
  if (missing.length === 0) return changed + text.slice(at);
  const added = missing.map((key) => `${JSON.stringify(key)}:${JSON.stringify(changes[key])}`).join(",");
  const close = text.lastIndexOf("}");
  return `${changed}${text.slice(at, close)}${spans.length === 0 ? "" : ","}${added}${text.slice(close)}`;
}

/** Where the value of each member of the outermost object stands, white space around it included. */
function membersOf(text: string): Span[] {
  const spans: Span[] = [];
  let depth = 0;
  let key: string | null = null;
  let start = 0;
  STRUCTURE.lastIndex = 0;
  for (let match = STRUCTURE.exec(text); match !== null; match = STRUCTURE.exec(text)) {
    const at = match.index;
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        if (depth === 1 && key === null) {
          key = JSON.parse(text.slice(at, end)) as string;
          start = text.indexOf(":", end) + 1;
        }
        STRUCTURE.lastIndex = end;
        break;
      }
      case "{":
      case "[":
        depth += 1;
        break;
      case ",":
        if (depth !== 1 || key === null) break;
        spans.push({ key, start, end: at });
        key = null;
        break;
      default:
        depth -= 1;
        if (depth === 0 && key !== null) spans.push({ key, start, end: at });
    }
  }
  return spans;
}

/** Position after the closing quote. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text[at - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
  return text.length;
}
