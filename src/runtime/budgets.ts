// The verbs on budgets: looking at one, raising one.
import type { BudgetLimits, BudgetView } from "../domain/budget.ts";
import { budgetFault } from "../domain/budget-check.ts";
import { fail } from "../domain/errors.ts";
import { NO_SPEND, toNanoUsd } from "../domain/usage.ts";
import { newId } from "../engine/ids.ts";
import { raise } from "../engine/raise.ts";
import { budgetView } from "../store/budget-view.ts";
import { readBudget } from "../store/budgets.ts";
import type { Installation } from "./installation.ts";
import { isUuid } from "./uuid.ts";

const MINUTE_MS = 60_000;

export async function viewBudgetOf({ db }: Installation, tenant: string, budgetId: string): Promise<BudgetView | null> {
  const row = isUuid(budgetId) ? await readBudget(db, tenant, budgetId) : null;
  return row === null ? null : budgetView(row);
}

/** @throws BUDGET_NOT_FOUND, BUDGET_INVALID */
export async function raiseBudgetOf(
  installation: Installation,
  tenant: string,
  budgetId: string,
  by: BudgetLimits,
  who: string,
): Promise<BudgetView> {
  const fault = budgetFault(by, undefined, {});
  if (fault !== null) {
    const problem = fault.field === null ? fault.problem : `${fault.field}: ${fault.problem}`;
    throw fail("BUDGET_INVALID", { where: "the raise", problem, fix: fault.fix });
  }
  const amount = {
    ...NO_SPEND,
    inputTokens: by.inputTokens ?? 0,
    outputTokens: by.outputTokens ?? 0,
    nanoUsd: toNanoUsd(by.usd ?? 0),
    steps: by.steps ?? 0,
  };
  const { db, doorbell } = installation;
  const wallMs = (by.wallMinutes ?? 0) * MINUTE_MS;
  const did = isUuid(budgetId)
    ? await raise(db, (topic, runId) => doorbell.ring(topic, runId), tenant, budgetId, {
        ...{ raiseId: newId(), by: who, amount, wallMs },
      })
    : null;
  const raised = did === null ? null : await viewBudgetOf(installation, tenant, budgetId);
  if (raised === null) throw fail("BUDGET_NOT_FOUND", { budget: String(budgetId).slice(0, 100) });
  return raised;
}
