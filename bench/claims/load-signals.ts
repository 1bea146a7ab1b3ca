// What it costs to know the load, when a million runs of ten thousand tenants wait.

import type { Database } from "../../src/store/database.ts";
import { readInFlight, readScale, readTopTenants, readTotals, watchLoad } from "../../src/store/load.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import { median } from "../lab/statistics.ts";

const PER_TENANT = 100;
const RUNNING = 500;
const SERVED = ["served-0", "served-1"];

export const loadSignals: Claim = {
  name: "load-signals",
  sentence: "With a million ready runs of 10,000 tenants the totals of all queues are read in at most 5 ms",
  async measure(lab) {
    const tenants = lab.size(10_000, 500);
    const rounds = lab.size(200, 20);
    const database = await lab.database();
    lab.say(`${tenants * PER_TENANT} ready runs of ${tenants} tenants`);
    await fill(database.db, tenants);
    const scale = { queues: SERVED, build: "b", min: 0, max: 20, slots: 64, slaMs: 5_000, target: 2 };
    // Told once: from here on nothing changes, as in every second of a bad hour.
    await watchLoad(database.db, 5_000);
    const times = {
      totals: await time(rounds, () => readTotals(database.db)),
      bare: await time(rounds, () => database.db.query("select sum(ready) from longhaul.lanes", [], "bare")),
      counted: await time(Math.min(rounds, 20), () =>
        database.db.query("select lane_id % 2, count(*), min(at) from longhaul.ready group by 1"),
      ),
      scale: await time(rounds, () => readScale(database.db, scale)),
      watch: await time(rounds, () => watchLoad(database.db, 5_000)),
      inFlight: await time(rounds, () => readInFlight(database.db)),
      tenants: await time(rounds, () => readTopTenants(database.db, null)),
    };
    await database.drop();
    return figures(times);
  },
};

function figures(times: Readonly<Record<string, number>>): Measure[] {
  const { totals = 0, bare = 0, counted = 0, scale = 0, watch = 0, inFlight = 0, tenants = 0 } = times;
  return [
    {
      what: "totals of all queues and builds",
      value: totals,
      unit: "ms",
      baseline: { what: "counting the ready runs instead", value: counted },
      bar: { of: "value", at: "most", limit: 5 },
      note: "medians of the time a client waits for the answer",
    },
    { what: "one sum over the lanes, nothing else", value: bare, unit: "ms" },
    { what: "the number of workers wanted, for two queues", value: scale, unit: "ms" },
    { what: "looking for what is late", value: watch, unit: "ms" },
    { what: `what is in flight (${RUNNING} runs), by queue and build`, value: inFlight, unit: "ms" },
    { what: "the twenty tenants with most that waits", value: tenants, unit: "ms" },
  ];
}

/** The median of the milliseconds. */
async function time(rounds: number, ask: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = -5; round < rounds; round++) {
    const startedMs = performance.now();
    await ask();
    if (round >= 0) times.push(performance.now() - startedMs);
  }
  return median(times);
}

/** Rows as a submit leaves them, some runs in flight, workers that serve two of the four queues. */
async function fill(db: Database, tenants: number): Promise<void> {
  await db.query(
    "insert into longhaul.tenants (tenant_id, cap) select 't' || i, case when i % 2 = 0 then 50 else 2147483647 end from generate_series(1, $1::int) i",
    [tenants],
  );
  await db.query(
    `insert into longhaul.turns (queue, tenant_id, build, band, ready, lanes, runnable)
     select (array['served-0', 'served-1', 'lonely-0', 'lonely-1'])[i % 4 + 1], 't' || i, 'b', 1, $2::int, 1, true from generate_series(1, $1::int) i`,
    [tenants, PER_TENANT],
  );
  await db.query(
    `insert into longhaul.lanes (turn_id, tenant_id, agent, ready, prio, open, head_at)
     select turn_id, tenant_id, 'a', ready, 100, true, clock_timestamp() - random() * interval '1 hour' from longhaul.turns`,
  );
  for (let part = 0; part < PER_TENANT; part += 10) {
    await db.query(
      `with made as (select gen_random_uuid() as run_id, l.lane_id from longhaul.lanes l cross join generate_series(1, 10)),
       lived as (insert into longhaul.live (run_id, lane_id, state) select run_id, lane_id, 'queued' from made)
       insert into longhaul.ready (run_id, lane_id, prio, at) select run_id, lane_id, 100, clock_timestamp() - random() * interval '1 hour' from made`,
    );
  }
  await db.query(
    `insert into longhaul.live (run_id, lane_id, state, worker_id, expires_at)
     select gen_random_uuid(), lane_id, 'running', gen_random_uuid(), clock_timestamp() + interval '1 day' from longhaul.lanes limit $1`,
    [RUNNING],
  );
  await db.query(
    `insert into longhaul.workers (worker_id, pid, slots, host, build, queues, agents, version, seen_at)
     select gen_random_uuid(), 1, 64, 'h', 'b', $1::text[], '{a}', '0', clock_timestamp() + interval '1 day' from generate_series(1, 20)`,
    [SERVED],
  );
  for (const table of ["tenants", "turns", "lanes", "live", "ready"]) await db.query(`analyze longhaul.${table}`);
}
