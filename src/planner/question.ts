// What somebody wants to know: so many tasks a day of this kind, with this promise; what do I need?
import { fail } from "../domain/errors.ts";
import { WORKER_SLOTS_MAX } from "../domain/limits.ts";
import { requireNumber } from "./checks.ts";
import { PEAK_MAX } from "./day-profile.ts";
import { P95_PER_MEAN_MAX } from "./distribution.ts";

export interface Question {
  readonly tasksPerDay: number;
  /** Active time of a run on average; time that it waits for people is not in it. Default 5. */
  readonly runMinutes: number;
  /** 95 of 100 runs take at most this long. Default: twice the average. */
  readonly runMinutesP95: number;
  /** Model calls of a run. Default 10. */
  readonly callsPerRun: number;
  /** Input and output together. Default 3,000. */
  readonly tokensPerCall: number;
  /** 95 of 100 runs of the busy hour shall start within this. Default 30. */
  readonly slaSeconds: number;
  /** Equal ones. Default 1. */
  readonly tenants: number;
  /** Runs of one tenant in flight at most. Default null: no cap. */
  readonly tenantCap: number | null;
  /** Part of the runs that waits for a person or a timer, once. Default 0. */
  readonly waitingShare: number;
  /** How long those wait on average. Default 4. */
  readonly waitHours: number;
  /** How many times as much comes in the busy hour as in an average one. Default 3. */
  readonly peak: number;
  /** Slots of a worker. Default null: as many as its memory and its thread carry. */
  readonly slots: number | null;
  /** Judge this number of workers instead of searching for the smallest. Default null. */
  readonly workers: number | null;
  /** What the provider allows. Default null: the planner says what to ask for. */
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
  /** Of the simulation. Default 1. */
  readonly seed: number;
}

type Optional = "tenantCap" | "slots" | "workers" | "requestsPerMinute" | "tokensPerMinute";

/** Undefined is "not said". */
export type Asked = { readonly [Name in keyof Question]?: Question[Name] | undefined } & {
  readonly tasksPerDay: number;
  /** Instead of `runMinutes`: from one call of a run to the next. */
  readonly callSeconds?: number | undefined;
};

const CALLS_DEFAULT = 10;
const RUN_MINUTES_DEFAULT = 5;
/** A week, of which nothing is waiting. */
const RUN_MINUTES_MAX = 10_080;
const P95_DEFAULT = 2;

/** Fills in what was not said, and judges the rest. @throws CAPACITY_INVALID */
export function ask(asked: Asked): Question {
  const callsPerRun = numberOf("Calls per run", asked.callsPerRun ?? CALLS_DEFAULT, 0, 10_000);
  const runMinutes = runMinutesOf(asked, callsPerRun);
  const question: Question = {
    tasksPerDay: requireNumber("Tasks per day", asked.tasksPerDay, { min: 0, max: 1e9, aboveMin: true }),
    runMinutes,
    runMinutesP95: requireNumber("Minutes of 95 % of the runs", asked.runMinutesP95 ?? P95_DEFAULT * runMinutes, {
      min: runMinutes,
      max: P95_PER_MEAN_MAX * runMinutes,
    }),
    callsPerRun,
    tokensPerCall: numberOf("Tokens per call", asked.tokensPerCall ?? 3_000, 0, 10_000_000),
    slaSeconds: numberOf("Seconds of the SLA", asked.slaSeconds ?? 30, 0.1, 604_800),
    tenants: wholeOf("Tenants", asked.tenants ?? 1, 1_000_000),
    tenantCap: asked.tenantCap ?? null,
    waitingShare: numberOf("Share of runs that wait", asked.waitingShare ?? 0, 0, 1),
    waitHours: numberOf("Hours that they wait", asked.waitHours ?? 4, 0, 8_784),
    peak: numberOf("Peak", asked.peak ?? 3, 1, PEAK_MAX),
    slots: asked.slots ?? null,
    workers: asked.workers ?? null,
    requestsPerMinute: asked.requestsPerMinute ?? null,
    tokensPerMinute: asked.tokensPerMinute ?? null,
    seed: requireNumber("Seed", asked.seed ?? 1, { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true }),
  };
  checkOptional(question);
  return question;
}

function runMinutesOf({ runMinutes, callSeconds }: Asked, callsPerRun: number): number {
  const range = { min: 0, max: RUN_MINUTES_MAX, aboveMin: true };
  if (callSeconds === undefined) return requireNumber("Minutes per run", runMinutes ?? RUN_MINUTES_DEFAULT, range);
  if (runMinutes !== undefined)
    throw fail("CAPACITY_INVALID", {
      what: "The time of a run",
      value: "both minutes per run and seconds per call",
      expected: "one of them: the other follows from the calls per run",
    });
  requireNumber("Seconds per call", callSeconds, range);
  return requireNumber("Minutes per run", (callSeconds * callsPerRun) / 60, range);
}

function checkOptional(question: Question): void {
  const limits: Readonly<Record<Optional, readonly [what: string, max: number]>> = {
    tenantCap: ["A tenant's cap", 1e9],
    slots: ["Slots", WORKER_SLOTS_MAX],
    workers: ["Workers", 1_000_000],
    requestsPerMinute: ["Requests per minute", 1e12],
    tokensPerMinute: ["Tokens per minute", 1e15],
  };
  for (const [name, [what, max]] of Object.entries(limits)) {
    const value = question[name as Optional];
    if (value !== null) wholeOf(what, value, max);
  }
}

const numberOf = (what: string, value: number, min: number, max: number): number =>
  requireNumber(what, value, { min, max });
const wholeOf = (what: string, value: number, max: number): number =>
  requireNumber(what, value, { min: 1, max, whole: true });
