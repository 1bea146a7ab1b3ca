// POST of runs: in the background, as a stream, or until their end; on a thread or without one; one or many.
import { Hono } from "hono";
import type { Tenant } from "../../runtime/api.ts";
import { submitBatch } from "../batch.ts";
import { type Begun, begin } from "../begin.ts";
import { runResource } from "../langgraph.ts";
import { runStream, runWait } from "../live.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody, idParam, tenantOf } from "../request.ts";
import { json } from "../respond.ts";
import { type RunCreate, runCreate } from "../schemas.ts";
import type { Services } from "../services.ts";
import { FROM_START } from "../sse.ts";
import { pendingOf, runOf } from "../standstill.ts";

export function submitRoutes(services: Services): Hono<ServerEnv> {
  const { limits, longhaul } = services;

  const start = async (c: Ctx): Promise<{ tenant: Tenant; begun: Begun; body: RunCreate }> => {
    const threadId = c.req.path.startsWith("/threads/") ? idParam(c, "threadId") : null;
    const body = await checkBody(c, limits, runCreate);
    const tenant = tenantOf(c, longhaul);
    return { tenant, body, begun: await begin(services, c, tenant, threadId, body) };
  };

  const background = async (c: Ctx): Promise<Response> => {
    const { tenant, begun } = await start(c);
    const run = await runOf(tenant, begun.runId);
    const asked = run.status === "waiting" && (await pendingOf(tenant, run.runId)).length > 0;
    return json(c, runResource(run, asked), 200, { "content-location": pathOf(begun) });
  };

  const stream = async (c: Ctx): Promise<Response> => {
    const { tenant, begun, body } = await start(c);
    const resumed = begun.resumedAfter !== null;
    return runStream(services, c, {
      tenant,
      runId: begun.runId,
      view: { after: begun.resumedAfter ?? FROM_START, modes: body.stream_mode ?? ["values"], resumed },
      location: pathOf(begun),
      cancelOnDisconnect: body.on_disconnect === "cancel",
    });
  };

  const wait = async (c: Ctx): Promise<Response> => {
    const { tenant, begun, body } = await start(c);
    const cancelOnDisconnect = body.on_disconnect === "cancel";
    return runWait(services, c, { tenant, runId: begun.runId, location: pathOf(begun), cancelOnDisconnect });
  };

  return new Hono<ServerEnv>()
    .post("/threads/:threadId/runs", background)
    .post("/threads/:threadId/runs/stream", stream)
    .post("/threads/:threadId/runs/wait", wait)
    .post("/runs", background)
    .post("/runs/batch", (c) => submitBatch(services, c))
    .post("/runs/stream", stream)
    .post("/runs/wait", wait);
}

function pathOf({ runId, threadId }: Begun): string {
  return threadId === null ? `/runs/${runId}` : `/threads/${threadId}/runs/${runId}`;
}
