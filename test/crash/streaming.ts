// A streamed tool loop whose words go to the run's readers, and a reader who has been there from the start: no two attempts are ever mixed.
import { randomUUID } from "node:crypto";
import { stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { insideStep } from "../../src/engine/inside-step.ts";
import { agent, type Longhaul } from "../../src/index.ts";
import { modelStep } from "./witness.ts";
import type { OnBody, Workload } from "./workloads.ts";

const ROUNDS = 2;
const WORDS = 5;
/** Longer than words wait to be written for readers elsewhere, over all of a message. */
const WORD_MS = 15;

export const streaming: Workload = {
  name: "streaming",
  victim: "worker",
  warmMs: 5_000,
  agents: (onBody) => {
    const talker = agent({
      name: "talker",
      // Room for calls whose end nobody saw: they are charged at their estimates.
      budget: { usd: 1, outputTokens: 50_000, steps: 50 },
      async run(ctx) {
        const look = tool({
          inputSchema: z.object({ at: z.number() }),
          execute: async ({ at }) => {
            await onBody(`${ctx.runId}/${insideStep.getStore()?.key}`);
            return at + 1;
          },
        });
        const result = streamText({
          model: ctx.model("own/talker"),
          tools: ctx.tools({ look }),
          prompt: ctx.runId,
          stopWhen: stepCountIs(ROUNDS + 2),
          ...ctx.ai,
        });
        const perStep = (await result.steps).map(({ text, toolResults }) => [
          // Whose words they are differs from attempt to attempt; that they are those of one does not.
          problemOf(text) ?? text.trim().split(" ").length,
          toolResults.map(({ output }) => output),
        ]);
        return perStep;
      },
    });
    return [talker];
  },
  gateway: (onBody) => ({
    providers: { own: { model: () => talkingModel(onBody), limits: { "*": { rpm: 100_000, concurrent: 20 } } } },
    prices: { "own/*": { inputPerMillionUsd: 1, outputPerMillionUsd: 10 } },
  }),
  submit: async (longhaul, acknowledged) => acknowledged("talker", (await longhaul.submit("talker", null)).runId),
  watch: readAlong,
};

/** What a reader by the rule saw that cannot be: words of two attempts in one message, a hole, or a word after the record. */
async function readAlong(longhaul: Longhaul, runId: string): Promise<string[]> {
  const messages = new Map<string, string>();
  const recorded = new Set<string>();
  const found: string[] = [];
  for await (const event of longhaul.stream(runId, { tokens: true })) {
    if (event.kind !== "tokens") {
      if (event.kind === "step" && event.key !== null) recorded.add(event.key);
      continue;
    }
    const { key, reset, text } = event;
    if (recorded.has(key)) found.push(`tokens: ${key} was written on after it was recorded: ${text}`);
    const now = (reset ? "" : (messages.get(key) ?? "")) + text;
    messages.set(key, now);
    const problem = problemOf(now);
    if (problem !== null) found.push(`tokens: a reader of ${key} had ${problem}`);
  }
  return found;
}

/** Words are numbered, and bear the mark of their attempt. */
function problemOf(text: string): string | null {
  const words = text.split(" ").filter((word) => word !== "");
  const mark = words[0]?.split(":")[0];
  return words.every((word, n) => word === `${mark}:${n}`) ? null : `"${text}"`;
}

type Message = { readonly role: string; readonly content: readonly { readonly text?: string }[] };

/** Says some words and asks for one more look, twice; then only says some. The prompt is the run's id. */
function talkingModel(onBody: OnBody): unknown {
  const doStream = async ({ prompt }: { readonly prompt: readonly Message[] }) => {
    const runId = prompt.find(({ role }) => role === "user")?.content[0]?.text ?? "";
    const rounds = prompt.filter(({ role }) => role === "tool").length;
    await onBody(modelStep(runId, rounds + 1));
    return { stream: ReadableStream.from(parts(rounds)) };
  };
  const doGenerate = (): never => {
    throw new Error("everybody asks for a stream");
  };
  const names = { specificationVersion: "v3", provider: "own", modelId: "talker", supportedUrls: {} };
  return { ...names, doGenerate, doStream };
}

async function* parts(round: number) {
  const mark = randomUUID().slice(0, 8);
  yield { type: "stream-start", warnings: [] };
  yield { type: "text-start", id: "0" };
  for (let n = 0; n < WORDS; n++) {
    await new Promise((resolve) => setTimeout(resolve, WORD_MS));
    yield { type: "text-delta", id: "0", delta: `${mark}:${n} ` };
  }
  yield { type: "text-end", id: "0" };
  const last = round >= ROUNDS;
  if (!last) yield { type: "tool-call", toolCallId: `call-${round}`, toolName: "look", input: `{"at":${round}}` };
  const unified = last ? "stop" : "tool-calls";
  const inputTokens = { total: 100, noCache: 100, cacheRead: 0, cacheWrite: 0 };
  const usage = { inputTokens, outputTokens: { total: 10, text: 10, reasoning: 0 } };
  yield { type: "finish", finishReason: { unified, raw: unified }, usage };
}
