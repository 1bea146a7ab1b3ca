// uiMessageStream behind a real HTTP server, spoken to by the AI SDK's own transport and chat, in both majors.
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import * as ai6 from "ai";
import * as ai7 from "ai7";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { chatAgent, tool, type UiMessageStreamOptions, uiMessageStream } from "../../../src/ai.ts";
import { type AnyAgent, agent } from "../../../src/index.ts";
import { gate, until } from "../../support/longhaul.ts";
import { useAiStage } from "./stage.ts";

const stage = useAiStage();
const WORDS = "The quick brown fox jumps over the lazy dog.";
const servers: Server[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))));

async function serve(agents: readonly AnyAgent[], options: Partial<UiMessageStreamOptions> = {}) {
  const longhaul = await stage.aiWorker(agents, { warmMs: 0 });
  const fetch = uiMessageStream({ longhaul, agent: agents[0] as AnyAgent, ...options });
  const server = createAdaptorServer({ fetch }) as Server;
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { longhaul, api: `http://127.0.0.1:${port}/api/chat` };
}

const MAJORS = [
  ["6", ai6],
  ["7", ai7 as unknown as typeof ai6],
] as const;

describe.each(MAJORS)("with ai %s", (major, ai) => {
  type Message = ai6.UIMessage;

  /** What React's useChat does, without React. */
  function chatOf(api: string, id: string, messages: Message[] = []) {
    const state = {
      status: "ready" as ai6.ChatStatus,
      error: undefined as Error | undefined,
      messages,
      pushMessage: (message: Message) => {
        state.messages = [...state.messages, message];
      },
      popMessage: () => {
        state.messages = state.messages.slice(0, -1);
      },
      replaceMessage: (index: number, message: Message) => {
        state.messages = state.messages.map((old, i) => (i === index ? structuredClone(message) : old));
      },
      snapshot: <T>(value: T): T => structuredClone(value),
    };
    class Chat extends ai.AbstractChat<Message> {
      constructor() {
        super({
          id,
          state,
          transport: new ai.DefaultChatTransport<Message>({ api }),
          sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses,
        });
      }
    }
    return new Chat();
  }
  const texts = (message: Message | undefined) =>
    (message?.parts ?? []).flatMap((part) => (part.type === "text" ? [part.text] : []));
  const idOf = (part: Record<string, unknown> | undefined) =>
    (part?.["approval"] as { id: string } | undefined)?.id ?? "";
  const toolParts = (message: Message | undefined) =>
    (message?.parts ?? []).filter((part) => part.type.startsWith("tool-")) as unknown as Record<string, unknown>[];

  test("a conversation: words as they come, tools with their results, and the thread that keeps it", async () => {
    const turns = [
      { text: "Let me look.", toolCalls: [{ id: "c1", name: "search", arguments: { query: "tides" } }] },
      { text: WORDS },
    ];
    stage.fake.behave({ reply: { turns }, chunkCharacters: 6, chunkMs: 10 });
    const search = tool({ inputSchema: z.object({ query: z.string() }), execute: ({ query }) => ({ found: query }) });
    const { api } = await serve([chatAgent({ name: `ui-${major}`, model: "smart", tools: { search } })]);
    const chat = chatOf(api, `chat of ${major}`);
    await chat.sendMessage({ text: "Why tides?" });
    expect(chat.error).toBeUndefined();
    expect(chat.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    expect(texts(chat.lastMessage)).toEqual(["Let me look.", WORDS]);
    expect(toolParts(chat.lastMessage)).toEqual([
      expect.objectContaining({
        type: "tool-search",
        toolCallId: "c1",
        state: "output-available",
        input: { query: "tides" },
        output: { found: "tides" },
      }),
    ]);
    expect(chat.lastMessage?.parts.every((part) => !("state" in part) || part.state !== "streaming")).toBe(true);
    await chat.sendMessage({ text: "And then?" });
    expect(chat.messages).toHaveLength(4);
    const asked = stage.fake.calls.at(-1)?.body as { messages: unknown[] };
    // Both questions, both rounds of the tool, and the first answer.
    expect(asked.messages).toHaveLength(7);
    stage.fake.behave({ reply: { text: "Once more." } });
    await chat.regenerate();
    expect(chat.messages).toHaveLength(4);
    expect(texts(chat.lastMessage)).toEqual(["Once more."]);
  });

  test("the bytes are the protocol's", async () => {
    stage.fake.behave({ reply: { text: WORDS } });
    const { api } = await serve([chatAgent({ name: `bytes-${major}`, model: "smart" })]);
    const message = { id: "m1", role: "user", parts: [{ type: "text", text: "go" }] };
    const response = await fetch(api, { method: "POST", body: JSON.stringify({ id: "b", messages: [message] }) });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("x-vercel-ai-ui-message-stream")).toBe("v1");
    const frames = (await response.text()).trimEnd().split("\n\n");
    expect(frames.at(-1)).toBe("data: [DONE]");
    const chunks = frames.slice(0, -1).map((frame) => JSON.parse(frame.replace(/^data: /, "")) as { type: string });
    expect(chunks[0]).toEqual({ type: "start", messageId: response.headers.get("x-longhaul-run-id") });
    expect(chunks.map(({ type }) => type).filter((type) => type !== "text-delta")).toEqual([
      ...["start", "start-step", "text-start", "text-end", "finish-step", "finish"],
    ]);
    // readUIMessageStream agrees.
    const stream = new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(chunk);
        controller.close();
      },
    });
    let last: Message | undefined;
    for await (const read of ai.readUIMessageStream({ stream: stream as never })) last = read as Message;
    expect(texts(last)).toEqual([WORDS]);
  });

  test("who reconnects in the middle of a message gets it from its start, once", async () => {
    stage.fake.behave({ reply: { text: WORDS }, chunkCharacters: 4, chunkMs: 60 });
    const { api } = await serve([chatAgent({ name: `reconnect-${major}`, model: "smart" })]);
    const first = chatOf(api, "again");
    const sending = first.sendMessage({ text: "go" });
    await until(() => texts(first.lastMessage).join("").length > 8);
    const cut = texts(first.lastMessage).join("");
    await first.stop();
    await sending;
    expect(WORDS.startsWith(cut)).toBe(true);
    // The same page goes on…
    await first.resumeStream();
    expect(texts(first.lastMessage)).toEqual([WORDS]);
    expect(first.messages).toHaveLength(2);
    // …and another one finds nothing under way.
    const second = chatOf(api, "again");
    await second.resumeStream();
    expect(second.messages).toEqual([]);
    expect(stage.fake.calls).toHaveLength(1);
  });

  test("an approval is asked and answered in the browser, and the same message goes on", async () => {
    const turns = [{ toolCalls: [{ id: "r1", name: "refund", arguments: { amount: 5 } }] }, { text: "Refunded." }];
    stage.fake.behave({ reply: { turns } });
    const refund = tool({
      inputSchema: z.object({ amount: z.number() }),
      needsApproval: true,
      execute: ({ amount }) => amount,
    });
    const { api, longhaul } = await serve(
      [chatAgent({ name: `approve-${major}`, model: "smart", tools: { refund } })],
      { by: "ann" },
    );
    const chat = chatOf(api, "refunds");
    await chat.sendMessage({ text: "Refund me." });
    const [asked] = toolParts(chat.lastMessage);
    expect(asked).toMatchObject({ state: "approval-requested", input: { amount: 5 } });
    // Whoever opens the page now sees the question too.
    const other = chatOf(api, "refunds", chat.messages.slice(0, 1));
    await other.resumeStream();
    expect(toolParts(other.lastMessage)).toEqual([expect.objectContaining({ state: "approval-requested" })]);
    await chat.addToolApprovalResponse({ id: idOf(asked), approved: true });
    await until(() => chat.status === "ready" && texts(chat.lastMessage).length === 1);
    expect(chat.messages).toHaveLength(2);
    expect(toolParts(chat.lastMessage)).toEqual([expect.objectContaining({ state: "output-available", output: 5 })]);
    expect(texts(chat.lastMessage)).toEqual(["Refunded."]);
    const [approval] = await longhaul.approvals();
    expect(approval).toMatchObject({ status: "approved", resolvedBy: "ann" });
  });

  test("a denial is shown as one", async () => {
    stage.fake.behave({
      reply: { turns: [{ toolCalls: [{ id: "r1", name: "refund", arguments: {} }] }, { text: "All right." }] },
    });
    const refund = tool({ inputSchema: z.object({}), needsApproval: true, execute: () => 1 });
    const { api } = await serve([chatAgent({ name: `deny-${major}`, model: "smart", tools: { refund } })]);
    const chat = chatOf(api, "no");
    await chat.sendMessage({ text: "Refund me." });
    const [asked] = toolParts(chat.lastMessage);
    const id = idOf(asked);
    await chat.addToolApprovalResponse({ id, approved: false, reason: "no" });
    await until(() => chat.status === "ready" && texts(chat.lastMessage).length === 1);
    expect(toolParts(chat.lastMessage)).toEqual([expect.objectContaining({ state: "output-denied" })]);
  });

  test("a tool of the browser's is answered there, and the message goes on", async () => {
    stage.fake.behave({
      reply: { turns: [{ toolCalls: [{ id: "w", name: "where", arguments: {} }] }, { text: "In Ulm." }] },
    });
    const { api } = await serve([
      chatAgent({ name: `where-${major}`, model: "smart", tools: { where: tool({ inputSchema: z.object({}) }) } }),
    ]);
    const chat = chatOf(api, "place");
    await chat.sendMessage({ text: "Where am I?" });
    expect(toolParts(chat.lastMessage)).toEqual([expect.objectContaining({ state: "input-available" })]);
    await chat.addToolOutput({ tool: "where", toolCallId: "w", output: "Ulm" } as never);
    await chat.sendMessage();
    expect(chat.error).toBeUndefined();
    expect(chat.messages).toHaveLength(2);
    expect(texts(chat.lastMessage)).toEqual(["In Ulm."]);
  });

  test("what an attempt said that broke off is marked, and the whole answer follows", async () => {
    stage.fake.next(
      {
        text: "An answer that will break off.",
        chunkCharacters: 5,
        chunkMs: 20,
        fault: { kind: "reset_mid_stream", afterChunks: 4 },
      },
      { text: WORDS },
    );
    const { api } = await serve([chatAgent({ name: `retry-${major}`, model: "smart" })]);
    const chat = chatOf(api, "retry");
    await chat.sendMessage({ text: "go" });
    const parts = (chat.lastMessage?.parts ?? []).filter((part) => part.type === "text");
    expect(parts.map(({ providerMetadata, text }) => [providerMetadata?.["longhaul"] ?? null, text])).toEqual([
      [{ replaced: true }, expect.stringMatching(/^An an/)],
      [null, WORDS],
    ]);
  });

  test("an agent of one's own that streams with the AI SDK, its events, and how it fails", async () => {
    stage.fake.behave({ reply: { text: WORDS } });
    const own = agent({
      name: `own-${major}`,
      async run(ctx, input) {
        if (input === "fail") throw new Error("out of order");
        ctx.emit("progress", { part: 1 });
        return await ai.streamText({ model: ctx.model("smart"), prompt: String(input), ...ctx.ai }).text;
      },
    });
    const input = (request: { messages: readonly { parts: readonly { type: string }[] }[] }) =>
      (request.messages.at(-1)?.parts[0] as { text?: string } | undefined)?.text;
    const { api } = await serve([own], { input });
    const chat = chatOf(api, "own");
    await chat.sendMessage({ text: "go" });
    expect(texts(chat.lastMessage)).toEqual([WORDS]);
    expect(chat.lastMessage?.parts).toContainEqual(
      expect.objectContaining({ type: "data-progress", data: { part: 1 } }),
    );
    await chat.sendMessage({ text: "fail" });
    expect(chat.error?.message).toBe("out of order");
  });
});

test("a question of another chat is not answered here", async () => {
  const turns = [{ toolCalls: [{ id: "r1", name: "refund", arguments: {} }] }, { text: "done" }];
  stage.fake.behave({ reply: { turns } });
  const refund = tool({ inputSchema: z.object({}), needsApproval: true, execute: () => 1 });
  const { api, longhaul } = await serve([chatAgent({ name: "theirs", model: "smart", tools: { refund } })]);
  const post = (id: string, messages: unknown[]) =>
    fetch(api, { method: "POST", body: JSON.stringify({ id, messages }) });
  const question = { id: "m1", role: "user", parts: [{ type: "text", text: "go" }] };
  await (await post("one", [question])).text();
  await (await post("two", [question])).text();
  const pending = await longhaul.approvals({ status: "pending" });
  expect(pending).toHaveLength(2);
  const part = {
    type: "tool-refund",
    toolCallId: "r1",
    state: "approval-responded",
    approval: { id: pending[0]?.approvalId, approved: true },
  };
  const other = (await longhaul.get(pending[0]?.runId ?? ""))?.runId;
  const answers = await Promise.all(
    ["one", "two"].map(
      async (id) => (await post(id, [question, { id: "a", role: "assistant", parts: [part] }])).status,
    ),
  );
  expect(answers.sort()).toEqual([200, 410]);
  expect((await longhaul.get(other ?? ""))?.status).not.toBe("waiting");
});

test("requests that are none are refused with what is wrong", async () => {
  const { api } = await serve([chatAgent({ name: "strict", model: "smart" })]);
  const post = async (body: string) => {
    const response = await fetch(api, { method: "POST", body });
    return [response.status, ((await response.json()) as { code: string }).code];
  };
  const message = { id: "a", role: "assistant", parts: [] };
  for (const body of [
    "",
    "{",
    "{}",
    '{"id":"x","messages":[]}',
    '{"id":"x","messages":[{}]}',
    JSON.stringify({ id: "x", messages: [message] }),
  ])
    expect(await post(body)).toEqual([422, "REQUEST_INVALID"]);
  expect((await fetch(`${api}/nothing/stream`)).status).toBe(204);
  expect((await fetch(`${api}/%ff/stream`)).status).toBe(422);
  expect((await fetch(api, { method: "PUT" })).status).toBe(422);
});

test("a chat that is stopped cancels its run", async () => {
  stage.fake.behave({ reply: { text: WORDS, fault: "hang_mid_stream" } });
  const { api, longhaul } = await serve([chatAgent({ name: "stopped", model: "smart" })]);
  const messages = [{ id: "m1", role: "user", parts: [{ type: "text", text: "go" }] }];
  const response = await fetch(api, { method: "POST", body: JSON.stringify({ id: "s", messages }) });
  const runId = response.headers.get("x-longhaul-run-id") ?? "";
  await stage.fake.received(1);
  expect((await fetch(`${api}/s/stream`, { method: "DELETE" })).status).toBe(204);
  expect(await response.text()).toContain('"type":"abort"');
  expect((await longhaul.get(runId))?.status).toBe("cancelled");
});

test("a server that goes away in the middle does not stop the run", async () => {
  stage.fake.behave({ reply: { text: WORDS }, chunkCharacters: 5, chunkMs: 20 });
  const hold = gate();
  const slow = agent({
    name: "slow",
    run: async (ctx) => {
      const { text } = await ai6.generateText({ model: ctx.model("smart"), prompt: "go" });
      await ctx.step("hold", () => hold.opened);
      return text;
    },
  });
  const { api, longhaul } = await serve([slow]);
  const messages = [{ id: "m1", role: "user", parts: [{ type: "text", text: "go" }] }];
  const away = new AbortController();
  const response = await fetch(api, {
    method: "POST",
    body: JSON.stringify({ id: "s", messages }),
    signal: away.signal,
  });
  const runId = response.headers.get("x-longhaul-run-id") ?? "";
  away.abort();
  hold.open();
  expect(await longhaul.wait(runId)).toEqual({ status: "succeeded", output: WORDS });
});
