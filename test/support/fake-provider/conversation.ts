// A request as the fake model reads it, whichever protocol it came in.

/** A request or part of one as it came over the wire: four protocols, read and never trusted. */
// biome-ignore lint/suspicious/noExplicitAny: the shapes of four protocols, which the tests of their official clients check.
export type Wire = any;

export type Protocol = "openai" | "anthropic" | "google";

export interface AskedTool {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

export interface Message {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly text: string;
  /** Of an assistant's message. */
  readonly toolCalls: readonly AskedTool[];
  /** Of a tool's message: the call that it answers. */
  readonly toolCallId: string | null;
}

export interface OfferedTool {
  readonly name: string;
  readonly schema: Wire;
}

/** What the model is asked: everything a brain needs, and nothing of the wire. */
export interface Prompt {
  readonly messages: readonly Message[];
  readonly tools: readonly OfferedTool[];
  readonly toolChoice: "auto" | "none" | "required" | { readonly name: string };
  /** JSON Schema of the answer, where one is asked for; `{}` for "JSON of any kind". */
  readonly schema: Wire | null;
  readonly maxOutputTokens: number | null;
  /** Texts to embed; empty for every other operation. */
  readonly inputs: readonly string[];
}

const NO_CALLS: readonly AskedTool[] = [];

export function message(role: Message["role"], text: string, toolCalls = NO_CALLS): Message {
  return { role, text, toolCalls, toolCallId: null };
}

export function toolResult(toolCallId: string, text: string): Message {
  return { role: "tool", text, toolCalls: NO_CALLS, toolCallId };
}

/** The text in a message's content: a string, or parts of which some are text. */
export function textOf(content: Wire): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (typeof part?.text === "string" ? part.text : "")).join("");
}

/** Rounds of tool calls since the user last spoke. */
export function roundOf(messages: readonly Message[]): number {
  let round = 0;
  for (let at = messages.length - 1; at >= 0 && messages[at]?.role !== "user"; at -= 1) {
    if ((messages[at]?.toolCalls.length ?? 0) > 0) round += 1;
  }
  return round;
}

/** Tool calls that no result follows, with the place of the message they are in: real providers refuse such a conversation. */
export function unansweredCalls(messages: readonly Message[]): { at: number; ids: string[] } | null {
  for (let at = 0; at < messages.length; at += 1) {
    const asked = messages[at]?.toolCalls ?? NO_CALLS;
    if (asked.length === 0) continue;
    const answered = new Set<string | null>();
    for (let next = at + 1; messages[next]?.role === "tool"; next += 1)
      answered.add(messages[next]?.toolCallId ?? null);
    const ids = asked.map((call) => call.id).filter((id) => !answered.has(id));
    if (ids.length > 0) return { at, ids };
  }
  return null;
}
