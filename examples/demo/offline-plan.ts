// Picks search queries from a question by rule: sub-questions, key words, and the words documentation uses instead.
import { queriesMax, queryCharsMax } from "./model-contract.ts";
import { genericWords } from "./vocabulary.ts";
import { isStopWord, stem, synonymsOf, wordsOf } from "./words.ts";

const keywordsMax = 6;

/**
 * One to five queries for a question: for each sub-question its key words, then variants of the whole: what was
 * quoted, synonyms, the kind of page that answers such a question. An empty question gives none.
 */
export function planQueries(question: string): string[] {
  const text = question.replaceAll(/\s+/g, " ").trim();
  const whole = keywordsOf(text);
  const subject = subjectOf(text);
  if (subject === null) return text === "" ? [] : [text.slice(0, queryCharsMax)];
  const parts = subQuestions(text).map(keywordsOf);
  const rest = whole.filter((word) => !same(word, subject) && !isGeneric(word));
  const queries = [
    ...parts.map((words) => words.slice(0, keywordsMax).join(" ")),
    ...quotedPhrases(text),
    ...synonymVariants(subject, rest).slice(0, 1),
    ...kindVariants(text, subject, rest),
    ...synonymVariants(subject, rest).slice(1, 2),
    ...(rest.length > 1 ? [`${subject} ${rest[0]}`, `${subject} ${rest.at(-1)}`] : []),
  ];
  const different = new Map<string, string>();
  for (const query of queries) {
    const stems = wordsOf(query).map(stem).sort().join(" ");
    if (!different.has(stems)) different.set(stems, query.slice(0, queryCharsMax));
  }
  return [...different.values()].slice(0, queriesMax);
}

/** The words of a question that carry meaning, in its own order, without repetitions. */
export function keywordsOf(text: string): string[] {
  const words = wordsOf(text).filter((word) => !isStopWord(word) && (word.length > 1 || /\d/.test(word)));
  return [...new Map(words.reverse().map((word) => [stem(word), word])).values()].reverse();
}

export function isGeneric(word: string): boolean {
  return [...genericWords].some((generic) => same(generic, word));
}

/** What a question is about, which in documentation is mostly a package: "… in pino", "chokidar's …", "fast-check". */
const subjectPatterns = [
  /(@[\w.-]+\/[\w.-]+)/g,
  /([\w@/.-]{2,})['’]s\s/g,
  /\b([a-z]+-[a-z][a-z-]*)\b/g,
  /\b(?:in|with|using|via|from|by)\s+(?:an?\s+|the\s+)?([\w@/.-]{2,})/gi,
  /\b(?:of|for|does|is|are)\s+(?:an?\s+|the\s+)?([\w@/.-]{2,})/gi,
];

export function subjectOf(text: string): string | null {
  return namedSubject(text) ?? keywordsOf(split(text)[0] ?? "").at(-1) ?? keywordsOf(text).at(-1) ?? null;
}

function namedSubject(text: string): string | null {
  const words = keywordsOf(text);
  for (const pattern of subjectPatterns) {
    const named = [...text.matchAll(pattern)].map(([, name = ""]) =>
      words.find((word) => same(word, wordsOf(name)[0] ?? "")),
    );
    const last = named.filter((word) => word !== undefined && !isGeneric(word)).at(-1);
    if (last) return last;
  }
  return null;
}

const questionWord = "(?:how|what|why|when|where|which|who|does|do|is|are|can|should)";
const splitters = [
  /[?;]\s+/,
  new RegExp(`,?\\s+(?:and|but|or)\\s+(?=${questionWord}\\s)`, "i"),
  /\s+(?:versus|vs\.?|compared (?:to|with)|rather than|instead of)\s+/i,
];

/**
 * The questions within a question, in its own words: two that "and" joins, the sides of a comparison. One that only
 * points back ("and how do I close it?") gets the subject put behind it; one that asks nothing telling is left out.
 */
export function subQuestions(text: string): string[] {
  const subject = subjectOf(text);
  const telling = split(text).filter((part) => keywordsOf(part).some((word) => !isGeneric(word)));
  if (subject === null || telling.length < 2) return [text];
  // A guessed subject is lent only to what would be nothing without it.
  const wordsMin = namedSubject(text) === null ? 2 : 3;
  const parts = telling.map((part) => (isDangling(part, subject, wordsMin) ? `${part} ${subject}` : part));
  const full = parts.filter((part) => keywordsOf(part).some((word) => !isGeneric(word) && !same(word, subject)));
  return full.length > 0 ? full : [text];
}

function split(text: string): string[] {
  const between = /\b(?:differences? between|compare)\s+(.+?)\s+(?:and|with|to)\s+([^?.]+)/i.exec(text);
  if (between?.[1] && between[2]) return [between[1], between[2]];
  return splitters.reduce<string[]>((parts, splitter) => parts.flatMap((part) => part.split(splitter)), [text]);
}

function isDangling(part: string, subject: string, wordsMin: number): boolean {
  const own = keywordsOf(part);
  if (own.some((word) => same(word, subject))) return false;
  return own.length < wordsMin || /\b(?:it|its|they|them|their|this|that|one)\b/i.test(part);
}

function quotedPhrases(text: string): string[] {
  const quoted = [...text.matchAll(/["“`]([^"”`]{3,80})["”`]/g)].map((match) => match[1]?.trim() ?? "");
  return quoted.filter((phrase) => wordsOf(phrase).length > 1).map((phrase) => `"${phrase}"`);
}

/** Where documentation answers such a question: "how do I" in an example, "what is" where a page begins. */
const kinds: { asks: RegExp; words: string[] }[] = [
  { asks: /\b(?:default|option|setting|configur\w*|parameter|flag)s?\b/i, words: ["options"] },
  { asks: /\b(?:install|set ?up|get started|start with)\b/i, words: ["installation", "getting started"] },
  { asks: /\b(?:error|fail\w*|wrong|crash\w*|broken|throws?)\b/i, words: ["error", "troubleshooting"] },
  { asks: /\b(?:support\w*|compatib\w*|run on|which versions?)\b/i, words: ["support", "compatibility"] },
  { asks: /^\s*(?:what(?:'s| is| are)|who|define)\b/i, words: ["introduction", "features"] },
  { asks: /\b(?:how|example|show|way to)\b/i, words: ["example", "usage"] },
];

function kindVariants(text: string, subject: string, rest: string[]): string[] {
  const fresh = kinds
    .find(({ asks }) => asks.test(text))
    ?.words.find((word) => ![subject, ...rest].some((other) => same(other, word)));
  return fresh ? [[subject, ...rest.slice(0, 1), fresh].join(" ")] : [];
}

function synonymVariants(subject: string, rest: string[]): string[] {
  return rest.flatMap((word) => synonymsOf(word).slice(0, 1)).map((other) => `${subject} ${other}`);
}

function same(word: string, other: string): boolean {
  return stem(word) === stem(other);
}
