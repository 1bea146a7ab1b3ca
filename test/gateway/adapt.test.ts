// Models of specifications 2, 3 and 4 in both majors of the AI SDK: whatever a user brings runs in either.
import type { LanguageModelV3, LanguageModelV3CallOptions } from "@ai-sdk/provider";
import * as ai6 from "ai";
import { MockEmbeddingModelV3, MockLanguageModelV3, simulateReadableStream } from "ai/test";
import * as ai7 from "ai7";
import { MockEmbeddingModelV4, MockLanguageModelV4 } from "ai7/test";
import { describe, expect, test } from "vitest";
import { asEmbeddingModel, asLanguageModel } from "../../src/gateway/adapt.ts";

const target = { provider: "mine", model: "m" };
const usage = {
  inputTokens: { total: 12, noCache: 2, cacheRead: 10, cacheWrite: undefined },
  outputTokens: { total: 3, text: 3, reasoning: undefined },
};
const usageV2 = { inputTokens: 12, outputTokens: 3, totalTokens: 15, cachedInputTokens: 10, reasoningTokens: 1 };
const stop = { unified: "stop" as const, raw: "stop" };

function streamOf(parts: unknown[]) {
  return { stream: simulateReadableStream({ chunks: parts, initialDelayInMs: null, chunkDelayInMs: null }) };
}

const text = { type: "text" as const, text: "hello" };
const textParts = [
  { type: "text-start", id: "1" },
  { type: "text-delta", id: "1", delta: "hello" },
  { type: "text-end", id: "1" },
];
const started = { type: "stream-start", warnings: [] };

function modelV4(content: unknown[], parts: unknown[], reason: unknown = stop) {
  return new MockLanguageModelV4({
    doGenerate: { content, finishReason: reason, usage, warnings: [] } as never,
    doStream: streamOf([started, ...parts, { type: "finish", finishReason: reason, usage }]) as never,
  });
}

function modelV2(reason = "stop") {
  const calls: Record<string, unknown>[] = [];
  const model = {
    specificationVersion: "v2",
    provider: "old",
    modelId: "m",
    supportedUrls: {},
    calls,
    doGenerate: async (options: Record<string, unknown>) => {
      calls.push(options);
      return { content: [text], finishReason: reason, usage: usageV2, warnings: [] };
    },
    doStream: async (options: Record<string, unknown>) => {
      calls.push(options);
      return streamOf([started, ...textParts, { type: "finish", finishReason: reason, usage: usageV2 }]);
    },
  };
  return model;
}

const modelV3 = () =>
  new MockLanguageModelV3({
    doGenerate: { content: [text], finishReason: stop, usage, warnings: [] },
    doStream: streamOf([started, ...textParts, { type: "finish", finishReason: stop, usage }]) as never,
  });

const models: [version: string, make: () => unknown][] = [
  ["v2", modelV2],
  ["v3", modelV3],
  ["v4", () => modelV4([text], textParts)],
];

describe.each(models)("a model of specification %s", (_, make) => {
  test.each([
    ["6", ai6],
    ["7", ai7],
  ])("runs in ai %s, streaming and not", async (_major, ai) => {
    const sdk = ai as unknown as typeof ai6;
    const model = asLanguageModel(make(), target);
    expect(model.specificationVersion).toBe("v3");
    const whole = await sdk.generateText({ model, prompt: "hi" });
    expect([whole.text, whole.finishReason, whole.usage.inputTokens, whole.usage.outputTokens]).toEqual([
      "hello",
      "stop",
      12,
      3,
    ]);
    expect(whole.usage.inputTokenDetails.cacheReadTokens).toBe(10);
    const streamed = sdk.streamText({ model: asLanguageModel(make(), target), prompt: "hi" });
    expect(await streamed.text).toBe("hello");
    expect((await streamed.usage).inputTokens).toBe(12);
  });
});

describe("v4", () => {
  const png = new Uint8Array([1, 2, 3]);
  const inner = () => modelV4([text], textParts);
  const asked = async (prompt: LanguageModelV3CallOptions["prompt"]) => {
    const model = inner();
    await asLanguageModel(model, target).doGenerate({ prompt, temperature: 0 });
    return model.doGenerateCalls[0]?.prompt as unknown as { content: Record<string, unknown>[] }[];
  };

  test("gets files that say what they are", async () => {
    const tagged = { type: "reference", reference: { openai: "file-1" } };
    const [message] = await asked([
      {
        role: "user",
        content: [
          { type: "file", mediaType: "image/png", data: png },
          { type: "file", mediaType: "image/png", data: "AQID" },
          { type: "file", mediaType: "image/png", data: new URL("https://a.test/b.png") },
          { type: "file", mediaType: "application/pdf", data: tagged as never },
          { type: "text", text: "what is it?" },
        ],
      },
    ]);
    expect(message?.content.map((part) => part["data"])).toEqual([
      { type: "data", data: png },
      { type: "data", data: "AQID" },
      { type: "url", url: new URL("https://a.test/b.png") },
      tagged,
      undefined,
    ]);
  });

  test("gets the results of tools with their files", async () => {
    const [system, message] = await asked([
      { role: "system", content: "be brief" },
      {
        role: "tool",
        content: [
          { type: "tool-result", toolCallId: "1", toolName: "a", output: { type: "json", value: { n: 1 } } },
          {
            type: "tool-result",
            toolCallId: "2",
            toolName: "b",
            output: {
              type: "content",
              value: [
                { type: "text", text: "see" },
                { type: "image-data", data: "AQID", mediaType: "image/png" },
                { type: "file-data", data: "AQID", mediaType: "application/pdf", filename: "a.pdf" },
                { type: "file-url", url: "https://a.test/b" },
                { type: "image-file-id", fileId: "f1" },
                { type: "file-id", fileId: { google: "f2" } },
              ],
            },
          },
        ],
      },
    ]);
    expect(system).toEqual({ role: "system", content: "be brief" });
    expect(message?.content[0]).toMatchObject({ output: { type: "json", value: { n: 1 } } });
    expect(message?.content[1]?.["output"]).toHaveProperty("value", [
      { type: "text", text: "see" },
      { type: "file", mediaType: "image/png", data: { type: "data", data: "AQID" } },
      { type: "file", mediaType: "application/pdf", filename: "a.pdf", data: { type: "data", data: "AQID" } },
      { type: "file", mediaType: "application/octet-stream", data: { type: "url", url: new URL("https://a.test/b") } },
      { type: "file", mediaType: "image/*", data: { type: "reference", reference: { "mock-provider": "f1" } } },
      { type: "file", mediaType: "application/octet-stream", data: { type: "reference", reference: { google: "f2" } } },
    ]);
  });

  test("what v3 has no word for is left out or said otherwise, in both ways of asking", async () => {
    const parts = [
      { type: "ping" },
      { type: "custom", kind: "openai.compaction" },
      { type: "reasoning-file", mediaType: "image/png", data: { type: "data", data: png } },
      { type: "file", mediaType: "image/png", data: { type: "data", data: png } },
      { type: "file", mediaType: "image/png", data: { type: "url", url: new URL("https://a.test/b.png") } },
    ];
    const wanted = [
      { type: "file", mediaType: "image/png", data: png },
      { type: "source", sourceType: "url", url: "https://a.test/b.png", title: "image/png" },
    ];
    const interrupted = { unified: "interrupted", raw: undefined };
    const model: LanguageModelV3 = asLanguageModel(modelV4(parts.slice(1), parts, interrupted), target);
    const { content, finishReason } = await model.doGenerate({ prompt: [] });
    expect(content).toMatchObject(wanted);
    expect(finishReason).toEqual({ unified: "other", raw: "interrupted" });
    const streamed = await all((await model.doStream({ prompt: [] })).stream);
    expect(streamed).toMatchObject([started, ...wanted, { type: "finish", finishReason: { unified: "other" } }]);
  });
});

describe("v2", () => {
  test("gets tools and prompts in its own words", async () => {
    const model = modelV2();
    await asLanguageModel(model, target).doGenerate({
      prompt: [
        {
          role: "tool",
          content: [
            { type: "tool-approval-response", approvalId: "1", approved: true },
            { type: "tool-result", toolCallId: "1", toolName: "a", output: { type: "text", value: "x" } },
          ],
        },
      ],
      tools: [{ type: "provider", id: "openai.web_search", name: "web", args: {} }],
    });
    expect(model.calls[0]).toMatchObject({
      prompt: [{ role: "tool", content: [{ type: "tool-result" }] }],
      tools: [{ type: "provider-defined", id: "openai.web_search" }],
    });
  });

  test("an end that nobody gave a reason for is one without a reason", async () => {
    const { finishReason, usage: counted } = await asLanguageModel(modelV2("unknown"), target).doGenerate({
      prompt: [],
    });
    expect(finishReason).toEqual({ unified: "other", raw: undefined });
    expect(counted).toMatchObject({ outputTokens: { total: 3, reasoning: 1 }, raw: { totalTokens: 15 } });
  });
});

describe("embeddings", () => {
  const result = { embeddings: [[1, 2]], usage: { tokens: 2 }, warnings: [] };
  const v2 = {
    specificationVersion: "v2",
    provider: "old",
    modelId: "m",
    maxEmbeddingsPerCall: 10,
    supportsParallelCalls: true,
    doEmbed: async () => ({ embeddings: [[1, 2]], usage: { tokens: 2 } }),
  };

  test.each([
    ["v2", v2],
    ["v3", new MockEmbeddingModelV3({ doEmbed: result })],
    ["v4", new MockEmbeddingModelV4({ doEmbed: result })],
  ])("of %s run in both majors", async (_, inner) => {
    const model = asEmbeddingModel(inner, target);
    for (const sdk of [ai6, ai7 as unknown as typeof ai6]) {
      const { embedding, usage: counted } = await sdk.embed({ model, value: "a" });
      expect([embedding, counted.tokens]).toEqual([[1, 2], 2]);
    }
  });
});

async function all<Part>(stream: ReadableStream<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of stream as unknown as AsyncIterable<Part>) parts.push(part);
  return parts;
}
