// Whether the simulator is right: the same arrivals, run times, slots and tenants through a real worker, and how fast it is.
import { agent, connect } from "../../src/index.ts";
import { dayProfile } from "../../src/planner/day-profile.ts";
import { simulate } from "../../src/planner/simulate.ts";
import { type Arrival, arrivalsOf, type Workload } from "../../src/planner/workload.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { percentile } from "../lab/statistics.ts";
import { pause, until } from "../lab/until.ts";
import { setTenants } from "../queue/store.ts";

const OFF_MAX_PERCENT = 15;
const SLOTS = 16;
const RUN_MS = 1_000;
const DAY_MS = 86_400_000;

export const simulator: Claim = {
  name: "simulator",
  sentence:
    "The capacity planner's simulator is within 15 % of a real worker, and simulates a day of a million tasks in seconds",
  measure: async (lab) => [
    ...(await besideWorker(lab, "one tenant", 0.85, [{}])),
    ...(await besideWorker(lab, "a cap and a weight", 0.85, [{ share: 2, weight: 3 }, {}, { cap: 5 }])),
    day(lab),
  ],
};

interface Figures {
  readonly runsPerSecond: number;
  readonly meanMs: number;
  readonly p95Ms: number;
}

interface Played {
  readonly figures: Figures;
  /** As they really came, in milliseconds from the first. */
  readonly arrivals: Arrival[];
}

async function besideWorker(
  lab: Lab,
  what: string,
  load: number,
  tenants: NonNullable<Workload["tenants"]>,
): Promise<Measure[]> {
  const workload: Workload = {
    perDay: ((load * SLOTS) / RUN_MS) * DAY_MS,
    pace: { per: "run", time: { kind: "lognormal", meanMs: RUN_MS, p95Ms: 2.5 * RUN_MS } },
    callsPerRun: 0,
    tokensPerCall: 0,
    tenants,
  };
  const next = arrivalsOf(workload, 1);
  const schedule = Array.from({ length: lab.size(800, 60) }, () => next() as Arrival);
  lab.say(`${what}: ${schedule.length} runs of a second, ${SLOTS} slots, ${load * 100} % busy`);
  const { figures: real, arrivals } = await play(lab, schedule, tenants);
  const simulated = replay(workload, arrivals);
  const rows = [
    ["runs per second", "1/s", "runsPerSecond"],
    ["wait to start, mean", "ms", "meanMs"],
    ["wait to start, p95", "ms", "p95Ms"],
  ] as const;
  const off = rows.map(([, , figure]) => Math.abs(simulated[figure] / real[figure] - 1) * 100);
  return [
    ...rows.map(([name, unit, figure]) => ({
      what: `${name}, ${what}`,
      value: simulated[figure],
      unit,
      baseline: { what: "a real worker", value: real[figure] },
    })),
    {
      what: `furthest off, ${what}`,
      value: Math.max(...off),
      unit: "%",
      bar: { of: "value", at: "most", limit: OFF_MAX_PERCENT },
    },
  ];
}

/** Submits each run at its moment to a worker whose agent holds its slot as long as it is told. */
async function play(
  lab: Lab,
  schedule: readonly Arrival[],
  tenants: NonNullable<Workload["tenants"]>,
): Promise<Played> {
  const database = await lab.database();
  const started = new Map<string, number>();
  let lastMs = 0;
  let ended = 0;
  const busy = agent({
    name: "busy",
    async run(ctx, ms) {
      started.set(ctx.runId, performance.now());
      // A plain timer inside a step: ctx.sleep would give the slot away.
      await ctx.step("work", () => pause(ms as number));
      ended += 1;
      lastMs = performance.now();
    },
  });
  const longhaul = await connect({ url: database.url, agents: [busy], worker: { slots: SLOTS } });
  const named = tenants.map(({ share: _, ...limits }, place) => ({ tenant: `tenant-${place}`, ...limits }));
  await setTenants(longhaul.database, named);
  // What a worker does for the first time takes longer.
  await Promise.all(Array.from({ length: SLOTS }, () => longhaul.run(busy, 1)));
  ended = 0;
  const fromMs = performance.now();
  const came = await Promise.all(
    schedule.map(async (arrival) => {
      await pause(Math.max(0, fromMs + arrival.atMs - performance.now()));
      const { runId } = await longhaul.tenant(`tenant-${arrival.tenant}`).submit(busy, arrival.runMs ?? 0);
      return { arrival, runId, atMs: performance.now() };
    }),
  );
  await until("the last run", 600_000, () => ended === schedule.length);
  await longhaul.close();
  await database.drop();
  const waits = came.map(({ runId, atMs }) => Math.max(0, (started.get(runId) ?? Number.NaN) - atMs));
  const firstMs = Math.min(...came.map(({ atMs }) => atMs));
  return {
    figures: {
      runsPerSecond: (schedule.length * 1_000) / (lastMs - firstMs),
      meanMs: waits.reduce((sum, wait) => sum + wait, 0) / waits.length,
      p95Ms: percentile(waits, 0.95),
    },
    arrivals: came
      .map(({ arrival, atMs }) => ({ ...arrival, atMs: atMs - firstMs }))
      .sort((one, other) => one.atMs - other.atMs),
  };
}

function replay(workload: Workload, arrivals: readonly Arrival[]): Figures {
  const left = arrivals[Symbol.iterator]();
  const { finished, measuredMs, wait } = simulate({
    workload,
    arrivals: () => left.next().value ?? null,
    fleet: { workers: 1, slots: SLOTS },
    durationMs: Number.POSITIVE_INFINITY,
  });
  return { runsPerSecond: (finished * 1_000) / measuredMs, meanMs: wait.meanMs, p95Ms: wait.p95Ms };
}

/** Ten million calls, booked one by one. */
function day(lab: Lab): Measure {
  const tasks = lab.size(1_000_000, 50_000);
  lab.say(`a day of ${tasks} tasks`);
  const before = process.cpuUsage();
  const { arrived, callsPerSecond } = simulate({
    workload: {
      perDay: tasks,
      profile: dayProfile(3),
      pace: { per: "run", time: { kind: "lognormal", meanMs: 300_000, p95Ms: 600_000 } },
      callsPerRun: 10,
      tokensPerCall: 3_000,
      waiting: { share: 0.2, time: { kind: "exponential", meanMs: 4 * 3_600_000 } },
      tenants: Array.from({ length: 100 }, () => ({ cap: 500 })),
    },
    fleet: { workers: 10, workersMax: 70, slots: 189 },
    limits: { requestsPerMinute: tasks / 30, tokensPerMinute: tasks * 100 },
    durationMs: DAY_MS,
  });
  const { user, system } = process.cpuUsage(before);
  return {
    what: `a day of ${tasks} tasks, simulated, processor time`,
    value: (user + system) / 1e6,
    unit: "s",
    bar: { of: "value", at: "most", limit: 15 },
    note: `${arrived} runs arrived and made ${Math.round(callsPerSecond * 86_400)} calls against two provider limits, among 100 tenants`,
  };
}
