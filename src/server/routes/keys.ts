// API keys over HTTP, for operators: made, listed, rotated, revoked.
import { Hono } from "hono";
import { fail } from "../../domain/errors.ts";
import type { NewKey } from "../../runtime/keys-api.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody, checkQuery } from "../request.ts";
import { json } from "../respond.ts";
import { keyCreate, keyRotate, keysQuery, withoutAbsent } from "../schemas.ts";
import type { Services } from "../services.ts";

export function keyRoutes({ limits, longhaul }: Services): Hono<ServerEnv> {
  /** The first key is made on the command line: else whoever reaches an open server could lock out those it belongs to. */
  const operator = (c: Ctx): string => {
    if (c.var.caller.isLocal) throw fail("UNAUTHENTICATED");
    return c.var.caller.by;
  };

  const create = async (c: Ctx): Promise<Response> => {
    const by = operator(c);
    const body = await checkBody(c, limits, keyCreate);
    return shownOnce(c, await longhaul.keys.create({ ...withoutAbsent(body), tenant: body.tenant, by }));
  };

  const list = async (c: Ctx): Promise<Response> => {
    operator(c);
    return json(c, await longhaul.keys.list(withoutAbsent(checkQuery(c, keysQuery))));
  };

  const rotate = async (c: Ctx): Promise<Response> => {
    const by = operator(c);
    const body = await checkBody(c, limits, keyRotate);
    return shownOnce(c, await longhaul.keys.rotate(c.req.param("keyId") ?? "", { ...withoutAbsent(body), by }));
  };

  const revoke = async (c: Ctx): Promise<Response> => {
    const by = operator(c);
    return json(c, await longhaul.keys.revoke(c.req.param("keyId") ?? "", { by }));
  };

  return new Hono<ServerEnv>()
    .post("/admin/keys", create)
    .get("/admin/keys", list)
    .post("/admin/keys/:keyId/rotate", rotate)
    .delete("/admin/keys/:keyId", revoke);
}

function shownOnce(c: Ctx, key: NewKey): Response {
  return json(c, key, 200, { "cache-control": "no-store" });
}
