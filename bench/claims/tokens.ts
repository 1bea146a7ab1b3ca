// What it costs that steps stream what they write, and how late it arrives in another process.
import { agent, connect, type Longhaul } from "../../src/index.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { median, percentile } from "../lab/statistics.ts";
import { pause } from "../lab/until.ts";
import { bytesBetween } from "../lab/wal.ts";
import { BenchWorker, nowMs } from "./worker.ts";
import type { Telling } from "./worker-program.ts";

const RUNS = 64;
/** 50 tokens per second and run. */
const EVERY_MS = 20;
/** Tokens that a step writes in the contest of throughput. */
const BURST = 20;

export const tokens: Claim = {
  name: "tokens",
  sentence: "Streaming every token of 64 runs to another process costs some 40 statements per second, and 50 ms",
  measure: async (lab) => [...(await elsewhere(lab)), ...(await here(lab))],
};

interface Watched {
  readonly statementsPerSecond: number;
  /** Bytes of the log that the connections to this database wrote, by PostgreSQL's own account. */
  readonly walPerSecond: number;
  /** Milliseconds from writing a token to having it. */
  readonly latencies: readonly number[];
}

/** Workers and readers in two processes. */
async function elsewhere(lab: Lab): Promise<Measure[]> {
  const database = await lab.database();
  const worker = await BenchWorker.start(database.url);
  const longhaul = await connect({
    url: database.url,
    agents: [agent({ name: "telling", run: () => 0 })],
    worker: false,
  });
  lab.say(`${RUNS} runs that say nothing, each with a reader elsewhere`);
  const mute = await watch(lab, database.url, longhaul, true);
  lab.say(`${RUNS} runs that say ${1_000 / EVERY_MS} tokens per second each`);
  const told = await watch(lab, database.url, longhaul, false);
  await longhaul.close();
  await worker.close();
  await database.drop();
  const tokensPerSecond = (RUNS * 1_000) / EVERY_MS;
  const note = `${RUNS} runs × ${1_000 / EVERY_MS} tokens/s, a reader of each in another process; worker and readers together`;
  return [
    {
      what: "statements per second",
      value: told.statementsPerSecond,
      unit: "1/s",
      baseline: { what: "the same without tokens", value: mute.statementsPerSecond },
      bar: { of: "value", at: "most", limit: 45 },
      note,
    },
    {
      what: "statements per token",
      value: (told.statementsPerSecond - mute.statementsPerSecond) / tokensPerSecond,
      unit: "",
      bar: { of: "value", at: "most", limit: 0.02 },
      note,
    },
    {
      what: "log (WAL) per token",
      value: (told.walPerSecond - mute.walPerSecond) / tokensPerSecond,
      unit: "B",
      bar: { of: "value", at: "most", limit: 50 },
      note: `${note}; what their connections wrote (pg_stat_get_backend_wal), less the same without tokens`,
    },
    {
      what: "from writing a token to having it elsewhere, p50",
      value: median(told.latencies),
      unit: "ms",
      bar: { of: "value", at: "most", limit: 75 },
      note,
    },
    { what: "the same, p99", value: percentile(told.latencies, 0.99), unit: "ms", note },
  ];
}

async function watch(lab: Lab, url: string, longhaul: Longhaul, mute: boolean): Promise<Watched> {
  const seconds = lab.size(20, 5);
  const input: Telling = { words: (seconds * 1_000) / EVERY_MS, everyMs: EVERY_MS, mute };
  const runs = await Promise.all(Array.from({ length: RUNS }, () => longhaul.submit("telling", input)));
  const latencies: number[] = [];
  const reading = Promise.all(runs.map(({ runId }) => read(longhaul, runId, latencies)));
  await pause(1_000);
  const [before, walBefore] = [await lab.counters(url), await lab.backendWal(url)];
  const startedMs = nowMs();
  await pause((seconds - 2) * 1_000);
  const [after, walAfter] = [await lab.counters(url), await lab.backendWal(url)];
  const passed = (nowMs() - startedMs) / 1_000;
  await reading;
  return {
    statementsPerSecond: (after.statements - before.statements) / passed,
    walPerSecond: bytesBetween(walBefore, walAfter) / passed,
    latencies,
  };
}

async function read(longhaul: Longhaul, runId: string, latencies: number[]): Promise<void> {
  for await (const event of longhaul.stream(runId, { tokens: true })) {
    if (event.kind !== "tokens") continue;
    const atMs = nowMs();
    for (const word of event.text.trim().split(" ")) if (word !== "") latencies.push(atMs - Number(word));
  }
}

/** Worker and readers in one process; and what tokens cost steps that write them as fast as they can. */
async function here(lab: Lab): Promise<Measure[]> {
  const database = await lab.database();
  const word = agent({
    name: "word",
    run: (ctx) =>
      ctx.step("say", async ({ stream }) => {
        for (let i = 0; i < 100; i++) {
          await pause(5);
          stream.write(`${nowMs().toFixed(2)} `);
        }
      }),
  });
  const steps = lab.size(100, 30);
  const burst = agent({
    name: "burst",
    async run(ctx, speaks) {
      for (let step = 0; step < steps; step++)
        await ctx.step("say", ({ stream }) => {
          if (speaks === true) for (let i = 0; i < BURST; i++) stream.write("word ");
          return speaks === true ? "word ".repeat(BURST) : "";
        });
    },
  });
  const longhaul = await connect({ url: database.url, agents: [word, burst], worker: { slots: 100 } });
  lab.say("a reader in the worker's process");
  const latencies: number[] = [];
  await read(longhaul, (await longhaul.submit(word, null)).runId, latencies);
  lab.say(`${RUNS} runs × ${steps} steps of ${BURST} tokens each, as fast as they can`);
  const rates: { readonly speaking: number[]; readonly mute: number[] } = { speaking: [], mute: [] };
  for (let round = 0; round < lab.size(5, 2); round++)
    for (const speaks of [false, true]) {
      const startedMs = nowMs();
      await Promise.all(Array.from({ length: RUNS }, () => longhaul.run(burst, speaks)));
      rates[speaks ? "speaking" : "mute"].push((RUNS * steps * 1_000) / (nowMs() - startedMs));
    }
  await longhaul.close();
  await database.drop();
  return [
    {
      what: "from writing a token to having it in the same process, p50",
      value: median(latencies),
      unit: "ms",
      bar: { of: "value", at: "most", limit: 1 },
    },
    {
      what: `steps per second, ${RUNS} runs, ${BURST} tokens per step`,
      value: median(rates.speaking),
      unit: "1/s",
      baseline: { what: "the same without tokens", value: median(rates.mute) },
      bar: { of: "ratio", at: "least", limit: 0.5 },
      note: "steps that do nothing else: all of the time is ours",
    },
  ];
}
