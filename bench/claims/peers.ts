// Other durable runtimes on PostgreSQL, side by side: the same server, the same trivial steps, in turns.
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { installPeers } from "../lab/packages.ts";
import { median, percentile } from "../lab/statistics.ts";
import { pause } from "../lab/until.ts";
import { type Contestant, contest, LONGHAUL, loops, slope, turn } from "../systems/contest.ts";
import { Driver, type SystemName } from "../systems/driver.ts";

const PEERS: readonly SystemName[] = [
  { name: "OpenWorkflow", module: "../peers/openworkflow.mjs" },
  { name: "DBOS", module: "../peers/dbos.mjs" },
];
const LEAST_TIMES_BEST_PEER = 5;
const COUNTED = "statements: difference between long and short runs; what idle slots poll meanwhile counts";

export const peers: Claim = {
  name: "peers",
  sentence: "Five times the durable steps per second of the best peer measured in the same run",
  async measure(lab) {
    if (!installPeers(lab.say)) return [];
    const systems = [LONGHAUL, ...PEERS];
    const measures = await contest(lab, systems, async (contestants) => [
      ...(await throughput(lab, contestants)),
      ...(await statements(lab, contestants)),
      ...(await starts(lab, contestants)),
      ...(await idling(lab, contestants)),
    ]);
    return [...measures, ...(await recoveries(lab, systems))];
  },
};

async function throughput(lab: Lab, contestants: readonly Contestant[]): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const runs of [1, 20, 64]) {
    lab.say(`${runs} run${runs === 1 ? "" : "s"}, in turns`);
    const figures = await loops(contestants, runs, lab.size(runs === 1 ? 200 : 60, 15), lab.size(3, 1));
    const best = Math.max(...figures.slice(1).map(({ stepsPerSecond }) => stepsPerSecond));
    figures.forEach(({ stepsPerSecond, p50Ms }, place) => {
      const system = nameOf(contestants[place]);
      const ours = place === 0;
      measures.push({
        what: `steps per second, ${runs} run${runs === 1 ? "" : "s"}, ${system}`,
        value: stepsPerSecond,
        unit: "1/s",
        ...(ours ? { baseline: { what: "the best peer", value: best } } : {}),
        ...(ours && runs === 64 ? { bar: { of: "ratio", at: "least", limit: LEAST_TIMES_BEST_PEER } as const } : {}),
      });
      if (runs === 1) measures.push({ what: `one step, p50, ${system}`, value: p50Ms, unit: "ms" });
    });
  }
  return measures;
}

async function statements(lab: Lab, contestants: readonly Contestant[]): Promise<Measure[]> {
  lab.say("counting statements and log bytes");
  const measures: Measure[] = [];
  for (const runs of [1, 64]) {
    for (const contestant of contestants) {
      const cost = await slope(lab, contestant, runs, 10, lab.size(runs === 1 ? 210 : 50, 40));
      const which = `${runs === 1 ? "1 run" : `${runs} runs`}, ${nameOf(contestant)}`;
      measures.push(
        { what: `statements per step, ${which}`, value: cost.statements, unit: "", note: COUNTED },
        { what: `log (WAL) per step, ${which}`, value: cost.walBytes, unit: "B" },
      );
    }
  }
  return measures;
}

async function starts(lab: Lab, contestants: readonly Contestant[]): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const contestant of contestants) {
    lab.say(`submit to first line, ${contestant.driver.name}`);
    const measure = (here: boolean): Promise<number[]> =>
      turn(contestant, async (driver) => {
        const waits: number[] = [];
        await driver.start(here);
        for (let count = 0; count < lab.size(20, 3); count++) {
          await pause(100 + Math.random() * 400);
          waits.push(await driver.start(here));
        }
        return waits;
      });
    const queued = await measure(false);
    measures.push(
      { what: `submit to first line, p50, ${nameOf(contestant)}`, value: median(queued), unit: "ms" },
      { what: `submit to first line, slowest, ${nameOf(contestant)}`, value: percentile(queued, 1), unit: "ms" },
    );
    if (contestant.driver.canStartHere) {
      const direct = await measure(true);
      measures.push({
        what: `start in this process without a queue, p50, ${nameOf(contestant)}`,
        value: median(direct),
        unit: "ms",
      });
    }
  }
  return measures;
}

async function idling(lab: Lab, contestants: readonly Contestant[]): Promise<Measure[]> {
  const measures: Measure[] = [];
  const seconds = lab.size(10, 2);
  for (const contestant of contestants) {
    lab.say(`idle for ${seconds} s, ${contestant.driver.name}`);
    await turn(contestant, async () => {
      await pause(1_500);
      const before = await lab.counters(contestant.database.url);
      await pause(seconds * 1_000);
      const after = await lab.counters(contestant.database.url);
      const rate = (after.statements - before.statements) / seconds;
      measures.push({
        what: `idle statements per second, ${nameOf(contestant)}`,
        value: rate,
        unit: "1/s",
        note: "64 slots",
      });
    });
  }
  return measures;
}

/** A process dies with recorded steps; the next one on the same database takes the run up. */
async function recoveries(lab: Lab, systems: readonly SystemName[]): Promise<Measure[]> {
  // One of them allows no more than 1,000.
  const steps = lab.size(900, 50);
  lab.say(
    `kill -9 after ${steps} recorded steps, then a new process: leases of 10 s and 30 s, or a restart under the old name`,
  );
  const found = await Promise.all(systems.map((system) => recovery(lab, system, steps)));
  return found.flatMap(({ version, takenUpMs, ms, statements }, place) => {
    const system = `${systems[place]?.name} ${version}`;
    return [
      { what: `new process ready to first line, ${system}`, value: takenUpMs / 1_000, unit: "s" },
      {
        what: `first line to past ${steps} recorded steps, ${system}`,
        value: ms,
        unit: "ms",
        note: "two of the three read the whole history before the first line, which is not in this figure",
      },
      { what: `statements between these, ${system}`, value: statements, unit: "" },
    ];
  });
}

async function recovery(
  lab: Lab,
  system: SystemName,
  steps: number,
): Promise<{ version: string; takenUpMs: number; ms: number; statements: number }> {
  const database = await lab.database({ migrated: system === LONGHAUL });
  const dying = await Driver.open(system, database.url, true);
  dying.send({ type: "recover", steps });
  await passing(dying);
  await dying.kill();
  const next = await Driver.open(system, database.url);
  const readyMs = performance.now();
  const { mark } = await next.heard("mark");
  const takenUpMs = performance.now() - readyMs;
  const before = await lab.counters(database.url);
  next.send({ type: "acknowledge", mark });
  const past = await next.heard("mark");
  const after = await lab.counters(database.url);
  next.send({ type: "acknowledge", mark: past.mark });
  await next.close();
  await database.drop();
  return {
    version: next.version,
    takenUpMs,
    ms: past.ms ?? Number.NaN,
    statements: after.statements - before.statements,
  };
}

/** Lets a run record its steps, up to the moment when it is to die. */
async function passing(driver: Driver): Promise<void> {
  for (let passed = false; !passed; ) {
    const { mark } = await driver.heard("mark");
    driver.send({ type: "acknowledge", mark });
    passed = mark === "past the recorded steps";
  }
}

function nameOf(contestant: Contestant | undefined): string {
  return `${contestant?.driver.name} ${contestant?.driver.version}`;
}
