// The advice: the fewest workers that hold the promise, in the simplest shape that carries them, with its database, quota and price.
import { ASSUMPTIONS, type Assumptions } from "./assumptions.ts";
import { type Bottleneck, bottleneckSentence, bottlenecks } from "./bottleneck.ts";
import { type Costs, costsOf } from "./costs.ts";
import { type Demand, demandOf } from "./demand.ts";
import { notesOn } from "./notes.ts";
import { choosePostgres, type Postgres } from "./postgres.ts";
import { type ProviderLimits, UNLIMITED } from "./provider.ts";
import { type Asked, ask, type Question } from "./question.ts";
import { isShort, limitsWith, quotaFor } from "./quota.ts";
import { smallest } from "./search.ts";
import { type Shape, shapeOf } from "./shapes.ts";
import { type Slots, slotsOf } from "./slots.ts";
import { type Trial, trial } from "./trial.ts";

export interface Advice {
  readonly question: Question;
  /** Whether 95 of 100 runs of the busy hour start in time; if not, `bottleneck` says what is missing. */
  readonly holds: boolean;
  readonly shape: Shape;
  readonly workers: number;
  readonly slotsPerWorker: number;
  readonly slotsBoundBy: Slots["boundBy"];
  readonly postgres: Postgres;
  /** Per minute: what you have, or what to ask for. Null: no calls. */
  readonly provider: ProviderLimits;
  readonly monthly: Costs;
  readonly demand: Demand;
  /** The busy hour with exactly this, simulated. */
  readonly simulated: Trial;
  readonly bottleneck: (Bottleneck & { readonly sentence: string }) | null;
  /** What else one should know. */
  readonly notes: readonly string[];
  readonly assumptions: Assumptions;
}

/** @throws CAPACITY_INVALID */
export function advise(asked: Asked, assumptions: Assumptions = ASSUMPTIONS): Advice {
  const question = ask(asked);
  const demand = demandOf(question, assumptions);
  const fitting = slotsOf(question, demand, assumptions);
  const { slots } = fitting;
  const short = isShort(question, demand);
  // With a quota that is too small nothing comes to an end: the workers are sized for the day it is raised.
  const limits = short ? UNLIMITED : givenLimits(question);
  const holds = ({ wait }: Trial): boolean => wait.p95Ms <= question.slaSeconds * 1_000;
  const attempt = (workers: number, given: ProviderLimits, database: number | null = null): Trial =>
    trial(question, demand, assumptions, workers * slots, given, database);

  const least = Math.max(1, Math.ceil(demand.runsAtOnce / (slots * assumptions.workerLoadMax)));
  const found = question.workers ?? smallest(least, (workers) => holds(attempt(workers, limits)));
  const workers = found ?? least;
  const postgres = choosePostgres(demand, assumptions, workers <= assumptions.workersPerMachineMax);
  const shape = shapeOf(workers, slots, demand, postgres, assumptions);
  const room = postgres.size.stepsPerSecond * postgres.clusters;
  const quota = short
    ? {
        limits: limitsWith({ ...question, requestsPerMinute: null, tokensPerMinute: null }, demand),
        trial: attempt(workers, UNLIMITED, room),
      }
    : quotaFor(question, demand, (given) => attempt(workers, given, room));
  const nearest = bottlenecks({
    question,
    demand,
    assumptions,
    shape,
    slots,
    postgres,
    slotsCarried: fitting.carries,
  })[0];
  return {
    question,
    holds: !short && found !== null && holds(quota.trial),
    shape,
    workers,
    slotsPerWorker: slots,
    slotsBoundBy: fitting.boundBy,
    postgres,
    provider: quota.limits,
    monthly: costsOf(demand, workers, shape, postgres, assumptions),
    demand,
    simulated: quota.trial,
    bottleneck: nearest === undefined ? null : { ...nearest, sentence: bottleneckSentence(nearest) },
    notes: notesOn({ question, fitting, short, workers, shape }),
    assumptions,
  };
}

function givenLimits({ requestsPerMinute, tokensPerMinute }: Question): ProviderLimits {
  return { requestsPerMinute, tokensPerMinute };
}
