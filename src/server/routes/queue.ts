// What waits to be claimed: the load of the queues, and the number of workers that it asks for.
import { Hono } from "hono";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkQuery } from "../request.ts";
import { json } from "../respond.ts";
import { scaleQuery } from "../schemas.ts";
import type { Services } from "../services.ts";

export function queueRoutes({ longhaul }: Services): Hono<ServerEnv> {
  /** Of all tenants, or with `?tenant=` of that one. */
  const load = async (c: Ctx): Promise<Response> => {
    const tenant = c.req.query("tenant");
    return json(c, await longhaul.load(tenant === undefined ? {} : { tenant }));
  };

  /** One number at a stable place, for KEDA's metrics-api scaler and its like. */
  const scale = async (c: Ctx): Promise<Response> => {
    const { queue, ...rest } = checkQuery(c, scaleQuery, ["queue"]);
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    return json(c, await longhaul.scale({ ...given, ...(queue && { queues: queue }) }), 200, {
      "cache-control": "no-store",
    });
  };

  return new Hono<ServerEnv>().get("/admin/queues", load).get("/admin/scale", scale);
}
