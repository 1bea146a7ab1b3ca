// Caps under fire: processes that claim are killed all the time, and no tenant may ever have more runs in flight than its cap.
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { pause, until } from "../lab/until.ts";
import { Crew } from "../queue/crew.ts";
import { tenantNames } from "../queue/crowd.ts";
import {
  broken,
  capsExceeded,
  type Database,
  hasWork,
  openStore,
  runningByTenant,
  setTenants,
  submit,
  unfinishedByTenant,
} from "../queue/store.ts";

/** Of each sort: claimers that speak to the store, and workers. */
const PROCESSES = 4;
const TENANTS = tenantNames(24);
const CAPS = [1, 2, 3, 5, 8, 20];
/** Short, so that many lapse while it is measured. */
const LEASE_MS = 2_000;
const KILL_EVERY_MS = 1_500;
const SAMPLE_EVERY_MS = 10;
/** Runs that every tenant has unfinished, as a multiple of its cap. */
const WANTED_CAPS = 5;

export const queueCaps: Claim = {
  name: "queue-caps",
  sentence: "No cap is exceeded while workers are killed at random, and afterwards every counter equals what it counts",
  async measure(lab) {
    const database = await lab.database();
    const db = openStore(database.url, 4);
    try {
      return await underFire(lab, db, database.url);
    } finally {
      await db.end();
      await database.drop();
    }
  },
};

async function underFire(lab: Lab, db: Database, url: string): Promise<Measure[]> {
  await setTenants(
    db,
    TENANTS.map((tenant, place) => ({ tenant, cap: CAPS[place % CAPS.length] ?? 1 })),
  );
  const untilMs = performance.now() + lab.size(600, 20) * 1_000;
  const isOver = (): boolean => performance.now() > untilMs;
  lab.say(`${2 * PROCESSES} processes for ${lab.size(600, 20)} s`);
  const crew = await Crew.start({ url, db, count: PROCESSES, leaseMs: LEASE_MS, holdMs: 60 });
  const samples = { taken: 0, above: 0 };
  try {
    await Promise.all([crew.decimate(KILL_EVERY_MS, isOver), feeding(db, isOver), sampling(db, samples, isOver)]);
    lab.say("letting it come to rest");
    await until("every run ended", 120_000, async () => !(await hasWork(db)));
  } finally {
    await crew.close();
  }
  const audit = await capsExceeded(db);
  const violations = await broken(db);
  for (const violation of violations)
    lab.say(`${violation.invariant} ${violation.name}: ${JSON.stringify(violation.rows[0])}`);
  return [
    {
      what: "claims beyond their tenant's cap",
      value: audit.exceeded,
      unit: "",
      bar: { of: "value", at: "most", limit: 0 },
      note: `${audit.claims} claims by the journal, on the database's clock; ${crew.kills} processes were killed; at most ${audit.highest * 100} % of a cap`,
    },
    {
      what: "samples with a tenant above its cap",
      value: samples.above,
      unit: "",
      bar: { of: "value", at: "most", limit: 0 },
      note: `${samples.taken} samples, ${SAMPLE_EVERY_MS} ms apart and more`,
    },
    {
      what: "invariants broken at rest, counters among them",
      value: violations.length,
      unit: "",
      bar: { of: "value", at: "most", limit: 0 },
    },
  ];
}

/** Keeps every tenant wanting several times its cap, and no more: what is left at the end has to run too. */
async function feeding(db: Database, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const hungry = (await unfinishedByTenant(db)).flatMap(({ tenant, unfinished, cap }) =>
      Array.from({ length: Math.max(0, WANTED_CAPS * cap - unfinished) }, () => tenant),
    );
    if (hungry.length > 0) await submit(db, hungry);
    await pause(50);
  }
}

async function sampling(db: Database, samples: { taken: number; above: number }, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const rows = await runningByTenant(db);
    samples.taken += 1;
    if (rows.some(({ running, cap }) => running > cap)) samples.above += 1;
    await pause(SAMPLE_EVERY_MS);
  }
}
