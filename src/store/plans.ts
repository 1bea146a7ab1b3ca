// Plans of tenants: what each may use.
import { fail } from "../domain/errors.ts";
import type { Queryable } from "./database.ts";

/** Puts a tenant on a plan. There are no plans yet. @throws PLAN_UNKNOWN */
export async function setTenantPlan(_db: Queryable, _tenant: string, plan: string): Promise<void> {
  throw fail("PLAN_UNKNOWN", { plan: JSON.stringify(plan.slice(0, 100)) });
}
