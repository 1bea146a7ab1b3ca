// Gemini's errors, word for word where that is known: what other protocols say in headers, it says in the body.
import type { ErrorReply, FailureFacts, ProtocolDialect } from "./dialect.ts";
import type { Fault } from "./fault.ts";
import { faultRates } from "./rate-headers.ts";

type Words = readonly [code: number, status: string, message: string, details?: readonly unknown[]];

const TYPE = "type.googleapis.com/google.rpc";
const KEY_INVALID: Words = [
  400,
  "INVALID_ARGUMENT",
  "API key not valid. Please pass a valid API key.",
  [
    {
      "@type": `${TYPE}.ErrorInfo`,
      reason: "API_KEY_INVALID",
      domain: "googleapis.com",
      metadata: { service: "generativelanguage.googleapis.com" },
    },
  ],
];
const NO_KEY =
  "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";

export const google: ProtocolDialect = {
  protocol: "google",
  keyOf: (headers, query) => {
    const key = headers["x-goog-api-key"];
    return typeof key === "string" ? key : query.get("key");
  },
  // A wrong key is a bad request here, and a missing one is forbidden.
  keyRefused: (key) => error(key === null ? [403, "PERMISSION_DENIED", NO_KEY] : KEY_INVALID),
  errorOf(fault, facts) {
    const [code, status, message, details] = wordsOf(fault, facts);
    return error([code, status, fault.message ?? message, details]);
  },
  complain: ({ status, message }) => error([status, status === 404 ? "NOT_FOUND" : "INVALID_ARGUMENT", message]),
  headers: () => ({ "x-gemini-service-tier": "standard", vary: "Origin" }),
};

function error([code, status, message, details]: readonly [...Words] | [number, string, string, Words[3]]): ErrorReply {
  const more = details === undefined ? {} : { details };
  return { status: code, headers: {}, body: { error: { code, message, status, ...more } } };
}

function wordsOf(fault: Fault, facts: FailureFacts): Words {
  switch (fault.kind) {
    case "rate_limit":
      return limitReached(fault, facts);
    case "quota_exhausted":
      return limitReached({ ...fault, per: "day", rateHeaders: true }, facts);
    case "billing":
      return [
        429,
        "RESOURCE_EXHAUSTED",
        "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to manage your project and billing.",
      ];
    case "auth":
      return KEY_INVALID;
    case "forbidden":
      return [403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."];
    case "unknown_model":
      return [
        404,
        "NOT_FOUND",
        `models/${facts.model} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods.`,
      ];
    case "bad_request":
      return [400, "INVALID_ARGUMENT", "Request contains an invalid argument."];
    case "context_length":
      return [
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
      ];
    case "content_refused":
      return [400, "INVALID_ARGUMENT", "Request blocked: it may violate our usage policies."];
    case "unavailable":
    case "overloaded":
      return [503, "UNAVAILABLE", "The model is overloaded. Please try again later."];
    case "timeout":
      return [504, "DEADLINE_EXCEEDED", "The request timed out. Please try again."];
    default:
      return [
        500,
        "INTERNAL",
        "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
      ];
  }
}

function limitReached(fault: Fault, { model, rates }: FailureFacts): Words {
  const { by = "requests", per = "minute", retryAfterMs } = fault;
  const limit = (rates ?? faultRates({ kind: "rate_limit", by }))[by]?.limit ?? 0;
  const metric = `generativelanguage.googleapis.com/generate_content_free_tier_${by === "requests" ? "requests" : "input_token_count"}`;
  const counted = by === "requests" ? "GenerateRequests" : "GenerateContentInputTokens";
  const violation = {
    quotaMetric: metric,
    quotaId: `${counted}Per${per === "day" ? "Day" : "Minute"}PerProjectPerModel-FreeTier`,
    quotaDimensions: { location: "global", model },
    quotaValue: String(limit),
  };
  const seconds = retryAfterMs === undefined ? null : `${retryAfterMs / 1000}s`;
  const details = [
    ...(fault.rateHeaders === true ? [{ "@type": `${TYPE}.QuotaFailure`, violations: [violation] }] : []),
    {
      "@type": `${TYPE}.Help`,
      links: [
        { description: "Learn more about Gemini API quotas", url: "https://ai.google.dev/gemini-api/docs/rate-limits" },
      ],
    },
    ...(seconds === null ? [] : [{ "@type": `${TYPE}.RetryInfo`, retryDelay: seconds }]),
  ];
  const again = seconds === null ? "" : `\nPlease retry in ${seconds}.`;
  const message = `You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To monitor your current usage, head to: https://ai.dev/rate-limit. \n* Quota exceeded for metric: ${metric}, limit: ${limit}, model: ${model}${again}`;
  return [429, "RESOURCE_EXHAUSTED", message, details];
}
