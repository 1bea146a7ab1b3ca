// What tenants may use, for operators: plans, and the tenants that are on them.
import { Hono } from "hono";
import { fail } from "../../domain/errors.ts";
import type { PlanInput } from "../../domain/plan.ts";
import type { TenantView } from "../../runtime/limits-api.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody, checkQuery, invalid, readJson } from "../request.ts";
import { json } from "../respond.ts";
import { tenantChange, tenantsQuery } from "../schemas.ts";
import type { Services } from "../services.ts";

export function tenantRoutes({ limits, longhaul }: Services): Hono<ServerEnv> {
  const onePlan = async (c: Ctx): Promise<Response> => {
    const plan = nameParam(c, "plan");
    const found = (await longhaul.plans.list()).find((one) => one.plan === plan);
    if (found === undefined) throw fail("PLAN_UNKNOWN", { plan: JSON.stringify(plan.slice(0, 100)) });
    return json(c, found);
  };

  const setPlan = async (c: Ctx): Promise<Response> => {
    // Its members are checked where all plans are.
    const wanted = (await readJson(c, limits)) as PlanInput;
    return json(c, await longhaul.plans.set(nameParam(c, "plan"), wanted));
  };

  const oneTenant = async (c: Ctx): Promise<Response> => {
    const tenant = nameParam(c, "tenant");
    const found = await longhaul.tenants.get(tenant);
    if (found === null) throw fail("TENANT_NOT_FOUND", { tenant: JSON.stringify(tenant.slice(0, 100)) });
    return json(c, found);
  };

  const changeTenant = async (c: Ctx): Promise<Response> => {
    const tenant = nameParam(c, "tenant");
    const { plan, paused } = await checkBody(c, limits, tenantChange);
    let changed: TenantView | null = null;
    if (typeof plan === "string") changed = await longhaul.tenants.setPlan(tenant, plan);
    if (paused === true) changed = await longhaul.tenants.pause(tenant);
    if (paused === false) changed = await longhaul.tenants.resume(tenant);
    if (changed === null) throw invalid([{ path: "", message: "expected plan, paused, or both" }]);
    return json(c, changed);
  };

  return new Hono<ServerEnv>()
    .get("/admin/plans", async (c) => json(c, await longhaul.plans.list()))
    .get("/admin/plans/:plan", onePlan)
    .put("/admin/plans/:plan", setPlan)
    .delete("/admin/plans/:plan", async (c) => json(c, await longhaul.plans.delete(nameParam(c, "plan"))))
    .get("/admin/tenants", async (c) => json(c, await longhaul.tenants.list(checkQuery(c, tenantsQuery))))
    .get("/admin/tenants/:tenant", oneTenant)
    .put("/admin/tenants/:tenant", changeTenant);
}

/** Plans and tenants may have any name: what it may be is checked with the name itself. */
function nameParam(c: Ctx, name: string): string {
  return c.req.param(name) ?? "";
}
