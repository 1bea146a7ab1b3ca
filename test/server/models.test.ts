// The OpenAI-compatible endpoint as OpenAI's own client libraries see it, before providers of every make.
import { describe, expect, test } from "vitest";
import { CLIENTS, clientOf, post, question, useModels } from "./models-stage.ts";

const stage = useModels(() => ({
  models: { smart: "anthropic/claude-sonnet-4-5", cheap: { try: ["openai/gpt-5-mini"] } },
}));

const TARGETS = [
  "openai/gpt-5-mini",
  "local/gpt-5-mini",
  "anthropic/claude-sonnet-4-5",
  "google/gemini-2.5-flash",
  "own/claude-haiku-4-5",
];

const weather = {
  type: "function" as const,
  function: {
    name: "weather",
    description: "The weather somewhere",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

describe.each(CLIENTS)("%s", (_, Client) => {
  const client = () => clientOf(Client, stage);

  describe.each(TARGETS)("before %s", (model) => {
    test("chats", async () => {
      stage.fake.behave({ reply: { text: "About a mile.", usage: { inputTokens: 1_000, outputTokens: 500 } } });
      const {
        data,
        response,
        request_id: requestId,
      } = await client()
        .chat.completions.create({ ...question(model), max_tokens: 50, temperature: 0.5 })
        .withResponse();
      expect(data).toMatchObject({
        object: "chat.completion",
        choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "About a mile." } }],
        usage: { prompt_tokens: 1_000, completion_tokens: 500, total_tokens: 1_500 },
      });
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "x-longhaul-model": model,
        "x-longhaul-attempts": "1",
        "x-longhaul-cache": "miss",
      });
      expect(requestId).toBe(response.headers.get("x-request-id"));
      expect(stage.fake.calls).toHaveLength(1);
    });

    test("streams, with the usage when it is asked for", async () => {
      stage.fake.behave({
        reply: { text: "One, two, three, four, five, six.", usage: { inputTokens: 10, outputTokens: 20 } },
      });
      const stream = await client().chat.completions.create({
        ...question(model),
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = "";
      let chunks = 0;
      let last: unknown;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? "";
        chunks += 1;
        last = chunk;
      }
      expect(text).toBe("One, two, three, four, five, six.");
      expect(chunks).toBeGreaterThan(3);
      expect(last).toMatchObject({ choices: [], usage: { prompt_tokens: 10, completion_tokens: 20 } });
    });

    test("streams without it when nobody asks, and knows what it was all the same", async () => {
      stage.fake.behave({ reply: { text: "One, two, three.", usage: { inputTokens: 11, outputTokens: 22 } } });
      const stream = await client().chat.completions.create({ ...question(model), stream: true });
      for await (const chunk of stream) {
        expect(chunk.choices).toHaveLength(1);
        expect(chunk).not.toHaveProperty("usage");
      }
      const report = await settledCosts({ inputTokens: 11, outputTokens: 22 });
      expect(report).toBeDefined();
    });

    test("calls tools, whole and bit by bit, and hears what they said", async () => {
      stage.fake.behave({
        reply: { loop: { tool: "weather", times: 1, parallel: 2, arguments: { city: "Rome {call}" } }, text: "Sunny." },
      });
      const asked = { ...question(model), tools: [weather], tool_choice: "auto" as const };
      const first = await client().chat.completions.create(asked);
      const message = first.choices[0]?.message;
      const calls = message?.tool_calls ?? [];
      expect(first.choices[0]?.finish_reason).toBe("tool_calls");
      expect(calls.map((call) => (call.type === "function" ? JSON.parse(call.function.arguments) : null))).toEqual([
        { city: "Rome 1" },
        { city: "Rome 2" },
      ]);
      const answered = {
        ...asked,
        messages: [
          ...asked.messages,
          message as NonNullable<typeof message>,
          ...calls.map(({ id }) => ({ role: "tool" as const, tool_call_id: id, content: "22 degrees" })),
        ],
      };
      expect((await client().chat.completions.create(answered)).choices[0]?.message.content).toBe("Sunny.");

      const runner = client().chat.completions.stream(asked);
      const streamed = await runner.finalChatCompletion();
      const again = streamed.choices[0]?.message.tool_calls ?? [];
      expect(again.map((call) => (call.type === "function" ? call.function.arguments : ""))).toEqual(
        calls.map((call) => (call.type === "function" ? call.function.arguments : "")),
      );
    });

    test("responds, whole and as a stream", async () => {
      stage.fake.behave({ reply: { text: "About a mile, I think.", usage: { inputTokens: 7, outputTokens: 8 } } });
      const whole = await client().responses.create({ model, input: "How far is it?", max_output_tokens: 60 });
      expect(whole).toMatchObject({
        object: "response",
        status: "completed",
        usage: { input_tokens: 7, output_tokens: 8 },
      });
      expect(whole.output_text).toBe("About a mile, I think.");

      const stream = client().responses.stream({ model, input: "How far is it?" });
      let text = "";
      for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
      expect(text).toBe("About a mile, I think.");
      const { output, status } = await stream.finalResponse();
      expect([status, JSON.stringify(output)]).toEqual([
        "completed",
        expect.stringContaining("About a mile, I think."),
      ]);
    });

    test("responds with tool calls", async () => {
      stage.fake.behave({
        reply: { loop: { tool: "weather", times: 1, arguments: { city: "Rome" } }, text: "Sunny." },
      });
      const { type, function: declared } = weather;
      const tools = [{ type, ...declared, strict: false }];
      const first = await client().responses.create({ model, input: "How is it in Rome?", tools });
      const [call] = first.output.filter((item) => item.type === "function_call");
      expect(call).toMatchObject({ name: "weather", arguments: '{"city":"Rome"}' });
      const second = await client().responses.create({
        model,
        tools,
        input: [
          { role: "user", content: "How is it in Rome?" },
          ...first.output,
          { type: "function_call_output", call_id: call?.call_id ?? "", output: "22 degrees" },
        ] as never,
      });
      expect(second.output_text).toBe("Sunny.");
    });
  });

  test.each(["openai/text-embedding-3-small", "local/text-embedding-3-small", "google/gemini-embedding-001"])(
    "embeds with %s",
    async (model) => {
      const texts = ["a", "b", "a"];
      const { data, usage } = await client().embeddings.create({ model, input: texts });
      const floats = await client().embeddings.create({ model, input: texts, encoding_format: "float" });
      expect(data.map(({ index }) => index)).toEqual([0, 1, 2]);
      expect(data[0]?.embedding.length).toBeGreaterThan(3);
      expect(data[0]?.embedding).toEqual(data[2]?.embedding);
      expect(data[0]?.embedding).not.toEqual(data[1]?.embedding);
      for (const [place, one] of floats.data.entries())
        for (const [at, value] of one.embedding.entries())
          expect(value).toBeCloseTo(data[place]?.embedding[at] ?? 0, 5);
      expect(usage.total_tokens).toBeGreaterThanOrEqual(0);
    },
  );

  test("lists models", async () => {
    const ids: string[] = [];
    for await (const model of client().models.list()) ids.push(model.id);
    expect(ids).toEqual(expect.arrayContaining(["smart", "cheap", "openai/*", "own/*"]));
    expect(await client().models.retrieve("openai/*")).toMatchObject({ id: "openai/*", owned_by: "openai" });
    await expect(client().models.retrieve("nobody")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });

  test("finds the model behind an alias", async () => {
    const { response } = await client().chat.completions.create(question("smart")).withResponse();
    expect(response.headers.get("x-longhaul-model")).toBe("anthropic/claude-sonnet-4-5");
  });
});

/** Waits until calls with these tokens have been written down. */
async function settledCosts({ inputTokens, outputTokens }: { inputTokens: number; outputTokens: number }) {
  for (let tries = 0; tries < 100; tries++) {
    const [row] = await stage.database.db.query<{ n: number }>(
      "select count(*) as n from longhaul.calls where state = 'succeeded' and input_tokens = $1 and output_tokens = $2",
      [inputTokens, outputTokens],
    );
    if ((row?.n ?? 0) > 0) return row;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

describe("what is passed on", () => {
  test("is the body as it came, but for the model's name", async () => {
    const text = `{ "model": "local/gpt-5-mini", "messages":[{"role":"user","content":"hi"}], "seed":12345678901234567890, "whatever": {"x": 1.0} }`;
    const sent: string[] = [];
    stage.fake.script = ({ body }) => {
      sent.push(JSON.stringify(body));
      return null;
    };
    const response = await post(stage, "chat/completions", text);
    stage.fake.script = null;
    expect(response.status).toBe(200);
    expect(stage.fake.calls[0]?.body).toEqual(JSON.parse(text.replace("local/", "")));
  });

  test("asks for the usage of a stream without the client noticing, and keeps what else it wants of it", async () => {
    const response = await post(stage, "chat/completions", {
      ...question("openai/gpt-5-mini"),
      stream: true,
      stream_options: { include_obfuscation: false },
    });
    const text = await response.text();
    expect(stage.fake.calls[0]?.body).toMatchObject({
      stream_options: { include_obfuscation: false, include_usage: true },
    });
    expect(text).not.toContain("usage");
    expect(text).toMatch(
      /\n\n: longhaul model=openai\/gpt-5-mini attempts=1 cache=miss cost-usd=0\.0[0-9]*\n\ndata: \[DONE\]\n\n$/,
    );
  });

  test("is not what runs on by itself at the provider, which nobody could meter", async () => {
    const response = await post(stage, "responses", { model: "openai/gpt-5-mini", input: "x", background: true });
    expect([response.status, ((await response.json()) as { error: unknown }).error]).toMatchObject([
      400,
      { param: "background" },
    ]);
  });
});
