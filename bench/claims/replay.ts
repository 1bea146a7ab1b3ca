// Taking a run up again from its journal: a thousand steps, beside what it costs to read and decode them at all.
import { agent, connect, type Longhaul } from "../../src/index.ts";
import type { FreshDatabase } from "../../test/support/postgres.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { median } from "../lab/statistics.ts";
import { until } from "../lab/until.ts";

/** Wakes that do not count: the code that replays is compiled by then, as in a worker that has run for a while. */
const WARM_UP = 25;

export const replay: Claim = {
  name: "replay",
  sentence: "Replaying 1,000 steps is one query and at most three times the bare fetch and decode",
  async measure(lab) {
    const steps = lab.size(1_000, 200);
    const database = await lab.database();
    let heard = (): void => undefined;
    const recorder = agent({
      name: "recorder",
      async run(ctx, input) {
        const count = input as number;
        for (let step = 0; step < count; step++) await ctx.step("step", () => ({ text: "what the model said", step }));
        for (;;) {
          await ctx.signal("go");
          heard();
        }
      },
    });
    // Nothing is kept warm: every signal finds the run in the database only.
    const longhaul = await connect({ url: database.url, agents: [recorder], worker: { warmMs: 0 } });
    /** Milliseconds from the signal to the line that waits for it. */
    const wake = async (runId: string): Promise<number> => {
      const line = new Promise<void>((resolve) => {
        heard = resolve;
      });
      const sentMs = performance.now();
      await longhaul.signal(runId, "go");
      await line;
      const tookMs = performance.now() - sentMs;
      await untilWaiting(longhaul, runId);
      return tookMs;
    };
    const [long, short] = await Promise.all([longhaul.submit(recorder, steps), longhaul.submit(recorder, 1)]);
    await untilWaiting(longhaul, long.runId);
    await untilWaiting(longhaul, short.runId);
    const times = { full: [] as number[], empty: [] as number[], bare: [] as number[] };
    const rounds = lab.size(25, 5);
    lab.say(`${steps} steps, ${rounds} times`);
    let queries = 0;
    for (let round = 0; round < WARM_UP + rounds; round++) {
      const before = await journalReads(lab, database.url);
      const fullMs = await wake(long.runId);
      queries = (await journalReads(lab, database.url)) - before;
      const emptyMs = await wake(short.runId);
      const bareMs = await fetchAndDecode(database, long.runId);
      if (round < WARM_UP) continue;
      times.full.push(fullMs);
      times.empty.push(emptyMs);
      times.bare.push(bareMs);
    }
    await longhaul.close();
    await database.drop();
    return figures(steps, times, queries);
  },
};

function figures(steps: number, times: Record<"full" | "empty" | "bare", number[]>, queries: number): Measure[] {
  return [
    {
      what: `replay of ${steps} steps`,
      value: median(times.full) - median(times.empty),
      unit: "ms",
      baseline: { what: "select of the same rows and JSON.parse of each", value: median(times.bare) },
      bar: { of: "ratio", at: "most", limit: 3 },
      note: "signal to the line after the wait, less the same with a journal of one step",
    },
    {
      what: "queries that read the journal",
      value: queries,
      unit: "",
      bar: { of: "value", at: "most", limit: 1 },
    },
    { what: `signal to next line, ${steps} steps replayed`, value: median(times.full), unit: "ms" },
    { what: "signal to next line, 1 step replayed", value: median(times.empty), unit: "ms" },
  ];
}

async function untilWaiting(longhaul: Longhaul, runId: string): Promise<void> {
  await until("the wait", 60_000, async () => (await longhaul.get(runId))?.status === "waiting");
}

async function journalReads(lab: Lab, url: string): Promise<number> {
  const reads = (await lab.statements(url)).filter(
    ({ text }) => /^\s*select\b/i.test(text) && /\bjournal\b/i.test(text) && !/\binsert\b/i.test(text),
  );
  return reads.reduce((sum, { calls }) => sum + calls, 0);
}

/** The same rows by a plain select that is prepared by then. */
async function fetchAndDecode(database: FreshDatabase, runId: string): Promise<number> {
  const startedMs = performance.now();
  const rows = await database.db.query<{ body: string }>(
    "select seq, kind, key, body, blob from longhaul.journal where run_id = $1 order by seq",
    [runId],
    "bare",
  );
  for (const { body } of rows) JSON.parse(body);
  return performance.now() - startedMs;
}
