// Reading runs: one, many, all that is known of one, and why it does not move.
import { Hono } from "hono";
import { fail } from "../../domain/errors.ts";
import type { Run } from "../../domain/run.ts";
import type { ListRuns, Tenant } from "../../runtime/api.ts";
import { runOnThread } from "../begin.ts";
import { type LangGraphStatus, runResource, statusesOf, statusOf } from "../langgraph.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkQuery, idParam, tenantOf } from "../request.ts";
import { json } from "../respond.ts";
import { nativeRunsQuery, runsQuery, threadRunsQuery } from "../schemas.ts";
import type { Services } from "../services.ts";
import { pendingOf } from "../standstill.ts";

/** Runs looked at for one page when their status in LangGraph's words cannot be asked for. */
const SCAN_MAX = 2_000;
const SCAN_PAGE = 200;

export function journalRoutes(services: Services): Hono<ServerEnv> {
  const { longhaul, assistants } = services;

  const one = async (c: Ctx): Promise<Response> => {
    const threadId = c.req.path.startsWith("/threads/") ? idParam(c, "threadId") : null;
    const tenant = tenantOf(c, longhaul);
    const run = await runOnThread(tenant, idParam(c, "runId"), threadId);
    return json(c, runResource(run, await waitsForPerson(tenant, run)));
  };

  const ofThread = async (c: Ctx): Promise<Response> => {
    const threadId = idParam(c, "threadId");
    const { select, ...page } = checkQuery(c, threadRunsQuery, ["select"]);
    const tenant = tenantOf(c, longhaul);
    if ((await tenant.thread(threadId)) === null) throw fail("THREAD_NOT_FOUND", { thread: threadId });
    const runs = await translated(tenant, page, { threadId });
    return json(c, select === undefined ? runs : runs.map((run) => pick(run, select)));
  };

  const all = async (c: Ctx): Promise<Response> => {
    const { assistant_id: assistant, thread_id: threadId, before, ...page } = checkQuery(c, runsQuery);
    const filter = {
      ...(assistant === undefined ? {} : { agent: assistants.find(assistant).name }),
      ...(threadId === undefined ? {} : { threadId }),
      ...(before === undefined ? {} : { before }),
    };
    return json(c, await translated(tenantOf(c, longhaul), page, filter));
  };

  const native = async (c: Ctx): Promise<Response> => {
    const query = checkQuery(c, nativeRunsQuery, ["status"]);
    const filter = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
    return json(c, await tenantOf(c, longhaul).list(filter));
  };

  const inspect = async (c: Ctx): Promise<Response> => {
    const runId = idParam(c, "runId");
    const detail = await tenantOf(c, longhaul).inspect(runId);
    if (detail === null) throw fail("RUN_NOT_FOUND", { run: runId });
    return json(c, detail);
  };

  return new Hono<ServerEnv>()
    .get("/threads/:threadId/runs", ofThread)
    .get("/threads/:threadId/runs/:runId", one)
    .get("/runs", all)
    .get("/runs/:runId", one)
    .get("/admin/runs", native)
    .get("/admin/runs/:runId", inspect)
    .get("/admin/runs/:runId/why", async (c) => json(c, await tenantOf(c, longhaul).why(idParam(c, "runId"))));
}

async function waitsForPerson(tenant: Tenant, run: Run): Promise<boolean> {
  return run.status === "waiting" && (await pendingOf(tenant, run.runId)).length > 0;
}

interface Page {
  /** Default 10, as LangGraph's clients have it. */
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly status?: LangGraphStatus | undefined;
}

/** A page of runs in LangGraph's words, newest first. Words that only a look at each run can tell are filtered here. */
async function translated(tenant: Tenant, page: Page, filter: ListRuns): Promise<Record<string, unknown>[]> {
  const { limit = 10, offset = 0, status } = page;
  if (status === undefined) {
    const runs = await tenant.list({ ...filter, limit, offset });
    return Promise.all(runs.map(async (run) => runResource(run, await waitsForPerson(tenant, run))));
  }
  const found: Record<string, unknown>[] = [];
  let before = filter.before;
  for (let seen = 0; seen < SCAN_MAX; seen += SCAN_PAGE) {
    const cursor = before === undefined ? {} : { before };
    const runs = await tenant.list({ ...filter, ...cursor, status: statusesOf(status), limit: SCAN_PAGE });
    for (const run of runs) {
      const asked = await waitsForPerson(tenant, run);
      if (statusOf(run, asked) === status) found.push(runResource(run, asked));
      if (found.length === offset + limit) return found.slice(offset);
    }
    if (runs.length < SCAN_PAGE) break;
    before = runs.at(-1)?.runId;
  }
  return found.slice(offset);
}

function pick(resource: Record<string, unknown>, members: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(resource).filter(([name]) => members.includes(name)));
}
