// How answers leave: any value as JSON, and every error as one shape that people, LangGraph's clients and programs can read.
import { STATUS_CODES } from "node:http";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { fail, isLonghaulError, type LonghaulError } from "../domain/errors.ts";
import { jsonText } from "./json.ts";
import type { ServerLog } from "./options.ts";
import type { Ctx } from "./request.ts";

/** As other servers write it into their logs; it never reaches anybody. */
const CLIENT_GONE = 499;

const CHALLENGE = 'Bearer realm="longhaul"';

export const JSON_TYPE = "application/json; charset=utf-8";

export function json(
  c: Ctx,
  value: unknown,
  status: ContentfulStatusCode = 200,
  headers: Record<string, string> = {},
): Response {
  return c.body(jsonText(value), status, { "content-type": JSON_TYPE, ...headers });
}

/**
 * The body of an error: `code` for programs, `message` and `hint` for people, `detail` where LangGraph's clients look, `error` the
 * status in words. What we did not foresee is logged with its stack and leaves as INTERNAL, without a word about its cause.
 */
export function errorResponse(c: Ctx, thrown: unknown, log: ServerLog): Response {
  // Nobody is there to read it; what failed is what waited for them.
  if (c.req.raw.signal.aborted) return new Response(null, { status: CLIENT_GONE });
  const error = shownError(c, thrown, log);
  if (error.status >= 500) c.header("cache-control", "no-store");
  if (error.status === 401) c.header("www-authenticate", CHALLENGE);
  if (error.status === 429 || error.status === 503) c.header("retry-after", retryAfter(error));
  return json(c, errorBody(error, c.var.requestId), error.status as ContentfulStatusCode);
}

/** An error as it may leave; what we did not foresee is logged. */
export function shownError(c: Ctx, thrown: unknown, log: ServerLog): LonghaulError {
  return isLonghaulError(thrown) ? outward(c, thrown, log) : unforeseen(c, thrown, log);
}

/** Whole seconds, at least one (RFC 9110, 10.2.3). */
export function retryAfter(error: LonghaulError): string {
  return String(Math.max(1, Math.ceil(retryAfterMs(error) / 1_000)));
}

export function retryAfterMs({ details }: LonghaulError): number {
  return Number((details as { retryAfterMs?: number } | undefined)?.retryAfterMs ?? 0);
}

export function errorBody(error: LonghaulError, requestId: string | undefined): Record<string, unknown> {
  const { code, status, message, hint, retryable, details } = error;
  return {
    code,
    error: STATUS_CODES[status] ?? "Error",
    message,
    hint,
    detail: message,
    retryable,
    details,
    requestId,
  };
}

/** Where the database is, and why it cannot be reached, is for the log. */
function outward(c: Ctx, error: LonghaulError, log: ServerLog): LonghaulError {
  if (error.code !== "DATABASE_UNAVAILABLE" && error.code !== "DATABASE_REFUSED") return error;
  log.warn({ requestId: c.var.requestId, path: c.req.path, reason: error.message }, "the database cannot be reached");
  return fail("DATABASE_UNAVAILABLE", { reason: "no connection" });
}

function unforeseen(c: Ctx, thrown: unknown, log: ServerLog): LonghaulError {
  const requestId = c.var.requestId;
  const stack = thrown instanceof Error ? thrown.stack : String(thrown);
  log.error({ requestId, method: c.req.method, path: c.req.path, stack }, "unforeseen error");
  return fail("INTERNAL", { request: requestId ?? "unknown" });
}
