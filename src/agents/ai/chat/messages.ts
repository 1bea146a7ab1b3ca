// The messages of a thread, in the words of LangChain: what LangGraph's clients show, and what a run is given.
import type { LanguageModelV3Content, LanguageModelV3ToolResultPart } from "@ai-sdk/provider";
import type { StandardSchemaV1 } from "@standard-schema/spec";

/** A piece of a message as clients write it: `{ type: "text", text }`, `{ type: "image_url", image_url }`, `{ type: "file", … }`. */
export type ContentBlock = { readonly type: string; readonly [member: string]: unknown };
export type Content = string | readonly ContentBlock[];

interface Message {
  readonly id: string;
  readonly content: Content;
}

export interface HumanMessage extends Message {
  readonly type: "human";
}

export interface SystemMessage extends Message {
  readonly type: "system";
}

export interface AiToolCall {
  readonly id: string;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly type: "tool_call";
}

export interface AiMessage extends Message {
  readonly type: "ai";
  readonly content: string;
  readonly tool_calls: readonly AiToolCall[];
  /** Calls whose arguments are no JSON object. */
  readonly invalid_tool_calls?: readonly { readonly id: string; readonly name: string; readonly args: string }[];
  readonly usage_metadata?: {
    readonly input_tokens: number;
    readonly output_tokens: number;
    readonly total_tokens: number;
  };
  readonly response_metadata?: Readonly<Record<string, unknown>>;
  /** What else the provider wants back with the next turn: reasoning and its signature, ids of its own. */
  readonly additional_kwargs?: { readonly longhaul?: { readonly parts: readonly KeptPart[] } };
}

/** A part of a reply; texts and calls are told by where they stand in the message. */
export type KeptPart =
  | { readonly type: "text"; readonly chars: number; readonly providerMetadata?: unknown }
  | { readonly type: "call"; readonly id: string; readonly providerMetadata?: unknown }
  | { readonly type: "other"; readonly part: LanguageModelV3Content };

export interface ToolMessage extends Message {
  readonly type: "tool";
  readonly content: string;
  readonly tool_call_id: string;
  readonly name: string;
  readonly status: "success" | "error";
  /** Where the model gets more than the text: pictures, or that a person said no. */
  readonly additional_kwargs?: { readonly longhaul?: { readonly output: LanguageModelV3ToolResultPart["output"] } };
}

export type ChatMessage = HumanMessage | SystemMessage | AiMessage | ToolMessage;

/** What a thread of a chat agent keeps, and what a run gives back. */
export interface ChatState {
  readonly messages: readonly ChatMessage[];
  /** What the agent said last. */
  readonly text: string;
}

/** A message as somebody sends it: `role` or `type` says whose it is, and an id is made where none is given. */
export interface MessageInput {
  readonly role?: string;
  readonly type?: string;
  readonly content?: unknown;
  readonly id?: string | null;
  readonly name?: string | null;
  readonly tool_calls?: unknown;
  readonly tool_call_id?: string;
  readonly status?: string;
}

export type ChatInput =
  | string
  | { readonly messages: string | MessageInput | readonly (string | MessageInput)[]; readonly [other: string]: unknown }
  | null;

/** Messages of one input, read; `remove` takes one out of the thread. */
export type ReadMessage =
  | (Omit<HumanMessage, "id"> & { readonly id: string | null })
  | (Omit<SystemMessage, "id"> & { readonly id: string | null })
  | (Omit<AiMessage, "id"> & { readonly id: string | null })
  | (Omit<ToolMessage, "id"> & { readonly id: string | null })
  | { readonly type: "remove"; readonly id: string };

export interface ReadInput {
  readonly messages: readonly ReadMessage[];
}

const KINDS: Readonly<Record<string, ReadMessage["type"]>> = {
  human: "human",
  user: "human",
  ai: "ai",
  assistant: "ai",
  AIMessageChunk: "ai",
  system: "system",
  developer: "system",
  tool: "tool",
  remove: "remove",
};

class Unreadable extends Error {
  readonly path: PropertyKey[];

  constructor(path: PropertyKey[], message: string) {
    super(message);
    this.path = path;
  }
}

/** The shape of a chat agent's input. */
export const chatInput: StandardSchemaV1<ChatInput, ReadInput> = {
  "~standard": {
    version: 1,
    vendor: "longhaul",
    validate: (value) => {
      try {
        return { value: readInput(value) };
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        return { issues: [{ message: error.message, path: error.path }] };
      }
    },
  },
};

function readInput(value: unknown): ReadInput {
  if (value === null || value === undefined) return { messages: [] };
  if (typeof value === "string") return { messages: [readMessage(value, [])] };
  if (typeof value !== "object") throw new Unreadable([], "it is neither a text nor { messages }");
  const { messages = [] } = value as { messages?: unknown };
  if (!Array.isArray(messages)) return { messages: [readMessage(messages, ["messages"])] };
  return { messages: messages.map((message, i) => readMessage(message, ["messages", i])) };
}

function readMessage(given: unknown, path: PropertyKey[]): ReadMessage {
  if (typeof given === "string") return { type: "human", id: null, content: given };
  if (typeof given !== "object" || given === null) throw new Unreadable(path, "it is no message");
  const message = given as MessageInput;
  const kind = KINDS[message.type ?? ""] ?? KINDS[message.role ?? ""];
  const id = typeof message.id === "string" && message.id !== "" ? message.id : null;
  switch (kind) {
    case "human":
    case "system":
      return { type: kind, id, content: readContent(message.content, path) };
    case "ai":
      return {
        type: "ai",
        id,
        content: textOfContent(readContent(message.content ?? "", path)),
        tool_calls: readCalls(message, path),
      };
    case "tool": {
      const { tool_call_id: callId, name, status } = message;
      if (typeof callId !== "string")
        throw new Unreadable([...path, "tool_call_id"], "it does not say whose result it is");
      const content = textOfContent(readContent(message.content ?? "", path));
      return {
        type: "tool",
        id,
        content,
        tool_call_id: callId,
        name: name ?? "",
        status: status === "error" ? "error" : "success",
      };
    }
    case "remove":
      if (id === null) throw new Unreadable([...path, "id"], "it does not say what to remove");
      return { type: "remove", id };
    default:
      throw new Unreadable(path, `it says neither role nor type; known are ${Object.keys(KINDS).join(", ")}`);
  }
}

function readContent(content: unknown, path: PropertyKey[]): Content {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw new Unreadable([...path, "content"], "it is neither a text nor a list of blocks");
  return content.map((block: unknown, i): ContentBlock => {
    if (typeof block === "string") return { type: "text", text: block };
    if (typeof block === "object" && block !== null && typeof (block as ContentBlock).type === "string")
      return block as ContentBlock;
    throw new Unreadable([...path, "content", i], "it is no block with a type");
  });
}

function readCalls({ tool_calls: calls }: MessageInput, path: PropertyKey[]): AiToolCall[] {
  if (calls === undefined || calls === null) return [];
  if (!Array.isArray(calls)) throw new Unreadable([...path, "tool_calls"], "it is no list");
  return calls.map((call: Partial<AiToolCall>, i) => {
    if (typeof call?.id !== "string" || typeof call.name !== "string")
      throw new Unreadable([...path, "tool_calls", i], "it has no id or no name");
    return { id: call.id, name: call.name, args: call.args ?? {}, type: "tool_call" };
  });
}

/** The words in a content. */
export function textOfContent(content: Content): string {
  if (typeof content === "string") return content;
  return content.map((block) => (typeof block["text"] === "string" ? block["text"] : "")).join("");
}

/**
 * A thread with what a run was given. A message of a person that the thread has already is said again, maybe in other words: what came
 * after it is gone. Any other message that is there is replaced, and the rest is new.
 */
export function withInput(
  messages: readonly ChatMessage[],
  given: readonly ReadMessage[],
  newId: () => string,
): ChatMessage[] {
  const all = [...messages];
  for (const message of given) {
    const at = message.id === null ? -1 : all.findIndex(({ id }) => id === message.id);
    if (message.type === "remove") {
      if (at !== -1) all.splice(at, 1);
      continue;
    }
    const whole = { ...message, id: message.id ?? newId() } as ChatMessage;
    if (at === -1) all.push(whole);
    else if (message.type === "human") all.splice(at, all.length - at, whole);
    else all[at] = whole;
  }
  return all;
}
