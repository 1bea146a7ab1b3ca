// The official `openai` package, both majors, against the fake provider: chats, responses, embeddings, models, files and batches.
import OpenAI6 from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import OpenAI7 from "openai7";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startFakeProvider } from "../../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../../support/fake-provider/handle.ts";

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider();
});
afterEach(() => {
  fake.behave({});
  fake.clear();
});
afterAll(() => fake.close());

const majors = [
  { major: 6, Client: OpenAI6 },
  { major: 7, Client: OpenAI7 as unknown as typeof OpenAI6 },
];
const weather = {
  type: "function" as const,
  name: "weather",
  strict: true,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

describe.each(majors)("openai $major", ({ Client }) => {
  const client = (apiKey = fake.key) => new Client({ baseURL: fake.urls.openai, apiKey, maxRetries: 0 });
  const hello = { model: "gpt-5-mini", messages: [{ role: "user" as const, content: "hello" }] };

  it("chats, whole and streamed, with usage and a request id", async () => {
    fake.behave({ reply: { text: "Hëllo there, this is a fake", chunkCharacters: 4 } });
    const { data, request_id } = await client().chat.completions.create(hello).withResponse();
    expect(data.choices[0]?.message.content).toBe("Hëllo there, this is a fake");
    expect(data.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 7, total_tokens: 9 });
    expect(request_id).toMatch(/^req_fake_/);
    const stream = await client().chat.completions.create({
      ...hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let last: unknown;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      last = chunk;
    }
    expect(text).toBe("Hëllo there, this is a fake");
    expect(last).toMatchObject({ choices: [], usage: { total_tokens: 9 } });
  });

  it("sends no usage in a stream that did not ask for it", async () => {
    const stream = await client().chat.completions.create({ ...hello, stream: true });
    for await (const chunk of stream) expect(chunk.usage ?? null).toBeNull();
  });

  it("runs tools, several at a time", async () => {
    fake.behave({
      reply: { loop: { tool: "weather", times: 2, parallel: 2, arguments: { city: "Bern {call}" } }, text: "done" },
    });
    const seen: unknown[] = [];
    const runner = client().chat.completions.runTools({
      ...hello,
      stream: true,
      tools: [
        {
          type: "function",
          function: {
            name: "weather",
            description: "the weather",
            parameters: weather.parameters,
            parse: JSON.parse,
            function: async (input: unknown) => {
              seen.push(input);
              return "sunny";
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe("done");
    expect(seen).toEqual([1, 2, 3, 4].map((call) => ({ city: `Bern ${call}` })));
  });

  it("refuses a conversation in which a tool call has no result", async () => {
    const asked = { id: "call_1", type: "function" as const, function: { name: "weather", arguments: "{}" } };
    const messages = [...hello.messages, { role: "assistant" as const, tool_calls: [asked] }];
    await expect(client().chat.completions.create({ ...hello, messages })).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining("did not have response messages: call_1"),
    });
  });

  it("answers with an object of the schema", async () => {
    const schema = z.object({ names: z.array(z.string()).min(2), level: z.enum(["low", "high"]), nothing: z.null() });
    const response_format = zodResponseFormat(schema, "answer");
    const parsed = await client().chat.completions.parse({ ...hello, response_format });
    expect(schema.parse(parsed.choices[0]?.message.parsed).names).toHaveLength(2);
  });

  it("responds, whole and streamed, with tools, and goes on from a stored response", async () => {
    fake.behave({ reply: { turns: [{ text: "Wait.", toolCalls: [{ name: "weather" }] }, { text: "It is sunny" }] } });
    const first = await client().responses.create({ model: "gpt-5-mini", input: "weather?", tools: [weather] });
    expect(first.status).toBe("completed");
    const call = first.output.find((item) => item.type === "function_call");
    expect(JSON.parse(call?.arguments ?? "")).toEqual({ city: "fake city" });
    const stream = client().responses.stream({
      model: "gpt-5-mini",
      previous_response_id: first.id,
      tools: [weather],
      input: [{ type: "function_call_output", call_id: call?.call_id ?? "", output: "sunny" }],
    });
    const types = new Set<string>();
    for await (const event of stream) types.add(event.type);
    const final = await stream.finalResponse();
    expect(final.output).toMatchObject([{ type: "message", content: [{ text: "It is sunny" }] }]);
    expect(final.usage?.total_tokens).toBeGreaterThan(0);
    expect([...types]).toEqual(
      expect.arrayContaining(["response.created", "response.output_text.delta", "response.completed"]),
    );
    await expect(
      client().responses.create({ model: "gpt-5-mini", previous_response_id: "resp_gone", input: "and?" }),
    ).rejects.toMatchObject({ status: 400, code: "previous_response_not_found" });
  });

  it("embeds", async () => {
    const many = await client().embeddings.create({
      model: "text-embedding-3-small",
      input: ["a", "b"],
      dimensions: 8,
    });
    expect(many.data.map((one) => one.embedding.length)).toEqual([8, 8]);
    // The package asks for base64 and decodes it; asked for numbers, they are the same.
    const plain = await client().embeddings.create({
      model: "text-embedding-3-small",
      input: ["a", "b"],
      dimensions: 8,
      encoding_format: "float",
    });
    expect(many.data).toEqual(plain.data);
    expect(many.usage.total_tokens).toBe(2);
  });

  it("lists models", async () => {
    const models = await client().models.list();
    expect(models.data).toContainEqual(expect.objectContaining({ id: "gpt-5-mini", owned_by: "fake-provider" }));
    await expect(client().models.retrieve("gone")).rejects.toMatchObject({ status: 404 });
  });

  it("runs a batch from an uploaded file, with the items that fail in a file of their own", async () => {
    fake.behave({
      rules: [{ when: { contains: "bad" }, reply: { fault: "content_refused" } }],
      batches: { afterMs: 30 },
    });
    const line = (custom_id: string, content: string) =>
      JSON.stringify({
        custom_id,
        method: "POST",
        url: "/v1/chat/completions",
        body: { model: "gpt-5-mini", messages: [{ role: "user", content }] },
      });
    const lines = [line("one", "good"), line("two", "bad"), line("three", "good too")].join("\n");
    const file = await client().files.create({ purpose: "batch", file: new File([lines], "in.jsonl") });
    const { id } = await client().batches.create({
      input_file_id: file.id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
      metadata: { why: "test" },
    });
    expect((await client().batches.retrieve(id)).status).toBe("in_progress");
    const done = await ended(() => client().batches.retrieve(id));
    expect(done).toMatchObject({
      status: "completed",
      request_counts: { total: 3, completed: 2, failed: 1 },
      metadata: { why: "test" },
    });
    const results = await (await client().files.content(done.output_file_id ?? "")).text();
    const rows = results
      .trim()
      .split("\n")
      .map((row) => JSON.parse(row));
    expect(rows.map((row) => row.custom_id)).toEqual(["one", "three"]);
    expect(rows[0].response.body.choices[0].message.content).toContain("good");
    const failed = await (await client().files.content(done.error_file_id ?? "")).text();
    expect(JSON.parse(failed)).toMatchObject({ custom_id: "two", response: { status_code: 400 } });
    expect(fake.calls.filter((call) => call.batch === id)).toHaveLength(3);
  });

  it("cancels a batch", async () => {
    fake.behave({ batches: { outcome: "never" } });
    const file = await client().files.create({ purpose: "batch", file: new File(["{}"], "in.jsonl") });
    const request = { input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" } as const;
    const { id } = await client().batches.create(request);
    expect((await client().batches.cancel(id)).status).toBe("cancelling");
    expect((await ended(() => client().batches.retrieve(id))).status).toBe("cancelled");
    await client().files.delete(file.id);
    await expect(client().files.content(file.id)).rejects.toMatchObject({ status: 404 });
  });
});

async function ended<T extends { status: string }>(look: () => Promise<T>): Promise<T> {
  for (;;) {
    const batch = await look();
    if (!["validating", "in_progress", "finalizing", "cancelling"].includes(batch.status)) return batch;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
