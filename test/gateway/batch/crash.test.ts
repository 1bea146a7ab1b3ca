// The process that has sent a batch is killed: another sends it again, once; what was recorded is paid once, what may have been is charged.
import { expect, test } from "vitest";
import { useAiStage } from "../../agents/ai/stage.ts";
import { until } from "../../support/longhaul.ts";
import { startWorker } from "../../support/worker-process.ts";
import { agents } from "./batch-agents.ts";

const stage = useAiStage();
const MODULE = new URL("./batch-agents.ts", import.meta.url);
const NUMBERS = [1, 2, 3, 4, 5, 6];

function answer(): void {
  stage.fake.script = ({ lastUserText }) => {
    const { items } = JSON.parse(lastUserText) as { items: { id: number; input: number }[] };
    return { json: { results: items.map(({ id, input }) => ({ id, output: { even: input % 2 === 0 } })) } };
  };
}

interface Row {
  readonly state: string;
  readonly nano_usd: string;
}

test("another process takes over what a killed one had sent", async () => {
  answer();
  stage.fake.behave({ latencyMs: 60_000 });
  const options = { url: stage.url, build: stage.build, module: MODULE, gateway: stage.gateway };
  const client = await stage.client(agents);
  const victim = await startWorker(options);
  const handles = await Promise.all(NUMBERS.map((n) => client.submit("even", n)));
  await until(() => stage.fake.calls.length > 0);
  await victim.kill();
  stage.fake.behave({ latencyMs: 0 });
  await client.freeWorker(victim.workerId);
  // Nobody waits ten seconds for the dead one's batch here.
  await stage.db.query("update longhaul.batches set lease_until = clock_timestamp() where state <> 'closed'");
  const heir = await startWorker(options);
  const outputs = await Promise.all(handles.map((handle) => handle.result()));
  expect(outputs).toEqual(NUMBERS.map((n) => n % 2 === 0));
  const sent = stage.fake.calls.map(({ body }) => JSON.stringify(body));
  for (const n of NUMBERS) {
    const times = sent.filter((body) => body.includes(`\\"input\\":${n}}`)).length;
    expect(times).toBeGreaterThanOrEqual(1);
    expect(times).toBeLessThanOrEqual(2);
  }
  const ids = handles.map(({ runId }) => runId);
  const calls = await stage.db.query<Row>("select * from longhaul.calls where run_id = any($1::uuid[])", [ids]);
  expect(calls).toHaveLength(NUMBERS.length);
  expect(calls.map(({ state }) => state)).toEqual(NUMBERS.map(() => "succeeded"));
  const items = await stage.db.query<Row>("select * from longhaul.batch_items where run_id = any($1::uuid[])", [ids]);
  const sum = (rows: readonly Row[]): bigint => rows.reduce((total, row) => total + BigInt(row.nano_usd), 0n);
  // The items that were out when the process died bear their estimate as well.
  expect(sum(calls)).toBe(sum(items));
  const [batches] = await stage.db.query<{ nano: string }>(
    "select sum(nano_usd)::text as nano from longhaul.batches where tenant_id = 'default' and batcher = $1",
    [`${stage.build}/classify`],
  );
  expect(sum(calls)).toBeGreaterThan(BigInt(batches?.nano ?? 0));
  await heir.kill();
}, 180_000);

test("what was settled before the kill is not asked again", async () => {
  answer();
  const options = { url: stage.url, build: stage.build, module: MODULE, gateway: stage.gateway };
  const client = await stage.client(agents);
  const victim = await startWorker(options);
  const handles = await Promise.all(NUMBERS.map((n) => client.submit("even", n)));
  await until(async () => {
    const rows = await stage.db.query(
      "select 1 from longhaul.batch_items where state = 'done' and run_id = any($1::uuid[])",
      [handles.map(({ runId }) => runId)],
    );
    return rows.length > 0;
  });
  await victim.kill();
  await client.freeWorker(victim.workerId);
  await stage.db.query("update longhaul.batches set lease_until = clock_timestamp() where state <> 'closed'");
  const settled = await stage.db.query<{ payload: string }>(
    "select payload from longhaul.batch_items where state = 'done' and run_id = any($1::uuid[])",
    [handles.map(({ runId }) => runId)],
  );
  stage.fake.clear();
  const heir = await startWorker(options);
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(NUMBERS.map((n) => n % 2 === 0));
  const sent = stage.fake.calls.map(({ body }) => JSON.stringify(body)).join("\n");
  for (const { payload } of settled) expect(sent).not.toContain(`\\"input\\":${payload}}`);
  await heir.kill();
}, 180_000);
