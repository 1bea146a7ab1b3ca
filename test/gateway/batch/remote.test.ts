// Calls that wait for OpenAI's own batches: submitted once, found again, half the price; what comes too late is asked live.
import { generateText } from "ai";
import { expect, test } from "vitest";
import { agent } from "../../../src/index.ts";
import { useAiStage } from "../../agents/ai/stage.ts";
import { until } from "../../support/longhaul.ts";

const stage = useAiStage();

function patient(name: string, deadline: string) {
  return agent({
    name,
    budget: { usd: 1 },
    async run(ctx, topic: unknown) {
      const model = ctx.model("smart", { batch: { maxDelay: "200 ms", deadline } });
      const { text } = await generateText({ model, prompt: `about ${topic}`, ...ctx.ai });
      return text;
    },
  });
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

test("calls of many runs are one batch at half the price, their runs sleep meanwhile", async () => {
  stage.fake.behave({ reply: { text: "words" } });
  const program = patient("patient", "1 h");
  const live = agent({
    name: "live",
    run: async (ctx) => (await generateText({ model: ctx.model("smart"), prompt: "about a", ...ctx.ai })).text,
  });
  const longhaul = await stage.aiWorker([program, live], { warmMs: 0 });
  const handles = await Promise.all(["a", "b", "c"].map((topic) => longhaul.submit(program, topic)));
  await until(async () => (await longhaul.get(handles[0]?.runId ?? ""))?.status === "waiting");
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(["words", "words", "words"]);
  expect(new Set(stage.fake.calls.filter(({ batch }) => batch != null).map(({ batch }) => batch)).size).toBe(1);
  expect(stage.fake.calls.filter(({ operation, batch }) => operation === "chat" && batch == null)).toHaveLength(0);
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
  const program = patient("late", "3 s");
  const longhaul = await stage.aiWorker([program], { warmMs: 0 });
  const handle = await longhaul.submit(program, "x");
  expect(await handle.result()).toBe("at last");
  const rows = await callsOf([handle.runId]);
  expect(rows.map(({ state, source }) => `${state} ${source}`)).toEqual(["failed batch", "succeeded provider"]);
}, 120_000);

test("a batch of which nobody knows whether it was sent is found again, not paid twice", async () => {
  stage.fake.behave({ reply: { text: "once" }, batches: { afterMs: 4_000 } });
  const program = patient("unsure", "1 h");
  const longhaul = await stage.aiWorker([program], { warmMs: 0 });
  const handle = await longhaul.submit(program, "y");
  const sent = "state = 'sent' and remote_id is not null";
  await until(async () => (await stage.db.query(`select 1 from longhaul.batches where ${sent}`)).length > 0);
  // As if the process had died before it heard the provider's answer.
  await stage.db.query(`update longhaul.batches set remote_id = null, lease_until = clock_timestamp() where ${sent}`);
  expect(await handle.result()).toBe("once");
  expect(stage.fake.calls.filter(({ batch }) => batch != null)).toHaveLength(1);
  expect(await callsOf([handle.runId])).toMatchObject([{ state: "succeeded", source: "batch" }]);
}, 120_000);

test("a deadline before the delay is refused", async () => {
  const program = patient("hasty", "100 ms");
  const longhaul = await stage.aiWorker([program]);
  await expect(longhaul.run(program, "x")).rejects.toThrow(/cannot wait 200 ms for others/);
}, 120_000);
