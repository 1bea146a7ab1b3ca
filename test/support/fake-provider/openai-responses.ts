// POST /v1/responses, which the AI SDK's `openai("…")` speaks unless told otherwise.
import { type AskedTool, type Message, message, type Prompt, textOf, toolResult, type Wire } from "./conversation.ts";
import type { Answer, Complaint, Dialect, Memory } from "./dialect.ts";
import { choiceOf, missing } from "./openai-chat.ts";
import { responseEvents } from "./openai-response-events.ts";
import { outputItems, wholeResponse } from "./openai-response-items.ts";
import { event } from "./sse.ts";

/** Stored items and responses that are kept: the oldest go first. */
const REMEMBERED = 20_000;

export const openAiResponses: Dialect = {
  operation: "responses",
  check: checkResponses,
  prompt: readResponses,
  unanswered: (_at, ids) => ({
    status: 400,
    message: `No tool output found for function call ${ids[0]}.`,
    param: "input",
  }),
  whole: (answer, body) => wholeResponse(answer, body),
  pieces: (answer, body) => responseEvents(answer, body),
  // As OpenAI really sends it: nested, unlike its reference; and what a refused request would have had as headers is in it.
  streamError: ({ body, headers }) => {
    const { type, code, message, param } = (body as { error: Wire }).error;
    const limits = Object.keys(headers).length === 0 ? {} : { headers };
    const error = { type, code: code ?? type, message, param, ...limits };
    return event("error", { type: "error", sequence_number: 99, error });
  },
  remember,
};

function checkResponses(body: Wire): Complaint | null {
  if (typeof body.model !== "string") return missing("model");
  if (typeof body.input !== "string" && !Array.isArray(body.input)) return missing("input");
  return null;
}

function remember(answer: Answer, body: Wire, memory: Memory): void {
  if (body.store === false) return;
  const items = outputItems(answer);
  for (const item of items) memory.items.set(item.id, item);
  memory.responses.set(answer.id, [...inputItems(body, memory), ...items]);
  for (const kept of [memory.items, memory.responses]) {
    for (const id of kept.keys()) {
      if (kept.size <= REMEMBERED) break;
      kept.delete(id);
    }
  }
}

/** Everything that goes in, with what earlier responses were and with references looked up. */
function inputItems(body: Wire, memory: Memory): Wire[] {
  const before = memory.responses.get(body.previous_response_id) ?? [];
  const input = typeof body.input === "string" ? [{ role: "user", content: body.input }] : body.input;
  return [...before, ...input.map((item: Wire) => (item.type === "item_reference" ? memory.items.get(item.id) : item))];
}

function readResponses(body: Wire, memory: Memory): Prompt {
  const messages: Message[] = [];
  if (typeof body.instructions === "string") messages.push(message("system", body.instructions));
  let calls: AskedTool[] = [];
  const flush = (): void => {
    if (calls.length > 0) messages.push(message("assistant", "", calls));
    calls = [];
  };
  for (const item of inputItems(body, memory)) {
    if (item?.type === "function_call") {
      calls.push({ id: item.call_id, name: item.name, arguments: item.arguments });
      continue;
    }
    flush();
    if (item?.type === "function_call_output") {
      messages.push(toolResult(item.call_id, typeof item.output === "string" ? item.output : textOf(item.output)));
    } else if (item?.role !== undefined) {
      const role = item.role === "developer" ? "system" : item.role;
      messages.push(message(role, textOf(item.content)));
    }
  }
  flush();
  const format = body.text?.format;
  return {
    messages,
    tools: (body.tools ?? [])
      .filter((tool: Wire) => tool.type === "function")
      .map((tool: Wire) => ({ name: tool.name, schema: tool.parameters ?? {} })),
    toolChoice: choiceOf(body.tool_choice, body.tool_choice?.type === "function" ? body.tool_choice.name : undefined),
    schema: format?.type === "json_schema" ? (format.schema ?? {}) : format?.type === "json_object" ? {} : null,
    maxOutputTokens: body.max_output_tokens ?? null,
    inputs: [],
  };
}

/** A reference to an item that is not remembered. */
export function unknownReference(body: Wire, memory: Memory): Complaint | null {
  for (const item of Array.isArray(body.input) ? body.input : []) {
    if (item?.type !== "item_reference" || memory.items.has(item.id)) continue;
    return { status: 404, message: `Item with id '${item.id}' not found.`, param: "input" };
  }
  if (typeof body.previous_response_id === "string" && !memory.responses.has(body.previous_response_id)) {
    const message = `Previous response with id '${body.previous_response_id}' not found.`;
    return { status: 400, message, param: "previous_response_id", code: "previous_response_not_found" };
  }
  return null;
}
