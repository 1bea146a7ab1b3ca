// Statements on budgets: opening one for outside, looking at one, raising one.
import type { Spend } from "../domain/usage.ts";
import type { Queryable } from "./database.ts";
import { type Limits, readLimits, readSpend, spendValue } from "./spend.ts";

export interface BudgetRow {
  readonly budgetId: string;
  readonly parentId: string | null;
  readonly tenant: string;
  /** A run's own, a tenant's (its plan's), or one for programs outside. */
  readonly kind: "run" | "tenant" | "open";
  readonly onExceeded: "fail" | "ask";
  readonly limits: Limits;
  readonly wallMs: number | null;
  readonly endsAt: Date | null;
  readonly period: "day" | "month" | null;
  readonly periodEndsAt: Date | null;
  /** In this period, or ever; also what has not been rolled yet. */
  readonly spent: Spend;
  /** Set aside for what is under way. */
  readonly held: Spend;
}

interface StoredBudget {
  readonly budget_id: string;
  readonly parent_id: string | null;
  readonly tenant_id: string;
  readonly kind: BudgetRow["kind"];
  readonly on_exceeded: BudgetRow["onExceeded"];
  readonly wall_ms: number | null;
  readonly ends_at: Date | null;
  readonly period: BudgetRow["period"];
  readonly period_ends_at: Date | null;
  readonly limits: string;
  readonly spent: string;
  readonly held: string;
}

/** What accounts below have spent since they last rolled it is spent, and held no more. A period that is over counts as begun anew. */
const READ = `select b.budget_id, b.parent_id, b.tenant_id, b.kind, b.on_exceeded, b.wall_ms, b.ends_at, b.period, b.limits::text,
    case when b.period_ends_at <= clock_timestamp() then longhaul.next_period(b.period) else b.period_ends_at end as period_ends_at,
    longhaul.plus(longhaul.minus(b.spent, case when b.period_ends_at <= clock_timestamp() then b.spent else b.before end), u.used)::text as spent,
    longhaul.more_of(longhaul.minus(b.held, u.used), longhaul.none())::text as held
  from longhaul.budgets b cross join lateral (
    select longhaul.total(longhaul.minus(a.spent, a.rolled)) as used from longhaul.budget_accounts a where a.account_id = any(longhaul.accounts_below(b.budget_id))) u
 where b.budget_id = $1 and ($2::text is null or b.tenant_id = $2)`;

/** `tenant` null: whosever it is. Null when there is none. */
export async function readBudget(db: Queryable, tenant: string | null, budgetId: string): Promise<BudgetRow | null> {
  const [row] = await db.query<StoredBudget>(READ, [budgetId, tenant], "lh_read_budget");
  return row === undefined ? null : budgetOf(row);
}

/**
 * Opens a budget for programs outside of runs, below its tenant's. `declared`: see domain/budget-check.ts. Safe to repeat.
 */
export async function openBudget(db: Queryable, budgetId: string, tenant: string, declared: string): Promise<void> {
  await db.query("select longhaul.open_budget($1, $2, $3)", [budgetId, tenant, declared]);
}

/** Whether calls outside of runs can draw on a budget: one opened for them. Null: the tenant has no such. */
export async function readOpenBudget(
  db: Queryable,
  tenant: string,
  budgetId: string,
): Promise<{ readonly countsUsd: boolean } | null> {
  const [row] = await db.query<{ counts_usd: boolean }>(
    `select t.counts_usd from longhaul.budgets b cross join lateral longhaul.terms(b.budget_id) t
      where b.budget_id = $1 and b.tenant_id = $2 and b.kind = 'open'`,
    [budgetId, tenant],
    "lh_read_open_budget",
  );
  return row === undefined ? null : { countsUsd: row.counts_usd };
}

/**
 * Opens, where the tenant's plan has a budget, one below it that limits nothing itself: what calls that name no budget draw on. Null where
 * the plan has none. Safe to repeat.
 */
export async function openTenantBudget(
  db: Queryable,
  tenant: string,
  budgetId: string,
): Promise<{ readonly countsUsd: boolean } | null> {
  const [row] = await db.query<{ counts_usd: boolean }>(
    `with t as materialized (select x.budget_id from longhaul.tenants x where x.tenant_id = $1 and x.budget_id is not null),
          o as materialized (select longhaul.open_budget($2, $1, '{}') from t)
     select w.counts_usd from t cross join o cross join lateral longhaul.terms(t.budget_id) w`,
    [tenant, budgetId],
    "lh_open_tenant_budget",
  );
  return row === undefined ? null : { countsUsd: row.counts_usd };
}

export interface BudgetRaise {
  /** The answer that asks for it, or an id of the caller's: a repeat with the same changes nothing. */
  readonly raiseId: string;
  readonly by: string;
  readonly amount: Spend;
  readonly wallMs: number;
}

/** Raises what is limited; what is not limited stays so. `before`: an earlier try of the same did. Null: the tenant has no such budget. */
export async function raiseBudget(
  db: Queryable,
  tenant: string,
  budgetId: string,
  raise: BudgetRaise,
): Promise<"raised" | "before" | null> {
  const [row] = await db.query<{ raised: "raised" | "before" | null }>(
    "select longhaul.raise_budget($1, $2, $3, $4, $5::longhaul.spend, $6) as raised",
    [tenant, budgetId, raise.raiseId, raise.by, spendValue(raise.amount), Math.ceil(raise.wallMs)],
  );
  return row?.raised ?? null;
}

/** Questions that runs have asked because of this budget and nobody has answered: a raise answers them all. */
export function pendingAsks(
  db: Queryable,
  tenant: string,
  budgetId: string,
): Promise<{ readonly approval_id: string; readonly run_id: string }[]> {
  return db.query(
    `select a.approval_id, a.run_id from longhaul.approvals a
      where a.tenant_id = $1 and a.status = 'pending' and a.name = 'budget' and a.step_key like '%!budget#%' and position($2 in a.request) > 0`,
    [tenant, budgetId],
  );
}

function budgetOf(row: StoredBudget): BudgetRow {
  return {
    budgetId: row.budget_id,
    parentId: row.parent_id,
    tenant: row.tenant_id,
    kind: row.kind,
    onExceeded: row.on_exceeded,
    limits: readLimits(row.limits),
    wallMs: row.wall_ms,
    endsAt: row.ends_at,
    period: row.period,
    periodEndsAt: row.period_ends_at,
    spent: readSpend(row.spent),
    held: readSpend(row.held),
  };
}
