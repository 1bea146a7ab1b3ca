// A stored budget as people and programs see it.
import type { BudgetFigures, BudgetLimits, BudgetView } from "../domain/budget.ts";
import { type Spend, toUsd } from "../domain/usage.ts";
import { type BudgetRow, readBudget } from "./budgets.ts";
import type { Queryable } from "./database.ts";
import type { Limits } from "./spend.ts";

const MINUTE_MS = 60_000;

/** Null for none. */
export async function viewBudget(db: Queryable, budgetId: string | null): Promise<BudgetView | null> {
  const row = budgetId === null ? null : await readBudget(db, null, budgetId);
  return row === null ? null : budgetView(row);
}

export function budgetView(row: BudgetRow): BudgetView {
  const { budgetId, kind, spent, held, endsAt, periodEndsAt } = row;
  const end = endsAt ?? periodEndsAt;
  return {
    budgetId,
    kind,
    limits: limitsOf(row),
    spent: figuresOf(spent),
    held: figuresOf(held),
    remaining: remainingOf(row),
    endsAt: end?.toISOString() ?? null,
  };
}

export function limitsOf({
  limits,
  wallMs,
}: {
  readonly limits: Limits;
  readonly wallMs: number | null;
}): BudgetLimits {
  return given({
    inputTokens: limits.input,
    outputTokens: limits.output,
    usd: limits.nanoUsd === null ? null : toUsd(limits.nanoUsd),
    steps: limits.steps,
    wallMinutes: wallMs === null ? null : wallMs / MINUTE_MS,
  });
}

function remainingOf({ limits, spent, held, endsAt }: BudgetRow): BudgetLimits {
  const left = (limit: number | null, used: number, aside: number) =>
    limit === null ? null : Math.max(0, limit - used - aside);
  const nano = limits.nanoUsd === null ? null : limits.nanoUsd - spent.nanoUsd - held.nanoUsd;
  return given({
    inputTokens: left(limits.input, spent.inputTokens, held.inputTokens),
    outputTokens: left(limits.output, spent.outputTokens, held.outputTokens),
    usd: nano === null ? null : toUsd(nano > 0n ? nano : 0n),
    steps: left(limits.steps, spent.steps, held.steps),
    wallMinutes: endsAt === null ? null : Math.max(0, (endsAt.getTime() - Date.now()) / MINUTE_MS),
  });
}

function figuresOf({ inputTokens, outputTokens, nanoUsd, steps }: Spend): BudgetFigures {
  return { inputTokens, outputTokens, usd: toUsd(nanoUsd), steps };
}

function given(limits: { readonly [Name in keyof BudgetLimits]: number | null }): BudgetLimits {
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== null));
}
