// One message of a model as an AI SDK client has been shown it: what is open, and what is still to be said when its record comes.
import type { TokenPart } from "../../domain/tokens.ts";

/** A chunk of the AI SDK's UI message stream, version 1. */
export type UiChunk = { readonly type: string; readonly [member: string]: unknown };

/** Text that belongs to an attempt that was given up is marked so: the protocol cannot take it back. */
const REPLACED = { longhaul: { replaced: true } };

type Kind = "text" | "reasoning";

interface Block {
  readonly kind: Kind;
  readonly id: string;
  text: string;
  open: boolean;
}

export class ShownMessage {
  readonly #key: string;
  #take = 0;
  #blocks: Block[] = [];
  /** By the id that the provider gave them. */
  #byId = new Map<string, Block>();
  /** Tool calls whose arguments have begun to come. */
  #calls = new Map<string, string>();

  constructor(key: string) {
    this.#key = key;
  }

  get empty(): boolean {
    return this.#blocks.length === 0 && this.#calls.size === 0;
  }

  *part(part: TokenPart): Generator<UiChunk> {
    if (typeof part === "string") {
      yield* this.#delta("text", "", part);
      return;
    }
    const { type } = part;
    const id = String(part["id"] ?? "");
    // A block begins with its first word: some providers begin one for every reply, and say nothing in it.
    if (type === "text-delta" || type === "reasoning-delta")
      yield* this.#delta(type === "text-delta" ? "text" : "reasoning", id, String(part["delta"] ?? ""));
    // Blocks stay open until the record closes them: what is closed cannot be marked as replaced any more.
    else if (type === "tool-input-start") {
      const toolName = String(part["toolName"]);
      this.#calls.set(id, toolName);
      yield { type, toolCallId: id, toolName };
    } else if (type === "tool-input-delta" && this.#calls.has(id))
      yield { type, toolCallId: id, inputTextDelta: String(part["delta"] ?? "") };
  }

  /** What was shown is void: another attempt has begun. */
  *discard(): Generator<UiChunk> {
    for (const block of this.#blocks) yield* this.#replaced(block);
    for (const [toolCallId, toolName] of this.#calls)
      yield {
        type: "tool-input-error",
        toolCallId,
        toolName,
        input: null,
        errorText: "Another attempt takes its place.",
      };
    this.#take += 1;
    this.#blocks = [];
    this.#byId = new Map();
    this.#calls = new Map();
  }

  /** Brings what was shown to what is recorded. */
  *record(content: readonly { readonly type: string; readonly [member: string]: unknown }[]): Generator<UiChunk> {
    const said = content.filter((part) => isBlock(part) && part["text"] !== "");
    const fits = this.#blocks.every(({ kind, text }, at) => {
      const part = said[at];
      return part?.type === kind && String(part["text"]).startsWith(text);
    });
    if (!fits) yield* this.discard();
    let place = 0;
    for (const part of content) {
      if (!isBlock(part)) yield* this.#other(part);
      else if (part["text"] !== "") {
        yield* this.#whole(part.type as Kind, place, String(part["text"]), part["providerMetadata"]);
        place += 1;
      }
    }
    // Calls that were begun and are not in the record.
    for (const [toolCallId, toolName] of this.#calls)
      yield { type: "tool-input-error", toolCallId, toolName, input: null, errorText: "The call was not made." };
    this.#calls.clear();
  }

  *#whole(kind: Kind, place: number, text: string, providerMetadata: unknown): Generator<UiChunk> {
    const meta = providerMetadata === undefined ? {} : { providerMetadata };
    const shown = this.#blocks[place];
    if (shown !== undefined && !shown.open) return;
    const block = shown ?? this.#begin(kind, `whole-${place}`);
    if (shown === undefined) yield { type: `${kind}-start`, id: block.id };
    const rest = text.slice(block.text.length);
    if (rest !== "") yield { type: `${kind}-delta`, id: block.id, delta: rest };
    block.text = text;
    block.open = false;
    yield { type: `${kind}-end`, id: block.id, ...meta };
  }

  *#other(part: { readonly type: string; readonly [member: string]: unknown }): Generator<UiChunk> {
    const { toolCallId, toolName, providerExecuted, providerMetadata } = part;
    const more = {
      ...(providerExecuted === undefined ? {} : { providerExecuted }),
      ...(providerMetadata === undefined ? {} : { providerMetadata }),
    };
    if (part.type === "tool-call") {
      this.#calls.delete(String(toolCallId));
      const input = parsed(String(part["input"] ?? ""));
      if (input === undefined)
        yield {
          type: "tool-input-error",
          toolCallId,
          toolName,
          input: part["input"],
          errorText: "The arguments are no JSON.",
          ...more,
        };
      else yield { type: "tool-input-available", toolCallId, toolName, input, ...more };
    } else if (part.type === "tool-result")
      yield { type: "tool-output-available", toolCallId, output: part["result"], ...more };
    else if (part.type === "file") {
      const { mediaType, data } = part;
      const encoded = typeof data === "string" ? data : Buffer.from(data as Uint8Array).toString("base64");
      yield { type: "file", mediaType, url: `data:${String(mediaType)};base64,${encoded}` };
    } else if (part.type === "source" && part["sourceType"] === "url")
      yield { type: "source-url", sourceId: part["id"], url: part["url"], title: part["title"] };
    else if (part.type === "source")
      yield {
        type: "source-document",
        sourceId: part["id"],
        mediaType: part["mediaType"],
        title: part["title"],
        filename: part["filename"],
      };
  }

  *#start(kind: Kind, id: string): Generator<UiChunk> {
    const block = this.#begin(kind, id);
    yield { type: `${kind}-start`, id: block.id };
  }

  *#delta(kind: Kind, id: string, delta: string): Generator<UiChunk> {
    if (delta === "") return;
    const known = this.#byId.get(`${kind} ${id}`);
    if (known === undefined) yield* this.#start(kind, id);
    const block = this.#byId.get(`${kind} ${id}`) as Block;
    block.text += delta;
    yield { type: `${kind}-delta`, id: block.id, delta };
  }

  *#replaced(block: Block): Generator<UiChunk> {
    if (block.open) yield { type: `${block.kind}-end`, id: block.id, providerMetadata: REPLACED };
    block.open = false;
  }

  #begin(kind: Kind, id: string): Block {
    const block: Block = { kind, id: `${this.#key}:${this.#take}:${this.#blocks.length}`, text: "", open: true };
    this.#blocks.push(block);
    this.#byId.set(`${kind} ${id}`, block);
    return block;
  }
}

function isBlock({ type }: { readonly type: string }): boolean {
  return type === "text" || type === "reasoning";
}

function parsed(input: string): unknown {
  if (input.trim() === "") return {};
  try {
    return JSON.parse(input);
  } catch {
    return undefined;
  }
}
