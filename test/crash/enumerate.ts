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
  /** Points, workloads, or workloads with modes; empty: all. */
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
const PROGRESS_EVERY = 50;

export async function enumerate({ lanes, only, list, say }: EnumerateOptions): Promise<Summary> {
  const startMs = performance.now();
  const reports: Report[] = [];
  let count = 0;
  for (const workload of WORKLOADS.filter(({ name }) => isWanted(`${name}:`, only))) {
    const clean = await survey(workload);
    const points = allPoints(workload, clean).filter((point) => isWanted(nameOf(point), only));
    count += points.length;
    say(`${workload.name}: ${clean.requests.size} requests, ${points.length} points`);
    if (list) for (const point of points) say(`  ${nameOf(point)}  ${clean.requests.get(point.request) ?? ""}`);
    else reports.push(...(await tryPoints(workload, points, clean, lanes, progress(points.length, say))));
  }
  const failed = reports.filter(({ violations }) => violations.length > 0);
  const missed = reports.filter(({ struck, violations }) => struck === null && violations.length === 0).length;
  const seconds = Math.round((performance.now() - startMs) / 1_000);
  say(
    `${count} points enumerated in ${seconds} s on ${availableParallelism()} cores: ` +
      `${reports.length - missed - failed.length} held, ${missed} not reached, ${failed.length} violated`,
  );
  for (const { name } of failed) say(`  npm run test:crash -- ${name}`);
  return { points: count, missed, failed };
}

/** The undisturbed run, in a database of its own. */
export async function survey(workload: Workload): Promise<Clean> {
  const arena = await Arena.open(workload);
  try {
    return await cleanRun(arena, new Victim());
  } finally {
    await arena.close();
  }
}

export function allPoints({ name, victim }: Workload, { requests }: Clean): Point[] {
  const struck = [...requests.keys()].filter((request) => Number(/-(\d+)$/.exec(request)?.[1] ?? 0) <= PERIODIC_MAX);
  return pointsOf(name, faultsOf(victim), struck);
}

export async function tryPoints(
  workload: Workload,
  points: readonly Point[],
  clean: Clean,
  lanes: number,
  onReport: (report: Report) => void = () => undefined,
): Promise<Report[]> {
  const left = [...points];
  const reports: Report[] = [];
  const lane = async (): Promise<void> => {
    const arena = await Arena.open(workload);
    // The next victim starts while this one is being tried.
    let victim = new Victim();
    for (let point = left.shift(); point !== undefined; point = left.shift()) {
      const next = new Victim();
      const report = await tryPoint(arena, point, clean, victim);
      victim = next;
      reports.push(report);
      onReport(report);
    }
    victim.kill();
    await arena.close();
  };
  await Promise.all(Array.from({ length: Math.min(lanes, points.length) }, lane));
  return reports;
}

function progress(total: number, say: (line: string) => void): (report: Report) => void {
  let done = 0;
  return ({ name, struck, violations }) => {
    done += 1;
    if (violations.length > 0) say(`VIOLATED ${name} (${struck ?? "not reached"})\n  ${violations.join("\n  ")}`);
    if (done % PROGRESS_EVERY === 0) say(`  ${done} of ${total}`);
  };
}

/** Whether something of this name, or below it, is asked for: `retry:`, `retry:cut-after:3`. */
function isWanted(name: string, only: readonly string[]): boolean {
  if (only.length === 0) return true;
  return only.some((wanted) => {
    if (name === wanted || wanted.startsWith(name)) return true;
    return name.startsWith(`${wanted}:`) || (wanted.includes(":") && name.startsWith(`${wanted}-`));
  });
}
