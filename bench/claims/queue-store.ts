// What the queue carries: runs that do nothing, with all their rows, through the store alone and through workers.
import { newId } from "../../src/engine/ids.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import { databaseCpuMs } from "../lab/cpu.ts";
import type { Lab } from "../lab/lab.ts";
import { median } from "../lab/statistics.ts";
import { until } from "../lab/until.ts";
import { claimBare, finishBare, makeBare, submitBare } from "../queue/bare.ts";
import { seconds, tenantNames, together } from "../queue/crowd.ts";
import { fill } from "../queue/fill.ts";
import { claim, type Database, endsPerSecond, finish, hasWork, openStore, tidy } from "../queue/store.ts";
import { WorkerProcess } from "../queue/worker.ts";

const CONNECTIONS = 4;
const BATCH = 50;
const TENANTS = tenantNames(100);

export const queueStore: Claim = {
  name: "queue-store",
  sentence: "10,000 trivial runs per second through the store on two cores, 4,000 through workers",
  measure: async (lab) => [...(await store(lab)), ...(await workers(lab))],
};

interface Cost {
  readonly perSecond: number[];
  readonly cpuUs: number[];
}

/** Claim and finish, in turns with a bare queue. */
async function store(lab: Lab): Promise<Measure[]> {
  const runs = lab.size(20_000, 1_000);
  const ours = await lab.database();
  const floor = await lab.database({ migrated: false });
  const [us, bare] = [openStore(ours.url, CONNECTIONS), openStore(floor.url, CONNECTIONS)];
  await makeBare(bare);
  const cost = { us: { perSecond: [], cpuUs: [] } as Cost, bare: { perSecond: [], cpuUs: [] } as Cost };
  for (let round = 0; round < lab.size(5, 1); round++) {
    lab.say(`${runs} runs through the store, then through a bare queue (${round + 1})`);
    await fill(us, runs, TENANTS);
    await tidy(us);
    for (let left = runs; left > 0; left -= 1_000) await submitBare(bare, 1_000);
    await spend(us, cost.us, runs, () => drain(us, runs));
    await spend(bare, cost.bare, runs, () => drainBare(bare));
  }
  await Promise.all([us.end(), bare.end()]);
  await Promise.all([ours.drop(), floor.drop()]);
  const than = "a queue without tenants, leases and fences, same rows per run";
  const how = `store alone, ${CONNECTIONS} connections, batches of ${BATCH}`;
  return [
    {
      what: `claim and finish, ${how}`,
      value: median(cost.us.perSecond),
      unit: "runs/s",
      baseline: { what: than, value: median(cost.bare.perSecond) },
      bar: { of: "value", at: "least", limit: 10_000 },
      note: "100 tenants; one claim and one finish per batch, each a transaction of its own",
    },
    {
      what: "processor time of the database for one run of these",
      value: median(cost.us.cpuUs),
      unit: "µs",
      baseline: { what: than, value: median(cost.bare.cpuUs) },
      note: "the same whatever else the machine has to do; two cores have 2,000,000 µs per second, clients' time included",
    },
  ];
}

async function spend(db: Database, cost: Cost, runs: number, work: () => Promise<void>): Promise<void> {
  const before = await databaseCpuMs(db);
  cost.perSecond.push(runs / (await seconds(work)));
  cost.cpuUs.push(((await databaseCpuMs(db)) - before) / (runs / 1_000));
}

async function drain(db: Database, runs: number): Promise<void> {
  let left = runs;
  await together(CONNECTIONS, async () => {
    const workerId = newId();
    while (left > 0) {
      const claims = await claim(db, workerId, BATCH);
      // It is empty-handed while others hold the lanes, too: what that costs is part of the figure.
      if (claims.length === 0) continue;
      const ended = await finish(db, workerId, claims);
      left -= ended;
    }
  });
}

async function drainBare(db: Database): Promise<void> {
  await together(CONNECTIONS, async () => {
    for (let ids = await claimBare(db, BATCH); ids.length > 0; ids = await claimBare(db, BATCH))
      await finishBare(db, ids);
  });
}

/** The same through worker processes whose agent returns at once. */
async function workers(lab: Lab): Promise<Measure[]> {
  const runs = lab.size(30_000, 1_000);
  const rates = new Map<number, number[]>();
  for (let round = 0; round < lab.size(3, 1); round++) {
    for (const processes of [1, 2]) {
      lab.say(`${runs} runs through ${processes} worker ${processes === 1 ? "process" : "processes"} (${round + 1})`);
      rates.set(processes, [...(rates.get(processes) ?? []), await throughWorkers(lab, runs, processes)]);
    }
  }
  return [...rates].map(([processes, found]) => ({
    what: `empty agent, ${processes} worker ${processes === 1 ? "process" : "processes"}, deep queue`,
    value: median(found),
    unit: "runs/s",
    bar: { of: "value", at: "least", limit: 4_000 },
    note: "64 slots each, between the first end and the last",
  }));
}

async function throughWorkers(lab: Lab, runs: number, processes: number): Promise<number> {
  const database = await lab.database();
  const db = openStore(database.url, 2);
  await fill(db, runs, TENANTS);
  await tidy(db);
  const crew = await Promise.all(Array.from({ length: processes }, () => WorkerProcess.start(database.url)));
  for (const worker of crew) worker.work();
  await until("every run ended", 600_000, async () => !(await hasWork(db)));
  const rate = await endsPerSecond(db);
  await Promise.all(crew.map((worker) => worker.close()));
  await db.end();
  await database.drop();
  return rate;
}
