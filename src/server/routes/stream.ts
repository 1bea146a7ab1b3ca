// GET of what a run has said and will say: LangGraph's stream and join, and our own journal events.
import { Hono } from "hono";
import { requireScope } from "../access.ts";
import { runOnThread } from "../begin.ts";
import { runEvents, runStream, runWait } from "../live.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkQuery, idParam, invalid, tenantOf } from "../request.ts";
import { joinQuery, type StreamMode, streamModes } from "../schemas.ts";
import type { Services } from "../services.ts";
import { cursorOf } from "../sse.ts";

export function streamRoutes(services: Services): Hono<ServerEnv> {
  const live = async (c: Ctx) => {
    const threadId = c.req.path.startsWith("/threads/") ? idParam(c, "threadId") : null;
    const runId = idParam(c, "runId");
    const query = checkQuery(c, joinQuery, ["stream_mode"]);
    const cancelOnDisconnect = query.cancel_on_disconnect ?? false;
    if (cancelOnDisconnect) requireScope(c, "runs:write");
    const tenant = tenantOf(c, services.longhaul);
    const run = await runOnThread(tenant, runId, threadId);
    const location = threadId === null ? `/runs/${runId}` : `/threads/${threadId}/runs/${runId}`;
    return { tenant, run, runId, query, location, cancelOnDisconnect };
  };

  const stream = async (c: Ctx): Promise<Response> => {
    const asked = await live(c);
    const after = cursorUpTo(c, asked.run.journalSeq);
    const modes = asked.query.stream_mode ?? modesOf(asked.run.options.stream_mode);
    return runStream(services, c, { ...asked, view: { after, modes } });
  };

  const join = async (c: Ctx): Promise<Response> => runWait(services, c, await live(c));

  const events = async (c: Ctx): Promise<Response> => {
    const asked = await live(c);
    const after = cursorUpTo(c, asked.run.journalSeq);
    return runEvents(services, c, { ...asked, after, tokens: asked.query.tokens ?? false });
  };

  return new Hono<ServerEnv>()
    .get("/threads/:threadId/runs/:runId/stream", stream)
    .get("/threads/:threadId/runs/:runId/join", join)
    .get("/runs/:runId/stream", stream)
    .get("/runs/:runId/join", join)
    .get("/runs/:runId/events", events);
}

/** A reconnect does not repeat the modes that the run was started with, so they are kept with the run. */
function modesOf(kept: unknown): readonly StreamMode[] {
  const parsed = streamModes.safeParse(kept);
  return parsed.success ? parsed.data : ["values"];
}

/** An entry that does not exist yet can only have been seen on another run. @throws REQUEST_INVALID */
function cursorUpTo(c: Ctx, journalSeq: number): number {
  const cursor = cursorOf(c);
  if (cursor <= journalSeq) return cursor;
  throw invalid([
    { path: "Last-Event-ID", message: `this run has only ${journalSeq} events: the id is another run's` },
  ]);
}
