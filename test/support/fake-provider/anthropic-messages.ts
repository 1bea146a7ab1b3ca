// POST /v1/messages, as Anthropic speaks.
import type { IncomingHttpHeaders } from "node:http";
import { type AskedTool, type Message, message, type Prompt, textOf, toolResult, type Wire } from "./conversation.ts";
import type { Answer, Complaint, Dialect } from "./dialect.ts";
import type { Finish, Usage } from "./reply.ts";
import { chunksOf, event } from "./sse.ts";

const STOP_REASON: Readonly<Record<Finish, string>> = {
  stop: "end_turn",
  length: "max_tokens",
  "tool-calls": "tool_use",
  "content-filter": "refusal",
};

export const anthropicMessages: Dialect = {
  operation: "messages",
  check: checkMessages,
  prompt: readMessages,
  unanswered: (at, ids) => ({
    status: 400,
    message: `messages.${at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${ids.join(", ")}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
  }),
  whole: wholeMessage,
  pieces: piecesOf,
  streamError: (error) => event("error", error.body),
};

export function checkMessages(body: Wire, headers: IncomingHttpHeaders): Complaint | null {
  const wrong = (message: string): Complaint => ({ status: 400, message });
  if (headers["anthropic-version"] === undefined) return wrong("anthropic-version: header is required");
  if (typeof body.model !== "string") return wrong("model: Field required");
  if (!Array.isArray(body.messages)) return wrong("messages: Field required");
  if (body.messages.length === 0) return wrong("messages: at least one message is required");
  if (typeof body.max_tokens !== "number") return wrong("max_tokens: Field required");
  if (body.max_tokens < 1) return wrong("max_tokens: Input should be greater than or equal to 1");
  return null;
}

function readMessages(body: Wire): Prompt {
  const choice = body.tool_choice;
  return {
    messages: [
      ...(body.system === undefined ? [] : [message("system", textOf(body.system))]),
      ...body.messages.flatMap(readMessage),
    ],
    tools: (body.tools ?? [])
      .filter((tool: Wire) => tool.input_schema !== undefined)
      .map((tool: Wire) => ({ name: tool.name, schema: tool.input_schema })),
    toolChoice:
      choice?.type === "tool" ? { name: choice.name } : choice?.type === "any" ? "required" : (choice?.type ?? "auto"),
    schema: (body.output_config?.format ?? body.output_format)?.schema ?? null,
    maxOutputTokens: body.max_tokens ?? null,
    inputs: [],
  };
}

/** A user's message with results of tools in it is several of ours. */
function readMessage({ role, content }: Wire): Message[] {
  if (typeof content === "string") return [message(role, content)];
  const calls: AskedTool[] = [];
  const results: Message[] = [];
  for (const block of content ?? []) {
    if (block.type === "tool_use")
      calls.push({ id: block.id, name: block.name, arguments: JSON.stringify(block.input) });
    if (block.type === "tool_result") results.push(toolResult(block.tool_use_id, textOf(block.content)));
  }
  const text = textOf(content?.filter((block: Wire) => block.type === "text"));
  return results.length > 0 && text === "" ? results : [...results, message(role, text, calls)];
}

/** Blocks in the order in which the model says them. */
function blocksOf(answer: Answer): Wire[] {
  const blocks: Wire[] = [];
  if (answer.reasoning !== "") {
    blocks.push({ type: "thinking", thinking: answer.reasoning, signature: "ZmFrZQ==" });
  }
  if (answer.text !== "") blocks.push({ type: "text", text: answer.text });
  for (const { id, name, arguments: args } of answer.toolCalls) {
    blocks.push({ type: "tool_use", id, name, input: parsedOr(args, {}), args });
  }
  return blocks;
}

function parsedOr(text: string, otherwise: unknown): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function wholeMessage(answer: Answer): Wire {
  return {
    ...head(answer),
    content: blocksOf(answer).map(({ args: _args, ...block }) => block),
    stop_reason: STOP_REASON[answer.finish],
    ...(answer.usage === null ? {} : { usage: usageOf(answer.usage) }),
  };
}

function head(answer: Answer): Wire {
  const { id, model } = answer;
  return { id, type: "message", role: "assistant", model, content: [], stop_reason: null, stop_sequence: null };
}

/** Anthropic's input tokens are those that were neither read from the cache nor written to it. */
function usageOf(usage: Usage): Wire {
  return {
    input_tokens: usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    output_tokens: usage.outputTokens,
    service_tier: "standard",
  };
}

function piecesOf(answer: Answer): string[] {
  const pieces: string[] = [];
  const say = (type: string, fields: Wire = {}): void => void pieces.push(event(type, { type, ...fields }));
  const before = answer.usage === null ? {} : { usage: { ...usageOf(answer.usage), output_tokens: 1 } };
  say("message_start", { message: { ...head(answer), ...before } });
  say("ping");
  for (const [index, block] of blocksOf(answer).entries()) {
    const { start, deltas } = streamed(block, answer.chunkCharacters);
    say("content_block_start", { index, content_block: start });
    for (const delta of deltas) say("content_block_delta", { index, delta });
    say("content_block_stop", { index });
  }
  const delta = { stop_reason: STOP_REASON[answer.finish], stop_sequence: null };
  const usage = answer.usage === null ? {} : { usage: { output_tokens: answer.usage.outputTokens } };
  say("message_delta", { delta, ...usage });
  say("message_stop");
  return pieces;
}

function streamed(block: Wire, characters: number): { start: Wire; deltas: Wire[] } {
  switch (block.type) {
    case "thinking": {
      const deltas = chunksOf(block.thinking, characters).map((thinking) => ({ type: "thinking_delta", thinking }));
      return {
        start: { type: "thinking", thinking: "", signature: "" },
        deltas: [...deltas, { type: "signature_delta", signature: block.signature }],
      };
    }
    case "text":
      return {
        start: { type: "text", text: "" },
        deltas: chunksOf(block.text, characters).map((text) => ({ type: "text_delta", text })),
      };
    default:
      return {
        start: { type: "tool_use", id: block.id, name: block.name, input: {} },
        deltas: ["", ...chunksOf(block.args, characters)].map((partial_json) => ({
          type: "input_json_delta",
          partial_json,
        })),
      };
  }
}
