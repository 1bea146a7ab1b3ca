// What the record of an exceeded budget says of it, so that it can be read after the error is gone.
import { BUDGET_DIMENSIONS, type BudgetDimension } from "./budget.ts";

/** Figures are in the dimension's own unit: tokens, US dollars, steps, minutes. */
export interface SpentBudget {
  readonly budgetId: string;
  readonly dimension: BudgetDimension;
  readonly limit: number;
  readonly spent: number;
  /** What would have been taken; 0 where the time was over. */
  readonly asked: number;
}

/** What an error's details say of a budget; undefined when they are something else. */
export function spentBudgetOf(details: unknown): SpentBudget | undefined {
  if (typeof details !== "object" || details === null) return undefined;
  try {
    const { budgetId, dimension, limit, spent, asked } = details as Record<keyof SpentBudget, unknown>;
    const isOne = typeof budgetId === "string" && budgetId.length <= 36 && isDimension(dimension);
    if (!isOne || !isFigure(limit) || !isFigure(spent) || !isFigure(asked)) return undefined;
    return { budgetId, dimension, limit, spent, asked };
  } catch {
    return undefined;
  }
}

function isDimension(value: unknown): value is BudgetDimension {
  return (BUDGET_DIMENSIONS as readonly unknown[]).includes(value);
}

function isFigure(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
