// How long a submitted run waits for its first line when nothing else is going on.
import { agent, connect } from "../../src/index.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { median, percentile } from "../lab/statistics.ts";
import { pause, until } from "../lab/until.ts";
import { BenchWorker, nowMs } from "./worker.ts";

/** Runs that warm up and do not count. */
const WARM_UP = 20;

export const start: Claim = {
  name: "start",
  sentence: "A submitted run reaches its first line in 5 ms when the system is idle, in this process or another",
  measure: async (lab) => [...(await here(lab)), ...(await elsewhere(lab))],
};

async function here(lab: Lab): Promise<Measure[]> {
  lab.say("the worker in the submitting process");
  const database = await lab.database();
  const lines = new Map<string, number>();
  const first = agent({ name: "first", run: (ctx) => void lines.set(ctx.runId, nowMs()) });
  const longhaul = await connect({ url: database.url, agents: [first] });
  const waits = await spaced(lab, lines, async () => (await longhaul.submit(first, null)).runId);
  await longhaul.close();
  await database.drop();
  return figures("worker in this process", waits);
}

async function elsewhere(lab: Lab): Promise<Measure[]> {
  lab.say("the worker in another process");
  const database = await lab.database();
  const lines = new Map<string, number>();
  const worker = await BenchWorker.start(database.url, (runId, atMs) => void lines.set(runId, atMs));
  const longhaul = await connect({
    url: database.url,
    agents: [agent({ name: "first", run: () => undefined })],
    worker: false,
  });
  const waits = await spaced(lab, lines, async () => (await longhaul.submit("first", null)).runId);
  await longhaul.close();
  await worker.close();
  await database.drop();
  return figures("worker in another process", waits);
}

/** Milliseconds from the call of submit to the first line, for runs that come one after the other with pauses. */
async function spaced(lab: Lab, lines: ReadonlyMap<string, number>, submit: () => Promise<string>): Promise<number[]> {
  const waits: number[] = [];
  for (let count = 0; count < lab.size(300, 30) + WARM_UP; count++) {
    await pause(20 + Math.random() * 30);
    const submittedMs = nowMs();
    const runId = await submit();
    await until("the first line", 30_000, () => lines.has(runId));
    if (count >= WARM_UP) waits.push((lines.get(runId) ?? Number.NaN) - submittedMs);
  }
  return waits;
}

function figures(where: string, waits: readonly number[]): Measure[] {
  const note = "from the call of submit(), so the durable submit is part of it; pauses of 20 to 50 ms between runs";
  return [
    {
      what: `submit to first line, ${where}, p50`,
      value: median(waits),
      unit: "ms",
      bar: { of: "value", at: "most", limit: 5 },
      note,
    },
    {
      what: `submit to first line, ${where}, p99`,
      value: percentile(waits, 0.99),
      unit: "ms",
      bar: { of: "value", at: "most", limit: 25 },
      note,
    },
  ];
}
