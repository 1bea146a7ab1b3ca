// What one follower has of the messages that a run is writing, wherever its parts come from: from steps of this process, or from the
// blocks of another one. It takes every part once, and begins anew where somebody else has.
import { type TokenPart, textOf } from "../domain/tokens.ts";
import { decodeValue } from "../domain/value.ts";
import type { NewsRow, TokenCursor } from "../store/stream.ts";
import { unitsOfParts } from "./message-log.ts";
import type { LiveTokens } from "./tokens.ts";

/** New parts of one message. */
export interface TokenDelta {
  readonly kind: "tokens";
  readonly key: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly reset: boolean;
  readonly parts: readonly TokenPart[];
  readonly text: string;
  readonly last: number;
}

interface Take {
  readonly epoch: number;
  readonly take: number;
  position: number;
}

export class TokenReader {
  readonly #live: LiveTokens;
  readonly #runId: string;
  readonly #takes = new Map<string, Take>();
  #cursor: TokenCursor = { epoch: 0, n: 0 };

  constructor(live: LiveTokens, runId: string) {
    this.#live = live;
    this.#runId = runId;
  }

  /** Blocks are wanted from here on. */
  get cursor(): TokenCursor {
    return this.#cursor;
  }

  /** What steps of this process have written since; of messages that began after entry `seq` nothing yet. */
  fromHere(seq: number): TokenDelta[] {
    const deltas: TokenDelta[] = [];
    for (const log of this.#live.messagesOf(this.#runId)) {
      const { key, epoch, attempt, afterSeq } = log.name;
      const known = this.#takes.get(key);
      if (log.length === 0 || afterSeq > seq || isOlder(log.take, epoch, known)) continue;
      const isNew = known === undefined || isOlder(known.take, known.epoch, { epoch, take: log.take });
      const from = isNew ? 0 : known.position;
      if (log.length > from)
        deltas.push(this.#take({ key, epoch, attempt, take: log.take }, from, log.partsFrom(from)));
    }
    return deltas;
  }

  /** What blocks say that is new. Those of a message that began after entry `seq` are left for later, and all that come after them. */
  fromBlocks(blocks: readonly NewsRow[], seq: number): TokenDelta[] {
    const deltas: TokenDelta[] = [];
    for (const { seq: n, epoch, key, take, pos, after_seq: afterSeq, attempt, body } of blocks) {
      if (key === null || take === null || body === null || afterSeq > seq) break;
      this.#cursor = { epoch, n };
      const known = this.#takes.get(key);
      const isSame = known?.epoch === epoch && known.take === take;
      // A piece in between may be missing, since nothing of this is durable: then the message waits for its record.
      const follows = isSame ? known.position === pos : pos === 0 && !isOlder(take, epoch, known);
      if (follows) deltas.push(this.#take({ key, epoch, attempt, take }, pos, decodeValue(body) as TokenPart[]));
    }
    return deltas;
  }

  /** The step is recorded: there is nothing more to come. */
  recorded(key: string): void {
    this.#takes.delete(key);
  }

  #take(
    { key, epoch, attempt, take }: { key: string; epoch: number; attempt: number; take: number },
    from: number,
    parts: readonly TokenPart[],
  ): TokenDelta {
    const last = from + unitsOfParts(parts);
    this.#takes.set(key, { epoch, take, position: last });
    const text = parts.map(textOf).join("");
    return { kind: "tokens", key, attempt, epoch, reset: from === 0, parts, text, last };
  }
}

function isOlder(take: number, epoch: number, than: { readonly epoch: number; readonly take: number } | undefined) {
  return than !== undefined && (epoch < than.epoch || (epoch === than.epoch && take < than.take));
}
