import type { LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { expect, test } from "vitest";
import { Assembly } from "../../src/gateway/assemble.ts";
import { type ChatReply, partsOf } from "../../src/gateway/reply.ts";
import { TruncatedStream } from "../../src/gateway/truncated-stream.ts";

const usage = {
  inputTokens: { total: 7, noCache: 5, cacheRead: 2, cacheWrite: 0 },
  outputTokens: { total: 9, text: 4, reasoning: 5 },
};
const finish: LanguageModelV3StreamPart = {
  type: "finish",
  usage,
  finishReason: { unified: "tool-calls", raw: "tool_calls" },
  providerMetadata: { fake: { tier: "one" } },
};

function assembled(parts: Iterable<LanguageModelV3StreamPart>): ChatReply {
  const assembly = new Assembly();
  for (const part of parts) assembly.add(part);
  return assembly.reply();
}

test("interleaved blocks come out whole, in the order in which they began, with their last metadata", () => {
  const reply = assembled([
    { type: "stream-start", warnings: [{ type: "other", message: "careful" }] },
    { type: "response-metadata", id: "r1", modelId: "m" },
    { type: "response-metadata", timestamp: new Date(5) },
    { type: "reasoning-start", id: "a" },
    { type: "text-start", id: "a" },
    { type: "reasoning-delta", id: "a", delta: "hm" },
    { type: "text-delta", id: "a", delta: "Hel" },
    { type: "reasoning-delta", id: "a", delta: "m", providerMetadata: { fake: { signature: "s" } } },
    { type: "text-delta", id: "a", delta: "lo" },
    { type: "reasoning-end", id: "a" },
    { type: "text-end", id: "a" },
    { type: "tool-input-start", id: "c", toolName: "add" },
    { type: "tool-input-delta", id: "c", delta: "{}" },
    { type: "tool-input-end", id: "c" },
    { type: "tool-call", toolCallId: "c", toolName: "add", input: "{}" },
    finish,
  ]);
  expect(reply).toEqual({
    content: [
      { type: "reasoning", text: "hmm", providerMetadata: { fake: { signature: "s" } } },
      { type: "text", text: "Hello" },
      { type: "tool-call", toolCallId: "c", toolName: "add", input: "{}" },
    ],
    finishReason: { unified: "tool-calls", raw: "tool_calls" },
    usage,
    warnings: [{ type: "other", message: "careful" }],
    response: { id: "r1", modelId: "m", timestamp: new Date(5) },
    providerMetadata: { fake: { tier: "one" } },
  });
});

test("a reply told as a stream is that reply again", () => {
  const reply: ChatReply = {
    content: [
      { type: "text", text: "a" },
      { type: "reasoning", text: "", providerMetadata: { x: { y: 1 } } },
      { type: "text", text: "" },
      { type: "file", mediaType: "image/png", data: new Uint8Array([1, 2]) },
      { type: "tool-call", toolCallId: "1", toolName: "t", input: '{"a":1}' },
      { type: "tool-call", toolCallId: "2", toolName: "search", input: "{}", providerExecuted: true },
    ],
    finishReason: { unified: "stop", raw: undefined },
    usage,
    warnings: [],
    response: { id: "x" },
  };
  expect(assembled(partsOf(reply))).toEqual(reply);
});

test("a stream that ends without a finish was cut off, and what it said is kept", () => {
  const cut = (): ChatReply =>
    assembled([
      { type: "text-start", id: "1" },
      { type: "text-delta", id: "1", delta: "half an ans" },
    ]);
  expect(cut).toThrow(TruncatedStream);
  try {
    cut();
  } catch (error) {
    expect((error as TruncatedStream).partial).toBe("half an ans");
  }
});

test("a finish that nobody gave a reason for is the SDK's guess about a stream that was cut", () => {
  const guess: LanguageModelV3StreamPart = {
    type: "finish",
    usage,
    finishReason: { unified: "other", raw: undefined },
  };
  expect(() => assembled([{ type: "text-delta", id: "1", delta: "hal" }, guess])).toThrow(TruncatedStream);
});

test("an error in the middle of a stream is thrown as it is", () => {
  const overloaded = new Error("overloaded");
  const cut = (): ChatReply => assembled([{ type: "error", error: overloaded }]);
  expect(cut).toThrow(overloaded);
});

test("deltas of a block that never began are not lost", () => {
  const reply = assembled([{ type: "text-delta", id: "9", delta: "x" }, finish]);
  expect(reply.content).toEqual([{ type: "text", text: "x" }]);
});
