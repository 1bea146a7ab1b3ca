// Which scope each route needs. This is the only place that says so; a route that is not here answers nobody.
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { fail } from "../domain/errors.ts";
import type { Scope } from "../domain/scopes.ts";
import type { ServerEnv } from "./options.ts";
import type { Ctx } from "./request.ts";

/** `open`: needs no identity at all. */
export type Access = Scope | "open";

/** Two requests need more than their route says: `command.resume` answers people's questions, `cancel_on_disconnect` may cancel. */
export const ACCESS: Readonly<Record<string, Access>> = {
  "GET /ok": "open",
  "GET /healthz": "open",
  "GET /readyz": "open",
  "GET /info": "open",

  "POST /assistants/search": "runs:read",
  "GET /assistants/:assistantId": "runs:read",
  "GET /threads/:threadId": "runs:read",
  "GET /threads/:threadId/state": "runs:read",
  "GET /threads/:threadId/history": "runs:read",
  "POST /threads/:threadId/history": "runs:read",
  "GET /threads/:threadId/runs": "runs:read",
  "GET /threads/:threadId/runs/:runId": "runs:read",
  "GET /threads/:threadId/runs/:runId/stream": "runs:read",
  "GET /threads/:threadId/runs/:runId/join": "runs:read",
  "GET /runs": "runs:read",
  "GET /runs/:runId": "runs:read",
  "GET /runs/:runId/stream": "runs:read",
  "GET /runs/:runId/join": "runs:read",
  "GET /runs/:runId/events": "runs:read",
  "GET /admin/runs": "runs:read",
  "GET /admin/runs/:runId": "runs:read",
  "GET /admin/runs/:runId/why": "runs:read",
  "GET /admin/dead": "runs:read",

  "POST /threads": "runs:write",
  "POST /threads/:threadId/runs": "runs:write",
  "POST /threads/:threadId/runs/stream": "runs:write",
  "POST /threads/:threadId/runs/wait": "runs:write",
  "POST /threads/:threadId/runs/:runId/cancel": "runs:write",
  "POST /runs": "runs:write",
  "POST /runs/stream": "runs:write",
  "POST /runs/wait": "runs:write",
  "POST /runs/batch": "runs:write",
  "POST /runs/:runId/cancel": "runs:write",
  "POST /admin/runs/:runId/cancel": "runs:write",
  "POST /admin/runs/:runId/retry": "runs:write",
  "POST /admin/runs/:runId/fork": "runs:write",
  "POST /admin/runs/:runId/signal": "runs:write",
  "POST /admin/dead/retry": "runs:write",
  "POST /admin/dead/discard": "runs:write",
  "POST /admin/dead/:runId/retry": "runs:write",
  "POST /admin/dead/:runId/edit": "runs:write",
  "POST /admin/dead/:runId/discard": "runs:write",

  "GET /admin/approvals": "approvals",
  "POST /admin/approvals/:approvalId/approve": "approvals",
  "POST /admin/approvals/:approvalId/deny": "approvals",
  "POST /admin/approvals/:approvalId/resume": "approvals",

  "POST /v1/chat/completions": "models",
  "POST /v1/responses": "models",
  "POST /v1/embeddings": "models",
  "GET /v1/models": "models",
  "GET /v1/models/:model{.+}": "models",
  "POST /v1/budgets": "models",
  "GET /v1/budgets/:budgetId": "models",
  "POST /v1/budgets/:budgetId/raise": "approvals",

  "GET /admin/costs": "runs:read",
  "GET /admin/charges": "runs:read",
  "POST /admin/charges/ack": "admin",

  "GET /admin/workers": "admin",
  "GET /admin/queues": "admin",
  "GET /admin/scale": "admin",
  "GET /admin/plans": "admin",
  "GET /admin/plans/:plan": "admin",
  "PUT /admin/plans/:plan": "admin",
  "DELETE /admin/plans/:plan": "admin",
  "GET /admin/tenants": "admin",
  "GET /admin/tenants/:tenant": "admin",
  "PUT /admin/tenants/:tenant": "admin",
  "GET /admin/keys": "admin",
  "POST /admin/keys": "admin",
  "DELETE /admin/keys/:keyId": "admin",
  "POST /admin/keys/:keyId/rotate": "admin",
};

/**
 * Lets through who has the scope of the route, and sends an operator's request to the tenant it names. What is no route is told so by
 * the application. @throws SCOPE_MISSING
 */
export const authorize: MiddlewareHandler<ServerEnv> = async (c, next) => {
  const route = matchedRoutes(c).find(({ method }) => method !== "ALL");
  if (route !== undefined) {
    const access = ACCESS[`${route.method} ${route.path}`];
    if (access === undefined) throw new Error(`no scope is declared for ${route.method} ${route.path}`);
    if (access !== "open") requireScope(c, access);
    actForTenant(c);
  }
  await next();
};

/** Below /admin, `admin` stands for every scope. @throws SCOPE_MISSING */
export function requireScope(c: Ctx, scope: Scope): void {
  const { scopes } = c.var.caller;
  if (scopes.includes(scope) || (isAdministration(c) && scopes.includes("admin"))) return;
  throw fail("SCOPE_MISSING", { scope });
}

/** Below /admin, `?tenant=` names whose things are meant. */
function actForTenant(c: Ctx): void {
  const tenant = c.req.query("tenant");
  if (tenant === undefined || !isAdministration(c) || tenant === c.var.caller.tenant) return;
  requireScope(c, "admin");
  c.set("caller", { ...c.var.caller, tenant });
}

function isAdministration(c: Ctx): boolean {
  return c.req.path.startsWith("/admin/");
}
