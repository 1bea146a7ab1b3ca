// Calls that wait for a provider's own batches: submitted once, found again, half the price; what comes too late is asked live.
import { generateText } from "ai";
import { describe, expect, test } from "vitest";
import { type AnyAgent, agent } from "../../../src/index.ts";
import { useAiStage } from "../../agents/ai/stage.ts";
import { until } from "../../support/longhaul.ts";

const stage = useAiStage();

function patient(name: string, deadline: string, model = "openai/gpt-5-mini") {
  return agent({
    name,
    budget: { usd: 1 },
    async run(ctx, topic: unknown) {
      const waits = ctx.model(model, { batch: { maxDelay: "200 ms", deadline } });
      const { text } = await generateText({ model: waits, prompt: `about ${topic}`, ...ctx.ai });
      return text;
    },
  });
}

function worker(agents: readonly AnyAgent[]) {
  const { urls, key: apiKey } = stage.fake;
  const providers = {
    openai: { api: "chat", baseUrl: urls.openai, apiKey },
    anthropic: { baseUrl: urls.anthropic, apiKey },
    google: { baseUrl: urls.google, apiKey },
  } as const;
  return stage.worker(agents, { warmMs: 0 }, { gateway: { providers } });
}

interface Row {
  readonly state: string;
  readonly source: string;
  readonly nano_usd: string;
  readonly input_tokens: string;
  readonly output_tokens: string;
}
const callsOf = (runIds: readonly string[]): Promise<Row[]> =>
  stage.db.query<Row>("select * from longhaul.calls where run_id = any($1::uuid[]) order by opened_at", [runIds]);

const MODEL_CALLS = ["chat", "messages", "generate"];

describe.each([
  ["openai", "openai/gpt-5-mini"],
  ["anthropic", "anthropic/claude-haiku-4-5"],
  ["google", "google/gemini-2.5-flash"],
])("of %s", (provider, model) => {
  test("calls of many runs are one batch at half the price, their runs sleep meanwhile", async () => {
    stage.fake.behave({ reply: { text: "words" } });
    const program = patient(`patient-${provider}`, "1 h", model);
    const live = agent({
      name: `live-${provider}`,
      run: async (ctx) => (await generateText({ model: ctx.model(model), prompt: "about a", ...ctx.ai })).text,
    });
    const longhaul = await worker([program, live]);
    const handles = await Promise.all(["a", "b", "c"].map((topic) => longhaul.submit(program, topic)));
    await until(async () => (await longhaul.get(handles[0]?.runId ?? ""))?.status === "waiting");
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(["words", "words", "words"]);
    expect(new Set(stage.fake.calls.filter(({ batch }) => batch != null).map(({ batch }) => batch)).size).toBe(1);
    expect(
      stage.fake.calls.filter(({ operation, batch }) => MODEL_CALLS.includes(operation) && batch == null),
    ).toHaveLength(0);
    const rows = await callsOf(handles.map(({ runId }) => runId));
    expect(rows.map(({ state, source }) => `${state} ${source}`)).toEqual(Array(3).fill("succeeded batch"));
    const handle = await longhaul.submit(live, null);
    await handle.result();
    const [whole] = await callsOf([handle.runId]);
    const batched = rows.find(
      (row) => row.input_tokens === whole?.input_tokens && row.output_tokens === whole?.output_tokens,
    );
    expect(Number(batched?.nano_usd)).toBe(Math.ceil(Number(whole?.nano_usd) / 2));
  }, 120_000);

  test("what is not answered at its deadline is asked live", async () => {
    stage.fake.behave({ reply: { text: "at last" }, batches: { outcome: "never" } });
    const program = patient(`late-${provider}`, "3 s", model);
    const longhaul = await worker([program]);
    const handle = await longhaul.submit(program, "x");
    expect(await handle.result()).toBe("at last");
    const rows = await callsOf([handle.runId]);
    expect(rows.map(({ state, source }) => `${state} ${source}`)).toEqual(["failed batch", "succeeded provider"]);
  }, 120_000);

  test("a batch of which nobody knows whether it was sent is found again, not paid twice", async () => {
    stage.fake.behave({ reply: { text: "once" }, batches: { afterMs: 4_000 } });
    const program = patient(`unsure-${provider}`, "1 h", model);
    const longhaul = await worker([program]);
    const handle = await longhaul.submit(program, "y");
    const sent = "state = 'sent' and remote_id is not null";
    await until(async () => (await stage.db.query(`select 1 from longhaul.batches where ${sent}`)).length > 0);
    // As if the process had died before it heard the provider's answer.
    await stage.db.query(`update longhaul.batches set remote_id = null, lease_until = clock_timestamp() where ${sent}`);
    expect(await handle.result()).toBe("once");
    expect(stage.fake.calls.filter(({ batch }) => batch != null)).toHaveLength(1);
    expect(await callsOf([handle.runId])).toMatchObject([{ state: "succeeded", source: "batch" }]);
  }, 120_000);
});

test("a deadline before the delay is refused", async () => {
  const program = patient("hasty", "100 ms");
  const longhaul = await worker([program]);
  await expect(longhaul.run(program, "x")).rejects.toThrow(/cannot wait 200 ms for others/);
}, 120_000);
