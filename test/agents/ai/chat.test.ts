// chatAgent: a conversation on a thread, its tools, its limits, and that it goes on wherever it was interrupted.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type ChatState, chatAgent, tool } from "../../../src/ai.ts";
import { KIND } from "../../../src/domain/entry.ts";
import { messageIdOf } from "../../../src/domain/tokens.ts";
import { newId } from "../../../src/engine/ids.ts";
import { gate, journalOf, rejection, until } from "../../support/longhaul.ts";
import { useAiStage } from "./stage.ts";

const stage = useAiStage();

const search = tool({
  description: "Looks something up",
  inputSchema: z.object({ query: z.string() }),
  execute: ({ query }) => ({ found: `all about ${query}` }),
});

test("answers a text, and its thread keeps the messages as LangGraph's clients know them", async () => {
  stage.fake.behave({
    reply: {
      turns: [
        { text: "Let me look.", toolCalls: [{ id: "c1", name: "search", arguments: { query: "tides" } }] },
        { text: "The moon." },
      ],
    },
  });
  const chat = chatAgent({ name: "chat", model: "smart", instructions: "Be brief.", tools: { search } });
  const longhaul = await stage.aiWorker([chat]);
  const threadId = newId();
  const run = await longhaul.submit(chat, "Why tides?", { threadId });
  const output = await run.result();
  expect(output.text).toBe("The moon.");
  const keys = (await journalOf(stage.db, run.runId)).filter(({ kind }) => kind === KIND.step).map(({ key }) => key);
  expect(keys).toEqual(["model smart#1", "search@c1#1", "model smart#2"]);
  expect(output.messages).toEqual([
    { type: "human", id: expect.any(String), content: "Why tides?" },
    expect.objectContaining({
      type: "ai",
      id: messageIdOf(run.runId, "model smart#1"),
      content: "Let me look.",
      tool_calls: [{ id: "c1", name: "search", args: { query: "tides" }, type: "tool_call" }],
    }),
    expect.objectContaining({
      type: "tool",
      tool_call_id: "c1",
      name: "search",
      content: '{"found":"all about tides"}',
      status: "success",
    }),
    expect.objectContaining({
      type: "ai",
      id: messageIdOf(run.runId, "model smart#2"),
      content: "The moon.",
      tool_calls: [],
    }),
  ]);
  expect((await longhaul.thread(threadId))?.state).toEqual(output);

  stage.fake.behave({ reply: { text: "You are welcome." } });
  const next = await longhaul.run(chat, { messages: [{ role: "user", content: "Thanks!" }] }, { threadId });
  expect(next.messages).toHaveLength(6);
  const asked = stage.fake.calls.at(-1)?.body as { messages: { role: string; content: unknown }[] };
  expect(asked.messages.map(({ role }) => role)).toEqual([
    "developer",
    "user",
    "assistant",
    "tool",
    "assistant",
    "user",
  ]);
});

test("what is said again, in other words, takes the place of what came of it", async () => {
  stage.fake.behave({ reply: { text: "first" } });
  const chat = chatAgent({ name: "regenerate", model: "smart" });
  const longhaul = await stage.aiWorker([chat]);
  const threadId = newId();
  const say = (content: string, id: string) =>
    longhaul.run(chat, { messages: [{ type: "human", id, content }] }, { threadId });
  await say("one", "m1");
  await say("two", "m2");
  stage.fake.behave({ reply: { text: "again" } });
  const texts = ({ messages }: ChatState) => messages.map(({ content }) => content);
  expect(texts(await say("two", "m2"))).toEqual(["one", "first", "two", "again"]);
  expect(texts(await say("uno", "m1"))).toEqual(["uno", "again"]);
  const removed = await longhaul.run(chat, { messages: [{ type: "remove", id: "m1" }, "three"] }, { threadId });
  expect(texts(removed)).toEqual(["again", "three", "again"]);
});

test("bad calls of the model are answered: unknown tools, arguments that do not fit or are no JSON, outputs too large, a denial", async () => {
  const turns = [
    {
      toolCalls: [
        { id: "a", name: "invented\u0000", arguments: {} },
        { id: "b", name: "search", arguments: { query: 1 } },
        { id: "c", name: "search", arguments: '{"query"' },
        { id: "d", name: "dump", arguments: {} },
        { id: "e", name: "refund", arguments: { amount: 1 } },
      ],
    },
    { text: "sorry" },
  ];
  stage.fake.behave({ reply: { turns } });
  const chat = chatAgent({
    name: "bad-calls",
    model: "smart",
    tools: {
      search,
      dump: tool({ inputSchema: z.object({}), execute: () => "x".repeat(50_000_000) }),
      refund: tool({ inputSchema: z.object({ amount: z.number() }), execute: () => "refunded" }),
    },
    approvals: ["refund"],
  });
  const longhaul = await stage.aiWorker([chat], { warmMs: 0 });
  const run = await longhaul.submit(chat, "go");
  const [question] = await until(async () => {
    const pending = await longhaul.approvals({ runId: run.runId, status: "pending" });
    return pending.length > 0 && pending;
  });
  await longhaul.deny(question?.approvalId ?? "", { by: "ann", comment: "no" });
  const { messages, text }: ChatState = await run.result();
  expect(text).toBe("sorry");
  const answers = messages.filter(({ type }) => type === "tool").map(({ content }) => content);
  expect(answers).toEqual([
    expect.stringMatching(/^There is no tool invented.*\. The tools are: search, dump, refund\.$/s),
    expect.stringMatching(/^The arguments of tool search do not fit its schema: \$\.query: /),
    expect.stringMatching(/they are no JSON object/),
    "Tool dump gave more than 4194304 bytes.",
    "Tool refund was not run: ann denied it: no.",
  ]);
  expect(stage.fake.calls).toHaveLength(2);
});

test("a call that the browser answers ends the run, and its result begins the next", async () => {
  const turns = [{ toolCalls: [{ id: "w", name: "where", arguments: {} }] }, { text: "In Ulm." }];
  stage.fake.behave({ reply: { turns } });
  const chat = chatAgent({ name: "elsewhere", model: "smart", tools: { where: tool({ inputSchema: z.object({}) }) } });
  const longhaul = await stage.aiWorker([chat]);
  const threadId = newId();
  const first = await longhaul.run(chat, "Where am I?", { threadId });
  expect(first.messages.at(-1)).toMatchObject({ type: "ai", tool_calls: [{ id: "w" }] });
  const answer = { type: "tool", tool_call_id: "w", name: "where", content: "Ulm" };
  expect((await longhaul.run(chat, { messages: [answer] }, { threadId })).text).toBe("In Ulm.");
});

test("what was said stays on the thread when the run fails, and when it is cancelled", async () => {
  const chat = chatAgent({ name: "unlucky", model: "smart", tools: { search } });
  const longhaul = await stage.aiWorker([chat]);
  const threadId = newId();
  stage.fake.next({ toolCalls: [{ id: "c1", name: "search", arguments: { query: "a" } }] }, { fault: "auth" });
  await rejection(longhaul.run(chat, "one", { threadId }));
  const kept = (await longhaul.thread(threadId))?.state as ChatState;
  expect(kept.messages.map(({ type }) => type)).toEqual(["human", "ai", "tool"]);
  stage.fake.behave({ reply: { fault: "hang_before_headers" } });
  const run = await longhaul.submit(chat, "two", { threadId });
  await stage.fake.received(3);
  await longhaul.cancel(run.runId);
  await rejection(run.result());
  stage.fake.behave({ reply: { text: "back" } });
  const after: ChatState = await longhaul.run(chat, "three", { threadId });
  expect(after.messages.map(({ content }) => content).filter((c) => typeof c === "string")).toEqual(
    expect.arrayContaining(["one", "two", "three", "back"]),
  );
});

test("a loop, and turns without end, end the run with their reasons", async () => {
  stage.fake.behave({ reply: { loop: { tool: "search", times: 99, arguments: { query: "same" } } } });
  const looping = chatAgent({ name: "looping", model: "smart", tools: { search } });
  const tireless = chatAgent({ name: "tireless", model: "smart", tools: { search }, loopGuard: false, maxTurns: 7 });
  const longhaul = await stage.aiWorker([looping, tireless]);
  const loop = await longhaul.submit(looping, "go");
  await rejection(loop.result());
  expect((await longhaul.get(loop.runId))?.reason).toBe("tool_loop");
  stage.fake.clear();
  const long = await longhaul.submit(tireless, "go");
  await rejection(long.result());
  expect((await longhaul.get(long.runId))?.reason).toBe("chat_turns_exceeded");
  expect(stage.fake.calls).toHaveLength(7);
});

test("a budget ends it with the reason, its conversation kept", async () => {
  stage.fake.behave({ reply: { loop: { tool: "search", times: 99, arguments: { query: "{round}" } } } });
  const frugal = chatAgent({ name: "frugal", model: "smart", tools: { search }, budget: { steps: 5 } });
  const longhaul = await stage.aiWorker([frugal]);
  const threadId = newId();
  const run = await longhaul.submit(frugal, "go", { threadId });
  await rejection(run.result());
  expect((await longhaul.get(run.runId))?.reason).toBe("budget_exceeded");
  const thread = await longhaul.thread(threadId);
  expect((thread?.state as ChatState | undefined)?.messages.length).toBeGreaterThan(3);
});

describe("500 turns", () => {
  test("resume in flat time: a late takeover replays no more than an early one", async () => {
    stage.fake.behave({ reply: { loop: { tool: "note", times: 500, arguments: { n: "{round}" } }, text: "done" } });
    const starts: number[] = [];
    const firstAsked: number[] = [];
    const waiting = [gate(), gate()];
    let told = 0;
    const long = chatAgent({
      name: "long",
      model: "smart",
      maxTurns: 1_000,
      // Called whenever a process takes the run up.
      tools: () => {
        starts.push(performance.now());
        return {
          note: tool({
            inputSchema: z.object({ n: z.number() }),
            execute: async ({ n }) => {
              if (starts.length > firstAsked.length) firstAsked.push(performance.now());
              if ((n === 30 && starts.length === 1) || (n === 480 && starts.length === 2)) {
                told = n;
                await waiting[starts.length - 1]?.opened;
              }
              return `noted ${n}: ${"x".repeat(50)}`;
            },
          }),
        };
      },
    });
    const longhaul = await stage.aiWorker([long], { slots: 1 });
    const run = await longhaul.submit(long, "go");
    const entriesSince = async () => {
      const journal = await journalOf(stage.db, run.runId);
      return journal.length - journal.findLastIndex(({ kind }) => kind === KIND.checkpoint) - 1;
    };
    const replayed: number[] = [];
    for (const [at, n] of [30, 480].entries()) {
      await until(() => told === n, 60_000);
      replayed.push(await entriesSince());
      await stage.takeOver(run.runId);
      await until(() => firstAsked.length === at + 2, 20_000);
      waiting[at]?.open();
    }
    expect((await run.result()).messages.length).toBe(1 + 500 * 2 + 1);
    // What a replay reads is bounded, however long the conversation.
    for (const entries of replayed) expect(entries).toBeLessThanOrEqual(230);
    const [early = 0, late = 0] = firstAsked.slice(1).map((ms, i) => ms - (starts[i + 1] ?? 0));
    expect(late).toBeLessThan(early + 400);
    expect(new Set(stage.fake.calls.map(({ fingerprint }) => fingerprint)).size).toBe(stage.fake.calls.length);
    const checkpoints = (await journalOf(stage.db, run.runId)).filter(({ kind }) => kind === KIND.checkpoint).length;
    expect(checkpoints).toBeGreaterThan(3);
  }, 120_000);
});

test("what is wrong with a declaration is said at once", () => {
  const code = (declare: () => unknown) => {
    try {
      declare();
      return null;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  expect(code(() => chatAgent({ name: "no model", model: "" }))).toBe("AGENT_INVALID");
  expect(code(() => chatAgent({ name: "x", model: "smart", maxTurns: 0 }))).toBe("AGENT_INVALID");
  expect(code(() => chatAgent({ name: "x", model: "smart", loopGuard: { inARow: 0 } }))).toBe("TOOL_INVALID");
  expect(code(() => chatAgent({ name: "x", model: "smart", tools: { search }, approvals: ["find" as "search"] }))).toBe(
    "TOOL_INVALID",
  );
});

test("an input that is no message is refused before anything is stored", async () => {
  const chat = chatAgent({ name: "picky", model: "smart" });
  const longhaul = await stage.aiWorker([chat]);
  for (const input of [
    1,
    { messages: [{ content: "x" }] },
    { messages: [{ role: "user" }] },
    { messages: [{ role: "tool", content: "x" }] },
  ])
    expect(await rejection(longhaul.submit(chat, input as never))).toMatchObject({ code: "INPUT_INVALID" });
});
