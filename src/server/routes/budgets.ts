// Budgets for programs outside: opened before a run of theirs, named by each of its calls, raised by whoever may.
import { Hono } from "hono";
import type { BudgetLimits } from "../../domain/budget.ts";
import { fail } from "../../domain/errors.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, idParam, readJson, tenantOf } from "../request.ts";
import { json } from "../respond.ts";
import type { Services } from "../services.ts";

export function budgetRoutes({ limits, longhaul }: Services): Hono<ServerEnv> {
  /** Its members are checked where all budgets are. */
  const open = async (c: Ctx): Promise<Response> => {
    const declared = (await readJson(c, limits)) as BudgetLimits;
    const idempotencyKey = c.req.header("idempotency-key");
    return json(c, await tenantOf(c, longhaul).openBudget(declared, { idempotencyKey }), 201);
  };

  const one = async (c: Ctx): Promise<Response> => {
    const budgetId = idParam(c, "budgetId");
    const budget = await tenantOf(c, longhaul).budget(budgetId);
    if (budget === null) throw fail("BUDGET_NOT_FOUND", { budget: budgetId });
    return json(c, budget);
  };

  const raise = async (c: Ctx): Promise<Response> => {
    const by = (await readJson(c, limits)) as BudgetLimits;
    const options = { by: c.var.caller.by };
    return json(c, await tenantOf(c, longhaul).raiseBudget(idParam(c, "budgetId"), by, options));
  };

  return new Hono<ServerEnv>()
    .post("/v1/budgets", open)
    .get("/v1/budgets/:budgetId", one)
    .post("/v1/budgets/:budgetId/raise", raise);
}
