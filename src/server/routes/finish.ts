// What people do to runs: cancel, retry, fork, signal.
import { Hono } from "hono";
import { notSupported, runOnThread } from "../begin.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody, checkQuery, idParam, tenantOf } from "../request.ts";
import { json } from "../respond.ts";
import { cancelBody, cancelQuery, forkBody, signalBody } from "../schemas.ts";
import type { Services } from "../services.ts";
import { runOf } from "../standstill.ts";

export function finishRoutes(services: Services): Hono<ServerEnv> {
  const { limits, longhaul } = services;

  /** LangGraph's cancel: 202 at once, or 204 when the run has ended. Cancelling an ended run changes nothing and is no error. */
  const cancel = async (c: Ctx): Promise<Response> => {
    const threadId = c.req.path.startsWith("/threads/") ? idParam(c, "threadId") : null;
    const { wait = false, action } = checkQuery(c, cancelQuery);
    if (action === "rollback") throw notSupported("action=rollback");
    const tenant = tenantOf(c, longhaul);
    const run = await runOnThread(tenant, idParam(c, "runId"), threadId);
    await tenant.cancel(run.runId, `by ${c.var.caller.by}`);
    if (!wait) return c.body(null, 202);
    await tenant.wait(run.runId, { abort: c.req.raw.signal });
    return c.body(null, 204);
  };

  const adminCancel = async (c: Ctx): Promise<Response> => {
    const { reason } = await checkBody(c, limits, cancelBody);
    const tenant = tenantOf(c, longhaul);
    const { runId } = await runOf(tenant, idParam(c, "runId"));
    return json(c, { runId, verdict: await tenant.cancel(runId, reason ?? `by ${c.var.caller.by}`) });
  };

  const retry = async (c: Ctx): Promise<Response> => {
    const { runId, threadId } = await tenantOf(c, longhaul).retry(idParam(c, "runId"), { by: c.var.caller.by });
    return json(c, { runId, threadId });
  };

  const fork = async (c: Ctx): Promise<Response> => {
    const { beforeStep, input } = await checkBody(c, limits, forkBody);
    const { runId, threadId } = await tenantOf(c, longhaul).fork(idParam(c, "runId"), {
      ...(beforeStep ? { beforeStep } : {}),
      ...(input === undefined ? {} : { input }),
    });
    return json(c, { runId, threadId });
  };

  const signal = async (c: Ctx): Promise<Response> => {
    const { name, payload } = await checkBody(c, limits, signalBody);
    const runId = idParam(c, "runId");
    await tenantOf(c, longhaul).signal(runId, name, payload);
    return json(c, { runId, name });
  };

  return new Hono<ServerEnv>()
    .post("/threads/:threadId/runs/:runId/cancel", cancel)
    .post("/runs/:runId/cancel", cancel)
    .post("/admin/runs/:runId/cancel", adminCancel)
    .post("/admin/runs/:runId/retry", retry)
    .post("/admin/runs/:runId/fork", fork)
    .post("/admin/runs/:runId/signal", signal);
}
