// The verbs on tenants: whose plan is which, who is paused, and what each uses at this moment.
import { BANDS } from "../domain/band.ts";
import { fail } from "../domain/errors.ts";
import { checkKey } from "../domain/key.ts";
import { PAGE_SIZE_DEFAULT, PLAN_COUNT_MAX, TENANTS_LISTED_MAX } from "../domain/limits.ts";
import { pauseTenant, setTenantPlan } from "../store/plans.ts";
import { readTenant, readTenants, type TenantRow } from "../store/tenants.ts";
import { answering, type Installation } from "./installation.ts";
import type { ListTenants, Tenants, TenantView } from "./limits-api.ts";
import { unknownPlan, wakeWorkers } from "./plans.ts";

export class TenantsVerbs implements Tenants {
  readonly #installation: Installation;

  constructor(installation: Installation) {
    this.#installation = installation;
  }

  async list({ plan, paused, limit = PAGE_SIZE_DEFAULT, after }: ListTenants = {}): Promise<TenantView[]> {
    const filter = {
      plan: plan === undefined ? null : checkKey("plan", plan),
      paused: paused ?? null,
      after: after === undefined || after === "" ? null : checkKey("tenant", after),
      limit: Math.min(Math.max(1, limit), TENANTS_LISTED_MAX),
    };
    return (await answering(() => readTenants(this.#installation.db, filter))).map(tenantView);
  }

  async get(tenant: string): Promise<TenantView | null> {
    const row = await answering(() => readTenant(this.#installation.db, checkKey("tenant", tenant)));
    return row === null ? null : tenantView(row);
  }

  async setPlan(tenant: string, plan: string): Promise<TenantView> {
    const { db } = this.#installation;
    const [whose, which] = [checkKey("tenant", tenant), checkKey("plan", plan)];
    if (!(await answering(() => setTenantPlan(db, whose, which)))) throw unknownPlan(plan);
    wakeWorkers(this.#installation);
    return this.#known(tenant);
  }

  pause(tenant: string): Promise<TenantView> {
    return this.#setPaused(tenant, true);
  }

  resume(tenant: string): Promise<TenantView> {
    return this.#setPaused(tenant, false);
  }

  async #setPaused(tenant: string, paused: boolean): Promise<TenantView> {
    const { db } = this.#installation;
    if (!(await answering(() => pauseTenant(db, checkKey("tenant", tenant), paused)))) throw unknownTenant(tenant);
    if (!paused) wakeWorkers(this.#installation);
    return this.#known(tenant);
  }

  async #known(tenant: string): Promise<TenantView> {
    const found = await this.get(tenant);
    if (found === null) throw unknownTenant(tenant);
    return found;
  }
}

function unknownTenant(tenant: string): Error {
  return fail("TENANT_NOT_FOUND", { tenant: JSON.stringify(tenant.slice(0, 100)) });
}

function tenantView(row: TenantRow): TenantView {
  return {
    tenant: row.tenant_id,
    plan: row.plan,
    cap: limited(row.cap),
    inFlight: row.in_flight,
    ready: row.ready,
    unfinished: row.unfinished,
    unfinishedMax: limited(row.unfinished_max),
    submitsPerMinute: row.submits_per_minute,
    weight: row.weight,
    band: row.band === null ? null : (BANDS[row.band] ?? null),
    budgetId: row.budget_id,
    paused: row.paused,
  };
}

const limited = (value: number): number | null => (value === PLAN_COUNT_MAX ? null : value);
