// Several systems, each on a database of its own in one server, measured in turns: what disturbs the machine disturbs all alike.
import type { FreshDatabase } from "../../test/support/postgres.ts";
import type { Lab } from "../lab/lab.ts";
import { median, percentile } from "../lab/statistics.ts";
import { Driver, type SystemName } from "./driver.ts";

export const BARE: SystemName = { name: "bare fenced insert", module: "bare.ts" };
export const LONGHAUL: SystemName = { name: "Longhaul", module: "longhaul.ts" };

export interface Contestant {
  readonly driver: Driver;
  readonly database: FreshDatabase;
}

/** Runs `work` with the systems open and paused. */
export async function contest<Result>(
  lab: Lab,
  systems: readonly SystemName[],
  work: (contestants: readonly Contestant[]) => Promise<Result>,
): Promise<Result> {
  const contestants: Contestant[] = [];
  try {
    for (const system of systems) {
      const database = await lab.database({ migrated: system === LONGHAUL });
      const driver = await Driver.open(system, database.url);
      contestants.push({ driver, database });
      driver.pause();
    }
    return await work(contestants);
  } finally {
    for (const { driver, database } of contestants) {
      await driver.close().catch(() => driver.kill());
      await database.drop();
    }
  }
}

/** One contestant's turn. */
export async function turn<Result>({ driver }: Contestant, work: (driver: Driver) => Promise<Result>): Promise<Result> {
  driver.resume();
  try {
    return await work(driver);
  } finally {
    driver.pause();
  }
}

export interface LoopFigures {
  /** Median over the rounds. */
  readonly stepsPerSecond: number;
  /** Of a single step as the program sees it, medians over the rounds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs × steps, for every contestant in turn, several rounds. The first, short round warms up and does not count. */
export async function loops(
  contestants: readonly Contestant[],
  runs: number,
  steps: number,
  rounds: number,
): Promise<LoopFigures[]> {
  const figures = contestants.map(() => ({ rate: [] as number[], p50: [] as number[], p99: [] as number[] }));
  for (let round = 0; round <= rounds; round++) {
    for (const [place, contestant] of contestants.entries()) {
      const count = round === 0 ? Math.ceil(steps / 2) : steps;
      const times = await turn(contestant, (driver) => driver.loop(runs, count));
      if (round === 0) continue;
      figures[place]?.rate.push((runs * count * 1_000) / times.ms);
      figures[place]?.p50.push(median(times.stepMs));
      figures[place]?.p99.push(percentile(times.stepMs, 0.99));
    }
  }
  return figures.map(({ rate, p50, p99 }) => ({
    stepsPerSecond: median(rate),
    p50Ms: median(p50),
    p99Ms: median(p99),
  }));
}

/** Statements and log bytes of one more step: the difference between long and short runs, so that submit and finish do not count. */
export async function slope(
  lab: Lab,
  contestant: Contestant,
  runs: number,
  short: number,
  long: number,
): Promise<{ statements: number; walBytes: number }> {
  const { url } = contestant.database;
  return turn(contestant, async (driver) => {
    const counts = [await lab.counters(url)];
    for (const steps of [short, long]) {
      await driver.loop(runs, steps);
      counts.push(await lab.counters(url));
    }
    const [before, middle, after] = counts;
    if (before === undefined || middle === undefined || after === undefined) throw new Error("no counters");
    const steps = runs * (long - short);
    const extra = (of: "statements" | "walBytes"): number =>
      (after[of] - middle[of] - (middle[of] - before[of])) / steps;
    return { statements: extra("statements"), walBytes: extra("walBytes") };
  });
}
