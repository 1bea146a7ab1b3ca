// One message in memory while its step writes it. Positions count the characters of texts and deltas, and one for any other part, so
// that every reader goes on from wherever it stands, however the parts were cut or joined meanwhile.
import { BLOCK_CHARS_MAX } from "../domain/limits.ts";
import { type TokenPart, textOf } from "../domain/tokens.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";

/** Consecutive texts are kept as one up to this length: a longer one would be copied too often as it grows. */
const JOINED_CHARS_MAX = 4_096;

interface DeltaHead {
  readonly type: string;
  readonly id: string;
}

/** Text, the text of a delta, or a whole part, encoded at once because its owner may change it. */
type Piece =
  | { readonly at: number; readonly head: DeltaHead | null; text: string }
  | { readonly at: number; readonly whole: string };

/** Which message of a run this is, and which try at it. */
export interface MessageName {
  readonly runId: string;
  readonly epoch: number;
  readonly key: string;
  readonly attempt: number;
  /** Number of the last entry that was stored when the attempt began. */
  readonly afterSeq: number;
}

export class MessageLog {
  readonly name: MessageName;
  /** A later one takes the place of an earlier one. */
  take: number;
  /** Up to here it was handed to the database. */
  sent = 0;
  /** Some of it may be stored there. */
  stored = false;
  /** It became too long to be streamed: nothing more is kept of it. */
  cut = false;
  /** Its record is in the journal, or it will never have one: readers do not get it any more. */
  over = false;
  #pieces: Piece[] = [];
  #length = 0;
  #chars = 0;

  constructor(name: MessageName, take: number) {
    this.name = name;
    this.take = take;
  }

  get length(): number {
    return this.#length;
  }

  /** What it costs in memory. */
  get chars(): number {
    return this.#chars;
  }

  get text(): string {
    return this.partsFrom(0).map(textOf).join("");
  }

  /** @throws VALUE_NOT_SERIALIZABLE and what else encodeValue throws */
  add(part: TokenPart): void {
    const head = typeof part === "string" ? null : headOf(part);
    if (typeof part !== "string" && head === null) this.#push({ at: this.#length, whole: encodeValue(part) });
    else this.#addText(head, typeof part === "string" ? part : (part["delta"] as string));
  }

  /** All that was written is void. */
  restart(take: number): void {
    this.take = take;
    this.#pieces = [];
    this.#length = 0;
    this.#chars = 0;
    this.sent = 0;
    this.cut = false;
  }

  partsFrom(position: number): TokenPart[] {
    return this.#piecesFrom(position).map(partOf);
  }

  /** What follows a position as encoded arrays of a size that fits a row. */
  *blocksFrom(position: number): Generator<{ readonly pos: number; readonly body: string }> {
    let block: Piece[] = [];
    let chars = 0;
    for (const piece of this.#piecesFrom(position)) {
      if (block[0] !== undefined && chars + charsOf(piece) > BLOCK_CHARS_MAX) {
        yield { pos: block[0].at, body: bodyOf(block) };
        block = [];
        chars = 0;
      }
      block.push(piece);
      chars += charsOf(piece);
    }
    if (block[0] !== undefined) yield { pos: block[0].at, body: bodyOf(block) };
  }

  #addText(head: DeltaHead | null, text: string): void {
    const last = this.#pieces.at(-1);
    if (
      last !== undefined &&
      "text" in last &&
      sameHead(last.head, head) &&
      last.text.length + text.length <= JOINED_CHARS_MAX
    ) {
      last.text += text;
      this.#length += text.length;
      this.#chars += text.length;
      return;
    }
    for (let from = 0; from < text.length; from += BLOCK_CHARS_MAX)
      this.#push({ at: this.#length, head, text: text.slice(from, from + BLOCK_CHARS_MAX) });
  }

  #push(piece: Piece): void {
    this.#pieces.push(piece);
    this.#length += unitsOf(piece);
    this.#chars += charsOf(piece);
  }

  #piecesFrom(position: number): Piece[] {
    // Readers are near the end: look from there.
    let first = this.#pieces.length;
    while (first > 0 && (this.#pieces[first - 1] as Piece).at >= position) first -= 1;
    const before = this.#pieces[first - 1];
    const rest = this.#pieces.slice(first);
    if (before === undefined || !("text" in before) || before.at + before.text.length <= position) return rest;
    return [{ at: position, head: before.head, text: before.text.slice(position - before.at) }, ...rest];
  }
}

/** How many positions the parts take. */
export function unitsOfParts(parts: readonly TokenPart[]): number {
  let units = 0;
  for (const part of parts) {
    if (typeof part === "string") units += part.length;
    else units += headOf(part) === null ? 1 : (part["delta"] as string).length;
  }
  return units;
}

/** Deltas that are nothing but text under an id can be joined and cut. */
function headOf(part: Exclude<TokenPart, string>): DeltaHead | null {
  const { type, id, delta, ...others } = part;
  if (typeof id !== "string" || typeof delta !== "string" || !type.endsWith("-delta")) return null;
  return Object.values(others).every((other) => other === undefined) ? { type, id } : null;
}

function sameHead(one: DeltaHead | null, other: DeltaHead | null): boolean {
  return one?.type === other?.type && one?.id === other?.id;
}

const unitsOf = (piece: Piece): number => ("text" in piece ? piece.text.length : 1);
const charsOf = (piece: Piece): number => ("text" in piece ? piece.text.length : piece.whole.length);

function partOf(piece: Piece): TokenPart {
  if ("whole" in piece) return decodeValue(piece.whole) as TokenPart;
  return piece.head === null ? piece.text : { ...piece.head, delta: piece.text };
}

function bodyOf(pieces: readonly Piece[]): string {
  return `[${pieces.map((piece) => ("whole" in piece ? piece.whole : encodeValue(partOf(piece)))).join(",")}]`;
}
