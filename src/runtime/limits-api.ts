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
  /** What its runs may spend together; null where its plan has no budget. */
  readonly budgetId: string | null;
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

/** A run that needs somebody: it failed for good and has no parent that would deal with it, or it is paused. */
export interface DeadLetter {
  readonly runId: string;
  readonly kind: "dead" | "paused";
  readonly agent: string;
  readonly queue: string;
  /** The name of the error it failed with, a reason such as `run_timeout`, or `paused`. */
  readonly code: string;
  /** What its error said, or why it is paused. */
  readonly message: string;
  /** Null for a paused run. */
  readonly diedAt: string | null;
}

/** Letters of one kind. Without a member: all. */
export interface DeadFilter {
  readonly agent?: string | undefined;
  readonly queue?: string | undefined;
  readonly code?: string | undefined;
  /** Only runs that died at this moment or later. */
  readonly since?: Date | undefined;
}

export interface ListDead extends DeadFilter {
  /** Newest first. Default 50, at most 200. */
  readonly limit?: number | undefined;
  /** Only runs older than this one. */
  readonly before?: string | undefined;
  /** List paused runs too. Default true. */
  readonly paused?: boolean | undefined;
}

/** What became of one of many letters. */
export interface DeadNews {
  readonly runId: string;
  /** `gone`: somebody else was quicker. */
  readonly did: "retried" | "discarded" | "gone" | "failed";
  /** The run that takes its place. */
  readonly newRunId: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** Whether this process takes submits at this moment. */
export interface AdmissionView {
  readonly accepts: boolean;
  /** Why not: `OVERLOADED` (this process), `SYSTEM_FULL` (the installation). */
  readonly code: string | null;
  /** As known within a second; null where there is no limit. */
  readonly unfinished: number | null;
  readonly unfinishedMax: number | null;
}
