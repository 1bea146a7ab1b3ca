// A request to the Responses API for a model of another make.
import { expect, test } from "vitest";
import { responsesOptions } from "../../../src/gateway/openai/responses-options.ts";

const target = { provider: "google", model: "gemini-3-pro" };

function refused(body: object): string {
  try {
    responsesOptions({ model: "m", input: "x", ...body }, target, "google");
  } catch (error) {
    const { responseBody } = error as { responseBody: string };
    return (JSON.parse(responseBody) as { error: { param: string } }).error.param;
  }
  throw new Error("it was not refused");
}

test("items of every type become a prompt", () => {
  const { prompt } = responsesOptions(
    {
      model: "m",
      instructions: "be brief",
      input: [
        { role: "developer", content: "and kind" },
        {
          type: "message",
          role: "user",
          content: [
            { type: "input_text", text: "look" },
            { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "auto" },
          ],
        },
        { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "hm" }] },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "I call", annotations: [] }] },
        { type: "function_call", id: "fc_1", call_id: "c1", name: "f", arguments: '{"x":1}', status: "completed" },
        { type: "function_call_output", call_id: "c1", output: [{ type: "input_text", text: "one" }] },
      ],
    },
    target,
    "google",
  );
  expect(prompt).toEqual([
    { role: "system", content: "be brief" },
    { role: "system", content: "and kind" },
    {
      role: "user",
      content: [
        { type: "text", text: "look" },
        { type: "file", mediaType: "image/png", data: "AAAA" },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "text", text: "I call" },
        { type: "tool-call", toolCallId: "c1", toolName: "f", input: { x: 1 } },
      ],
    },
    {
      role: "tool",
      content: [
        {
          type: "tool-result",
          toolCallId: "c1",
          toolName: "f",
          output: { type: "content", value: [{ type: "text", text: "one" }] },
        },
      ],
    },
  ]);
});

test("settings, tools and formats are translated", () => {
  const { prompt, ...options } = responsesOptions(
    {
      model: "m",
      input: "hi",
      max_output_tokens: 9,
      temperature: 1,
      tools: [{ type: "function", name: "f", parameters: { type: "object" }, strict: true }],
      tool_choice: "required",
      text: { format: { type: "json_schema", name: "n", schema: { type: "object" } } },
      reasoning: { effort: "low", summary: "auto" },
      store: true,
      include: ["reasoning.encrypted_content"],
    },
    target,
    "google",
  );
  expect(prompt).toEqual([{ role: "user", content: [{ type: "text", text: "hi" }] }]);
  expect(options).toEqual({
    maxOutputTokens: 9,
    temperature: 1,
    tools: [{ type: "function", name: "f", inputSchema: { type: "object" }, strict: true }],
    toolChoice: { type: "required" },
    responseFormat: { type: "json", name: "n", schema: { type: "object" } },
    providerOptions: { google: { thinkingConfig: { thinkingLevel: "low" } } },
  });
});

test.each([
  ["previous_response_id", { previous_response_id: "resp_1" }],
  ["conversation", { conversation: "conv_1" }],
  ["background", { background: true }],
  ["tools[0].type", { tools: [{ type: "web_search" }] }],
  ["max_tool_calls", { max_tool_calls: 3 }],
  ["input[0].call_id", { input: [{ type: "function_call_output", call_id: "nobody", output: "x" }] }],
  ["input[0].content[0].image_url", { input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] }],
])("%s is refused by its name", (param, body) => {
  expect(refused(body)).toBe(param);
});
