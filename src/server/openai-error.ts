// Errors in OpenAI's shape: what its client libraries raise, when they try again, and when they must not.
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { ErrorCode, LonghaulError } from "../domain/errors.ts";
import { MODEL_RETRY_MS_MAX } from "../domain/limits.ts";
import { jsonText } from "./json.ts";
import type { ServerLog } from "./options.ts";
import type { Ctx } from "./request.ts";
import { JSON_TYPE, retryAfter, shownError } from "./respond.ts";

/** What a client library reads. */
export interface OpenAiError {
  readonly message: string;
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;
  /** The same in our own words. */
  readonly longhaul: {
    readonly code: ErrorCode;
    readonly hint?: string;
    readonly details?: unknown;
    readonly requestId: string | undefined;
  };
}

export interface OpenAiFailure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly error: OpenAiError;
}

/** As others write it into their logs; it never reaches anybody. */
const CLIENT_GONE = 499;

export function openAiErrorResponse(c: Ctx, thrown: unknown, log: ServerLog): Response {
  if (c.req.raw.signal.aborted) return new Response(null, { status: CLIENT_GONE });
  const { status, headers, error } = openAiFailure(c, thrown, log);
  return c.body(jsonText({ error }), status as ContentfulStatusCode, { "content-type": JSON_TYPE, ...headers });
}

/** What went wrong, as it may leave; what we did not foresee is logged. */
export function openAiFailure(c: Ctx, thrown: unknown, log: ServerLog): OpenAiFailure {
  const error = shownError(c, thrown, log);
  const said = wordsFor(error);
  const { code, hint } = error;
  const { requestId } = c.var;
  const isOperators = OPERATORS.includes(code);
  if (isOperators) log.warn({ requestId, path: c.req.path, reason: error.message, hint }, "a provider cannot be used");
  return {
    status: said.status,
    headers: headersFor(error, said.status),
    error: {
      message: said.message ?? `${error.message} ${hint}`,
      type: said.type,
      code: said.code,
      param: said.param ?? null,
      longhaul: { code, ...(isOperators ? {} : { hint, details: error.details }), requestId },
    },
  };
}

interface Words {
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param?: string | null;
  readonly message?: string;
}

function wordsFor(error: LonghaulError): Words {
  const { code, status, details } = error;
  switch (code) {
    case "UNAUTHENTICATED":
    case "API_KEY_UNKNOWN":
    case "API_KEY_EXPIRED":
    case "API_KEY_REVOKED":
      return { status, type: "invalid_request_error", code: "invalid_api_key" };
    case "SCOPE_MISSING":
      return { status, type: "permission_error", code: "insufficient_permissions" };
    case "MODEL_UNKNOWN":
    case "MODEL_NOT_SERVED":
      return { status: 404, type: "invalid_request_error", code: "model_not_found", param: "model" };
    case "REQUEST_INVALID":
      return { status: 400, type: "invalid_request_error", code: "invalid_value", param: firstPath(details) };
    case "QUOTA_WAIT":
      return quotaWords(waitMs(error));
    case "BUDGET_EXCEEDED":
      return { status: 429, type: "insufficient_quota", code: "budget_exceeded" };
    default:
      return providersWords(error) ?? { status, type: typeOf(status), code: code.toLowerCase() };
  }
}

function typeOf(status: number): string {
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** A short wait is a rate limit to sit out. A long one is a quota that is used up, and trying again is of no use. */
function quotaWords(ms: number): Words {
  if (ms <= MODEL_RETRY_MS_MAX) return { status: 429, type: "requests", code: "rate_limit_exceeded" };
  return { status: 429, type: "insufficient_quota", code: "quota_window" };
}

/** What became of a call that the gateway has tried as often as it may. */
function providersWords(error: LonghaulError): Words | null {
  switch (error.code) {
    case "MODEL_RATE_LIMITED":
      return { status: 429, type: "requests", code: "rate_limit_exceeded" };
    case "MODEL_QUOTA_EXHAUSTED":
      return { status: 429, type: "insufficient_quota", code: "insufficient_quota" };
    case "MODEL_OVERLOADED":
      return { status: 503, type: "server_error", code: "overloaded" };
    case "MODEL_UNREACHABLE":
      return { status: 502, type: "server_error", code: "upstream_error" };
    case "MODEL_ANSWER_BROKEN":
    case "PARTIAL_STREAM":
      return { status: 502, type: "server_error", code: "stream_broken" };
    case "MODEL_REQUEST_REFUSED":
      return providersOwn(error, "invalid_request");
    case "MODEL_CONTENT_FILTERED":
      return providersOwn(error, "content_filter");
    case "MODEL_CONTEXT_TOO_LONG":
      return providersOwn(error, "context_length_exceeded");
    default:
      return OPERATORS.includes(error.code) ? operatorsWords(error) : null;
  }
}

/** A request that a provider refused is its sender's to correct: in the provider's own words, if it has OpenAI's. */
function providersOwn({ cause }: LonghaulError, code: string): Words {
  const { responseBody, statusCode } = (cause ?? {}) as { responseBody?: unknown; statusCode?: unknown };
  const error = errorIn(responseBody);
  const text = (name: string): string | undefined => (typeof error[name] === "string" ? error[name] : undefined);
  const message = text("message");
  return {
    status: typeof statusCode === "number" && statusCode >= 400 && statusCode < 500 ? statusCode : 400,
    type: text("type") ?? "invalid_request_error",
    code: text("code") ?? code,
    param: text("param") ?? null,
    ...(message === undefined ? {} : { message }),
  };
}

/** What is wrong with our own access to a provider is for whoever runs the server. */
const OPERATORS: readonly ErrorCode[] = [
  "MODEL_KEY_REJECTED",
  "MODEL_UNPAID",
  "PROVIDER_KEY_MISSING",
  "PROVIDER_PACKAGE_MISSING",
  "PROVIDER_UNUSABLE",
];

function operatorsWords({ code }: LonghaulError): Words {
  const message =
    "The provider of this model cannot be used from here at the moment. Whoever runs this server finds why in its log.";
  return { status: 502, type: "server_error", code: code.toLowerCase(), message };
}

function errorIn(body: unknown): Record<string, unknown> {
  if (typeof body !== "string") return {};
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === "object" && error !== null ? (error as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/**
 * OpenAI's libraries try again by themselves on 408, 409, 429 and 5xx, version 6 after however long `retry-after` says. Only where that
 * helps they are let: what the gateway has tried as often as it may, a budget, and a quota that refills tomorrow are final.
 */
function headersFor(error: LonghaulError, status: number): Record<string, string> {
  const { code } = error;
  if (code === "QUOTA_WAIT") {
    const ms = waitMs(error);
    const reset = { "x-ratelimit-reset-requests": resetText(ms), "x-ratelimit-reset-tokens": resetText(ms) };
    if (ms > MODEL_RETRY_MS_MAX) return { ...reset, "x-should-retry": "false" };
    const seconds = String(Math.max(1, Math.ceil(ms / 1_000)));
    return { ...reset, "retry-after": seconds, "retry-after-ms": String(Math.max(1, Math.ceil(ms))) };
  }
  if (status === 401) return { "www-authenticate": 'Bearer realm="longhaul"' };
  const comesBack = ["DATABASE_UNAVAILABLE", "SERVER_CLOSING", "STREAM_LIMIT", "OVERLOADED"].includes(code);
  if (comesBack) return { "retry-after": retryAfter(error), "cache-control": "no-store" };
  return status === 429 || status >= 500 ? { "x-should-retry": "false", "cache-control": "no-store" } : {};
}

function waitMs({ details }: LonghaulError): number {
  return Math.max(0, Number((details as { waitMs?: number } | undefined)?.waitMs ?? 0));
}

/** `1h2m3s`, as OpenAI writes it. */
function resetText(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  return `${hours > 0 ? `${hours}h` : ""}${minutes > 0 ? `${minutes}m` : ""}${seconds % 60}s`;
}

function firstPath(details: unknown): string | null {
  const [issue] = (details as { issues?: { path: string }[] } | undefined)?.issues ?? [];
  return issue === undefined || issue.path === "" ? null : issue.path;
}
