// What the load asks of each part, by arithmetic alone: averages of the busy hour, and sums of a month.
import type { Assumptions } from "./assumptions.ts";
import type { Question } from "./question.ts";

export interface Demand {
  /** In the busy hour, like everything per second and per minute here. */
  readonly runsPerSecond: number;
  /** Runs that hold a slot at once, on average. */
  readonly runsAtOnce: number;
  /** Runs that wait for people or timers at once, over the whole day: rows, nothing else. */
  readonly waitingAtOnce: number;
  readonly callsPerMinute: number;
  readonly tokensPerMinute: number;
  readonly tokensPerMonth: number;
  /** Journal entries and moves of one run. */
  readonly stepsPerRun: number;
  readonly stepsPerSecond: number;
  readonly walMbPerSecond: number;
  readonly storageGbPerDay: number;
  /** What lies there once the retention begins to delete. */
  readonly storageGb: number;
}

export const DAYS_PER_MONTH = 30;
const DAY_SECONDS = 86_400;
/** Submitted, claimed, ended; and let go, answered, claimed anew. */
const STEPS_PER_RUN = 3;
const STEPS_PER_WAIT = 3;

export function demandOf(question: Question, assumptions: Assumptions): Demand {
  const { tasksPerDay, runMinutes, callsPerRun, tokensPerCall, waitingShare, waitHours, peak } = question;
  const { stepsPerCall, bytesPerStep, walPerByte, retentionDays } = assumptions;
  const runsPerSecond = (tasksPerDay * peak) / DAY_SECONDS;
  const callsPerMinute = runsPerSecond * 60 * callsPerRun;
  const stepsPerRun = STEPS_PER_RUN + callsPerRun * stepsPerCall + waitingShare * STEPS_PER_WAIT;
  const storageGbPerDay = (tasksPerDay * stepsPerRun * bytesPerStep) / 1e9;
  return {
    runsPerSecond,
    runsAtOnce: runsPerSecond * runMinutes * 60,
    waitingAtOnce: (tasksPerDay * waitingShare * waitHours) / 24,
    callsPerMinute,
    tokensPerMinute: callsPerMinute * tokensPerCall,
    tokensPerMonth: tasksPerDay * DAYS_PER_MONTH * callsPerRun * tokensPerCall,
    stepsPerRun,
    stepsPerSecond: runsPerSecond * stepsPerRun,
    walMbPerSecond: (runsPerSecond * stepsPerRun * bytesPerStep * walPerByte) / 1e6,
    storageGbPerDay,
    storageGb: storageGbPerDay * retentionDays,
  };
}
