// What JSON.parse does not tell: how deep a text nests, and where exactly it stops being JSON.

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** True when arrays and objects lie more than `depthMax` deep in each other. One pass, no recursion, also for broken text. */
export function nestsDeeper(text: string, depthMax: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (end === -1) return false;
      at = end - 1;
    } else if (code === OPEN_BRACKET || code === OPEN_BRACE) {
      depth += 1;
      if (depth > depthMax) return true;
    } else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) depth -= 1;
  }
  return false;
}

export interface JsonFault {
  /** UTF-16 units from the start, from 0. */
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly problem: string;
}

/** Where a text that JSON.parse refused stops being JSON, and what was expected there. */
export function findJsonFault(text: string): JsonFault {
  const { at, expected } = scan(text);
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  const found = at >= text.length ? "the end" : JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0));
  return { position: at, line, column: at - before.lastIndexOf("\n"), problem: `expected ${expected}, found ${found}` };
}

type Expecting = "a value" | "a value or ]" | "a key" | "a key or }" | ":" | ", or end" | "the end";
interface Stop {
  readonly at: number;
  readonly expected: string;
}

/** A checker of JSON's grammar that keeps its own stack; it only runs on text that is known to be wrong. */
function scan(text: string): Stop {
  const open: string[] = [];
  let expecting: Expecting = "a value";
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    const char = text[at];
    if (char === undefined) return { at, expected: expecting === ", or end" ? closing(open) : expecting };
    const closes = (char === "]" && open.at(-1) === "[") || (char === "}" && open.at(-1) === "{");
    if (closes && (expecting === ", or end" || expecting === "a value or ]" || expecting === "a key or }")) {
      open.pop();
      at += 1;
      expecting = open.length === 0 ? "the end" : ", or end";
    } else if (expecting === ", or end" && char === ",") {
      at += 1;
      expecting = open.at(-1) === "{" ? "a key" : "a value";
    } else if (expecting === ":" && char === ":") {
      at += 1;
      expecting = "a value";
    } else if ((expecting === "a key" || expecting === "a key or }") && char === '"') {
      const end = endOfCheckedString(text, at);
      if (typeof end !== "number") return end;
      at = end;
      expecting = ":";
    } else if ((expecting === "a value" || expecting === "a value or ]") && (char === "[" || char === "{")) {
      open.push(char);
      at += 1;
      expecting = char === "[" ? "a value or ]" : "a key or }";
    } else if (expecting === "a value" || expecting === "a value or ]") {
      const end = endOfScalar(text, at);
      if (typeof end !== "number") return end;
      at = end;
      expecting = open.length === 0 ? "the end" : ", or end";
    } else return { at, expected: expecting === ", or end" ? closing(open) : expecting };
  }
}

function closing(open: readonly string[]): string {
  return open.at(-1) === "{" ? ", or }" : ", or ]";
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && " \t\n\r".includes(text[at] as string)) at += 1;
  return at;
}

/** Position after the closing quote, or -1 when there is none. */
function endOfString(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === QUOTE) return at + 1;
  }
  return -1;
}

function endOfScalar(text: string, from: number): number | Stop {
  if (text[from] === '"') return endOfCheckedString(text, from);
  const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
  scalar.lastIndex = from;
  return scalar.test(text) ? scalar.lastIndex : { at: from, expected: "a value" };
}

/** The same for a string whose inside is checked too. */
function endOfCheckedString(text: string, from: number): number | Stop {
  const end = endOfString(text, from);
  for (let at = from + 1; at < (end === -1 ? text.length : end - 1); at++) {
    const code = text.charCodeAt(at);
    if (code < 32) return { at, expected: "an escaped control character" };
    if (code !== BACKSLASH) continue;
    if (!/^(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at + 1, at + 6))) return { at, expected: "a valid escape" };
    at += 1;
  }
  return end === -1 ? { at: text.length, expected: "a closing quote" } : end;
}
