// The verbs on budgets: opening one for calls outside of runs, looking at one, raising one.
import { BUDGET_DIMENSIONS, type BudgetDimension, type BudgetLimits, type BudgetView } from "../domain/budget.ts";
import { budgetFault, budgetRow } from "../domain/budget-check.ts";
import { fail } from "../domain/errors.ts";
import { checkKey } from "../domain/key.ts";
import { NO_SPEND, toNanoUsd } from "../domain/usage.ts";
import { derivedId, newId } from "../engine/ids.ts";
import { raise } from "../engine/raise.ts";
import { budgetView } from "../store/budget-view.ts";
import { openBudget, readBudget } from "../store/budgets.ts";
import type { Installation } from "./installation.ts";
import { isUuid } from "./uuid.ts";

const MINUTE_MS = 60_000;

export async function viewBudgetOf({ db }: Installation, tenant: string, budgetId: string): Promise<BudgetView | null> {
  const row = isUuid(budgetId) ? await readBudget(db, tenant, budgetId) : null;
  return row === null ? null : budgetView(row);
}

/** What calls outside of runs can be limited to: nobody counts their steps. */
const OPEN_DIMENSIONS = BUDGET_DIMENSIONS.filter((dimension) => dimension !== "steps");

/** The same key gives the same budget. @throws BUDGET_INVALID */
export async function openBudgetOf(
  installation: Installation,
  tenant: string,
  limits: BudgetLimits,
  key: string | null,
): Promise<BudgetView> {
  checkLimits("the budget", limits, OPEN_DIMENSIONS);
  const budgetId = key === null ? newId() : derivedId(0, [tenant, "budget", checkKey("idempotency key", key)]);
  await openBudget(installation.db, budgetId, tenant, budgetRow(limits));
  const opened = await viewBudgetOf(installation, tenant, budgetId);
  if (opened === null) throw fail("BUDGET_NOT_FOUND", { budget: budgetId });
  return opened;
}

function checkLimits(
  where: string,
  limits: BudgetLimits,
  dimensions: readonly BudgetDimension[] = BUDGET_DIMENSIONS,
): void {
  const fault = budgetFault(limits, dimensions, {});
  if (fault === null) return;
  const problem = fault.field === null ? fault.problem : `${fault.field}: ${fault.problem}`;
  throw fail("BUDGET_INVALID", { where, problem, fix: fault.fix });
}

/** @throws BUDGET_NOT_FOUND, BUDGET_INVALID */
export async function raiseBudgetOf(
  installation: Installation,
  tenant: string,
  budgetId: string,
  by: BudgetLimits,
  who: string,
): Promise<BudgetView> {
  checkLimits("the raise", by);
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
        raiseId: newId(),
        by: who,
        amount,
        wallMs,
      })
    : null;
  const raised = did === null ? null : await viewBudgetOf(installation, tenant, budgetId);
  if (raised === null) throw fail("BUDGET_NOT_FOUND", { budget: String(budgetId).slice(0, 100) });
  return raised;
}
