// A chat completion request for a model of another make: everything that can be said is, and the rest is refused by name.
import { expect, test } from "vitest";
import { chatOptions } from "../../../src/gateway/openai/chat-options.ts";

const target = { provider: "anthropic", model: "claude-sonnet-4-5" };
const base = { model: "smart", messages: [{ role: "user", content: "hi" }] };

function refused(body: object, kind: "anthropic" | "google" | "own" = "anthropic"): { param: string; code: string } {
  try {
    chatOptions({ ...base, ...body }, target, kind);
  } catch (error) {
    const { statusCode, responseBody } = error as { statusCode: number; responseBody: string };
    expect(statusCode).toBe(400);
    return (JSON.parse(responseBody) as { error: { param: string; code: string } }).error;
  }
  throw new Error("it was not refused");
}

test("messages of every role become a prompt", () => {
  const { prompt } = chatOptions(
    {
      ...base,
      messages: [
        {
          role: "developer",
          content: [
            { type: "text", text: "be" },
            { type: "text", text: "brief" },
          ],
        },
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
            { type: "input_audio", input_audio: { data: "BBBB", format: "mp3" } },
            { type: "file", file: { file_data: "data:application/pdf;base64,CCCC", filename: "a.pdf" } },
          ],
        },
        {
          role: "assistant",
          content: "a",
          tool_calls: [
            { id: "c1", type: "function", function: { name: "f", arguments: '{"x":1}' } },
            { id: "c2", type: "function", function: { name: "g", arguments: "{broken" } },
          ],
        },
        { role: "tool", tool_call_id: "c1", content: "one" },
        { role: "tool", tool_call_id: "c2", content: [{ type: "text", text: "two" }] },
      ],
    },
    target,
    "anthropic",
  );
  expect(prompt).toEqual([
    { role: "system", content: "be\nbrief" },
    {
      role: "user",
      content: [
        { type: "text", text: "look" },
        { type: "file", mediaType: "image/png", data: "AAAA" },
        { type: "file", mediaType: "image/*", data: new URL("https://example.com/a.png") },
        { type: "file", mediaType: "audio/mpeg", data: "BBBB" },
        { type: "file", mediaType: "application/pdf", data: "CCCC", filename: "a.pdf" },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "text", text: "a" },
        { type: "tool-call", toolCallId: "c1", toolName: "f", input: { x: 1 } },
        { type: "tool-call", toolCallId: "c2", toolName: "g", input: { unparsed: "{broken" } },
      ],
    },
    {
      role: "tool",
      content: [
        { type: "tool-result", toolCallId: "c1", toolName: "f", output: { type: "text", value: "one" } },
        { type: "tool-result", toolCallId: "c2", toolName: "g", output: { type: "text", value: "two" } },
      ],
    },
  ]);
});

test("settings, tools and formats are translated", () => {
  const options = chatOptions(
    {
      ...base,
      max_tokens: 5,
      max_completion_tokens: 7,
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      seed: 3,
      stop: "END",
      n: 1,
      user: "somebody",
      metadata: { a: "b" },
      store: false,
      stream: true,
      stream_options: { include_usage: true },
      tools: [
        { type: "function", function: { name: "f", description: "d", parameters: { type: "object" }, strict: true } },
        { type: "function", function: { name: "g" } },
      ],
      tool_choice: { type: "function", function: { name: "f" } },
      parallel_tool_calls: false,
      reasoning_effort: "high",
      response_format: { type: "json_schema", json_schema: { name: "n", schema: { type: "object" }, strict: true } },
    },
    target,
    "anthropic",
  );
  const { prompt: _, ...rest } = options;
  expect(rest).toEqual({
    maxOutputTokens: 7,
    temperature: 0.5,
    topP: 0.9,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    seed: 3,
    stopSequences: ["END"],
    tools: [
      { type: "function", name: "f", description: "d", inputSchema: { type: "object" }, strict: true },
      { type: "function", name: "g", inputSchema: { type: "object", properties: {} } },
    ],
    toolChoice: { type: "tool", toolName: "f" },
    responseFormat: { type: "json", name: "n", schema: { type: "object" } },
    providerOptions: { anthropic: { effort: "high", disableParallelToolUse: true } },
  });
});

test("how hard to think is said in each provider's words", () => {
  const options = (model: string, effort: string) =>
    chatOptions({ ...base, reasoning_effort: effort }, { provider: "google", model }, "google").providerOptions;
  expect(options("gemini-2.5-flash", "low")).toEqual({ google: { thinkingConfig: { thinkingBudget: 1_024 } } });
  expect(options("gemini-3-pro", "xhigh")).toEqual({ google: { thinkingConfig: { thinkingLevel: "high" } } });
  expect(refused({ reasoning_effort: "low" }, "own").param).toBe("reasoning_effort");
});

test.each([
  ["logprobs", { logprobs: true }],
  ["n", { n: 2 }],
  ["logit_bias", { logit_bias: { 5: 1 } }],
  ["functions", { functions: [] }],
  ["web_search_options", { web_search_options: {} }],
  ["verbosity", { verbosity: "low" }],
  [
    "messages[0].content[0].file.file_id",
    { messages: [{ role: "user", content: [{ type: "file", file: { file_data: "data:,", file_id: "x" } }] }] },
  ],
  ["messages[0].tool_call_id", { messages: [{ role: "tool", tool_call_id: "nobody", content: "x" }] }],
  [
    "messages[0].content[0].image_url.url",
    { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "ftp://x" } }] }] },
  ],
  ["messages[0].role", { messages: [{ role: "wizard", content: "x" }] }],
  ["messages", { messages: [] }],
  ["max_tokens", { max_tokens: 0 }],
])("%s is refused by its name", (param, body) => {
  expect(refused(body).param).toBe(param);
});

test("parallel_tool_calls: false is refused where it cannot be said", () => {
  expect(refused({ parallel_tool_calls: false }, "google").param).toBe("parallel_tool_calls");
});
