// Commands on budgets, of runs, of tenants, and of programs outside.
import { BUDGET_DIMENSIONS, type BudgetLimits, type BudgetView } from "../domain/budget.ts";
import { fail } from "../domain/errors.ts";
import type { Context } from "./context.ts";
import { withInstallation } from "./installation.ts";
import { whoami } from "./submit.ts";

/** @throws BUDGET_NOT_FOUND */
export function showBudget({ budget }: { readonly budget: string }, context: Context): Promise<BudgetView> {
  return withInstallation(context, async (tenant) => {
    const found = await tenant.budget(budget);
    if (found === null) throw fail("BUDGET_NOT_FOUND", { budget: budget.slice(0, 100) });
    return found;
  });
}

export interface RaiseInput extends Partial<Record<keyof BudgetLimits, number | undefined>> {
  readonly budget: string;
  readonly by?: string | undefined;
}

/** @throws BUDGET_NOT_FOUND, BUDGET_INVALID */
export function raiseBudget({ budget, by = whoami(), ...more }: RaiseInput, context: Context): Promise<BudgetView> {
  const given = BUDGET_DIMENSIONS.filter((dimension) => more[dimension] !== undefined);
  const amounts = Object.fromEntries(given.map((dimension) => [dimension, more[dimension]])) as BudgetLimits;
  return withInstallation(context, (tenant) => tenant.raiseBudget(budget, amounts, { by }));
}
