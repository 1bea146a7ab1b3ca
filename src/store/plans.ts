// Statements for limits: what plans allow, which tenant has which plan, what agents allow at once.
import type { Queryable } from "./database.ts";

/** Null means no limit, for `band`: the agent decides. */
export interface PlanRow {
  readonly plan: string;
  readonly concurrency: number | null;
  readonly weight: number;
  readonly band: number | null;
  readonly unfinished_max: number | null;
  readonly submits_per_minute: number | null;
  /** What each tenant may spend per period: a declaration as limits_of (0014) takes it, with "per". */
  readonly budget?: Readonly<Record<string, string | number>> | null;
}

/** Writes a plan; it holds at once for the tenants that have it. Answers whether it was there before. */
export async function setPlan(db: Queryable, plan: PlanRow): Promise<boolean> {
  const [row] = await db.query<{ set_plan: boolean }>(
    "select longhaul.set_plan($1, $2, $3, $4::smallint, $5, $6, $7::jsonb)",
    [
      plan.plan,
      plan.concurrency,
      plan.weight,
      plan.band,
      plan.unfinished_max,
      plan.submits_per_minute,
      plan.budget == null ? null : JSON.stringify(plan.budget),
    ],
  );
  return row?.set_plan ?? false;
}

/** What the config file says of a plan, when that is not what it said last. Answers whether it was not. */
export async function configurePlan(db: Queryable, plan: PlanRow): Promise<boolean> {
  const said = JSON.stringify(plan);
  const [row] = await db.query<{ same: boolean }>(
    "select configured is not distinct from $2::jsonb as same from longhaul.plans where plan = $1",
    [plan.plan, said],
  );
  if (row?.same === true) return false;
  await setPlan(db, plan);
  await db.query("update longhaul.plans set configured = $2::jsonb where plan = $1", [plan.plan, said]);
  return true;
}

/** Its tenants fall back to the plan `default`. Answers how many; null when there is no such plan, or it is `default`. */
export async function deletePlan(db: Queryable, plan: string): Promise<number | null> {
  const [row] = await db.query<{ delete_plan: number | null }>("select longhaul.delete_plan($1)", [plan]);
  return row?.delete_plan ?? null;
}

/** Puts a tenant, known or not, on a plan. False when there is no such plan. */
export async function setTenantPlan(db: Queryable, tenant: string, plan: string): Promise<boolean> {
  const [row] = await db.query<{ set_tenant_plan: boolean }>("select longhaul.set_tenant_plan($1, $2)", [tenant, plan]);
  return row?.set_tenant_plan ?? false;
}

/** Stops a tenant's runs from starting, or lets them start again. False when nobody knows the tenant. */
export async function pauseTenant(db: Queryable, tenant: string, paused: boolean): Promise<boolean> {
  const [row] = await db.query<{ pause_tenant: boolean }>("select longhaul.pause_tenant($1, $2)", [tenant, paused]);
  return row?.pause_tenant ?? false;
}

export function readPlans(db: Queryable): Promise<(PlanRow & { readonly tenants: number })[]> {
  return db.query(
    `select p.plan, p.concurrency, p.weight, p.band, p.unfinished_max, p.submits_per_minute, p.budget,
       (select count(*) from longhaul.tenants t where t.plan = p.plan) as tenants from longhaul.plans p order by 1`,
  );
}

/** How many runs of an agent may run at once, in all and for one key of one tenant; null for no limit. */
export async function setAgentLimits(
  db: Queryable,
  agent: string,
  concurrency: number | null,
  perKey: number | null,
): Promise<void> {
  await db.query("select longhaul.set_agent($1, $2, $3)", [agent, concurrency, perKey]);
}

/** Mends counters that do not say what is running. Answers how many were wrong. */
export async function reconcile(db: Queryable): Promise<number> {
  const [row] = await db.query<{ reconcile: number }>("select longhaul.reconcile()");
  return row?.reconcile ?? 0;
}

/** Clears away lanes of keys and builds that nobody has used for so long. Answers how many. */
export async function forgetIdle(db: Queryable, idleMs: number, limit: number): Promise<number> {
  const [row] = await db.query<{ forget_idle: number }>(
    "select longhaul.forget_idle($1 * interval '1 millisecond', $2)",
    [idleMs, limit],
  );
  return row?.forget_idle ?? 0;
}
