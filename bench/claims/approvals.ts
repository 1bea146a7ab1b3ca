// A hundred thousand runs that wait for a person: what they cost a worker, and how fast an answer is taken up.
import { agent, connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import type { Claim } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { median, percentile } from "../lab/statistics.ts";
import { until } from "../lab/until.ts";
import { BenchWorker, nowMs } from "./worker.ts";

/** Submitted and not yet waiting, at most: as many as the worker has slots. */
const AT_ONCE = 500;

export const approvals: Claim = {
  name: "approvals",
  sentence: "100,000 waiting approvals cost no worker memory, and an answer is taken up in 20 ms",
  async measure(lab) {
    const count = lab.size(100_000, 2_000);
    const empty = await lab.database();
    const idle = await BenchWorker.start(empty.url);
    const without = idle.memory;
    await idle.close();
    await empty.drop();

    const database = await lab.database();
    lab.say(`making ${count} runs wait`);
    const fillMs = await fill(database.url, count);
    lab.say("answering some of them, one after the other");
    const lines = new Map<string, number>();
    const worker = await BenchWorker.start(database.url, (runId, atMs) => void lines.set(runId, atMs));
    const withThem = worker.memory;
    const longhaul = await connect({ url: database.url, worker: false });
    const waits = await answers(lab, longhaul, lines);
    const state = await database.db.query<{ waiting: number; in_flight: number }>(
      "select (select count(*) from longhaul.live where state = 'waiting') as waiting, (select sum(in_flight) from longhaul.tenants) as in_flight",
    );
    await longhaul.close();
    await worker.close();
    await database.drop();
    return [
      {
        what: `heap of a worker beside ${count} waiting runs`,
        value: withThem.heapMb,
        unit: "MB",
        baseline: { what: "beside an empty database", value: without.heapMb },
        bar: { of: "ratio", at: "most", limit: 1.05 },
        note: `${state[0]?.waiting} runs were waiting and ${state[0]?.in_flight} slots taken when it ended`,
      },
      {
        what: "resident memory of that worker",
        value: withThem.rssMb,
        unit: "MB",
        baseline: { what: "beside an empty database", value: without.rssMb },
      },
      {
        what: "approve() to the next line, p50",
        value: median(waits),
        unit: "ms",
        bar: { of: "value", at: "most", limit: 20 },
      },
      { what: "approve() to the next line, p99", value: percentile(waits, 0.99), unit: "ms" },
      { what: "runs submitted, started and made to wait", value: (count * 1_000) / fillMs, unit: "1/s" },
    ];
  },
};

/** Submits runs and lets each come to its question. Gives the milliseconds that took. */
async function fill(url: string, count: number): Promise<number> {
  const asking = agent({ name: "asking", run: (ctx) => ctx.approval("go", null) });
  const longhaul = await connect({ url, agents: [asking], worker: { slots: AT_ONCE, warmMs: 0 } });
  const startedMs = performance.now();
  let submitted = 0;
  const submitter = async (): Promise<void> => {
    while (submitted < count) {
      submitted += 1;
      await longhaul.submit(asking, null);
    }
  };
  await Promise.all(Array.from({ length: 100 }, submitter));
  await until("every run waiting", 900_000, async () => (await waiting(longhaul)) >= count);
  const tookMs = performance.now() - startedMs;
  await longhaul.close();
  return tookMs;
}

async function waiting(longhaul: LonghaulProcess): Promise<number> {
  const [row] = await longhaul.database.query<{ n: number }>(
    "select count(*) as n from longhaul.live where state = 'waiting'",
  );
  return row?.n ?? 0;
}

/** Milliseconds from each answer to the line after the question, in the worker's process. */
async function answers(lab: Lab, longhaul: LonghaulProcess, lines: ReadonlyMap<string, number>): Promise<number[]> {
  const waits: number[] = [];
  const pending = await longhaul.approvals({ status: "pending", limit: lab.size(200, 50) });
  for (const { approvalId, runId } of pending) {
    const sentMs = nowMs();
    await longhaul.approve(approvalId, { by: "bench" });
    await until("the next line", 60_000, () => lines.has(runId));
    waits.push((lines.get(runId) ?? Number.NaN) - sentMs);
  }
  return waits.slice(10);
}
