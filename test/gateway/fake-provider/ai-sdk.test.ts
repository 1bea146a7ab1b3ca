// Vercel's AI SDK, both majors, with its official provider packages, against the fake provider: every answer in every protocol.
import * as ai6 from "ai";
import * as ai7 from "ai7";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startFakeProvider } from "../../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../../support/fake-provider/handle.ts";
import { modelOf, providersOf, WIRES } from "./clients.ts";

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider();
});
afterEach(() => {
  fake.script = null;
  fake.behave({});
  fake.clear();
});
afterAll(() => fake.close());

const majors = [
  { major: 6, ai: ai6 },
  { major: 7, ai: ai7 as unknown as typeof ai6 },
];
const wires = WIRES.map((wire) => ({ wire }));
const usage = { inputTokens: 120, outputTokens: 30, cacheReadTokens: 20, cacheWriteTokens: 0, reasoningTokens: 0 };

describe.each(majors)("ai $major", ({ major, ai }) => {
  describe.each(wires)("over $wire", ({ wire }) => {
    it("generates text, and says that it is a fake", async () => {
      const { text, finishReason } = await ai.generateText({ model: modelOf(fake, wire), prompt: "What is it?" });
      expect(text).toBe("Fake answer – no model was asked: “What is it?”");
      expect(finishReason).toBe("stop");
      expect(fake.calls).toMatchObject([{ outcome: "answered", status: 200, text, stream: false }]);
    });

    it("counts what it says it counts", async () => {
      fake.next({ text: "counted", usage });
      const result = await ai.generateText({ model: modelOf(fake, wire), prompt: "count" });
      const { inputTokens, outputTokens, inputTokenDetails } = result.usage;
      expect({ inputTokens, outputTokens, cached: inputTokenDetails.cacheReadTokens }).toEqual({
        inputTokens: 120,
        outputTokens: 30,
        cached: 20,
      });
      fake.next({ text: "counted", usage });
      const stream = ai.streamText({ model: modelOf(fake, wire), prompt: "count" });
      await stream.consumeStream();
      expect(await stream.totalUsage).toMatchObject({ inputTokens: 120, outputTokens: 30 });
    });

    it("streams text in the pieces it is told", async () => {
      const text = "Ünïcödé 😀 in small pieces";
      fake.next({ text, chunkCharacters: 5, chunkMs: 2 });
      const stream = ai.streamText({ model: modelOf(fake, wire), prompt: "stream" });
      const parts: string[] = [];
      for await (const part of stream.textStream) parts.push(part);
      expect(parts.join("")).toBe(text);
      expect(parts.length).toBeGreaterThan(4);
      expect(await stream.finishReason).toBe("stop");
      expect(fake.calls).toMatchObject([{ outcome: "answered", stream: true }]);
    });

    it("streams reasoning apart from the text", async () => {
      fake.next({ text: "42", reasoning: "Let me see, that is" });
      const stream = ai.streamText({ model: modelOf(fake, wire), prompt: "think" });
      await stream.consumeStream();
      expect(await stream.text).toBe("42");
      // OpenAI's chat completions show none.
      if (wire !== "openai chat") expect(await stream.reasoningText).toBe("Let me see, that is");
    });

    it.each([false, true])("loops over tools, streaming: %s", async (streaming) => {
      const seen: unknown[] = [];
      const tools = {
        weather: ai.tool({
          description: "The weather somewhere",
          inputSchema: z.object({ city: z.string(), day: z.number() }),
          execute: async (input) => {
            seen.push(input);
            return { degrees: input.day };
          },
        }),
      };
      fake.behave({
        reply: {
          loop: { tool: "weather", times: 3, parallel: 2, arguments: { city: "Bern {round}", day: "{call}" } },
          text: "warm",
        },
      });
      const call = { model: modelOf(fake, wire), prompt: "How warm?", tools, stopWhen: ai.stepCountIs(10) };
      const stream = streaming ? ai.streamText(call) : null;
      await stream?.consumeStream();
      const text = stream === null ? (await ai.generateText(call)).text : await stream.text;
      expect(text).toBe("warm");
      expect(seen).toEqual([1, 2, 3, 4, 5, 6].map((day) => ({ city: `Bern ${Math.ceil(day / 2)}`, day })));
      expect(fake.calls.map((one) => one.toolCalls.length)).toEqual([2, 2, 2, 0]);
      const ids = fake.calls.flatMap((one) => one.toolCalls.map((toolCall) => toolCall.id));
      expect(new Set(ids).size).toBe(6);
      expect(fake.calls.every((one) => one.outcome === "answered")).toBe(true);
    });

    it("makes up arguments that fit a tool's schema, and calls the tool that it must", async () => {
      const inputSchema = z.object({ to: z.email(), kind: z.enum(["a", "b"]), tags: z.array(z.string()) });
      const result = await ai.generateText({
        model: modelOf(fake, wire),
        prompt: "send",
        toolChoice: "required" as const,
        tools: { send: ai.tool({ inputSchema }) },
      });
      expect(result.finishReason).toBe("tool-calls");
      expect(inputSchema.parse(result.toolCalls[0]?.input).tags).toHaveLength(1);
    });

    it("answers with an object of the schema that is asked for, or with the one that it is told", async () => {
      const schema = z.object({ title: z.string(), count: z.number().int(), done: z.boolean() });
      const ask = () => {
        const output = ai.Output.object({ schema });
        return ai.generateText({ model: modelOf(fake, wire), prompt: "an object", output });
      };
      expect(schema.parse((await ask()).output)).toMatchObject({ title: "fake title", done: true });
      fake.next({ json: { title: "told", count: 4, done: false } });
      expect((await ask()).output).toEqual({ title: "told", count: 4, done: false });
      const stream = ai.streamText({
        model: modelOf(fake, wire),
        prompt: "an object",
        output: ai.Output.object({ schema }),
      });
      await stream.consumeStream();
      expect(schema.parse(await stream.output).done).toBe(true);
    });

    it("stops at the most tokens it may say", async () => {
      fake.next({ text: "abcd".repeat(100) });
      const result = await ai.generateText({ model: modelOf(fake, wire), prompt: "long", maxOutputTokens: 16 });
      expect(result.finishReason).toBe("length");
      expect(result.text).toBe("abcd".repeat(16));
      expect(result.usage.outputTokens).toBe(16);
    });

    it("says when its filter stopped it", async () => {
      fake.next({ text: "something bad", fault: "content_filter" });
      const result = await ai.generateText({ model: modelOf(fake, wire), prompt: "filter" });
      expect(result.finishReason).toBe("content-filter");
    });

    it("follows a directive in the user's words, round by round", async () => {
      const directive = { turns: [{ toolCalls: [{ name: "look", arguments: { at: "x" } }] }, { text: "seen" }] };
      const prompt = `Please.\n\`\`\`fake:\n${JSON.stringify(directive)}\n\`\`\``;
      const look = ai.tool({ inputSchema: z.object({ at: z.string() }), execute: async ({ at }) => `saw ${at}` });
      const result = await ai.generateText({
        model: modelOf(fake, wire),
        prompt,
        tools: { look },
        stopWhen: ai.stepCountIs(3),
      });
      expect(result.text).toBe("seen");
      expect(result.steps).toHaveLength(2);
    });

    it("calls a tool that nobody offered, or with arguments that do not parse", async () => {
      const look = ai.tool({ inputSchema: z.object({ at: z.string() }), execute: async () => "seen" });
      fake.next({ fault: "invented_tool" }, { text: "sorry" });
      const invented = await ai.generateText({
        model: modelOf(fake, wire),
        prompt: "look",
        tools: { look },
        stopWhen: ai.stepCountIs(2),
      });
      expect(invented.steps[0]?.content.some((part) => part.type === "tool-error")).toBe(true);
      if (wire === "google" || wire === "anthropic") return; // their wires carry objects, not text
      fake.next({ toolCalls: [{ name: "look" }], fault: "garbage_arguments" }, { text: "sorry" });
      const garbled = await ai.generateText({
        model: modelOf(fake, wire),
        prompt: "look",
        tools: { look },
        stopWhen: ai.stepCountIs(1),
      });
      expect(garbled.toolCalls[0]).toMatchObject({ invalid: true });
    });
  });

  it("embeds, one or many: texts that share words are near each other", async () => {
    const { openai, google, compatible } = providersOf(fake);
    const models = [
      openai.embedding("text-embedding-3-small"),
      google.embedding("gemini-embedding-001"),
      compatible.embeddingModel("embed-fake"),
    ];
    for (const model of models) {
      const values = ["the red house", "a red house", "seven green frogs"];
      const { embeddings } = await ai.embedMany({ model, values });
      const [house, other, frogs] = embeddings as [number[], number[], number[]];
      expect(ai.cosineSimilarity(house, other)).toBeGreaterThan(ai.cosineSimilarity(house, frogs) + 0.3);
      const { embedding } = await ai.embed({ model, value: "the red house" });
      expect(embedding).toEqual(house);
    }
  });

  it("gives the same answer to the same request", async () => {
    const ask = async () => {
      const output = ai.Output.object({ schema: z.object({ n: z.number().min(0).max(1000) }) });
      return (await ai.generateText({ model: modelOf(fake, "openai chat"), prompt: `major ${major}`, output })).output;
    };
    expect(await ask()).toEqual(await ask());
  });
});
