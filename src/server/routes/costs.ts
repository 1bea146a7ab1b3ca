// What runs and model calls have cost: of one's own tenant; of all for operators.
import { Hono } from "hono";
import type { Billing } from "../../runtime/costs-api.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody, checkQuery, tenantOf } from "../request.ts";
import { json } from "../respond.ts";
import { chargesAck, chargesQuery, costsQuery, withoutAbsent } from "../schemas.ts";
import type { Services } from "../services.ts";

export function costRoutes({ limits, longhaul }: Services): Hono<ServerEnv> {
  /** An operator who names no tenant means all of them. */
  const books = (c: Ctx): Pick<Billing, "costs" | "concentration" | "charges"> => {
    const isOperator = c.var.caller.scopes.includes("admin") && c.req.query("tenant") === undefined;
    return isOperator ? longhaul.billing : tenantOf(c, longhaul);
  };

  const costs = async (c: Ctx): Promise<Response> => {
    const { report, by, ...period } = withoutAbsent(checkQuery(c, costsQuery));
    if (report === "concentration") return json(c, await books(c).concentration(period));
    return json(c, await books(c).costs({ ...period, ...(by === undefined ? {} : { by }) }));
  };

  const charges = async (c: Ctx): Promise<Response> =>
    json(c, await books(c).charges(withoutAbsent(checkQuery(c, chargesQuery))));

  const ack = async (c: Ctx): Promise<Response> => {
    const { runIds } = await checkBody(c, limits, chargesAck);
    return json(c, { acknowledged: await longhaul.billing.ack(runIds) });
  };

  return new Hono<ServerEnv>()
    .get("/admin/costs", costs)
    .get("/admin/charges", charges)
    .post("/admin/charges/ack", ack);
}
