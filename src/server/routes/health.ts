// Whether this server lives, whether it can serve, and what it is. No identity needed.
import { Hono } from "hono";
import { fail } from "../../domain/errors.ts";
import type { ServerEnv } from "../options.ts";
import type { Ctx } from "../request.ts";
import { json } from "../respond.ts";
import type { Services } from "../services.ts";

export function healthRoutes({ longhaul, streams, version }: Services): Hono<ServerEnv> {
  let asking: Promise<boolean> | undefined;
  /** Anybody may ask, however often: one question to the database at a time. */
  const isHealthy = (): Promise<boolean> => {
    asking ??= longhaul.healthy().finally(() => {
      asking = undefined;
    });
    return asking;
  };

  const checkDatabase = async (): Promise<void> => {
    if (!(await isHealthy())) throw fail("DATABASE_UNAVAILABLE", { reason: "it does not answer" });
  };

  const ok = async (c: Ctx): Promise<Response> => {
    if (["1", "true"].includes(c.req.query("check_db") ?? "")) await checkDatabase();
    return json(c, { ok: true });
  };

  const ready = async (c: Ctx): Promise<Response> => {
    await checkDatabase();
    // A server that takes no submits for the moment still shows what there is: it is ready, and says so.
    const { accepts, code } = await longhaul.admission();
    return json(c, { ready: true, streams: streams.size, accepts, ...(code === null ? {} : { code }) });
  };

  const info = {
    name: "longhaul",
    version,
    context: "js",
    flags: { assistants: true, crons: false, langsmith: false },
  };

  return new Hono<ServerEnv>()
    .get("/ok", ok)
    .get("/healthz", (c) => json(c, { alive: true }))
    .get("/readyz", ready)
    .get("/info", (c) => json(c, info));
}
