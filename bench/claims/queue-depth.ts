// What a claim costs when much is queued, by many, or by tenants that may not start anything now.
import { newId } from "../../src/engine/ids.ts";
import type { FreshDatabase } from "../../test/support/postgres.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { median } from "../lab/statistics.ts";
import { spread, tenantNames } from "../queue/crowd.ts";
import { fill } from "../queue/fill.ts";
import { claim, type Database, finish, openStore, setTenants, submit, tidy } from "../queue/store.ts";

const TENANTS = tenantNames(100);
const BATCHES = [10, 50];

/** A queue that is kept at its depth: what is claimed is finished, and as much is submitted again. */
interface Stocked {
  readonly database: FreshDatabase;
  readonly db: Database;
  readonly tenants: readonly string[];
}

export const queueDepth: Claim = {
  name: "queue-depth",
  sentence: "A claim costs the same with a million runs queued, and a million that may not start cost nothing",
  async measure(lab) {
    const many = lab.size(1_000_000, 20_000);
    const shallow = await stocked(lab, 1_000, TENANTS);
    const deep = await stocked(lab, many, TENANTS);
    const byDepth = await compare(lab, `${many} queued`, deep, "1,000 queued, same tenants", shallow, 1.25);
    await drop(shallow);
    const byCaps = await behindCapped(lab, many, deep);
    await drop(deep);
    return [...byDepth, ...(await byTenants(lab)), ...byCaps];
  },
};

async function byTenants(lab: Lab): Promise<Measure[]> {
  const runs = lab.size(100_000, 10_000);
  const crowd = lab.size(10_000, 1_000);
  const one = await stocked(lab, runs, tenantNames(1));
  const all = await stocked(lab, runs, tenantNames(crowd));
  const measures = await compare(lab, `${crowd} tenants`, all, "1 tenant, as many runs", one, 2.5);
  await Promise.all([drop(one), drop(all)]);
  return measures;
}

/** Tenants that came first and are at their caps, with everything they have queued; then others. */
async function behindCapped(lab: Lab, count: number, deep: Stocked): Promise<Measure[]> {
  const others = tenantNames(100, "other");
  const alone = await stocked(lab, 10_000, others);
  await setTenants(
    deep.db,
    deep.tenants.map((tenant) => ({ tenant, cap: 1 })),
  );
  // Until every one of them holds what it may: nobody finishes these.
  const workerId = newId();
  for (let held = 0; held < deep.tenants.length; ) held += (await claim(deep.db, workerId, 50, 3_600_000)).length;
  await fill(deep.db, 10_000, others);
  await tidy(deep.db);
  const behind = { ...deep, tenants: others };
  const measures = await compare(lab, `${count} capped runs in front`, behind, "none in front", alone, 1.25);
  await drop(alone);
  return measures;
}

async function stocked(lab: Lab, count: number, tenants: readonly string[]): Promise<Stocked> {
  lab.say(`queueing ${count} runs of ${tenants.length} ${tenants.length === 1 ? "tenant" : "tenants"}`);
  const database = await lab.database();
  const db = openStore(database.url, 2);
  await fill(db, count, tenants);
  await tidy(db);
  return { database, db, tenants };
}

async function drop({ database, db }: Stocked): Promise<void> {
  await db.end();
  await database.drop();
}

/** Claims from the two queues in turns, so that what disturbs one disturbs the other. */
async function compare(
  lab: Lab,
  what: string,
  ours: Stocked,
  than: string,
  baseline: Stocked,
  limit: number,
): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const batch of BATCHES) {
    lab.say(`claims of ${batch}: ${what} against ${than}`);
    const times = { ours: [] as number[], baseline: [] as number[] };
    for (let turn = -WARM_UP; turn < lab.size(400, 20); turn++) {
      const [one, other] = [await oneClaim(ours, batch, turn), await oneClaim(baseline, batch, turn)];
      if (turn < 0) continue;
      times.ours.push(one);
      times.baseline.push(other);
    }
    measures.push({
      what: `claim of ${batch}, p50, ${what}`,
      value: median(times.ours),
      unit: "ms",
      baseline: { what: than, value: median(times.baseline) },
      bar: { of: "ratio", at: "most", limit },
    });
  }
  return measures;
}

const WARM_UP = 10;

/** Milliseconds of one claim; finishing and filling up again are not part of it. */
async function oneClaim({ db, tenants }: Stocked, batch: number, turn: number): Promise<number> {
  const workerId = newId();
  const startedMs = performance.now();
  const claims = await claim(db, workerId, batch);
  const tookMs = performance.now() - startedMs;
  if (claims.length === 0) throw new Error("nothing could be claimed from a queue that is not empty");
  await finish(db, workerId, claims);
  await submit(db, spread(claims.length, tenants, (turn + WARM_UP) * batch));
  return tookMs;
}
