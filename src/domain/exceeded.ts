// A budget that does not allow what was asked of it, and the error that says so.
import type { BudgetDimension } from "./budget.ts";
import { fail, isLonghaulError, type LonghaulError } from "./errors.ts";

/** Figures are in the dimension's own unit: tokens, US dollars, steps, minutes. */
export interface Refusal {
  readonly budgetId: string;
  readonly dimension: BudgetDimension;
  readonly limit: number;
  readonly spent: number;
  /** Set aside for what is under way, by the whole tree. */
  readonly held: number;
  /** What would have been taken. */
  readonly asked: number;
  readonly onExceeded: "fail" | "ask";
  /** False: only what others have set aside is in the way, and some of it may come back. */
  readonly final: boolean;
}

export const UNITS: Readonly<Record<BudgetDimension, string>> = {
  inputTokens: "input tokens",
  outputTokens: "output tokens",
  usd: "US dollars",
  steps: "steps",
  wallMinutes: "minutes",
};

/** Without the digits that only arithmetic makes; a billionth of a dollar is still one. */
function shown(figure: number): number {
  return Number(figure.toFixed(9));
}

/** The error of a refusal that nothing but more budget can help. */
export function exceeded(refusal: Refusal): LonghaulError {
  const { budgetId, dimension, limit, spent, asked, onExceeded } = refusal;
  return fail(
    "BUDGET_EXCEEDED",
    { budget: budgetId, limit: shown(limit), unit: UNITS[dimension], spent: shown(spent), asked: shown(asked) },
    { details: { budgetId, dimension, limit, spent, asked, onExceeded } },
  );
}

/** What a person is told who is asked to raise a budget. */
export type Askable = Omit<Refusal, "held" | "final">;

/** The refusal behind an error, when it is one of a budget that a person may be asked to raise; else null. */
export function askable(error: unknown): Askable | null {
  if (!isLonghaulError(error, "BUDGET_EXCEEDED")) return null;
  const details = error.details as Askable | undefined;
  return details?.onExceeded === "ask" ? details : null;
}
