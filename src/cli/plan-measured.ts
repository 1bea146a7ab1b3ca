// The measured figures of this installation as a question for the planner.
import { fail } from "../domain/errors.ts";
import { PEAK_MAX } from "../planner/day-profile.ts";
import { P95_PER_MEAN_MAX } from "../planner/distribution.ts";
import type { Asked } from "../planner/question.ts";
import type { PlanFigures } from "../store/plan-figures.ts";
import type { Context } from "./context.ts";
import { asNotReady, runningDatabase } from "./installation.ts";

/** What the plan was made from. */
export interface Basis {
  readonly observedHours: number;
  readonly runs: number;
  /** Ended runs from which run times, steps and waits were taken. */
  readonly sample: number;
}

export interface Measured {
  readonly asked: Asked;
  readonly basis: Basis;
}

const WINDOW_HOURS = 7 * 24;
/** Below these, chance speaks louder than the load. */
const ENDED_MIN = 50;
const HOURS_MIN = 1;
const STATEMENT_TIMEOUT_MS = 60_000;

/** @throws CAPACITY_FIGURES_MISSING, INSTALLATION_NOT_RUNNING, DATABASE_UNAVAILABLE, SCHEMA_NOT_READY */
export async function measure(context: Context, stepsPerCall: number): Promise<Measured> {
  const project = await context.project();
  const { url } = await runningDatabase(project);
  const { openDatabase } = await import("../store/database.ts");
  const { readPlanFigures } = await import("../store/plan-figures.ts");
  const { schema } = project.settings;
  const db = openDatabase({
    url,
    schema,
    max: 2,
    applicationName: "longhaul plan",
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  try {
    return asMeasured(await readPlanFigures(db, WINDOW_HOURS), stepsPerCall);
  } catch (error) {
    throw asNotReady(error, schema);
  } finally {
    await db.end();
  }
}

/** @throws CAPACITY_FIGURES_MISSING */
export function asMeasured(figures: PlanFigures, stepsPerCall: number): Measured {
  const { observed_hours: hours, runs, ended, active_ms_mean: meanMs, active_ms_p95: p95Ms } = figures;
  if (ended < ENDED_MIN || hours < HOURS_MIN)
    throw fail("CAPACITY_FIGURES_MISSING", {
      found: `${ended} runs ended in the last ${WINDOW_HOURS / 24} days, and the first came ${hours.toFixed(1)} hours ago`,
      needed: `${ENDED_MIN} have ended and ${HOURS_MIN} hour has passed`,
    });
  const perHour = runs / hours;
  const runMinutes = Math.max(meanMs, 1) / 60_000;
  return {
    basis: { observedHours: hours, runs, sample: ended },
    asked: {
      tasksPerDay: perHour * 24,
      // Where some runs are far longer than the rest the 95th percentile can lie below the mean, or where no curve fits.
      runMinutes,
      runMinutesP95: within(p95Ms / 60_000, runMinutes, P95_PER_MEAN_MAX * runMinutes),
      callsPerRun: figures.steps_per_run / stepsPerCall,
      tenants: Math.max(1, figures.tenants),
      waitingShare: figures.waiting_share,
      waitHours: figures.wait_ms_mean / 3_600_000,
      peak: within(figures.busiest_per_hour / perHour, 1, PEAK_MAX),
    },
  };
}

function within(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
