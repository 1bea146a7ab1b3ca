// What will bind first when the load grows, and what to do then.

import { amount } from "./amount.ts";
import type { Assumptions } from "./assumptions.ts";
import type { Demand } from "./demand.ts";
import { type Postgres, partsOf } from "./postgres.ts";
import { STEADY_RATE } from "./provider.ts";
import type { Question } from "./question.ts";
import type { Shape } from "./shapes.ts";

export interface Bottleneck {
  readonly what:
    | "worker slots"
    | "database steps"
    | "database log"
    | "database storage"
    | "provider quota"
    | "tenant caps";
  /** It binds at so many times this load; below 1 it binds now. */
  readonly atTimesLoad: number;
  /** What to do then. */
  readonly remedy: string;
}

export interface Installation {
  readonly question: Question;
  readonly demand: Demand;
  readonly assumptions: Assumptions;
  readonly shape: Shape;
  readonly slots: number;
  /** Slots that a worker could have. */
  readonly slotsCarried: number;
  readonly postgres: Postgres;
}

/** All of them, the nearest first. */
export function bottlenecks(installation: Installation): Bottleneck[] {
  return [...ofSlots(installation), ...ofDatabase(installation), ...ofProvider(installation), ...ofCaps(installation)]
    .filter(({ atTimesLoad }) => Number.isFinite(atTimesLoad))
    .sort((a, b) => a.atTimesLoad - b.atTimesLoad);
}

export function bottleneckSentence({ what, atTimesLoad, remedy }: Bottleneck): string {
  const when = atTimesLoad < 1 ? "bind already" : `bind first, at about ${amount(atTimesLoad)} times this load`;
  return `The ${what} ${what.endsWith("s") ? when : when.replace("bind", "binds")}: ${remedy}.`;
}

/** Where workers can be added without changing the shape, they do not bind. */
function ofSlots(installation: Installation): Bottleneck[] {
  const { question, demand, shape, slots, assumptions } = installation;
  const machine = assumptions.workersPerMachineMax;
  const most = question.workers ?? (shape.name === "one command" ? 1 : shape.name === "one machine" ? machine : null);
  if (most === null) return [];
  const usable = most * slots * assumptions.workerLoadMax;
  const remedy = slotsRemedy(installation);
  return [{ what: "worker slots", atTimesLoad: usable / demand.runsAtOnce, remedy }];
}

function slotsRemedy({ question, shape, slots, slotsCarried }: Installation): string {
  if (slots < slotsCarried && question.slots === null) return `longhaul start --slots ${slotsCarried}`;
  if (question.workers !== null) return "add workers";
  if (shape.name === "one command") return "longhaul start --workers 2";
  return "longhaul server and longhaul worker on several machines, with DATABASE_URL";
}

function ofDatabase({ demand, postgres, assumptions }: Installation): Bottleneck[] {
  const { steps, wal, storage } = partsOf(demand, postgres.size, assumptions);
  const { embedded, clusters } = postgres;
  const larger = embedded
    ? "a PostgreSQL of its own, with DATABASE_URL"
    : postgres.size.name === assumptions.postgres.at(-1)?.name
      ? "spread the tenants over one more cluster"
      : "the next larger PostgreSQL";
  return [
    { what: "database steps", atTimesLoad: clusters / steps, remedy: larger },
    { what: "database log", atTimesLoad: clusters / wal, remedy: `${larger}, or keep large values elsewhere` },
    {
      what: "database storage",
      atTimesLoad: clusters / storage,
      remedy: `keep ended runs for a shorter time, or ${larger}`,
    },
  ];
}

/** Only of a quota that was given: one that is asked for grows with the load. */
function ofProvider({ question, demand }: Installation): Bottleneck[] {
  const { requestsPerMinute, tokensPerMinute } = question;
  const bind = (given: number | null, needed: number, unit: string): Bottleneck[] =>
    given === null
      ? []
      : [
          {
            what: "provider quota",
            atTimesLoad: (given * STEADY_RATE) / needed,
            remedy: `ask for more ${unit} per minute`,
          },
        ];
  return [
    ...bind(requestsPerMinute, demand.callsPerMinute, "requests"),
    ...bind(tokensPerMinute, demand.tokensPerMinute, "tokens"),
  ];
}

function ofCaps({ question, demand }: Installation): Bottleneck[] {
  const { tenants, tenantCap } = question;
  if (tenantCap === null) return [];
  const remedy = "raise the tenants' caps";
  return [{ what: "tenant caps", atTimesLoad: (tenants * tenantCap) / demand.runsAtOnce, remedy }];
}
