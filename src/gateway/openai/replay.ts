// An answer that is there as a whole, told as the stream that it would have been.
import type { ServerEvent } from "./event-stream.ts";
import { isObject } from "./usage-members.ts";

type Json = Record<string, unknown>;

/** The chunks of a chat completion. */
export function* completionChunks(completion: Json, wantsUsage: boolean): Generator<Json> {
  const { choices, usage, ...rest } = completion;
  const head = { ...rest, object: "chat.completion.chunk" };
  const noUsage = wantsUsage ? { usage: null } : {};
  for (const choice of Array.isArray(choices) ? choices.filter(isObject) : []) {
    const { index, message, logprobs, finish_reason: finishReason } = choice;
    const delta = isObject(message) ? { ...message, ...numberedCalls(message) } : {};
    yield { ...head, choices: [{ index, delta, logprobs: logprobs ?? null, finish_reason: null }], ...noUsage };
    yield { ...head, choices: [{ index, delta: {}, logprobs: null, finish_reason: finishReason }], ...noUsage };
  }
  if (wantsUsage) yield { ...head, choices: [], usage: usage ?? null };
}

function numberedCalls(message: Json): Json {
  const calls = message["tool_calls"];
  return Array.isArray(calls) ? { tool_calls: calls.map((call, index) => ({ index, ...(call as Json) })) } : {};
}

/** The events of a response. */
export function* responseEvents(response: Json): Generator<ServerEvent> {
  let number = 0;
  const event = (type: string, members: Json): ServerEvent => ({
    event: type,
    data: JSON.stringify({ type, sequence_number: number++, ...members }),
  });
  const begun = { ...response, status: "in_progress", output: [], usage: null, incomplete_details: null };
  yield event("response.created", { response: begun });
  yield event("response.in_progress", { response: begun });
  const output = Array.isArray(response["output"]) ? response["output"].filter(isObject) : [];
  for (const [index, item] of output.entries()) {
    const place = { item_id: item["id"], output_index: index };
    yield event("response.output_item.added", { output_index: index, item: emptied(item) });
    if (item["type"] === "function_call") {
      const text = String(item["arguments"] ?? "");
      yield event("response.function_call_arguments.delta", { ...place, delta: text });
      yield event("response.function_call_arguments.done", { ...place, name: item["name"], arguments: text });
    }
    const parts = item["type"] === "message" && Array.isArray(item["content"]) ? item["content"].filter(isObject) : [];
    for (const [content, part] of parts.entries()) {
      const where = { ...place, content_index: content };
      yield event("response.content_part.added", {
        ...where,
        part: { ...part, ...("text" in part ? { text: "" } : {}) },
      });
      if (typeof part["text"] === "string") {
        yield event("response.output_text.delta", { ...where, delta: part["text"], logprobs: [] });
        yield event("response.output_text.done", { ...where, text: part["text"], logprobs: [] });
      }
      yield event("response.content_part.done", { ...where, part });
    }
    yield event("response.output_item.done", { output_index: index, item });
  }
  const type = response["status"] === "incomplete" ? "response.incomplete" : "response.completed";
  yield event(type, { response });
}

/** An item as it is when it begins. */
function emptied(item: Json): Json {
  if (item["type"] === "message") return { ...item, status: "in_progress", content: [] };
  if (item["type"] === "function_call") return { ...item, status: "in_progress", arguments: "" };
  return item;
}
