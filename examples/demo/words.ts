// The words of questions and documents: splitting identifiers, stems and quotable sentences, all by rule.
import { stopWords, synonymGroups } from "./vocabulary.ts";

/** Whether a word carries no meaning of its own in a question ("how", "the", "use"). */
export function isStopWord(word: string): boolean {
  return stopWords.has(word.toLowerCase().replaceAll("’", "'"));
}

/** The words of a text as they stand, identifiers whole: `pool.connect`, `@hono/node-server`, `--watch`, `don't`. */
export function wordsOf(text: string): string[] {
  const found = text.match(/@?[\p{L}\p{N}_$]+(?:[.\-/'’+#][\p{L}\p{N}_$]+)*(?:\+\+|#)?/gu) ?? [];
  return found.map((word) => word.replace(/['’]s$/, ""));
}

/** `idleTimeoutMillis` as `idle`, `Timeout`, `Millis`, and `v7` as `version`, `7`; any other word gives nothing. */
export function partsOf(word: string): string[] {
  if (/^v\d+$/i.test(word)) return ["version", word.slice(1)];
  const parts = word.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{N}+/gu) ?? [];
  return /\p{Ll}\p{Lu}|\p{Lu}{2}\p{Ll}/u.test(word) ? parts : [];
}

/**
 * Text as full-text search should see it: punctuation gone, so that PostgreSQL does not take `pg.Pool` for a host
 * name, and the parts of camel case written out beside the whole.
 */
export function searchable(text: string): string {
  return text
    .replaceAll(/[^\p{L}\p{N}]+/gu, " ")
    .replaceAll(/\p{L}[\p{L}\p{N}]*/gu, (word) => [word, ...partsOf(word)].join(" "))
    .trim();
}

/** The stems of the meaningful words of a text, identifiers both whole and in parts, without duplicates. */
export function stemsOf(text: string): Set<string> {
  const stems = new Set<string>();
  for (const word of searchable(text).split(" ")) {
    if ((word.length > 1 && !isStopWord(word)) || /\d/.test(word)) stems.add(stem(word));
  }
  return stems;
}

/** A crude English stem: good enough to see that "retries", "retried" and "retry" are one word. */
export function stem(word: string): string {
  let root = word.toLowerCase();
  if (root.length <= 3 || /[^a-z]/.test(root)) return root;
  if (root.endsWith("ies")) root = `${root.slice(0, -3)}y`;
  else if (/(s|x|z|ch|sh)es$/.test(root)) root = root.slice(0, -2);
  else if (/[^su]s$/.test(root) && !root.endsWith("is")) root = root.slice(0, -1);
  if (root.endsWith("ied")) return `${root.slice(0, -3)}y`;
  root = cut(root, /(?:ating|ations?|ators?|ated|ate)$/, 4) ?? cut(root, /(?:ing|ed)$/, 3) ?? root;
  root = cut(root, /(?<=[st])ions?$/, 5) ?? root;
  root = cut(root, /ly$/, 4) ?? root;
  return root.replace(/([bdfgmnprt])\1$/, "$1").replace(/(?<=.{3})e$/, "");
}

/** The other words that documentation may use for one, without it. */
export function synonymsOf(word: string): string[] {
  const root = stem(word);
  const group = synonymGroups.find((words) => words.some((other) => stem(other) === root)) ?? [];
  return group.filter((other) => stem(other) !== root);
}

function cut(word: string, ending: RegExp, lettersLeft: number): string | null {
  const rest = word.replace(ending, "");
  return rest !== word && rest.length >= lettersLeft && /[aeiouy]/.test(rest) ? rest : null;
}

/** A quotable unit of a passage: a sentence, a list item or table row, or a whole block of code. */
export interface Unit {
  text: string;
  kind: "code" | "item" | "sentence";
}

/** Splits a passage into what can be quoted from it, in reading order. */
export function unitsOf(body: string): Unit[] {
  const units: Unit[] = [];
  const parts = body.split(/^([ \t]*(?:`{3,}|~{3,})[^\n]*\n[\s\S]*?^[ \t]*(?:`{3,}|~{3,})[ \t]*)$/m);
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1) units.push({ text: dedent(part), kind: "code" });
    else for (const paragraph of paragraphsOf(part)) units.push(...proseUnits(paragraph));
  }
  return units.filter((unit) => /\p{L}{2}/u.test(unit.text));
}

function paragraphsOf(prose: string): string[] {
  // A list item or table row begins a paragraph of its own; a line that only continues one is joined to it.
  return prose
    .split(/\n\s*\n|\n(?=\s*(?:[-*+]|\d+[.)])\s|\s*\|)/)
    .map((paragraph) => paragraph.replaceAll(/\s*\n\s*(?:>\s*)?/g, " ").trim())
    .filter((paragraph) => paragraph !== "" && !/^[|:\-\s]+$/.test(paragraph));
}

function proseUnits(paragraph: string): Unit[] {
  const item = /^(?:[-*+]|\d+[.)])\s+(?:\[[ x]\]\s+)?/.exec(paragraph);
  if (item) return [{ text: paragraph.slice(item[0].length), kind: "item" }];
  if (paragraph.startsWith("|")) {
    const cells = paragraph.split(/(?<!\\)\|/).map((cell) => cell.trim());
    return [{ text: cells.filter((cell) => cell !== "").join(" — "), kind: "item" }];
  }
  const text = paragraph.replace(/^>\s*(?:\[![A-Z]+\]\s*)?/, "");
  const sentences = text.split(/(?<=[.!?][)"'”*_]{0,2})\s+(?=[\p{Lu}`"'“*_(])(?<!\b(?:e\.g|i\.e|etc|vs|cf)\.\s)/u);
  return sentences.map((sentence) => ({ text: sentence.trim(), kind: "sentence" as const }));
}

function dedent(block: string): string {
  const indent = /^[ \t]*/.exec(block)?.[0].length ?? 0;
  return block
    .split("\n")
    .map((line) => (line.slice(0, indent).trim() === "" ? line.slice(indent) : line))
    .join("\n")
    .trimEnd();
}
