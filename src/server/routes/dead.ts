// Dead letters over HTTP: runs that failed for good, each to be retried, edited or discarded, one by one or by what they have in common.
import { Hono } from "hono";
import type { DeadNews } from "../../runtime/limits-api.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody, checkQuery, idParam, tenantOf } from "../request.ts";
import { json } from "../respond.ts";
import { deadBody, deadEdit, deadQuery } from "../schemas.ts";
import type { Services } from "../services.ts";

export function deadRoutes({ limits, longhaul }: Services): Hono<ServerEnv> {
  const letters = (c: Ctx) => tenantOf(c, longhaul).deadLetters;

  const retry = async (c: Ctx): Promise<Response> => {
    const { runId } = await letters(c).retry(idParam(c, "runId"), { by: c.var.caller.by });
    return json(c, { runId });
  };

  const edit = async (c: Ctx): Promise<Response> => {
    const { input } = await checkBody(c, limits, deadEdit);
    const { runId } = await letters(c).edit(idParam(c, "runId"), input);
    return json(c, { runId });
  };

  const discard = async (c: Ctx): Promise<Response> => {
    const runId = idParam(c, "runId");
    await letters(c).discard(runId);
    return json(c, { runId });
  };

  const retryMany = async (c: Ctx): Promise<Response> => {
    const { limit, ...filter } = await checkBody(c, limits, deadBody);
    return json(c, await collect(letters(c).retryAll(filter, { by: c.var.caller.by, limit })));
  };

  const discardMany = async (c: Ctx): Promise<Response> => {
    const { limit, ...filter } = await checkBody(c, limits, deadBody);
    return json(c, await collect(letters(c).discardAll(filter, { limit })));
  };

  return new Hono<ServerEnv>()
    .get("/admin/dead", async (c) => json(c, await letters(c).list(checkQuery(c, deadQuery))))
    .post("/admin/dead/retry", retryMany)
    .post("/admin/dead/discard", discardMany)
    .post("/admin/dead/:runId/retry", retry)
    .post("/admin/dead/:runId/edit", edit)
    .post("/admin/dead/:runId/discard", discard);
}

async function collect(news: AsyncIterable<DeadNews>): Promise<DeadNews[]> {
  const all: DeadNews[] = [];
  for await (const one of news) all.push(one);
  return all;
}
