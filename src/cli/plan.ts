// The command that says what a load needs: from estimates, or from what this installation has measured.
import { type Advice, advise } from "../planner/advise.ts";
import { type Assumptions, assume } from "../planner/assumptions.ts";
import type { Asked } from "../planner/question.ts";
import type { Context } from "./context.ts";
import { jsonObject, mistake } from "./mistake.ts";
import type { Basis } from "./plan-measured.ts";

/** Prices and sizes that have a flag of their own. */
type AssumptionFlag = "usdPerMillionTokens" | "memoryPerRunMb" | "workerUsdPerMonth" | "retentionDays";

export type PlanInput = { readonly [Name in keyof Asked]?: Asked[Name] | undefined } & {
  readonly [Name in AssumptionFlag]?: Assumptions[Name] | undefined;
} & {
  readonly assume?: unknown;
  readonly fromLive?: boolean | undefined;
};

export interface Plan extends Advice {
  /** Null: made from estimates. */
  readonly basis: Basis | null;
}

/**
 * Needs no database, except with `fromLive`; what is given by hand goes before what was measured.
 *
 * @throws CAPACITY_INVALID, CAPACITY_FIGURES_MISSING, COMMAND_INVALID
 */
export async function plan(input: PlanInput, context: Context): Promise<Plan> {
  const { assume: changes, fromLive = false, usdPerMillionTokens, memoryPerRunMb, ...more } = input;
  const { workerUsdPerMonth, retentionDays, ...asked } = more;
  const flags = given({ usdPerMillionTokens, memoryPerRunMb, workerUsdPerMonth, retentionDays });
  const assumptions = assume({ ...jsonObject("--assume", changes), ...flags });
  if (!fromLive) return { ...advise(estimated(asked), assumptions), basis: null };
  const { measure } = await import("./plan-measured.ts");
  const measured = await measure(context, assumptions.stepsPerCall);
  return { ...advise(together(measured.asked, asked), assumptions), basis: measured.basis };
}

function estimated({ tasksPerDay, ...asked }: PlanInput): Asked {
  if (tasksPerDay !== undefined) return { ...asked, tasksPerDay };
  const fix = "Say how many tasks come in a day (--tasks-per-day 1000), or take what was measured here (--from-live).";
  throw mistake("there is no load to plan for", fix);
}

function together(measured: Asked, asked: PlanInput): Asked {
  const byHand = given(asked);
  // The measured percentile belongs to the measured mean.
  const { runMinutes, runMinutesP95, ...rest } = measured;
  const retimed = "runMinutes" in byHand || "callSeconds" in byHand;
  const tasksPerDay = asked.tasksPerDay ?? measured.tasksPerDay;
  return { ...rest, ...(retimed ? {} : { runMinutes, runMinutesP95 }), ...byHand, tasksPerDay };
}

/** Only what was said. */
function given<Values extends object>(values: Values): Partial<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<Values>;
}
