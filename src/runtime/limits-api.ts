// The verbs on what tenants may use and on runs that failed for good.
import type { Band } from "../domain/band.ts";
import type { Plan, PlanInput } from "../domain/plan.ts";

export interface PlanView extends Plan {
  /** How many tenants are on it. */
  readonly tenants: number;
}

/** What tenants may have. A change holds at once, for all that are on the plan. */
export interface Plans {
  list(): Promise<PlanView[]>;
  /** Makes a plan or replaces it: what is not named is not limited. @throws KEY_INVALID, PLAN_INVALID */
  set(plan: string, limits: PlanInput): Promise<PlanView>;
  /** Its tenants are on the plan `default` then. @throws PLAN_UNKNOWN, PLAN_FIXED for `default` itself */
  delete(plan: string): Promise<{ readonly plan: string; readonly tenants: number }>;
}

/** A tenant with what it may have and what it has at this moment. */
export interface TenantView {
  readonly tenant: string;
  readonly plan: string;
  /** Runs in flight at once; null: not limited. */
  readonly cap: number | null;
  readonly inFlight: number;
  /** Runs that could start now if there were room. */
  readonly ready: number;
  readonly unfinished: number;
  readonly unfinishedMax: number | null;
  readonly submitsPerMinute: number | null;
  readonly weight: number;
  readonly band: Band | null;
  /** None of its runs starts. */
  readonly paused: boolean;
}

export interface ListTenants {
  readonly plan?: string | undefined;
  readonly paused?: boolean | undefined;
  /** In the order of their names. Default 50, at most 1,000. */
  readonly limit?: number | undefined;
  /** Only tenants whose names come after this one. */
  readonly after?: string | undefined;
}

export interface Tenants {
  list(filter?: ListTenants): Promise<TenantView[]>;
  /** Null for a tenant that nobody knows. */
  get(tenant: string): Promise<TenantView | null>;
  /** Puts a tenant, known or not, on a plan. @throws KEY_INVALID, PLAN_UNKNOWN */
  setPlan(tenant: string, plan: string): Promise<TenantView>;
  /** Lets none of its runs start; what runs goes on, and submits are taken. @throws TENANT_NOT_FOUND */
  pause(tenant: string): Promise<TenantView>;
  /** @throws TENANT_NOT_FOUND */
  resume(tenant: string): Promise<TenantView>;
}
