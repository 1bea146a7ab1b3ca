// Which values are messages, and what is read out of them.
import { describe, expect, test } from "vitest";
import { messageIdOf, messageIn, textOf } from "../../src/domain/tokens.ts";

const nothing = { text: "", reasoning: "", toolCalls: [], usage: null, finishReason: null };

describe("a message", () => {
  test.each([
    ["a text", "hello", { text: "hello" }],
    [
      "a text of an object",
      { text: "hello", usage: { inputTokens: 1, outputTokens: 2 } },
      { text: "hello", usage: { inputTokens: 1, outputTokens: 2 } },
    ],
    ["a chat message", { role: "assistant", content: "hello" }, { text: "hello" }],
    ["a content that wins over a text", { content: "a", text: "b" }, { text: "a" }],
    ["no content parts at all", { content: [] }, {}],
    [
      "what a language model gives",
      {
        content: [
          { type: "reasoning", text: "Hmm" },
          { type: "text", text: "a" },
          { type: "source", url: "https://a.example" },
          { type: "text", text: "b" },
          { type: "tool-call", toolCallId: "1", toolName: "find", input: '{"q":1}' },
          { type: "tool-call", toolCallId: "2", toolName: "find", input: { q: 2 } },
          null,
          "odd",
        ],
        finishReason: { unified: "stop", raw: "end_turn" },
        usage: { inputTokens: { total: 3, cacheRead: 1 }, outputTokens: { total: 4 } },
      },
      {
        text: "ab",
        reasoning: "Hmm",
        toolCalls: [
          { id: "1", name: "find", args: '{"q":1}' },
          { id: "2", name: "find", args: '{"q":2}' },
        ],
        usage: { inputTokens: 3, outputTokens: 4 },
        finishReason: "stop",
      },
    ],
    [
      "one whose usage is not known",
      { text: "a", usage: { inputTokens: { total: undefined } }, finishReason: 7 },
      { text: "a" },
    ],
  ])("is %s", (_what, value, expected) => {
    expect(messageIn(value)).toEqual({ ...nothing, ...expected });
  });

  test.each([undefined, null, 7, true, {}, [], { content: 7 }, { text: 7 }, new Date(0)])("is not %o", (value) => {
    expect(messageIn(value)).toBeNull();
  });

  test("is known by its run and step", () => {
    expect(messageIdOf("r", "a/b#2")).toBe("r:a/b#2");
  });
});

test("a part adds its text, or none", () => {
  expect(
    [
      "a",
      { type: "text-delta", id: "0", delta: "b" },
      { type: "reasoning-delta", delta: "c" },
      { type: "text-delta" },
    ].map(textOf),
  ).toEqual(["a", "b", "", ""]);
});
