// What waits to be claimed: the queues of all tenants, or of one.
import { Hono } from "hono";
import type { ServerEnv } from "../options.ts";
import { json } from "../respond.ts";
import type { Services } from "../services.ts";

export function queueRoutes({ longhaul }: Services): Hono<ServerEnv> {
  return new Hono<ServerEnv>().get("/admin/queues", async (c) => {
    const wanted = c.req.query("tenant");
    const queues = await longhaul.queues();
    return json(
      c,
      queues.filter(({ tenant }) => wanted === undefined || tenant === wanted),
    );
  });
}
