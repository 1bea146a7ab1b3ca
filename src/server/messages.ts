// Messages in LangGraph's two stream modes: `messages-tuple` sends what is new, for clients that put it together under the message's id;
// `messages` sends the whole message again and again as it grows.
import type { RunEvent } from "../domain/entry.ts";
import type { Run } from "../domain/run.ts";
import { messageIdOf, type TokenEvent } from "../domain/tokens.ts";
import { messageOf, nodeOf } from "./entries.ts";
import { threadIdOf } from "./langgraph.ts";
import {
  charsOf,
  chunkBetween,
  closingChunk,
  extend,
  follows,
  messageDict,
  NOTHING,
  removal,
  type Said,
} from "./message-dict.ts";
import type { StreamMode } from "./schemas.ts";
import type { Frame } from "./sse.ts";

/** What a client has of a message. */
interface Shown {
  said: Said;
  /** How long it was when it was last sent as a whole. */
  sentChars: number;
}

/** A message is sent as a whole when it has grown by this part: else a long one would cost the square of its length. */
const GROWTH = 1 / 64;

/**
 * The frames of `write` and `end` carry no id and depend on the moment. Those of `record` have one: together with what `end` has
 * just sent, they leave every client with the message of the journal, whatever it had seen before.
 */
export class MessageStream {
  readonly #run: Run;
  readonly #asTuples: boolean;
  readonly #asWhole: boolean;
  /** The client has been here before, and may have the beginning of a message: which, nobody knows. */
  readonly #mayKnow: boolean;
  readonly #shown = new Map<string, Shown>();

  constructor(run: Run, modes: readonly StreamMode[], mayKnow: boolean) {
    this.#run = run;
    this.#asTuples = modes.includes("messages-tuple");
    this.#asWhole = modes.includes("messages");
    this.#mayKnow = mayKnow;
  }

  get areWanted(): boolean {
    return this.#asTuples || this.#asWhole;
  }

  /** A step has written something. */
  write({ key, attempt, reset, parts }: TokenEvent): Frame[] {
    const known = this.#shown.get(key);
    const frames = known === undefined || reset ? this.#begin(key, attempt, known !== undefined) : [];
    const shown = this.#shown.get(key) ?? { said: NOTHING, sentChars: 0 };
    const before = shown.said;
    shown.said = parts.reduce(extend, before);
    this.#shown.set(key, shown);
    if (this.#asTuples) frames.push(...this.#chunk(key, attempt, before, shown.said));
    const chars = charsOf(shown.said);
    if (this.#asWhole && chars > shown.sentChars && chars >= shown.sentChars * (1 + GROWTH)) {
      shown.sentChars = chars;
      frames.push({ event: "messages/partial", data: [messageDict(this.#id(key), shown.said)] });
    }
    return frames;
  }

  /** What a client of tuples lacks of the message that this entry ends. */
  end(event: RunEvent): Frame[] {
    const message = messageOf(event);
    if (!this.#asTuples || message === null || event.key === null) return [];
    const { key } = event;
    const known = this.#shown.get(key);
    const isBeginning = known !== undefined && follows(known.said, message);
    const frames = isBeginning ? [] : this.#begin(key, message.attempt, known !== undefined, false);
    return [...frames, ...this.#chunk(key, message.attempt, isBeginning ? known.said : NOTHING, message)];
  }

  /** The message that this entry ends, for good. */
  record(event: RunEvent): Frame[] {
    const message = messageOf(event);
    if (message === null || event.key === null) return [];
    const { key } = event;
    const id = this.#id(key);
    const metadata = this.#metadata(key, message.attempt);
    this.#shown.delete(key);
    const frames: Frame[] = [];
    if (this.#asWhole) {
      frames.push({ event: "messages/metadata", data: { [id]: { metadata } } });
      frames.push({ event: "messages/complete", data: [messageDict(id, message)] });
    }
    if (this.#asTuples) frames.push({ event: "messages", data: [closingChunk(id, message), metadata] });
    return frames;
  }

  /** A message from its beginning: what a client may have under its id is void. */
  #begin(key: string, attempt: number, isKnown: boolean, announce = this.#asWhole): Frame[] {
    const frames: Frame[] = [];
    if (announce && !isKnown)
      frames.push({
        event: "messages/metadata",
        data: { [this.#id(key)]: { metadata: this.#metadata(key, attempt) } },
      });
    if (this.#asTuples && (isKnown || this.#mayKnow))
      frames.push({ event: "messages", data: [removal(this.#id(key)), this.#metadata(key, attempt)] });
    this.#shown.delete(key);
    return frames;
  }

  #chunk(key: string, attempt: number, before: Said, after: Said): Frame[] {
    const chunk = chunkBetween(this.#id(key), before, after);
    return chunk === null ? [] : [{ event: "messages", data: [chunk, this.#metadata(key, attempt)] }];
  }

  #id(key: string): string {
    return messageIdOf(this.#run.runId, key);
  }

  #metadata(key: string, attempt: number): Record<string, unknown> {
    const { runId, agent } = this.#run;
    return {
      run_id: runId,
      thread_id: threadIdOf(this.#run),
      graph_id: agent,
      langgraph_node: nodeOf(key),
      run_attempt: attempt,
    };
  }
}
