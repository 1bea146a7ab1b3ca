// Job queues side by side: the same jobs that do nothing, in turns, each with the settings its own documentation recommends.

import { JobDriver, type JobSystemName } from "../jobs/driver.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { installPeers } from "../lab/packages.ts";
import { redisVersion, startRedis } from "../lab/redis.ts";
import { median, percentile } from "../lab/statistics.ts";

const SLOTS = 64;
const BATCH = 100;
const CLIENTS = 4;

interface Contestant {
  readonly driver: JobDriver;
  /** On PostgreSQL: those we mean to be ahead of. */
  readonly isRival: boolean;
  readonly submit: number[];
  readonly drain: number[];
  readonly waits: number[];
  readonly close: () => Promise<void>;
}

export const queuePeers: Claim = {
  name: "queue-peers",
  sentence: "Ahead of the job queues on PostgreSQL, in jobs per second and in the wait for the first line",
  async measure(lab) {
    if (!installPeers(lab.say)) return [];
    const contestants: Contestant[] = [];
    try {
      for (const open of [longhaul, pgBoss, graphileWorker, graphileAsItComes, ...redisQueues(lab)])
        contestants.push(await open(lab));
      await takeTurns(lab, contestants);
      return figures(contestants);
    } finally {
      for (const { close } of contestants) await close();
    }
  },
};

const longhaul = (lab: Lab): Promise<Contestant> =>
  onPostgres(lab, { name: "Longhaul", module: "longhaul.ts" }, true, false);
const pgBoss = (lab: Lab): Promise<Contestant> =>
  onPostgres(lab, { name: "pg-boss", module: "../peers/pg-boss.mjs" }, false, true);
const graphileWorker = (lab: Lab): Promise<Contestant> =>
  onPostgres(lab, { name: "Graphile Worker", module: "../peers/graphile-worker.mjs" }, false, true);
const graphileAsItComes = (lab: Lab): Promise<Contestant> =>
  onPostgres(lab, { name: "Graphile Worker as it comes", module: "../peers/graphile-worker-plain.mjs" }, false, true);

async function onPostgres(lab: Lab, system: JobSystemName, migrated: boolean, isRival: boolean): Promise<Contestant> {
  const database = await lab.database({ migrated });
  const driver = await JobDriver.open(system, database.url, SLOTS);
  return contestant(driver, isRival, () => database.drop());
}

function redisQueues(lab: Lab): ((lab: Lab) => Promise<Contestant>)[] {
  const version = redisVersion();
  if (version === null) {
    lab.say("there is no redis-server on the PATH: BullMQ is left out");
    return [];
  }
  return (["always", "everysec"] as const).map((fsync) => async () => {
    const redis = await startRedis(fsync);
    const name = `BullMQ (Redis ${version}, fsync ${fsync})`;
    const driver = await JobDriver.open({ name, module: "../peers/bullmq.mjs" }, redis.url, SLOTS);
    return contestant(driver, false, () => redis.stop());
  });
}

function contestant(driver: JobDriver, isRival: boolean, closeStore: () => Promise<void>): Contestant {
  const close = async (): Promise<void> => {
    await driver.close().catch(() => driver.kill());
    await closeStore();
  };
  return { driver, isRival, submit: [], drain: [], waits: [], close };
}

async function takeTurns(lab: Lab, contestants: readonly Contestant[]): Promise<void> {
  const jobs = lab.size(20_000, 800);
  const rounds = lab.size(5, 1);
  // The first, short round warms up and does not count.
  for (let round = 0; round <= rounds; round++) {
    const count = round === 0 ? Math.ceil(jobs / 10) : jobs;
    for (const { driver, submit, drain } of contestants) {
      lab.say(`${count} jobs through ${driver.name} (${round})`);
      const submitSeconds = await driver.submit(count, BATCH, CLIENTS);
      const drainSeconds = await driver.drain(count);
      if (round === 0) continue;
      submit.push(count / submitSeconds);
      drain.push(count / drainSeconds);
    }
  }
  for (let round = 0; round < rounds; round++) {
    lab.say(`single jobs, idle, in turns (${round + 1})`);
    for (const { driver, waits } of contestants) waits.push(...(await driver.latency(lab.size(40, 5))));
  }
}

function figures(contestants: readonly Contestant[]): Measure[] {
  const rivals = contestants.filter(({ isRival }) => isRival);
  const best = (pick: (of: Contestant) => number, better: (...values: number[]) => number): number =>
    better(...rivals.map(pick));
  const p50 = ({ waits }: Contestant): number => median(waits);
  const p99 = ({ waits }: Contestant): number => percentile(waits, 0.99);
  return contestants.flatMap((one, place) => {
    const name = `${one.driver.name} ${one.driver.version}`;
    const ours = place === 0;
    const beside = (value: number): Pick<Measure, "baseline"> =>
      ours ? { baseline: { what: "the best peer on PostgreSQL", value } } : {};
    const bar = (at: "most" | "least"): Pick<Measure, "bar"> => (ours ? { bar: { of: "ratio", at, limit: 1 } } : {});
    return [
      {
        what: `jobs drained per second, ${name}`,
        value: median(one.drain),
        unit: "1/s",
        ...beside(best(({ drain }) => median(drain), Math.max)),
        ...bar("least"),
        note: `${name}: ${one.driver.settings}`,
      },
      {
        what: `jobs accepted per second, batches of ${BATCH}, ${name}`,
        value: median(one.submit),
        unit: "1/s",
        ...beside(best(({ submit }) => median(submit), Math.max)),
        ...bar("least"),
      },
      {
        what: `submit to first line, idle, p50, ${name}`,
        value: p50(one),
        unit: "ms",
        ...beside(best(p50, Math.min)),
        ...bar("most"),
      },
      {
        what: `submit to first line, idle, p99, ${name}`,
        value: p99(one),
        unit: "ms",
        ...beside(best(p99, Math.min)),
        ...bar("most"),
      },
    ];
  });
}
