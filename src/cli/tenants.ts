// Commands on plans and tenants: what each may use, what it uses, and who is held.
import type { Band } from "../domain/band.ts";
import { fail } from "../domain/errors.ts";
import type { PlanBudget } from "../domain/plan.ts";
import type { ListTenants, PlanView, TenantView } from "../runtime/limits-api.ts";
import type { Context } from "./context.ts";
import { withInstallation } from "./installation.ts";

export function listPlans(_input: object, context: Context): Promise<PlanView[]> {
  return withInstallation(context, (_, { longhaul }) => longhaul.plans.list());
}

export interface SetPlanInput {
  readonly plan: string;
  readonly concurrency?: number | undefined;
  readonly weight?: number | undefined;
  readonly band?: Band | undefined;
  readonly unfinishedMax?: number | undefined;
  readonly submitsPerMinute?: number | undefined;
  readonly budgetUsd?: string | undefined;
  readonly budgetSteps?: number | undefined;
  readonly budgetInputTokens?: number | undefined;
  readonly budgetOutputTokens?: number | undefined;
  readonly budgetPer?: PlanBudget["per"] | undefined;
}

/** @throws KEY_INVALID, PLAN_INVALID */
export function setPlan(input: SetPlanInput, context: Context): Promise<PlanView> {
  const { plan, concurrency, weight, band, unfinishedMax, submitsPerMinute } = input;
  const limits = { concurrency, weight, band, unfinishedMax, submitsPerMinute, budget: budgetOf(input) };
  return withInstallation(context, (_, { longhaul }) => longhaul.plans.set(plan, limits));
}

function budgetOf(input: SetPlanInput): PlanBudget | undefined {
  const limits = {
    // What is no number stays none, and is refused where all plans are checked.
    usd: input.budgetUsd === undefined ? undefined : Number(input.budgetUsd.trim() === "" ? "?" : input.budgetUsd),
    steps: input.budgetSteps,
    inputTokens: input.budgetInputTokens,
    outputTokens: input.budgetOutputTokens,
  };
  const given = Object.entries(limits).filter(([, limit]) => limit !== undefined);
  if (given.length === 0 && input.budgetPer === undefined) return undefined;
  return { ...Object.fromEntries(given), per: input.budgetPer ?? "month" };
}

export interface DeletedPlan {
  readonly plan: string;
  /** How many tenants are on the plan `default` by it. */
  readonly tenants: number;
}

/** @throws PLAN_UNKNOWN, PLAN_FIXED */
export function deletePlan({ plan }: { plan: string }, context: Context): Promise<DeletedPlan> {
  return withInstallation(context, (_, { longhaul }) => longhaul.plans.delete(plan));
}

export function listTenants({ paused, ...filter }: ListTenants, context: Context): Promise<TenantView[]> {
  return withInstallation(context, (_, { longhaul }) =>
    longhaul.tenants.list({ ...filter, ...(paused === true ? { paused } : {}) }),
  );
}

/** @throws TENANT_NOT_FOUND */
export function showTenant({ tenant }: { tenant: string }, context: Context): Promise<TenantView> {
  return withInstallation(context, async (_, { longhaul }) => {
    const found = await longhaul.tenants.get(tenant);
    if (found === null) throw fail("TENANT_NOT_FOUND", { tenant: JSON.stringify(tenant.slice(0, 100)) });
    return found;
  });
}

/** @throws PLAN_UNKNOWN */
export function setTenantPlan(input: { tenant: string; plan: string }, context: Context): Promise<TenantView> {
  return withInstallation(context, (_, { longhaul }) => longhaul.tenants.setPlan(input.tenant, input.plan));
}

/** @throws TENANT_NOT_FOUND */
export function pauseTenant({ tenant }: { tenant: string }, context: Context): Promise<TenantView> {
  return withInstallation(context, (_, { longhaul }) => longhaul.tenants.pause(tenant));
}

/** @throws TENANT_NOT_FOUND */
export function resumeTenant({ tenant }: { tenant: string }, context: Context): Promise<TenantView> {
  return withInstallation(context, (_, { longhaul }) => longhaul.tenants.resume(tenant));
}
