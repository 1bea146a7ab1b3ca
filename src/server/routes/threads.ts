// Threads: making them, and their state as one snapshot.
import { Hono } from "hono";
import { fail } from "../../domain/errors.ts";
import type { Tenant, Thread } from "../../runtime/api.ts";
import { notSupported } from "../begin.ts";
import { threadResource, threadState } from "../langgraph.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody, idParam, tenantOf } from "../request.ts";
import { json } from "../respond.ts";
import { historyQuery, threadCreate } from "../schemas.ts";
import type { Services } from "../services.ts";

export function threadRoutes(services: Services): Hono<ServerEnv> {
  const { limits, longhaul } = services;

  const create = async (c: Ctx): Promise<Response> => {
    const body = await checkBody(c, limits, threadCreate);
    if ((body.supersteps ?? []).length > 0) throw notSupported("supersteps");
    if ((body.ttl ?? null) !== null) throw notSupported("ttl");
    const tenant = tenantOf(c, longhaul);
    const thread = await tenant.createThread({
      ifExists: body.if_exists ?? "raise",
      ...(body.thread_id ? { threadId: body.thread_id } : {}),
      ...(body.metadata ? { metadata: body.metadata } : {}),
    });
    return json(c, threadResource(thread, await valuesOf(tenant, thread)));
  };

  const found = async (c: Ctx): Promise<{ thread: Thread; values: unknown }> => {
    const threadId = idParam(c, "threadId");
    const tenant = tenantOf(c, longhaul);
    const thread = await tenant.thread(threadId);
    if (thread === null) throw fail("THREAD_NOT_FOUND", { thread: threadId });
    return { thread, values: await valuesOf(tenant, thread) };
  };

  const get = async (c: Ctx): Promise<Response> => {
    const { thread, values } = await found(c);
    return json(c, threadResource(thread, values));
  };

  const state = async (c: Ctx): Promise<Response> => {
    const { thread, values } = await found(c);
    return json(c, threadState(thread, values));
  };

  /** A thread has one state here: its history is that state, once something has run. */
  const history = async (c: Ctx): Promise<Response> => {
    if (c.req.method === "POST") await checkBody(c, limits, historyQuery);
    const { thread, values } = await found(c);
    return json(c, thread.agent === null ? [] : [threadState(thread, values)]);
  };

  return new Hono<ServerEnv>()
    .post("/threads", create)
    .get("/threads/:threadId", get)
    .get("/threads/:threadId/state", state)
    .get("/threads/:threadId/history", history)
    .post("/threads/:threadId/history", history);
}

/** The thread's own state; for agents that keep none, what its newest successful run gave. */
async function valuesOf(tenant: Tenant, thread: Thread): Promise<unknown> {
  if (thread.state !== undefined && thread.state !== null) return thread.state;
  const [last] = await tenant.list({ threadId: thread.threadId, status: "succeeded", limit: 1 });
  const result = last === undefined ? null : await tenant.result(last.runId);
  return result?.status === "succeeded" ? result.output : undefined;
}
