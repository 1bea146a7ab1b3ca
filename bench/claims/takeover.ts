// A worker is killed: how long until its runs work elsewhere.
import { agent, connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { median, percentile } from "../lab/statistics.ts";
import { pause, until } from "../lab/until.ts";
import { BenchWorker, nowMs } from "./worker.ts";

const RUNS = 20;

export const takeover: Claim = {
  name: "takeover",
  sentence: "After kill -9 the runs work elsewhere within 2 s of the supervisor's notice, or within 2 s of their lease",
  async measure(lab) {
    const supervised = await kills(lab, lab.size(6, 2), true);
    const byLease = lab.quick ? [] : await kills(lab, 2, false);
    return [...figures("supervised", supervised, 2), ...figures("by lease (10 s)", byLease, 12)];
  },
};

/** Milliseconds from each kill to the next step of each run, in the process that was standing by. */
async function kills(lab: Lab, times: number, supervised: boolean): Promise<number[]> {
  lab.say(`${times} kills with ${RUNS} runs each, ${supervised ? "a supervisor frees the leases" : "leases lapse"}`);
  const database = await lab.database();
  const lines = new Map<string, number>();
  const hear = (runId: string, atMs: number): void => void lines.set(runId, atMs);
  const busy = agent({ name: "busy", run: () => undefined });
  const longhaul: LonghaulProcess = await connect({ url: database.url, agents: [busy], worker: false });
  let holder = await BenchWorker.start(database.url, hear);
  const runs = await Promise.all(Array.from({ length: RUNS }, () => longhaul.submit(busy, null)));
  const working = (): Promise<void> =>
    until("every run working", 60_000, () => runs.every(({ runId }) => lines.has(runId)));
  await working();
  const waits: number[] = [];
  for (let count = 0; count < times; count++) {
    // Its own lines are heard only from when it works.
    const standby = await BenchWorker.start(database.url, hear);
    await pause(1_000 + Math.random() * 1_000);
    const killedMs = nowMs();
    await holder.kill();
    lines.clear();
    if (supervised) await longhaul.freeWorker(holder.workerId);
    await working();
    for (const { runId } of runs) waits.push((lines.get(runId) ?? Number.NaN) - killedMs);
    holder = standby;
  }
  await Promise.all(runs.map((run) => run.cancel()));
  await holder.close();
  await longhaul.close();
  await database.drop();
  return waits;
}

function figures(how: string, waits: readonly number[], limitSeconds: number): Measure[] {
  if (waits.length === 0) return [];
  return [
    { what: `kill to next step elsewhere, ${how}, p50`, value: median(waits) / 1_000, unit: "s" },
    {
      what: `kill to next step elsewhere, ${how}, p99`,
      value: percentile(waits, 0.99) / 1_000,
      unit: "s",
      bar: { of: "value", at: "most", limit: limitSeconds },
    },
  ];
}
