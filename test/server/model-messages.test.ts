// A model's words on their way: provider, gateway, step, stream, LangGraph's own client. Also when the provider breaks off in the middle.
import { MessageTupleManager } from "@langchain/langgraph-sdk/ui";
import { streamText } from "ai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { connect, type LonghaulProcess } from "../../src/runtime/connect.ts";
import { type RunningServer, serve } from "../../src/server/index.ts";
import { gatewayOf } from "../agents/ai/stage.ts";
import { startFakeProvider } from "../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../support/fake-provider/handle.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { clientOf, collect, type Part, silent } from "./harness.ts";

const talker = agent({
  name: "talker",
  async run(ctx) {
    const result = streamText({ model: ctx.model("smart"), prompt: "talk", ...ctx.ai });
    return { text: await result.text };
  },
});

let database: FreshDatabase;
let fake: FakeProvider;
let longhaul: LonghaulProcess;
let server: RunningServer;
beforeAll(async () => {
  database = await freshDatabase();
  fake = await startFakeProvider();
  longhaul = await connect({ url: database.url, agents: [talker], gateway: gatewayOf(fake.urls.openai, fake.key) });
  server = await serve({ longhaul, port: 0, log: silent });
});
afterAll(async () => {
  await server.close();
  await longhaul.close();
  await fake.close();
  await database.drop();
});

const TEXT = "one two three four five six seven eight";

async function talk(): Promise<Part[]> {
  const client = clientOf(server);
  const { thread_id: threadId } = await client.threads.create();
  return collect(
    client.runs.stream(threadId, "talker", { input: null, streamMode: ["messages-tuple", "messages", "values"] }),
  );
}

/** The message that a client has put together in the end. */
function putTogether(parts: readonly Part[]): Record<string, unknown> {
  const manager = new MessageTupleManager();
  let id = "";
  for (const { event, data } of parts) if (event === "messages") id = manager.add(...(data as [never, never])) ?? id;
  return manager.get(id)?.chunk as unknown as Record<string, unknown>;
}

test("arrive piece by piece, with usage at the end", async () => {
  fake.behave({ reply: { text: TEXT }, chunkCharacters: 6, chunkMs: 250 });
  const parts = await talk();
  const partial = parts.filter(({ event }) => event === "messages/partial");
  expect(partial.length).toBeGreaterThan(3);
  const message = {
    content: TEXT,
    response_metadata: { finish_reason: "stop" },
    usage_metadata: { output_tokens: expect.any(Number) },
  };
  expect(parts.find(({ event }) => event === "messages/complete")?.data).toMatchObject([{ type: "ai", ...message }]);
  expect(putTogether(parts)).toMatchObject(message);
  expect(parts.at(-1)).toMatchObject({ event: "values", data: { text: TEXT } });
});

test("of an attempt that broke off are taken back by the next", async () => {
  const broken = {
    text: "These words are never heard of again.",
    fault: { kind: "reset_mid_stream", afterChunks: 5 },
  } as const;
  fake.behave({ rules: [{ times: 1, reply: broken }], reply: { text: TEXT }, chunkCharacters: 6, chunkMs: 10 });
  const parts = await talk();
  const types = parts
    .filter(({ event }) => event === "messages")
    .map(({ data }) => (data as { type: string }[])[0]?.type);
  expect(types).toContain("remove");
  expect(JSON.stringify(parts.filter(({ event }) => event === "messages/partial"))).toContain("These");
  expect(putTogether(parts)).toMatchObject({ content: TEXT });
  expect(parts.at(-1)).toMatchObject({ event: "values", data: { text: TEXT } });
});
