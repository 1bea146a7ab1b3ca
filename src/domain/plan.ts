// What a plan allows the tenants that are on it, as people write it and as it is meant.
import { BANDS, type Band } from "./band.ts";
import type { BudgetLimits } from "./budget.ts";
import { budgetFault } from "./budget-check.ts";
import { fail } from "./errors.ts";
import { checkKey } from "./key.ts";
import { PLAN_COUNT_MAX, PLAN_WEIGHT_MAX } from "./limits.ts";
import { nearest } from "./nearest.ts";

/** What each tenant of a plan may have. What is not given, or null, is not limited. */
export interface PlanLimits {
  /** Runs in flight at once, over all queues and agents. 0 lets none start. */
  readonly concurrency?: number | null | undefined;
  /** Its share beside other tenants: 1 to 1,000. Default 1. */
  readonly weight?: number | null | undefined;
  /** Overrides the band of the tenant's agents. */
  readonly band?: Band | null | undefined;
  /** Runs that have not ended. One more is refused (TENANT_FULL); children never are. */
  readonly unfinishedMax?: number | null | undefined;
  /** A minute's worth may come at once, then one by one; sooner ones are refused (SUBMIT_RATE). */
  readonly submitsPerMinute?: number | null | undefined;
  /** What all its runs together may spend per day or month (UTC). */
  readonly budget?: PlanBudget | null | undefined;
}

/** What a tenant may spend in each period. Unlike a run's budget it has no time of its own. */
export interface PlanBudget extends Omit<BudgetLimits, "wallMinutes"> {
  readonly per: "day" | "month";
}

/** A number alone is the `concurrency`. */
export type PlanInput = number | PlanLimits;

/** A plan with everything said. */
export interface Plan {
  readonly plan: string;
  readonly concurrency: number | null;
  readonly weight: number;
  readonly band: Band | null;
  readonly unfinishedMax: number | null;
  readonly submitsPerMinute: number | null;
  readonly budget: PlanBudget | null;
}

export interface PlanFault {
  /** Null: the plan as a whole. */
  readonly field: string | null;
  readonly problem: string;
  readonly fix: string;
}

/** Least and largest value of each number. */
const RANGES = {
  concurrency: [0, PLAN_COUNT_MAX],
  weight: [1, PLAN_WEIGHT_MAX],
  unfinishedMax: [0, PLAN_COUNT_MAX],
  submitsPerMinute: [1, PLAN_COUNT_MAX],
} as const;
const FIELDS = [...Object.keys(RANGES), "band", "budget"];
const BUDGET_LIMITS = ["inputTokens", "outputTokens", "usd", "steps"] as const;
export const PERIODS = ["day", "month"] as const;

/** The plan that the input means. @throws KEY_INVALID for its name, PLAN_INVALID */
export function checkPlan(name: string, input: unknown): Plan {
  const plan = checkKey("plan", name);
  const fault = planFault(input);
  if (fault !== null) {
    const problem = fault.field === null ? fault.problem : `${fault.field}: ${fault.problem}`;
    throw fail("PLAN_INVALID", { plan: JSON.stringify(plan.slice(0, 100)), problem, fix: fault.fix });
  }
  const limits: PlanLimits = typeof input === "number" ? { concurrency: input } : (input as PlanLimits);
  return {
    plan,
    concurrency: limits.concurrency ?? null,
    weight: limits.weight ?? 1,
    band: limits.band ?? null,
    unfinishedMax: limits.unfinishedMax ?? null,
    submitsPerMinute: limits.submitsPerMinute ?? null,
    budget: limits.budget ?? null,
  };
}

/** The first thing that is wrong with the input, or null. */
export function planFault(input: unknown): PlanFault | null {
  if (typeof input === "number") return numberFault("concurrency", input);
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    const problem = `${shown(input)} is no plan`;
    return { field: null, problem, fix: "Make it a number of runs in flight, or an object: { concurrency: 20 }." };
  }
  for (const [field, value] of Object.entries(input)) {
    const fault = fieldFault(field, value);
    if (fault !== null) return fault;
  }
  return null;
}

function fieldFault(field: string, value: unknown): PlanFault | null {
  if (!FIELDS.includes(field)) {
    const meant = nearest(field, FIELDS);
    const fix = meant === undefined ? `Known are: ${FIELDS.join(", ")}.` : `Did you mean ${meant}?`;
    return { field: field.slice(0, 100), problem: "a plan has no such limit", fix };
  }
  if (value === null || value === undefined) return null;
  if (field === "budget") return planBudgetFault(value);
  if (field !== "band") return numberFault(field as keyof typeof RANGES, value);
  if (BANDS.some((band) => band === value)) return null;
  return { field, problem: `${shown(value)} is no band`, fix: `Make it one of ${BANDS.join(", ")}, or leave it out.` };
}

function planBudgetFault(value: unknown): PlanFault | null {
  const fault = budgetFault(value, BUDGET_LIMITS, { per: PERIODS });
  if (fault !== null) return { ...fault, field: fault.field === null ? "budget" : `budget.${fault.field}` };
  if ((value as PlanBudget).per !== undefined) return null;
  const fix = `Make it one of ${PERIODS.join(", ")}: { usd: 10, per: "month" }.`;
  return { field: "budget.per", problem: "it does not say for how long", fix };
}

function numberFault(field: keyof typeof RANGES, value: unknown): PlanFault | null {
  const [min, max] = RANGES[field];
  if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return null;
  const fix = `Make it a whole number from ${min} to ${max.toLocaleString("en")}, or leave it out.`;
  return { field, problem: `${shown(value)} cannot be used`, fix };
}

function shown(value: unknown): string {
  const text = typeof value === "number" || typeof value === "bigint" ? String(value) : JSON.stringify(value);
  return (text ?? String(value)).slice(0, 60);
}
