// Messages as LangChain writes them down: flat objects with a type, whole, or as chunks that a client puts together.
import type { Message, TokenPart } from "../domain/tokens.ts";

/** What has been said of a message up to some moment. */
export type Said = Pick<Message, "text" | "reasoning" | "toolCalls">;

export const NOTHING: Said = { text: "", reasoning: "", toolCalls: [] };

export function charsOf({ text, reasoning, toolCalls }: Said): number {
  return toolCalls.reduce((sum, { name, args }) => sum + name.length + args.length, text.length + reasoning.length);
}

/** With one more part, as the AI SDK's language models give them; of others nothing is known here. */
export function extend(said: Said, part: TokenPart): Said {
  if (typeof part === "string") return { ...said, text: said.text + part };
  const member = (name: string): string => textIn(part[name]);
  const { text, reasoning, toolCalls } = said;
  switch (part.type) {
    case "text-delta":
      return { ...said, text: text + member("delta") };
    case "reasoning-delta":
      return { ...said, reasoning: reasoning + member("delta") };
    case "tool-input-start":
      return { ...said, toolCalls: [...toolCalls, { id: member("id"), name: member("toolName"), args: "" }] };
    case "tool-input-delta": {
      const grown = toolCalls.map((c) => (c.id === part["id"] ? { ...c, args: c.args + member("delta") } : c));
      return { ...said, toolCalls: grown };
    }
    case "tool-call": {
      const call = { id: member("toolCallId"), name: member("toolName"), args: member("input") };
      // Its input has been streamed in most cases.
      return toolCalls.some(({ id }) => id === call.id) ? said : { ...said, toolCalls: [...toolCalls, call] };
    }
    default:
      return said;
  }
}

/** True when the message goes on from what has been said. */
export function follows(said: Said, message: Said): boolean {
  return (
    message.text.startsWith(said.text) &&
    // A record may leave it out.
    (message.reasoning === "" || message.reasoning.startsWith(said.reasoning)) &&
    said.toolCalls.every(({ id, args }, place) => {
      const call = message.toolCalls[place];
      return call?.id === id && call.args.startsWith(args);
    })
  );
}

/** What leads from one to the other as a chunk; null when there is nothing new. */
export function chunkBetween(id: string, before: Said, after: Said): Record<string, unknown> | null {
  const content = after.text.slice(before.text.length);
  const reasoning = after.reasoning.slice(before.reasoning.length);
  const toolCallChunks = after.toolCalls.flatMap((call, index) => {
    const known = before.toolCalls[index];
    const args = call.args.slice(known?.args.length ?? 0);
    if (known !== undefined && args === "") return [];
    const named = known === undefined ? { id: call.id, name: call.name } : {};
    return [{ ...named, args, index, type: "tool_call_chunk" }];
  });
  if (content === "" && reasoning === "" && toolCallChunks.length === 0) return null;
  return { ...base(id, content, reasoning), ...(toolCallChunks.length > 0 && { tool_call_chunks: toolCallChunks }) };
}

/** The last chunk of a message: it adds no text. */
export function closingChunk(id: string, message: Message): Record<string, unknown> {
  return { ...base(id, "", ""), ...facts(message) };
}

/** The whole message, also while it grows: tool calls are those whose arguments can be read already. */
export function messageDict(id: string, message: Said & Partial<Message>): Record<string, unknown> {
  const calls = message.toolCalls.map((call) => ({ ...call, read: readArgs(call.args) }));
  return {
    ...base(id, message.text, message.reasoning),
    tool_calls: calls.flatMap((c) =>
      c.read === null ? [] : [{ name: c.name, args: c.read, id: c.id, type: "tool_call" }],
    ),
    invalid_tool_calls: calls.flatMap((c) =>
      c.read === null ? [{ name: c.name, args: c.args, id: c.id, type: "invalid_tool_call" }] : [],
    ),
    ...facts(message),
  };
}

/** Takes the message with this id away, as LangChain's RemoveMessage does: what follows under the id begins anew. */
export function removal(id: string): Record<string, unknown> {
  return { content: "", id, type: "remove", additional_kwargs: {}, response_metadata: {} };
}

function base(id: string, content: string, reasoning: string): Record<string, unknown> {
  return {
    content,
    id,
    type: "ai",
    tool_calls: [],
    invalid_tool_calls: [],
    additional_kwargs: reasoning === "" ? {} : { reasoning_content: reasoning },
    response_metadata: {},
  };
}

function facts({ usage, finishReason }: Partial<Message>): Record<string, unknown> {
  return {
    ...(finishReason && { response_metadata: { finish_reason: finishReason } }),
    ...(usage && {
      usage_metadata: {
        input_tokens: usage.inputTokens,
        output_tokens: usage.outputTokens,
        total_tokens: usage.inputTokens + usage.outputTokens,
      },
    }),
  };
}

function readArgs(args: string): Record<string, unknown> | null {
  try {
    const read: unknown = JSON.parse(args === "" ? "{}" : args);
    return typeof read === "object" && read !== null && !Array.isArray(read) ? (read as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function textIn(value: unknown): string {
  return typeof value === "string" ? value : value === undefined ? "" : (JSON.stringify(value) ?? "");
}
