// One simulated stretch of the busy hour with a given number of workers: does the promise hold?
import type { Assumptions } from "./assumptions.ts";
import type { Demand } from "./demand.ts";
import type { WaitFigures } from "./histogram.ts";
import type { ProviderLimits } from "./provider.ts";
import type { Question } from "./question.ts";
import { simulate } from "./simulate.ts";
import { DAY_MS, type Workload } from "./workload.ts";

export interface Trial {
  readonly wait: WaitFigures;
  readonly callWait: WaitFigures;
  /** Parts of what there is, 0 to 1. */
  readonly utilisation: {
    readonly slots: number;
    readonly requests: number | null;
    readonly tokens: number | null;
    readonly database: number | null;
  };
  readonly runsPerSecond: number;
  readonly queueDepthMax: number;
  readonly runsInFlightMax: number;
}

/** Runs that are measured; fewer where each makes many calls, so that every trial takes about as long. */
const RUNS_MAX = 20_000;
const RUNS_MIN = 2_000;
const EVENTS_MAX = 400_000;
/** Above so many runs at once a smaller system of the same proportions is simulated: it queues more, never less. */
const AT_ONCE_MAX = 2_000;
/** Times of a run until the system is as full as it stays. */
const WARM_UP_RUNS = 4;

/**
 * The busy hour is simulated as if it lasted: who holds the promise then holds it all day. Runs that wait come back after a few run
 * times instead of hours, which changes nothing about how many come back at any moment.
 */
export function trial(
  question: Question,
  demand: Demand,
  { stepsPerCall }: Assumptions,
  slotsInAll: number,
  limits: ProviderLimits,
  databaseStepsPerSecond: number | null = null,
): Trial {
  const scale = Math.max(1, demand.runsAtOnce / AT_ONCE_MAX);
  const scaled = (limit: number | null): number | null =>
    limit === null ? null : Math.max(limit / scale, 2 * question.tokensPerCall * Number(scale > 1));
  const calls = Math.round(question.callsPerRun);
  const runs = Math.min(RUNS_MAX, Math.max(RUNS_MIN, EVENTS_MAX / (calls + 3)));
  const runMs = question.runMinutes * 60_000;
  const warmupMs = WARM_UP_RUNS * runMs;
  const result = simulate({
    workload: { ...workloadOf(question, demand, scale), callsPerRun: calls, stepsPerCall },
    fleet: { workers: 1, slots: Math.max(1, Math.round(slotsInAll / scale)) },
    limits: {
      requestsPerMinute: limits.requestsPerMinute === null ? null : limits.requestsPerMinute / scale,
      tokensPerMinute: scaled(limits.tokensPerMinute),
    },
    databaseStepsPerSecond: databaseStepsPerSecond === null ? null : databaseStepsPerSecond / scale,
    warmupMs,
    durationMs: warmupMs + (runs * 1_000 * scale) / demand.runsPerSecond,
    seed: question.seed,
  });
  return {
    wait: result.wait,
    callWait: result.callWait,
    utilisation: result.utilisation,
    runsPerSecond: result.finishedPerSecond * scale,
    queueDepthMax: Math.round(result.queueDepthMax * scale),
    runsInFlightMax: Math.round(result.runningMax * scale),
  };
}

function workloadOf(question: Question, demand: Demand, scale: number): Workload {
  const { runMinutes, runMinutesP95, tokensPerCall, waitingShare, waitHours, tenants, tenantCap } = question;
  // Fewer tenants with the same load each; where one is left, a smaller one.
  const fewer = Math.max(1, Math.round(tenants / scale));
  const cap = tenantCap === null ? {} : { cap: Math.max(1, Math.round((tenantCap * tenants) / scale / fewer)) };
  const waitMs = Math.min(waitHours * 3_600_000, 2 * runMinutes * 60_000);
  return {
    perDay: (demand.runsPerSecond * DAY_MS) / 1_000 / scale,
    pace: {
      per: "run",
      time: { kind: "lognormal", meanMs: runMinutes * 60_000, p95Ms: runMinutesP95 * 60_000 },
    },
    callsPerRun: 0,
    tokensPerCall,
    waiting: { share: waitingShare, time: { kind: "exponential", meanMs: waitMs } },
    tenants: Array.from({ length: fewer }, () => cap),
  };
}
