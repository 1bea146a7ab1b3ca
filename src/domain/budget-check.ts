// Budgets as people write them: checked, compared, and as they are stored.
import { BUDGET_DIMENSIONS, type BudgetDeclaration, type BudgetDimension } from "./budget.ts";
import { fail } from "./errors.ts";
import { BUDGET_COUNT_MAX, BUDGET_USD_MAX, BUDGET_WALL_MINUTES_MAX } from "./limits.ts";
import { nearest } from "./nearest.ts";
import { toNanoUsd } from "./usage.ts";

export interface BudgetFault {
  /** Null: the budget as a whole. */
  readonly field: string | null;
  readonly problem: string;
  readonly fix: string;
}

/** Largest value of each, and whether it is counted in whole numbers. */
const RANGES: Readonly<Record<BudgetDimension, { readonly max: number; readonly whole: boolean }>> = {
  inputTokens: { max: BUDGET_COUNT_MAX, whole: true },
  outputTokens: { max: BUDGET_COUNT_MAX, whole: true },
  usd: { max: BUDGET_USD_MAX, whole: false },
  steps: { max: BUDGET_COUNT_MAX, whole: true },
  wallMinutes: { max: BUDGET_WALL_MINUTES_MAX, whole: false },
};

const ON_EXCEEDED = ["fail", "ask"] as const;

/**
 * The budget that the input means; undefined and null mean none.
 *
 * @param where Whose it is, for the error: `agent researcher`.
 * @throws BUDGET_INVALID
 */
export function checkBudget(where: string, input: unknown): BudgetDeclaration | null {
  if (input === undefined || input === null) return null;
  const fault = budgetFault(input);
  if (fault !== null) {
    const problem = fault.field === null ? fault.problem : `${fault.field}: ${fault.problem}`;
    throw fail("BUDGET_INVALID", { where, problem, fix: fault.fix });
  }
  return defined(input as BudgetDeclaration);
}

/** The first thing that is wrong with the input, or null. `dimensions`, `others`: what may be said in it. */
export function budgetFault(
  input: unknown,
  dimensions: readonly BudgetDimension[] = BUDGET_DIMENSIONS,
  others: Readonly<Record<string, readonly string[]>> = { onExceeded: ON_EXCEEDED },
): BudgetFault | null {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return { field: null, problem: `${shown(input)} is no budget`, fix: "Make it an object: { usd: 0.5, steps: 20 }." };
  }
  const known = [...dimensions, ...Object.keys(others)];
  for (const [field, value] of Object.entries(input)) {
    const fault = fieldFault(field, value, known, others);
    if (fault !== null) return fault;
  }
  if (dimensions.every((dimension) => (input as BudgetDeclaration)[dimension] === undefined))
    return { field: null, problem: "it limits nothing", fix: `Name at least one of: ${dimensions.join(", ")}.` };
  return null;
}

function fieldFault(
  field: string,
  value: unknown,
  known: readonly string[],
  others: Readonly<Record<string, readonly string[]>>,
): BudgetFault | null {
  if (!known.includes(field)) {
    const meant = nearest(field, known);
    const fix = meant === undefined ? `Known are: ${known.join(", ")}.` : `Did you mean ${meant}?`;
    return { field: field.slice(0, 100), problem: "a budget has no such limit", fix };
  }
  if (value === undefined) return null;
  const words = Object.hasOwn(others, field) ? others[field] : undefined;
  if (words !== undefined) {
    if (words.some((word) => word === value)) return null;
    return { field, problem: `${shown(value)} is not one of its words`, fix: `Make it one of ${words.join(", ")}.` };
  }
  const { max, whole } = RANGES[field as BudgetDimension];
  if (typeof value === "number" && value >= 0 && value <= max && (!whole || Number.isInteger(value))) return null;
  const fix = `Make it a ${whole ? "whole " : ""}number from 0 to ${max.toLocaleString("en")}, or leave it out. 0 lets nothing be spent.`;
  return { field, problem: `${shown(value)} cannot be used`, fix };
}

/** Of two budgets for one run the stricter limit holds, each by itself; what the second says to do when it is reached comes first. */
export function strictest(a: BudgetDeclaration | null, b: BudgetDeclaration | null): BudgetDeclaration | null {
  if (a === null || b === null) return a ?? b;
  const limits = BUDGET_DIMENSIONS.flatMap((dimension) => {
    const both = [a[dimension], b[dimension]].filter((limit) => limit !== undefined);
    return both.length === 0 ? [] : [[dimension, Math.min(...both)]];
  });
  const onExceeded = b.onExceeded ?? a.onExceeded;
  return { ...Object.fromEntries(limits), ...(onExceeded === undefined ? {} : { onExceeded }) };
}

const MINUTE_MS = 60_000;

/** As the database takes it in: see limits_of in sql/migrations/0014_budgets.sql. */
export function budgetRow(budget: BudgetDeclaration): string {
  return JSON.stringify({
    input: budget.inputTokens,
    output: budget.outputTokens,
    nano_usd: budget.usd === undefined ? undefined : String(toNanoUsd(budget.usd)),
    steps: budget.steps,
    wall_ms: budget.wallMinutes === undefined ? undefined : Math.round(budget.wallMinutes * MINUTE_MS),
    on_exceeded: budget.onExceeded,
  });
}

function defined(budget: BudgetDeclaration): BudgetDeclaration {
  return Object.fromEntries(Object.entries(budget).filter(([, value]) => value !== undefined));
}

function shown(value: unknown): string {
  const text = typeof value === "number" || typeof value === "bigint" ? String(value) : JSON.stringify(value);
  return (text ?? String(value)).slice(0, 60);
}
