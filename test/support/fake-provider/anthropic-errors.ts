// Anthropic's errors, word for word where that is known.
import type { ErrorReply, FailureFacts, ProtocolDialect } from "./dialect.ts";
import type { Fault, LimitedBy } from "./fault.ts";
import { faultRates, rateHeaders, retryHeaders } from "./rate-headers.ts";

type Words = readonly [status: number, type: string, message: string];

export const anthropic: ProtocolDialect = {
  protocol: "anthropic",
  keyOf: (headers) => {
    const key = headers["x-api-key"];
    return typeof key === "string"
      ? key
      : headers.authorization?.startsWith("Bearer ")
        ? headers.authorization.slice(7)
        : null;
  },
  keyRefused: (key) =>
    error([401, "authentication_error", key === null ? "x-api-key header is required" : "invalid x-api-key"]),
  errorOf(fault, facts) {
    const [status, type, message] = wordsOf(fault, facts);
    const limits = fault.rateHeaders === true ? rateHeaders("anthropic", facts.rates ?? faultRates(fault)) : {};
    return {
      ...error([status, type, fault.message ?? message]),
      headers: { ...limits, ...retryHeaders("anthropic", fault) },
    };
  },
  complain: ({ status, message }) =>
    error([status, status === 404 ? "not_found_error" : "invalid_request_error", message]),
  headers: (number) => ({ "request-id": `req_fake_${number}`, "anthropic-organization-id": "org-fake" }),
};

function error([status, type, message]: Words): ErrorReply {
  return { status, headers: {}, body: { type: "error", error: { type, message }, request_id: "req_fake" } };
}

function wordsOf(fault: Fault, facts: FailureFacts): Words {
  switch (fault.kind) {
    case "rate_limit":
      return [429, "rate_limit_error", limitReached(fault, facts)];
    case "quota_exhausted":
      return [
        400,
        "invalid_request_error",
        "You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC.",
      ];
    case "billing":
      return [
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
      ];
    case "auth":
      return [401, "authentication_error", "invalid x-api-key"];
    case "forbidden":
      return [403, "permission_error", "Your API key does not have permission to use the specified resource."];
    case "unknown_model":
      return [404, "not_found_error", `model: ${facts.model}`];
    case "bad_request":
      return [400, "invalid_request_error", "messages.0.content: Input should be a valid string"];
    case "context_length":
      return [400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"];
    case "content_refused":
      return [400, "invalid_request_error", "Output blocked by content filtering policy"];
    case "unavailable":
      return [503, "api_error", "Service unavailable"];
    case "overloaded":
      return [529, "overloaded_error", "Overloaded"];
    case "timeout":
      return [504, "timeout_error", "Request timed out"];
    default:
      return [500, "api_error", "Internal server error"];
  }
}

const NAMES: Readonly<Record<LimitedBy, string>> = {
  requests: "requests",
  tokens: "tokens",
  inputTokens: "input tokens",
  outputTokens: "output tokens",
};

function limitReached({ by = "requests", per = "minute" }: Fault, { model, rates }: FailureFacts): string {
  const limit = (rates ?? faultRates({ kind: "rate_limit", by }))[by]?.limit ?? 0;
  return `This request would exceed your organization's rate limit of ${limit.toLocaleString("en-US")} ${NAMES[by]} per ${per} (org: org-fake, model: ${model}). For details, refer to: https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again later.`;
}
