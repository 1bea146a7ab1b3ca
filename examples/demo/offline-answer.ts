// Composes an answer from passages by quoting the sentences that cover the question best; no language model involved.
import type { Passage } from "./corpus.ts";
import type { Answer, Citation } from "./model-contract.ts";
import { isGeneric, keywordsOf, subjectOf, subQuestions } from "./offline-plan.ts";
import { stem, stemsOf, synonymsOf, type Unit, unitsOf, wordsOf } from "./words.ts";

const quotesMax = 4;
const quotesPerPartMax = 3;
const quoteCharsMax = 600;
const codeBlocksMax = 2;
const codeLinesMax = 16;
const pagesMax = 3;
// Below these shares of the question, weighed by how telling its words are, what was found is taken for a coincidence.
const passageCoverageMin = 0.65;
const sentenceCoverageMin = 0.3;

/** One key word of the question: the stems that stand for it, and how telling it is. */
interface Concept {
  word: string;
  whole: string;
  parts: string[];
  synonyms: Set<string>;
  weight: number;
}

interface Asked {
  subject: string | null;
  concepts: Concept[];
  wants: "code" | "definition" | "reason" | "value" | null;
}

/** A sentence (or item, or code block) that could be quoted, and how well it fits. */
interface Candidate {
  passage: Passage;
  place: number;
  text: string;
  kind: Unit["kind"];
  /** The share of the question that the sentence itself covers, 0 to 1. */
  own: number;
  score: number;
  /** Of all that would be quoted, to see what another quote says already. */
  stems: Set<string>;
}

/**
 * Quotes at most four sentences from at most three pages (three for each part of a question with several), or says that
 * the passages hold no answer.
 */
export function composeAnswer(question: string, passages: readonly Passage[]): Answer {
  const asked = subQuestions(question);
  const most = asked.length > 1 ? quotesPerPartMax : quotesMax;
  const parts = asked.map((part) => ({ part, chosen: chooseFor(part, passages).slice(0, most) }));
  const chosen = parts.flatMap((answered) => answered.chosen);
  if (chosen.length === 0) return { text: doesNotKnow(question, passages), citations: [] };
  const open = parts.filter((answered) => answered.chosen.length === 0).map(({ part }) => `"${part}"`);
  const { text, citations } = quote(withoutRepetitions(chosen));
  const notFound = open.length > 0 ? `I found no answer to ${open.join(" or ")}.` : "";
  const reserve = [notFound, unmentioned(question, passages)].filter((sentence) => sentence !== "").join(" ");
  return { text: reserve === "" ? text : `${text}\n\n${reserve}`, citations };
}

function chooseFor(question: string, passages: readonly Passage[]): Candidate[] {
  const asked = read(question, passages);
  const fitting = passages.filter((passage) => covered(asked, stemsOf(textOf(passage))) >= passageCoverageMin);
  const candidates = fitting
    .flatMap((passage) => candidatesOf(passage, passages.indexOf(passage), asked))
    .sort((a, b) => b.score - a.score || a.place - b.place);
  return choose(candidates);
}

function textOf(passage: Passage): string {
  return `${passage.package} ${passage.title} ${passage.heading} ${passage.body}`;
}

function read(question: string, passages: readonly Passage[]): Asked {
  const texts = passages.map((passage) => stemsOf(textOf(passage)));
  const subject = subjectOf(question);
  const concepts = keywordsOf(question).map((word) => {
    const parts = [...stemsOf(word)];
    const synonyms = new Set(synonymsOf(word).map(stem));
    const concept = { word, whole: stem(word), parts, synonyms, weight: 1 };
    const holders = texts.filter((stems) => match(concept, stems) >= 0.7).length;
    const rarity = Math.log(2 + (passages.length + 1) / (holders + 0.5));
    concept.weight = rarity * (isGeneric(word) ? 0.25 : 1) * (word === subject ? 1.5 : 1);
    return concept;
  });
  return { subject, concepts, wants: wantOf(question) };
}

/** How well a text holds a key word: 1 for the word itself, 0.7 for a synonym, else the share of an identifier's parts. */
function match(concept: Concept, stems: Set<string>): number {
  if (stems.has(concept.whole)) return 1;
  const parts = concept.parts.filter((part) => stems.has(part)).length / (concept.parts.length || 1);
  return Math.max(parts, [...concept.synonyms].some((synonym) => stems.has(synonym)) ? 0.7 : 0);
}

/** The share of the question that a text covers, 0 to 1. */
function covered({ concepts }: Asked, stems: Set<string>): number {
  const total = concepts.reduce((sum, concept) => sum + concept.weight, 0);
  return concepts.reduce((sum, concept) => sum + concept.weight * match(concept, stems), 0) / (total || 1);
}

function wantOf(question: string): Asked["wants"] {
  if (/\bwhy\b|\breason\b/i.test(question)) return "reason";
  if (/\b(?:default|how (?:many|much|long|often|big)|which versions?|when|limit)\b/i.test(question)) return "value";
  if (/\bhow (?:do|to|can|should|would|does)\b|\bexample\b|\bshow\b|\binstall\b/i.test(question)) return "code";
  return /^\W*(?:what(?:'s| is| are| does)|tell me about|describe|explain)\b/i.test(question) ? "definition" : null;
}

function candidatesOf(passage: Passage, rank: number, whole: Asked): Candidate[] {
  const units = unitsOf(passage.body);
  const above = stemsOf(`${passage.package} ${passage.title} ${passage.heading}`);
  const asked = within(whole, above);
  return units.flatMap((unit, place) => {
    const text = withWhatFollows(units, place);
    if (text === null) return [];
    const sentence = stemsOf(unit.text);
    const own = covered(asked, sentence);
    const inHeadings = covered(asked, new Set([...above, ...sentence])) - own;
    const fit = (own + 0.6 * inHeadings) * (0.5 + 0.5 * passage.weight) * fitness(unit, asked, place);
    const score = fit + 0.1 / (rank + 1) + 0.05 / (place + 1);
    // The first sentence under a heading that says it all need not repeat the heading.
    const counted = place === 0 ? Math.max(own, inHeadings) : own;
    return [{ passage, place, text, kind: unit.kind, own: counted, score, stems: stemsOf(text) }];
  });
}

/** On a page about the subject a sentence need not name it, and does not gain by naming it. */
function within(asked: Asked, above: Set<string>): Asked {
  const others = asked.concepts.filter((concept) => concept.word !== asked.subject || match(concept, above) < 0.7);
  return others.length > 0 ? { ...asked, concepts: others } : asked;
}

/** How well the form of a sentence fits what is asked: code for "how do I", "X is a …" for "what is X". */
function fitness(unit: Unit, asked: Asked, place: number): number {
  const words = wordsOf(unit.text);
  const length = words.length < 4 ? 0.6 : words.length > 70 ? 0.75 : 1;
  // "`maxThreads`: …" is where an option is explained, other sentences only mention it.
  const entry = /^[*_]*`([\w.$-]+)/.exec(unit.text)?.[1];
  const explains = unit.kind !== "code" && asked.concepts.some(({ word }) => word === entry) ? 1.4 : 1;
  return length * explains * formFits(unit, asked.wants, place);
}

function formFits(unit: Unit, wants: Asked["wants"], place: number): number {
  switch (wants) {
    case "code":
      return unit.kind === "code" ? 1.2 : /`[^`]+`|:$/.test(unit.text) ? 1.15 : 1;
    case "definition":
      return unit.kind === "code" ? 0.5 : place === 0 || /\b(?:is|are) (?:an?|the)\b/i.test(unit.text) ? 1.25 : 1;
    case "reason":
      return /\b(?:because|since|so that|due to|reason|in order to|therefore|why)\b/i.test(unit.text) ? 1.3 : 1;
    case "value":
      return /\bdefaults?\b|\d/i.test(unit.text) ? 1.2 : 1;
    case null:
      return unit.kind === "code" ? 0.8 : 1;
  }
}

/** A sentence that announces something ("like this:") is quoted with the code or list that follows, never alone. */
function withWhatFollows(units: Unit[], place: number): string | null {
  const unit = units[place];
  const next = units[place + 1];
  if (!unit) return null;
  if (unit.kind === "code") return shortened(unit.text);
  if (!unit.text.endsWith(":")) return unit.text.length < 12 ? null : bounded(unit.text);
  if (next?.kind === "code") return `${unit.text}\n${shortened(next.text)}`;
  const items = [];
  for (const follower of units.slice(place + 1, place + 6)) {
    if (follower.kind !== "item") break;
    items.push(`- ${follower.text}`);
  }
  if (items.length > 0) return `${unit.text}\n${items.map(bounded).join("\n")}`;
  return wordsOf(unit.text).length < 5 ? null : bounded(unit.text.replace(/:$/, "."));
}

function bounded(text: string): string {
  return text.length <= quoteCharsMax ? text : `${text.slice(0, text.lastIndexOf(" ", quoteCharsMax))} …`;
}

function shortened(code: string): string {
  const lines = code.split("\n");
  if (lines.length <= codeLinesMax) return code;
  return [...lines.slice(0, codeLinesMax - 2), "…", lines.at(-1)].join("\n");
}

function choose(candidates: Candidate[]): Candidate[] {
  const best = candidates[0];
  const chosen: Candidate[] = [];
  const pages = new Set<string>();
  for (const candidate of candidates) {
    if (!best || chosen.length === quotesMax || candidate.score < best.score * 0.7) break;
    if (candidate.own < sentenceCoverageMin || candidate.own < best.own * 0.5) continue;
    if (!pages.has(candidate.passage.path) && pages.size === pagesMax) continue;
    if (candidate.kind === "code" && !roomForCode(chosen, candidate)) continue;
    if (chosen.some((other) => isSaidBy(candidate, other))) continue;
    chosen.push(candidate);
    pages.add(candidate.passage.path);
  }
  return chosen;
}

function withoutRepetitions(chosen: Candidate[]): Candidate[] {
  return chosen.filter((candidate, index) => !chosen.slice(0, index).some((other) => isSaidBy(candidate, other)));
}

function roomForCode(chosen: Candidate[], candidate: Candidate): boolean {
  const blocks = chosen.filter((other) => other.text.includes("```"));
  return blocks.length < codeBlocksMax && !blocks.some((other) => other.passage.id === candidate.passage.id);
}

function isSaidBy(candidate: Candidate, other: Candidate): boolean {
  if (other.text.includes(candidate.text)) return true;
  const said = [...candidate.stems].filter((word) => other.stems.has(word)).length;
  return said / Math.max(1, candidate.stems.size) > 0.7;
}

/** The quotes, a passage's together, numbered by first use. */
function quote(chosen: Candidate[]): Answer {
  const passages = [...new Map(chosen.map(({ passage }) => [passage.id, passage])).values()];
  const citations: Citation[] = passages.map(({ id, path, heading }, index) => ({ n: index + 1, id, path, heading }));
  const paragraphs = citations.map(({ id, n }) => {
    const quotes = inOrder(chosen.filter(({ passage }) => passage.id === id));
    return quotes.map(({ text }) => cite(text, n)).join("\n\n");
  });
  return { text: paragraphs.join("\n\n"), citations };
}

/** Prose as it was written; the items of a list, which do not follow from each other, best first. */
function inOrder(quotes: Candidate[]): Candidate[] {
  if (quotes.every(({ kind }) => kind === "item")) return quotes.toSorted((a, b) => b.score - a.score);
  return quotes.toSorted((a, b) => a.place - b.place);
}

/** A number after the sentence; before the code or list that a sentence announces, since after a fence it would be lost. */
function cite(text: string, n: number): string {
  const [first = "", ...rest] = text.split("\n");
  if (/^\s*(?:`{3,}|~{3,})/.test(first)) return `From [${n}]:\n${text}`;
  return rest.length === 0 ? `${text} [${n}]` : `${first.replace(/:$/, "")} [${n}]:\n${rest.join("\n")}`;
}

function doesNotKnow(question: string, passages: readonly Passage[]): string {
  const near = [...new Set(passages.map((passage) => passage.path))].slice(0, 3);
  const nearest = near.length > 0 ? `The nearest pages were ${near.join(", ")}, but they do not fit.` : "";
  const sentences = ["I found no answer to this in the indexed documents.", unmentioned(question, passages), nearest];
  return sentences.filter((sentence) => sentence !== "").join(" ");
}

/** What the question asks about and no passage mentions; said with every answer, since it may be the heart of it. */
function unmentioned(question: string, passages: readonly Passage[]): string {
  const known = stemsOf(passages.map(textOf).join("\n"));
  const telling = read(question, passages).concepts.filter(({ word }) => !isGeneric(word));
  const unknown = telling.filter((concept) => match(concept, known) < 0.7).map(({ word }) => `"${word}"`);
  return unknown.length > 0 ? `Nothing found mentions ${unknown.join(" or ")}.` : "";
}
