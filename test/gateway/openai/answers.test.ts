// A model's reply in OpenAI's words: whole, as a stream, and as a stream told again, all of them the same answer.
import type { LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { expect, test } from "vitest";
import { ChunkWriter, completionOf } from "../../../src/gateway/openai/chat-completion.ts";
import { ChatRelay } from "../../../src/gateway/openai/chat-relay.ts";
import { completionChunks, responseEvents } from "../../../src/gateway/openai/replay.ts";
import { ResponseWriter, responseOf } from "../../../src/gateway/openai/response-writer.ts";
import { ResponsesRelay } from "../../../src/gateway/openai/responses-relay.ts";
import { type ChatReply, partsOf } from "../../../src/gateway/reply.ts";

const reply: ChatReply = {
  content: [
    { type: "reasoning", text: "hm" },
    { type: "text", text: "Hello" },
    { type: "text", text: " you" },
    { type: "tool-call", toolCallId: "c1", toolName: "f", input: '{"x":1}' },
    { type: "tool-call", toolCallId: "c2", toolName: "g", input: "{}" },
    { type: "source", sourceType: "url", id: "s", url: "https://example.com" },
  ],
  finishReason: { unified: "tool-calls", raw: "tool_use" },
  usage: {
    inputTokens: { total: 10, noCache: 6, cacheRead: 4, cacheWrite: 0 },
    outputTokens: { total: 5, text: 3, reasoning: 2 },
  },
  warnings: [],
  response: { id: "msg_1", modelId: "claude", timestamp: new Date(1_700_000_000_000) },
};

/** As a provider might stream it: arguments bit by bit. */
function* bitByBit(): Generator<LanguageModelV3StreamPart> {
  for (const part of partsOf(reply)) {
    if (!("delta" in part)) yield part;
    else for (const letter of part.delta) yield { ...part, delta: letter };
  }
}

const sseOf = (frames: Iterable<object>) => [...frames].map((frame) => ({ event: null, data: JSON.stringify(frame) }));

test("a completion", () => {
  expect(completionOf(reply, "m")).toEqual({
    id: "msg_1",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "claude",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: "Hello you",
          refusal: null,
          reasoning_content: "hm",
          tool_calls: [
            { id: "c1", type: "function", function: { name: "f", arguments: '{"x":1}' } },
            { id: "c2", type: "function", function: { name: "g", arguments: "{}" } },
          ],
          annotations: [
            {
              type: "url_citation",
              url_citation: { url: "https://example.com", title: "https://example.com", start_index: 0, end_index: 0 },
            },
          ],
        },
        logprobs: null,
        finish_reason: "tool_calls",
      },
    ],
    usage: {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens_details: { reasoning_tokens: 2 },
    },
  });
});

test("its chunks add up to it, and so do the chunks of it told again", () => {
  const writer = new ChunkWriter("m", true);
  const live = new ChatRelay(true, true);
  for (const event of sseOf([...bitByBit()].flatMap((part) => writer.chunks(part)))) live.take(event);
  expect(live.isWhole).toBe(true);
  expect(live.usage).toMatchObject({ inputTokens: 10, outputTokens: 5, cacheReadTokens: 4, reasoningTokens: 2 });
  expect(JSON.parse(live.whole())).toEqual(completionOf(reply, "m"));

  const again = new ChatRelay(true, true);
  for (const event of sseOf(completionChunks(JSON.parse(live.whole()), true))) again.take(event);
  expect(JSON.parse(again.whole())).toEqual(completionOf(reply, "m"));
});

test("who does not ask for the usage does not see it", () => {
  const relay = new ChatRelay(false, false);
  const chunk = { id: "x", choices: [{ index: 0, delta: { content: 'say "usage":null' } }], usage: null };
  expect(relay.take({ event: null, data: JSON.stringify(chunk) })).toEqual({
    text: `data: ${JSON.stringify({ ...chunk, usage: undefined })}\n\n`,
    isContent: true,
  });
  const last = { id: "x", choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } };
  expect(relay.take({ event: null, data: JSON.stringify(last) }).text).toBe(null);
  expect(relay.usage).toMatchObject({ inputTokens: 3, outputTokens: 4 });
});

test("who speaks alone is no content: until more comes, everything can be taken back", () => {
  const relay = new ChatRelay(false, false);
  const role = { choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] };
  expect(relay.take({ event: null, data: JSON.stringify(role) }).isContent).toBe(false);
  expect(relay.isWhole).toBe(false);
  const stop = { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
  expect(relay.take({ event: null, data: JSON.stringify(stop) }).isContent).toBe(true);
  expect(relay.isWhole).toBe(true);
});

test("an error in the midst of a stream is thrown as it was said", () => {
  const error = { message: "too busy", type: "server_error", code: "overloaded" };
  const said = () => new ChatRelay(false, false).take({ event: null, data: JSON.stringify({ error }) });
  expect(said).toThrow("too busy");
  const failed = { type: "response.failed", response: { error: { code: "server_error", message: "oh" } } };
  expect(() => new ResponsesRelay().take({ event: "response.failed", data: JSON.stringify(failed) })).toThrow("oh");
});

const withoutIds = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value).replace(/"(?:resp|msg|rs|fc)_[0-9a-f]{32}"/g, '"(id)"'));

test("a response, its events, and its events told again are the same", () => {
  const body = { model: "m", input: "x", temperature: 0.5, tools: null };
  const whole = responseOf(reply, body, "m");
  expect(withoutIds(whole)).toMatchObject({
    object: "response",
    status: "completed",
    model: "claude",
    temperature: 0.5,
    tools: [],
    output: [
      { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] },
      { type: "message", status: "completed", content: [{ type: "output_text", text: "Hello", annotations: [] }] },
      { type: "message", content: [{ text: " you" }] },
      { type: "function_call", call_id: "c1", name: "f", arguments: '{"x":1}', status: "completed" },
      { type: "function_call", call_id: "c2", name: "g", arguments: "{}" },
    ],
    usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15, input_tokens_details: { cached_tokens: 4 } },
  });
  const writer = new ResponseWriter(body, "m");
  const events = [...bitByBit()].flatMap((part) => writer.events(part));
  expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, place) => place));
  expect(events.slice(0, 3).map(({ type }) => type)).toEqual([
    "response.created",
    "response.in_progress",
    "response.output_item.added",
  ]);
  const relay = new ResponsesRelay();
  for (const event of sseOf(events)) relay.take(event);
  expect(withoutIds(JSON.parse(relay.whole()))).toEqual(withoutIds(whole));
  const again = new ResponsesRelay();
  for (const event of responseEvents(whole)) again.take(event);
  expect(JSON.parse(again.whole())).toEqual(whole);
  expect(again.text).toBe('Hello you{"x":1}{}');
});

test("a response that was cut says so", () => {
  const cut: ChatReply = { ...reply, finishReason: { unified: "length", raw: undefined } };
  expect(responseOf(cut, {}, "m")).toMatchObject({
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
  });
});
