// OpenAI's errors, word for word where that is known.
import type { Complaint, ErrorReply, FailureFacts, ProtocolDialect } from "./dialect.ts";
import type { Fault, LimitedBy } from "./fault.ts";
import { faultRates, goDuration, rateHeaders, retryHeaders } from "./rate-headers.ts";

const QUOTA =
  "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.";
const NO_KEY =
  "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys.";

type Words = readonly [status: number, message: string, type: string, code: string | null, param?: string];

export const openAi: ProtocolDialect = {
  protocol: "openai",
  keyOf: ({ authorization }) => (authorization?.startsWith("Bearer ") ? authorization.slice(7) : null),
  keyRefused: (key) =>
    error(
      key === null
        ? [401, NO_KEY, "invalid_request_error", null]
        : [401, wrongKey(key), "invalid_request_error", "invalid_api_key"],
    ),
  errorOf(fault, facts) {
    const { status, body } = error(withMessage(wordsOf(fault, facts), fault));
    const limits = fault.rateHeaders === true ? rateHeaders("openai", facts.rates ?? faultRates(fault)) : {};
    return { status, body, headers: { ...limits, ...retryHeaders("openai", fault) } };
  },
  complain: ({ status, message, code, param }: Complaint) =>
    error([status, message, "invalid_request_error", code ?? null, param as string]),
  headers: (number) => ({
    "x-request-id": `req_fake_${number}`,
    "openai-organization": "org-fake",
    "openai-processing-ms": "1",
    "openai-version": "2020-10-01",
  }),
};

function error([status, message, type, code, param]: Words): ErrorReply {
  return { status, headers: {}, body: { error: { message, type, param: param ?? null, code } } };
}

function withMessage(words: Words, { message }: Fault): Words {
  const [status, own, type, code, param] = words;
  return param === undefined ? [status, message ?? own, type, code] : [status, message ?? own, type, code, param];
}

function wrongKey(key: string): string {
  const shown =
    key.length <= 8 ? "*".repeat(key.length) : `${key.slice(0, 4)}${"*".repeat(key.length - 8)}${key.slice(-4)}`;
  return `Incorrect API key provided: ${shown}. You can find your API key at https://platform.openai.com/account/api-keys.`;
}

function wordsOf(fault: Fault, facts: FailureFacts): Words {
  switch (fault.kind) {
    case "rate_limit":
      return [
        429,
        limitReached(fault, facts),
        fault.by === "requests" || fault.by === undefined ? "requests" : "tokens",
        "rate_limit_exceeded",
      ];
    case "quota_exhausted":
      return [429, QUOTA, "insufficient_quota", "insufficient_quota"];
    case "billing":
      return [402, "Insufficient Balance", "unknown_error", "invalid_request_error"];
    case "auth":
      return [401, wrongKey(facts.key), "invalid_request_error", "invalid_api_key"];
    case "forbidden":
      return [
        403,
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
      ];
    case "unknown_model":
      return [
        404,
        `The model \`${facts.model}\` does not exist or you do not have access to it.`,
        "invalid_request_error",
        "model_not_found",
      ];
    case "bad_request":
      return [
        400,
        "Invalid value: 'fake'. Supported values are: 'none'.",
        "invalid_request_error",
        "invalid_value",
        "tool_choice",
      ];
    case "context_length":
      return tooLong(facts);
    case "content_refused":
      return [
        400,
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.",
        "invalid_request_error",
        "invalid_prompt",
      ];
    case "unavailable":
    case "overloaded":
      return [503, "The engine is currently overloaded, please try again later", "service_unavailable_error", null];
    case "timeout":
      return [504, "The request timed out.", "timeout", null];
    default:
      return [500, "The server had an error while processing your request. Sorry about that!", "server_error", null];
  }
}

function tooLong({ operation }: FailureFacts): Words {
  if (operation === "responses") {
    const message = "Your input exceeds the context window of this model. Please adjust your input and try again.";
    return [400, message, "invalid_request_error", "context_length_exceeded", "input"];
  }
  const message =
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens. Please reduce the length of the messages.";
  return [400, message, "invalid_request_error", "context_length_exceeded", "messages"];
}

function limitReached(
  { by = "requests", per = "minute", retryAfterMs }: Fault,
  { model, rates }: FailureFacts,
): string {
  const state = (rates ?? faultRates({ kind: "rate_limit", by }))[by];
  const { limit = 0, remaining = 0 } = state ?? {};
  const again = retryAfterMs === undefined ? "" : ` Please try again in ${goDuration(retryAfterMs)}.`;
  const of = NAMES[by];
  const short = `${of === "requests" ? "R" : "T"}P${per === "day" ? "D" : "M"}`;
  return `Rate limit reached for ${model} in organization org-fake on ${of} per ${per === "day" ? "day" : "min"} (${short}): Limit ${limit}, Used ${limit - Math.floor(remaining)}, Requested 1.${again} Visit https://platform.openai.com/account/rate-limits to learn more.`;
}

const NAMES: Readonly<Record<LimitedBy, string>> = {
  requests: "requests",
  tokens: "tokens",
  inputTokens: "tokens",
  outputTokens: "tokens",
};
