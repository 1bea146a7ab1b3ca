// What is seen of a reply while it is being made: by whoever streams the run, and by code that asked for live words.
import { describe, expect, test } from "vitest";
import { isLonghaulError } from "../../../src/domain/errors.ts";
import { agent } from "../../../src/index.ts";
import type { LonghaulProcess } from "../../../src/runtime/connect.ts";
import { gate, rejection, until } from "../../support/longhaul.ts";
import { MAJORS, useAiStage } from "./stage.ts";

const stage = useAiStage();
const WORDS = "The quick brown fox jumps over the lazy dog, again and again.";

/** What a reader that follows the rule has of a run's messages at its end: by step, as streamed and as recorded. */
async function read(longhaul: LonghaulProcess, runId: string) {
  const streamed = new Map<string, string>();
  const shown: string[] = [];
  let resets = 0;
  for await (const event of longhaul.stream(runId, { tokens: true })) {
    if (event.kind !== "tokens") continue;
    if (event.reset) {
      if (streamed.has(event.key)) resets += 1;
      streamed.set(event.key, "");
    }
    const text = (streamed.get(event.key) ?? "") + event.text;
    streamed.set(event.key, text);
    shown.push(text);
  }
  return { texts: [...streamed.values()], shown, resets };
}

describe.each(MAJORS)("with ai %s", (major, ai) => {
  test("whoever streams the run sees the words while the code waits for the record", async () => {
    stage.fake.behave({ reply: { text: WORDS }, chunkCharacters: 6, chunkMs: 60 });
    const talker = agent({
      name: `talker-${major}`,
      run: async (ctx) => {
        const result = ai.streamText({ model: ctx.model("smart"), prompt: "talk", ...ctx.ai });
        const parts: string[] = [];
        for await (const delta of result.textStream) parts.push(delta);
        return parts;
      },
    });
    const longhaul = await stage.aiWorker([talker]);
    const run = await longhaul.submit(talker, null);
    const seen = await read(longhaul, run.runId);
    expect(seen.shown.length).toBeGreaterThan(3);
    expect(WORDS.startsWith(seen.texts[0] ?? "-")).toBe(true);
    expect(await run.result()).toEqual([WORDS]);
  });

  test("a reply that came in one piece is a message too", async () => {
    stage.fake.behave({ reply: { text: WORDS } });
    const hold = gate();
    const whole = agent({
      name: `whole-${major}`,
      run: async (ctx) => {
        await ctx.step("wait", () => hold.opened);
        return (await ai.generateText({ model: ctx.model("smart"), prompt: "talk" })).text;
      },
    });
    const longhaul = await stage.aiWorker([whole]);
    const run = await longhaul.submit(whole, null);
    const reading = read(longhaul, run.runId);
    hold.open();
    expect(await run.result()).toBe(WORDS);
    // Its tokens are best effort; its record is there in any case.
    for (const text of (await reading).texts) expect(WORDS.startsWith(text)).toBe(true);
  });

  test("the words of an attempt that broke off are replaced by those of the next", async () => {
    stage.fake.next(
      {
        text: "An answer that will break off somewhere.",
        chunkCharacters: 5,
        chunkMs: 15,
        fault: { kind: "reset_mid_stream", afterChunks: 4 },
      },
      { text: WORDS, chunkCharacters: 6, chunkMs: 15 },
    );
    const retried = agent({
      name: `retried-${major}`,
      run: async (ctx) => await ai.streamText({ model: ctx.model("smart"), prompt: "talk", ...ctx.ai }).text,
    });
    const longhaul = await stage.aiWorker([retried]);
    const run = await longhaul.submit(retried, null);
    const seen = await read(longhaul, run.runId);
    expect(await run.result()).toBe(WORDS);
    expect(seen.shown.some((text) => text.startsWith("An answer"))).toBe(true);
    expect(seen.resets).toBe(1);
    expect(WORDS.startsWith(seen.texts[0] ?? "-")).toBe(true);
    expect(stage.fake.calls.map(({ outcome }) => outcome)).toEqual(["cut", "answered"]);
  });

  test("live words come before the record; calls and the end after it", async () => {
    const turns = [{ text: WORDS, toolCalls: [{ name: "look", arguments: {} }] }, { text: "seen" }];
    stage.fake.behave({ reply: { turns }, chunkCharacters: 6, chunkMs: 10 });
    const log: string[] = [];
    const live = agent({
      name: `live-${major}`,
      run: async (ctx) => {
        const result = ai.streamText({
          model: ctx.model("smart", { live: true }),
          prompt: "talk",
          tools: ctx.tools({ look: ai.tool({ inputSchema: ai.jsonSchema({ type: "object" }), execute: () => 1 }) }),
          stopWhen: ai.stepCountIs(3),
          ...ctx.ai,
        });
        for await (const part of result.fullStream) {
          if (part.type === "text-delta") log.push(part.text);
          if (part.type === "tool-call" || part.type === "finish") log.push(part.type);
        }
        return (await result.steps).map(({ text }) => text);
      },
    });
    const longhaul = await stage.aiWorker([live]);
    expect(await longhaul.run(live, null)).toEqual([WORDS, "seen"]);
    const call = log.indexOf("tool-call");
    expect(call).toBeGreaterThan(3);
    expect(log.slice(0, call).join("")).toBe(WORDS);
    expect(log.at(-1)).toBe("finish");
  });

  test("live words that were shown cannot be replaced", async () => {
    stage.fake.next({
      text: WORDS,
      chunkCharacters: 5,
      chunkMs: 10,
      fault: { kind: "reset_mid_stream", afterChunks: 5 },
    });
    const broken = agent({
      name: `broken-${major}`,
      run: async (ctx) => {
        const result = ai.streamText({
          model: ctx.model("smart", { live: true }),
          prompt: "talk",
          ...ctx.ai,
          onError: () => undefined,
        });
        for await (const part of result.fullStream) {
          if (part.type === "error") return isLonghaulError(part.error) ? part.error.code : String(part.error);
        }
        return "no error";
      },
    });
    const longhaul = await stage.aiWorker([broken]);
    expect(await longhaul.run(broken, null)).toBe("PARTIAL_STREAM");
    expect(stage.fake.calls).toHaveLength(1);
  });

  test("a cancel in the middle of a call reaches the provider within a second, and the code hears no error", async () => {
    stage.fake.behave({ reply: { text: WORDS, fault: "hang_mid_stream" } });
    const heard: unknown[] = [];
    const patient = agent({
      name: `patient-${major}`,
      run: async (ctx) => {
        try {
          const { text } = await ai.generateText({ model: ctx.model("smart"), prompt: "talk", maxRetries: 0 });
          heard.push(text);
        } catch (error) {
          heard.push(error);
        } finally {
          heard.push("finally");
        }
      },
    });
    const longhaul = await stage.aiWorker([patient]);
    const run = await longhaul.submit(patient, null);
    await stage.fake.received(1);
    await longhaul.cancel(run.runId, "not needed");
    const askedMs = performance.now();
    await until(() => stage.fake.calls[0]?.outcome === "client_left");
    expect(performance.now() - askedMs).toBeLessThan(1_000);
    expect(await rejection(run.result())).toMatchObject({ code: "RUN_CANCELLED" });
    expect(heard).toEqual([]);
  });

  test("a time-out of the code's own is a failure, the same in a replay", async () => {
    stage.fake.behave({ reply: { text: WORDS, fault: "hang_before_headers" } });
    const names: string[] = [];
    const hold = gate();
    const hasty = agent({
      name: `hasty-${major}`,
      run: async (ctx) => {
        const abortSignal = AbortSignal.timeout(200);
        const error = await rejection(ai.generateText({ model: ctx.model("smart"), prompt: "talk", abortSignal }));
        names.push(error.name);
        await ctx.step("hold", () => hold.opened);
      },
    });
    const longhaul = await stage.aiWorker([hasty]);
    const run = await longhaul.submit(hasty, null);
    await until(() => names.length === 1);
    await stage.takeOver(run.runId);
    await until(() => names.length === 2);
    hold.open();
    await run.result();
    expect(names).toEqual(["TimeoutError", "TimeoutError"]);
    expect(stage.fake.calls).toHaveLength(1);
  });
});
