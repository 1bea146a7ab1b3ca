// Who claims runs: the workers.
import { Hono } from "hono";
import type { ServerEnv } from "../options.ts";
import { json } from "../respond.ts";
import type { Services } from "../services.ts";

export function claimRoutes({ longhaul }: Services): Hono<ServerEnv> {
  return new Hono<ServerEnv>().get("/admin/workers", async (c) => json(c, await longhaul.workers()));
}
