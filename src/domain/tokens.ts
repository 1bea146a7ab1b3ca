// What a step writes while it runs: the parts of a message, and what its readers get of them before the message is recorded.

/**
 * A piece of a message: text, or one of the stream parts that the AI SDK's language models give (`text-delta`, `reasoning-delta`,
 * `tool-input-delta`, `tool-call` …), which readers get as they are. Consecutive strings, and consecutive deltas of the same type and
 * id, may arrive as one.
 */
export type TokenPart = string | { readonly type: string; readonly [member: string]: unknown };

/**
 * Some parts of a message that a step is still writing. It is not journaled: it moves no cursor, the last of a message may be
 * missing, and the record of the step replaces them all.
 */
export interface TokenEvent {
  readonly runId: string;
  readonly kind: "tokens";
  readonly ephemeral: true;
  readonly seq: null;
  /** The step that writes. */
  readonly key: string;
  readonly attempt: number;
  readonly epoch: number;
  /**
   * True: forget what this step has written before. A message begins, an attempt takes the place of another one, or the reader has just
   * come and this is the message so far.
   */
  readonly reset: boolean;
  readonly parts: readonly TokenPart[];
  /** The text in the parts. */
  readonly text: string;
  /** Where the message stands after these parts. Its final entry names the same number once a reader has had everything. */
  readonly last: number;
}

/** Under this id stream clients know the message that a step writes. */
export function messageIdOf(runId: string, stepKey: string): string {
  return `${runId}:${stepKey}`;
}

/** What a part adds to the text of its message. */
export function textOf(part: TokenPart): string {
  if (typeof part === "string") return part;
  return part.type === "text-delta" && typeof part["delta"] === "string" ? part["delta"] : "";
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** The arguments, as JSON text. */
  readonly args: string;
}

/** A message as it can be read out of a step's value. */
export interface Message {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | null;
  readonly finishReason: string | null;
}

/**
 * The message that a value is: a text, an object with a `text`, or one with a `content` that is a text or a list of the AI SDK's content
 * parts. Null for anything else.
 */
export function messageIn(value: unknown): Message | null {
  if (typeof value === "string") return { ...NOTHING_ELSE, text: value };
  if (!isObject(value)) return null;
  const { content, text } = value;
  const said = typeof content === "string" ? content : typeof text === "string" ? text : null;
  const parts = Array.isArray(content) ? content.filter(isObject) : null;
  if (said === null && parts === null) return null;
  return {
    text: said ?? joined(parts ?? [], "text"),
    reasoning: joined(parts ?? [], "reasoning"),
    toolCalls: (parts ?? []).filter((part) => part["type"] === "tool-call").map(toolCallIn),
    usage: usageIn(value["usage"]),
    finishReason: reasonIn(value["finishReason"]),
  };
}

const NOTHING_ELSE = { reasoning: "", toolCalls: [], usage: null, finishReason: null };

function joined(parts: readonly Record<string, unknown>[], type: string): string {
  return parts.map((part) => (part["type"] === type && typeof part["text"] === "string" ? part["text"] : "")).join("");
}

function toolCallIn({ toolCallId, toolName, input }: Record<string, unknown>): ToolCall {
  return {
    id: String(toolCallId ?? ""),
    name: String(toolName ?? ""),
    args: typeof input === "string" ? input : (JSON.stringify(input) ?? ""),
  };
}

/** Counts are numbers, or objects with a `total`, as in the AI SDK's v3. */
function usageIn(usage: unknown): Message["usage"] {
  if (!isObject(usage)) return null;
  const [inputTokens, outputTokens] = [countIn(usage["inputTokens"]), countIn(usage["outputTokens"])];
  return inputTokens === null || outputTokens === null ? null : { inputTokens, outputTokens };
}

function countIn(count: unknown): number | null {
  const total = isObject(count) ? count["total"] : count;
  return typeof total === "number" ? total : null;
}

function reasonIn(reason: unknown): string | null {
  const unified = isObject(reason) ? reason["unified"] : reason;
  return typeof unified === "string" ? unified : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
