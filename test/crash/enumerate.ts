// Finds the crash points of the workloads by an undisturbed run of each, and tries them, several at a time.
import { availableParallelism } from "node:os";
import { Arena } from "./arena.ts";
import { faultsOf, nameOf, type Point, pointsOf } from "./point.ts";
import { type Clean, cleanRun, type Report, tryPoint } from "./try-point.ts";
import { Victim } from "./victim.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

export interface EnumerateOptions {
  /** Points under way at the same time: most of a point is waiting for a lease to lapse. */
  readonly lanes: number;
  /** Beginnings of names; empty: all. */
  readonly only: readonly string[];
  /** Name the points and try none. */
  readonly list: boolean;
  readonly say: (line: string) => void;
}

export interface Summary {
  readonly points: number;
  /** Points whose request did not come. */
  readonly missed: number;
  readonly failed: readonly Report[];
}

/** Of what time causes, so many are struck. */
const PERIODIC_MAX = 2;

export async function enumerate({ lanes, only, list, say }: EnumerateOptions): Promise<Summary> {
  const startMs = performance.now();
  const totals = { points: 0, missed: 0, failed: [] as Report[] };
  for (const workload of WORKLOADS.filter(({ name }) => only.length === 0 || only.some((o) => concerns(o, name)))) {
    const clean = await survey(workload);
    const points = pointsOf(workload.name, faultsOf(workload.victim), struckRequests(clean)).filter((point) =>
      isWanted(point, only),
    );
    const named = only.filter((name) => name.split(":").length === 3 && name.startsWith(`${workload.name}:`));
    say(
      `${workload.name}: ${clean.requests.size} requests, ${points.length} points${named.length > 0 ? " wanted" : ""}`,
    );
    totals.points += points.length;
    if (list) for (const point of points) say(`  ${nameOf(point)}  ${clean.requests.get(point.request) ?? ""}`);
    else await tryAll(workload, points, clean, lanes, totals, say);
  }
  const seconds = Math.round((performance.now() - startMs) / 1_000);
  const { points, missed, failed } = totals;
  say(
    `${points} points enumerated in ${seconds} s on ${availableParallelism()} cores: ${points - missed - failed.length} held, ${missed} not reached, ${failed.length} violated`,
  );
  for (const { name } of failed) say(`  npm run test:crash -- ${name}`);
  return totals;
}

/** The undisturbed run, in a database of its own. */
async function survey(workload: Workload): Promise<Clean> {
  const arena = await Arena.open(workload);
  try {
    return await cleanRun(arena, new Victim());
  } finally {
    await arena.close();
  }
}

function struckRequests({ requests }: Clean): string[] {
  return [...requests.keys()].filter((name) => Number(/-(\d+)$/.exec(name)?.[1] ?? 0) <= PERIODIC_MAX);
}

async function tryAll(
  workload: Workload,
  points: readonly Point[],
  clean: Clean,
  lanes: number,
  totals: { missed: number; failed: Report[] },
  say: (line: string) => void,
): Promise<void> {
  const left = [...points];
  let done = 0;
  const lane = async (): Promise<void> => {
    const arena = await Arena.open(workload);
    // The next victim starts while this one is being tried.
    let victim = new Victim();
    for (let point = left.shift(); point !== undefined; point = left.shift()) {
      const next = new Victim();
      const report = await tryPoint(arena, point, clean, victim);
      victim = next;
      done += 1;
      if (report.violations.length > 0) {
        totals.failed.push(report);
        say(`VIOLATED ${report.name} (${report.struck ?? "not reached"})\n  ${report.violations.join("\n  ")}`);
      } else if (report.struck === null) totals.missed += 1;
      if (done % 50 === 0) say(`  ${done} of ${points.length}`);
    }
    victim.kill();
    await arena.close();
  };
  await Promise.all(Array.from({ length: Math.min(lanes, points.length) }, lane));
}

function isWanted(point: Point, only: readonly string[]): boolean {
  const name = nameOf(point);
  return (
    only.length === 0 ||
    only.some((o) => name === o || name.startsWith(`${o}:`) || (name.startsWith(`${o}-`) && o.includes(":")))
  );
}

function concerns(wanted: string, workload: string): boolean {
  return wanted === workload || wanted.startsWith(`${workload}:`);
}
