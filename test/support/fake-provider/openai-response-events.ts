// The events of a streamed response of OpenAI's Responses API.
import type { Wire } from "./conversation.ts";
import type { Answer } from "./dialect.ts";
import { callItem, messageItem, reasoningItem, responseHead, wholeResponse } from "./openai-response-items.ts";
import { chunksOf, event } from "./sse.ts";

/** Numbers the events, and counts the items that have begun. */
class Events {
  readonly pieces: string[] = [];
  items = 0;

  say(type: string, fields: Wire): void {
    this.pieces.push(event(type, { type, sequence_number: this.pieces.length, ...fields }));
  }
}

export function responseEvents(answer: Answer, body: Wire): string[] {
  const events = new Events();
  const begun = responseHead(answer, body, "in_progress");
  events.say("response.created", { response: begun });
  events.say("response.in_progress", { response: begun });
  if (answer.reasoning !== "") sayReasoning(events, answer);
  if (answer.text !== "" || answer.toolCalls.length === 0) sayMessage(events, answer);
  for (const call of answer.toolCalls) sayCall(events, call, answer.chunkCharacters);
  const response = wholeResponse(answer, body);
  events.say(`response.${response.status}`, { response });
  return events.pieces;
}

function sayReasoning(events: Events, answer: Answer): void {
  const output_index = events.items++;
  const item = reasoningItem(answer, "");
  const place = { item_id: item.id, output_index, summary_index: 0 };
  events.say("response.output_item.added", { output_index, item });
  events.say("response.reasoning_summary_part.added", { ...place, part: { type: "summary_text", text: "" } });
  for (const delta of chunksOf(answer.reasoning, answer.chunkCharacters)) {
    events.say("response.reasoning_summary_text.delta", { ...place, delta });
  }
  events.say("response.reasoning_summary_text.done", { ...place, text: answer.reasoning });
  const part = { type: "summary_text", text: answer.reasoning };
  events.say("response.reasoning_summary_part.done", { ...place, part });
  events.say("response.output_item.done", { output_index, item: reasoningItem(answer, answer.reasoning) });
}

function sayMessage(events: Events, answer: Answer): void {
  const output_index = events.items++;
  const item = messageItem(answer, "", "in_progress");
  const place = { item_id: item.id, output_index, content_index: 0 };
  const part = { type: "output_text", annotations: [], logprobs: [] };
  events.say("response.output_item.added", { output_index, item });
  events.say("response.content_part.added", { ...place, part: { ...part, text: "" } });
  for (const delta of chunksOf(answer.text, answer.chunkCharacters)) {
    events.say("response.output_text.delta", { ...place, delta, logprobs: [] });
  }
  events.say("response.output_text.done", { ...place, text: answer.text, logprobs: [] });
  events.say("response.content_part.done", { ...place, part: { ...part, text: answer.text } });
  events.say("response.output_item.done", { output_index, item: messageItem(answer, answer.text, "completed") });
}

function sayCall(events: Events, call: Answer["toolCalls"][number], chunkCharacters: number): void {
  const output_index = events.items++;
  const item = callItem(call, "", "in_progress");
  const place = { item_id: item.id, output_index };
  events.say("response.output_item.added", { output_index, item });
  for (const delta of chunksOf(call.arguments, chunkCharacters)) {
    events.say("response.function_call_arguments.delta", { ...place, delta });
  }
  events.say("response.function_call_arguments.done", { ...place, arguments: call.arguments });
  events.say("response.output_item.done", { output_index, item: callItem(call, call.arguments, "completed") });
}
