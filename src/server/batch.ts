// LangGraph's batch: many runs without threads in one request, each answered at its place.
import { fail } from "../domain/errors.ts";
import { PAGE_SIZE_MAX, SUBMIT_ITEMS_MAX } from "../domain/limits.ts";
import type { SubmitAnswer, SubmitItem, Tenant } from "../runtime/api.ts";
import { refuseUnsupported, submitOptions } from "./begin.ts";
import { runResource } from "./langgraph.ts";
import { type Ctx, check, invalid, readJson, tenantOf } from "./request.ts";
import { errorBody, json, retryAfter, retryAfterMs, shownError } from "./respond.ts";
import { type RunCreate, runBatch } from "./schemas.ts";
import type { Services } from "./services.ts";
import { pendingOf } from "./standstill.ts";

/**
 * 200 with the runs when all are taken; 207 with errors at the places of those that are not. When all are refused for reasons of one
 * status, such as the tenant's plan (429), that is the answer. @throws BATCH_TOO_LARGE, and what all were refused with
 */
export async function submitBatch(services: Services, c: Ctx): Promise<Response> {
  const given = await readJson(c, services.limits);
  if (Array.isArray(given) && given.length > SUBMIT_ITEMS_MAX)
    throw fail("BATCH_TOO_LARGE", { count: given.length, limit: SUBMIT_ITEMS_MAX });
  const bodies = check(runBatch, given);
  const key = c.req.header("idempotency-key");
  const tenant = tenantOf(c, services.longhaul);
  const asked = bodies.map((body, i) => itemOf(services, body, key === undefined ? undefined : `${key}:${i}`));
  const answers = await submitAll(tenant, asked);
  const resources = await resourcesOf(tenant, answers);
  const shown = answers.map((answer) =>
    "error" in answer ? shownError(c, answer.error, services.log) : resources.get(answer.run.runId),
  );
  const errors = shown.filter((one) => one instanceof Error);
  const slowest = errors.reduce((a, b) => (a === undefined || retryAfterMs(b) > retryAfterMs(a) ? b : a), errors[0]);
  if (slowest === undefined) return json(c, shown);
  if (errors.length === shown.length && new Set(errors.map(({ status }) => status)).size === 1) throw slowest;
  const body = shown.map((one) => (one instanceof Error ? errorBody(one, c.var.requestId) : one));
  return json(c, body, 207, retryAfterMs(slowest) > 0 ? { "retry-after": retryAfter(slowest) } : {});
}

function itemOf(services: Services, body: RunCreate, key: string | undefined): SubmitItem | { readonly error: Error } {
  try {
    refuseUnsupported(body);
    if (body.command?.resume !== undefined)
      throw invalid([{ path: "command.resume", message: "only a run on a thread can be resumed" }]);
    const { name } = services.assistants.find(body.assistant_id);
    return { agent: name, input: body.input, ...submitOptions(null, body, key) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { error };
  }
}

/** Those that can be submitted, together; the others keep their places. */
async function submitAll(
  tenant: Tenant,
  asked: readonly (SubmitItem | { readonly error: Error })[],
): Promise<SubmitAnswer[]> {
  const submitted = await tenant.submitMany(asked.flatMap((one) => ("error" in one ? [] : [one])));
  let next = 0;
  return asked.map((one) => ("error" in one ? one : (submitted[next++] as SubmitAnswer)));
}

async function resourcesOf(
  tenant: Tenant,
  answers: readonly SubmitAnswer[],
): Promise<Map<string, Record<string, unknown>>> {
  const runIds = answers.flatMap((answer) => ("error" in answer ? [] : [answer.run.runId]));
  const found = new Map<string, Record<string, unknown>>();
  for (let at = 0; at < runIds.length; at += PAGE_SIZE_MAX) {
    const page = runIds.slice(at, at + PAGE_SIZE_MAX);
    for (const run of await tenant.list({ runIds: page, limit: PAGE_SIZE_MAX })) {
      const asksSomebody = run.status === "waiting" && (await pendingOf(tenant, run.runId)).length > 0;
      found.set(run.runId, runResource(run, asksSomebody));
    }
  }
  return found;
}
