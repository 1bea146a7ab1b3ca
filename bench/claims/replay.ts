// Taking a run up again from its journal: a thousand steps, beside what it costs to read and decode them at all.
import { agent, connect, type Longhaul } from "../../src/index.ts";
import type { Claim } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { median } from "../lab/statistics.ts";
import { until } from "../lab/until.ts";

export const replay: Claim = {
  name: "replay",
  sentence: "Replaying 1,000 steps is one query and at most three times the bare fetch and decode",
  async measure(lab) {
    const steps = lab.size(1_000, 200);
    const database = await lab.database();
    const lines = new Map<string, number>();
    const recorder = agent({
      name: "recorder",
      async run(ctx, input) {
        const count = input as number;
        for (let step = 0; step < count; step++) await ctx.step("step", () => ({ text: "what the model said", step }));
        await ctx.signal("go");
        lines.set(ctx.runId, performance.now());
      },
    });
    // Nothing is kept warm: every answer finds the run in the database only.
    const longhaul = await connect({ url: database.url, agents: [recorder], worker: { warmMs: 0 } });
    const wake = (count: number): Promise<number> => wakeOne(longhaul, recorder.name, count, lines);
    const full: number[] = [];
    const empty: number[] = [];
    const bare: number[] = [];
    let queries = 0;
    lab.say(`${steps} steps, ${lab.size(9, 3)} times`);
    for (let round = 0; round <= lab.size(9, 3); round++) {
      const before = await journalReads(lab, database.url);
      const fullMs = await wake(steps);
      queries = (await journalReads(lab, database.url)) - before;
      const emptyMs = await wake(1);
      const bareMs = await fetchAndDecode(database, steps);
      if (round === 0) continue;
      full.push(fullMs);
      empty.push(emptyMs);
      bare.push(bareMs);
    }
    await longhaul.close();
    await database.drop();
    return [
      {
        what: `replay of ${steps} steps`,
        value: median(full) - median(empty),
        unit: "ms",
        baseline: { what: "select of the same rows and JSON.parse of each", value: median(bare) },
        bar: { of: "ratio", at: "most", limit: 3 },
        note: "signal to the line after the wait, less the same with a journal of one step",
      },
      { what: "queries that read the journal", value: queries, unit: "", bar: { of: "value", at: "most", limit: 1 } },
      { what: `answer to next line, ${steps} steps replayed`, value: median(full), unit: "ms" },
      { what: "answer to next line, 1 step replayed", value: median(empty), unit: "ms" },
    ];
  },
};

/** Milliseconds from the signal to the line that waits for it, in a run that lies in the database. */
async function wakeOne(
  longhaul: Longhaul,
  name: string,
  steps: number,
  lines: ReadonlyMap<string, number>,
): Promise<number> {
  const run = await longhaul.submit(name, steps);
  await until("the wait", 60_000, async () => (await longhaul.get(run.runId))?.status === "waiting");
  const sentMs = performance.now();
  await longhaul.signal(run.runId, "go");
  await run.result();
  return (lines.get(run.runId) ?? Number.NaN) - sentMs;
}

async function journalReads(lab: Lab, url: string): Promise<number> {
  const reads = (await lab.statements(url)).filter(
    ({ text }) => /^\s*select\b/i.test(text) && /\bjournal\b/i.test(text) && !/\binsert\b/i.test(text),
  );
  return reads.reduce((sum, { calls }) => sum + calls, 0);
}

/** The same rows by a plain select, on a connection that has prepared it. */
async function fetchAndDecode(database: Awaited<ReturnType<Lab["database"]>>, steps: number): Promise<number> {
  const [longest] = await database.db.query<{ run_id: string }>(
    "select run_id from longhaul.outcomes where entries > $1 order by finished_at desc limit 1",
    [steps],
  );
  const select = (): Promise<{ body: string }[]> =>
    database.db.query(
      "select seq, epoch, kind, key, body, blob, at from longhaul.journal where run_id = $1 order by seq",
      [longest?.run_id],
      "bare",
    );
  await select();
  const startedMs = performance.now();
  for (const { body } of await select()) JSON.parse(body);
  return performance.now() - startedMs;
}
