// Whose turn it is: one run behind a flood, equal tenants, tenants with weights; while more is queued than can be run.
import { agent, connect } from "../../src/index.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { pause, until } from "../lab/until.ts";
import { Claimers } from "../queue/claimers.ts";
import { tenantNames } from "../queue/crowd.ts";
import { fill } from "../queue/fill.ts";
import { AGENT, type Database, openStore, setTenants, submit } from "../queue/store.ts";

const LOOPS = 4;
const BATCH = 10;

export const queueFairness: Claim = {
  name: "queue-fairness",
  sentence:
    "A flood delays nobody else by more than its own slots twice, equal tenants get equal shares, weights are kept",
  async measure(lab) {
    return [await behindFlood(lab), await behindFloodInWorker(lab), await equal(lab), ...(await weighted(lab))];
  },
};

/** Runs of the flood that start after another tenant's submit was acknowledged and before its run starts: the most of several. */
async function behindFlood(lab: Lab): Promise<Measure> {
  const others = tenantNames(lab.size(20, 3), "other");
  lab.say("single runs behind a flood, store alone");
  return inFresh(lab, async (db) => {
    const claimers = new Claimers(db, { loops: LOOPS, batch: BATCH, holdMs: 5 });
    await fill(db, lab.size(5_000, 1_000), ["flood"]);
    let over = false;
    const working = claimers.work(() => over);
    let most = 0;
    for (const other of others) {
      await pause(20 + Math.random() * 20);
      await submit(db, [other]);
      const before = claimers.starts.length;
      await until("the other tenant's start", 30_000, () => claimers.starts.includes(other));
      most = Math.max(most, claimers.starts.indexOf(other) - before);
    }
    over = true;
    await working;
    return flood("store alone", most, claimers.slots, others.length);
  });
}

async function behindFloodInWorker(lab: Lab): Promise<Measure> {
  const slots = 16;
  lab.say("single runs behind a flood, through a worker");
  return inFresh(lab, async (db, url) => {
    await fill(db, lab.size(5_000, 1_000), ["flood"]);
    const starts: string[] = [];
    const trivial = agent({
      name: AGENT,
      run: async (ctx) => {
        starts.push(ctx.runId);
        await pause(5);
      },
    });
    const longhaul = await connect({ url, agents: [trivial], worker: { slots } });
    let most = 0;
    const times = lab.size(20, 3);
    for (let count = 0; count < times; count++) {
      await pause(20 + Math.random() * 20);
      const { runId } = await longhaul.tenant(`other-${count}`).submit(trivial, null);
      const before = starts.length;
      await until("the other tenant's start", 30_000, () => starts.includes(runId));
      most = Math.max(most, starts.indexOf(runId) - before);
    }
    await longhaul.close();
    return flood("one worker", most, slots, times);
  });
}

function flood(where: string, most: number, slots: number, times: number): Measure {
  return {
    what: `runs of the flood that start before another tenant's one, ${where}`,
    value: most,
    unit: "runs",
    baseline: { what: "slots", value: slots },
    bar: { of: "ratio", at: "most", limit: 2 },
    note: `from the acknowledged submit to the start, the most of ${times} times`,
  };
}

/** Jain's index of the shares of equal tenants whose runs were submitted one tenant after the other: 1 when all are equal. */
async function equal(lab: Lab): Promise<Measure> {
  const tenants = tenantNames(20);
  const each = lab.size(300, 50);
  lab.say(`${tenants.length} equal tenants with ${each} runs each`);
  const counts = await shares(lab, tenants, each, (tenants.length * each) / 5);
  const sum = counts.reduce((a, b) => a + b, 0);
  const squares = counts.reduce((a, b) => a + b * b, 0);
  return {
    what: `Jain index of ${tenants.length} equal tenants`,
    value: sum ** 2 / (counts.length * squares),
    unit: "",
    bar: { of: "value", at: "least", limit: 0.99 },
    note: "of the first fifth of all claims; first in, first out would give 0.2",
  };
}

/** How far a share is from its weight, for few tenants (all of them looked at by every claim) and for many. */
async function weighted(lab: Lab): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const ofEach of lab.quick ? [1] : [1, 10]) {
    const weights = Array.from({ length: 3 * ofEach }, (_, place) => 2 ** (place % 3));
    const tenants = tenantNames(weights.length);
    const total = weights.reduce((a, b) => a + b, 0);
    // Of the lightest some hundred, since a claim takes several runs at a time; the heaviest has runs left at the end.
    const claims = ofEach * lab.size(4_200, 420);
    lab.say(`${tenants.length} tenants with weights 1, 2 and 4`);
    const counts = await shares(lab, tenants, Math.ceil((1.5 * claims * 4) / total), claims, weights);
    const away = counts.map((count, place) => Math.abs(count / ((claims * (weights[place] ?? 1)) / total) - 1));
    measures.push({
      what: `largest distance of a share from its weight, ${tenants.length} tenants`,
      value: Math.max(...away) * 100,
      unit: "%",
      bar: { of: "value", at: "most", limit: 3 },
      note: `weights 1, 2, 4; of the first ${claims} claims`,
    });
  }
  return measures;
}

/** How many of the first `claims` claims each tenant got. */
function shares(
  lab: Lab,
  tenants: readonly string[],
  each: number,
  claims: number,
  weights: readonly number[] = [],
): Promise<number[]> {
  return inFresh(lab, async (db) => {
    await setTenants(
      db,
      tenants.map((tenant, place) => ({ tenant, weight: weights[place] ?? 1 })),
    );
    for (const tenant of tenants) await fill(db, each, [tenant]);
    const claimers = new Claimers(db, { loops: LOOPS, batch: BATCH, holdMs: 1 });
    await claimers.work((starts) => starts >= claims);
    const first = claimers.starts.slice(0, claims);
    return tenants.map((tenant) => first.filter((name) => name === tenant).length);
  });
}

async function inFresh<Result>(lab: Lab, work: (db: Database, url: string) => Promise<Result>): Promise<Result> {
  const database = await lab.database();
  const db = openStore(database.url, LOOPS + 2);
  try {
    return await work(db, database.url);
  } finally {
    await db.end();
    await database.drop();
  }
}
