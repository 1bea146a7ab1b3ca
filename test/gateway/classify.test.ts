// Every error of every provider is exactly one kind of failure: bodies as providers send them, in the errors of both majors of the AI SDK.
import { APICallError, JSONParseError, LoadAPIKeyError, UnsupportedFunctionalityError } from "@ai-sdk/provider";
import { NoOutputGeneratedError, RetryError } from "ai";
import { APICallError as APICallErrorOf7, RetryError as RetryErrorOf7 } from "ai7";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fail } from "../../src/domain/errors.ts";
import { CALL_FAILURES, type CallFailureKind } from "../../src/domain/model-call.ts";
import { callError } from "../../src/gateway/call-error.ts";
import { classify, type FailureContext } from "../../src/gateway/classify.ts";
import { AttemptTimeout } from "../../src/gateway/timeout.ts";
import { nextPacificMidnight } from "../../src/gateway/times.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");
const URL = "https://api.test/v1/chat/completions";

function of(error: unknown, more: Partial<FailureContext> = {}) {
  return classify(error, { nowMs: NOW, ...more });
}

function call(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
  Class: typeof APICallError = APICallError,
) {
  const responseBody = typeof body === "string" ? body : JSON.stringify(body);
  const message = (body as { error?: { message?: string } })?.error?.message ?? "Failed";
  return new Class({
    message,
    url: URL,
    requestBodyValues: {},
    statusCode: status,
    responseHeaders: headers,
    responseBody,
  });
}

const openai = (message: string, code: string | null, type: string) => ({
  error: { message, type, param: null, code },
});
const anthropic = (type: string, message: string) => ({ type: "error", error: { type, message }, request_id: "req_1" });
const google = (code: number, status: string, message: string, details: unknown[] = []) => ({
  error: { code, message, status, details },
});
const violations = (...found: object[]) => ({
  "@type": "type.googleapis.com/google.rpc.QuotaFailure",
  violations: found,
});
const retryInfo = (retryDelay: string) => ({ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay });

type Case = [what: string, kind: CallFailureKind, status: number, body: unknown];
const TPM =
  "Rate limit reached for gpt-4.1 in organization org-x on tokens per min (TPM): Limit 30000, Used 22343, Requested 10955. Please try again in 6.596s. Visit https://platform.openai.com/account/rate-limits to learn more.";
const TOO_LARGE =
  "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 30601. The input or output tokens must be reduced in order to run successfully.";
const RPD =
  "Rate limit reached for gpt-4 in organization org-x on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s.";
const QUOTA =
  "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.";

const CASES: Case[] = [
  ["OpenAI: tokens of the minute", "rate_window", 429, openai(TPM, "rate_limit_exceeded", "tokens")],
  ["OpenAI: more than a minute's tokens", "context_too_long", 429, openai(TOO_LARGE, "rate_limit_exceeded", "tokens")],
  ["OpenAI: requests of the day", "quota_exhausted", 429, openai(RPD, "rate_limit_exceeded", "requests")],
  ["OpenAI: no credit", "billing", 429, openai(QUOTA, "insufficient_quota", "insufficient_quota")],
  [
    "OpenAI: hard limit",
    "billing",
    400,
    openai("Billing hard limit has been reached", "billing_hard_limit_reached", "invalid_request_error"),
  ],
  [
    "OpenAI: wrong key",
    "auth_key",
    401,
    openai("Incorrect API key provided: sk-abcd1234.", "invalid_api_key", "invalid_request_error"),
  ],
  [
    "OpenAI: country",
    "auth_key",
    403,
    openai("Country not supported", "unsupported_country_region_territory", "request_forbidden"),
  ],
  [
    "OpenAI: model",
    "unknown_model",
    404,
    openai(
      "The model `gpt-9` does not exist or you do not have access to it.",
      "model_not_found",
      "invalid_request_error",
    ),
  ],
  [
    "OpenAI: model not for this project",
    "unknown_model",
    403,
    openai("Project `proj_x` does not have access to model `o3`", "model_not_found", "invalid_request_error"),
  ],
  [
    "OpenAI: context",
    "context_too_long",
    400,
    openai(
      "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens. Please reduce the length of the messages.",
      "context_length_exceeded",
      "invalid_request_error",
    ),
  ],
  [
    "OpenAI: text too long",
    "context_too_long",
    400,
    openai(
      "Invalid 'input': string too long. Expected a string with maximum length 10485760",
      "string_above_max_length",
      "invalid_request_error",
    ),
  ],
  [
    "OpenAI: schema",
    "bad_request",
    400,
    openai("Invalid schema for function 'x'", "invalid_function_parameters", "invalid_request_error"),
  ],
  [
    "OpenAI: previous response",
    "bad_request",
    404,
    openai("Previous response with id 'resp_1' not found.", "previous_response_not_found", "invalid_request_error"),
  ],
  [
    "OpenAI: overloaded",
    "overloaded",
    503,
    openai("The engine is currently overloaded, please try again later", null, "server_error"),
  ],
  ["OpenAI: slow down", "overloaded", 503, openai("Slow down", "slow_down", "server_error")],
  [
    "OpenAI: 500",
    "transient",
    500,
    openai("The server had an error while processing your request. Sorry about that!", null, "server_error"),
  ],
  [
    "Azure: content",
    "content_filter",
    400,
    {
      error: {
        message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        code: "content_filter",
        status: 400,
        innererror: { code: "ResponsibleAIPolicyViolation" },
      },
    },
  ],
  [
    "Azure: rate",
    "rate_window",
    429,
    {
      error: {
        code: "429",
        message:
          "Requests to the ChatCompletions Operation have exceeded token rate limit. Please retry after 7 seconds.",
      },
    },
  ],
  [
    "Azure: deployment",
    "unknown_model",
    404,
    { error: { code: "DeploymentNotFound", message: "The API deployment for this resource does not exist." } },
  ],
  [
    "Anthropic: rate",
    "rate_window",
    429,
    anthropic(
      "rate_limit_error",
      "This request would exceed the rate limit for your organization of 20,000 input tokens per minute. Please reduce the prompt length or the maximum tokens requested, or try again later.",
    ),
  ],
  ["Anthropic: overloaded", "overloaded", 529, anthropic("overloaded_error", "Overloaded")],
  [
    "Anthropic: credit",
    "billing",
    400,
    anthropic(
      "invalid_request_error",
      "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
    ),
  ],
  [
    "Anthropic: spend cap",
    "quota_exhausted",
    400,
    anthropic(
      "invalid_request_error",
      "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ),
  ],
  ["Anthropic: key", "auth_key", 401, anthropic("authentication_error", "invalid x-api-key")],
  [
    "Anthropic: permission",
    "auth_key",
    403,
    anthropic("permission_error", "Your API key does not have permission to use the specified resource."),
  ],
  ["Anthropic: model", "unknown_model", 404, anthropic("not_found_error", "model: claude-9")],
  [
    "Anthropic: prompt",
    "context_too_long",
    400,
    anthropic("invalid_request_error", "prompt is too long: 203000 tokens > 200000 maximum"),
  ],
  [
    "Anthropic: prompt and output",
    "context_too_long",
    400,
    anthropic(
      "invalid_request_error",
      "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
    ),
  ],
  [
    "Anthropic: 32 MB",
    "context_too_long",
    413,
    anthropic("request_too_large", "Request exceeds the maximum allowed number of bytes."),
  ],
  [
    "Anthropic: output filter",
    "content_filter",
    400,
    anthropic("invalid_request_error", "Output blocked by content filtering policy"),
  ],
  [
    "Anthropic: bad request",
    "bad_request",
    400,
    anthropic("invalid_request_error", 'messages: roles must alternate between "user" and "assistant"'),
  ],
  ["Anthropic: 500", "transient", 500, anthropic("api_error", "Internal server error")],
  [
    "Gemini: minute",
    "rate_window",
    429,
    google(429, "RESOURCE_EXHAUSTED", QUOTA, [
      violations({
        quotaMetric: "m/generate_content_free_tier_requests",
        quotaId: "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        quotaValue: "10",
      }),
      retryInfo("45.837906927s"),
    ]),
  ],
  [
    "Gemini: day",
    "quota_exhausted",
    429,
    google(429, "RESOURCE_EXHAUSTED", QUOTA, [
      violations(
        { quotaId: "GenerateRequestsPerMinutePerProjectPerModel" },
        { quotaId: "GenerateRequestsPerDayPerProjectPerModel-FreeTier", quotaValue: "250" },
      ),
      retryInfo("36s"),
    ]),
  ],
  [
    "Gemini: no quota at all",
    "billing",
    429,
    google(429, "RESOURCE_EXHAUSTED", QUOTA, [
      violations({ quotaId: "GenerateRequestsPerDayPerProjectPerModel-FreeTier", quotaValue: "0" }),
      retryInfo("36s"),
    ]),
  ],
  ["Gemini: says nothing", "rate_window", 429, google(429, "RESOURCE_EXHAUSTED", QUOTA)],
  [
    "Vertex: shared",
    "rate_window",
    429,
    google(
      429,
      "RESOURCE_EXHAUSTED",
      "Resource exhausted. Please try again later. Please refer to https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details.",
    ),
  ],
  [
    "Gemini: key",
    "auth_key",
    400,
    google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" },
    ]),
  ],
  [
    "Gemini: permission",
    "auth_key",
    403,
    google(
      403,
      "PERMISSION_DENIED",
      "Generative Language API has not been used in project 1 before or it is disabled.",
    ),
  ],
  [
    "Gemini: model",
    "unknown_model",
    404,
    google(
      404,
      "NOT_FOUND",
      "models/gemini-9 is not found for API version v1beta, or is not supported for generateContent.",
    ),
  ],
  [
    "Gemini: context",
    "context_too_long",
    400,
    google(
      400,
      "INVALID_ARGUMENT",
      "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
  ],
  [
    "Gemini: overloaded",
    "overloaded",
    503,
    google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
  ],
  ["Gemini: 500", "transient", 500, google(500, "INTERNAL", "An internal error has occurred.")],
  [
    "Gemini: deadline",
    "transient",
    504,
    google(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
  ],
  ["Gemini: as a list", "rate_window", 429, [google(429, "RESOURCE_EXHAUSTED", "Quota exceeded")]],
  [
    "Groq: tokens of the day",
    "quota_exhausted",
    429,
    openai(
      "Rate limit reached for model `llama` in organization `org` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 99800, Requested 500. Please try again in 4m19.2s.",
      "rate_limit_exceeded",
      "tokens",
    ),
  ],
  [
    "Groq: never fits",
    "context_too_long",
    413,
    openai(
      "Request too large for model `llama` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 9000, please reduce your message size and try again.",
      "rate_limit_exceeded",
      "tokens",
    ),
  ],
  [
    "Groq: decommissioned",
    "unknown_model",
    400,
    openai(
      "The model `x` has been decommissioned and is no longer supported.",
      "model_decommissioned",
      "invalid_request_error",
    ),
  ],
  [
    "OpenRouter: credits",
    "billing",
    402,
    { error: { message: "Insufficient credits. Add more using https://openrouter.ai/settings/credits", code: 402 } },
  ],
  [
    "OpenRouter: affords less",
    "billing",
    402,
    {
      error: {
        message:
          "This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 2666. To increase, visit https://openrouter.ai/settings/keys and create a key with a higher monthly limit",
        code: 402,
      },
    },
  ],
  [
    "OpenRouter: cap of the key",
    "quota_exhausted",
    403,
    {
      error: {
        message: "Key limit exceeded (daily limit). Manage it using https://openrouter.ai/settings/keys",
        code: 403,
      },
    },
  ],
  [
    "OpenRouter: flagged",
    "content_filter",
    403,
    { error: { message: "Your chosen model requires moderation and your input was flagged", code: 403 } },
  ],
  [
    "a spend cap with 402",
    "quota_exhausted",
    402,
    { error: { message: "Monthly spend limit reached for this workspace" } },
  ],
  ["DeepSeek: balance", "billing", 402, openai("Insufficient Balance", "invalid_request_error", "unknown_error")],
  [
    "Mistral: capacity",
    "overloaded",
    429,
    {
      object: "error",
      message: "Service tier capacity exceeded for this model.",
      type: "service_tier_capacity_exceeded",
      code: "3505",
    },
  ],
  ["Mistral: key", "auth_key", 401, { message: "Unauthorized", request_id: "1" }],
  [
    "vLLM: context",
    "context_too_long",
    400,
    {
      object: "error",
      message: "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens",
      type: "BadRequestError",
      code: 400,
    },
  ],
  ["FastAPI: detail", "bad_request", 422, { detail: [{ loc: ["body"], msg: "Field required", type: "missing" }] }],
  ["Ollama: text", "unknown_model", 404, { error: "model 'llama9' not found" }],
  ["a proxy's page", "transient", 502, "<html><head><title>502 Bad Gateway</title></head></html>"],
  ["Cloudflare: 524", "transient", 524, "error code: 524"],
  ["nothing at all", "rate_window", 429, ""],
  ["another address", "bad_request", 308, ""],
  ["a conflict", "transient", 409, ""],
  [
    "a budget in another sense",
    "bad_request",
    400,
    anthropic("invalid_request_error", "thinking.budget_tokens: exceeded the budget limit per day of reason"),
  ],
  ["a teapot", "bad_request", 418, "I'm a teapot"],
  ["no JSON for a 200", "truncated_stream", 200, '{"id":"chatcmpl-1","choi'],
];

describe("bodies", () => {
  test.each(CASES)("%s: %s", (_, kind, status, body) => {
    expect(of(call(status, body))).toMatchObject({ kind, status });
  });

  test("mean the same in errors of either major, bare, as a cause, or after the SDK's own retries", () => {
    for (const [what, kind, status, body] of CASES) {
      const bare = call(status, body);
      const of7 = call(status, body, {}, APICallErrorOf7 as unknown as typeof APICallError);
      const retried = new RetryError({
        message: "Failed after 3 attempts",
        reason: "maxRetriesExceeded",
        errors: [bare],
      });
      const retriedOf7 = new RetryErrorOf7({
        message: "Failed after 3 attempts",
        reason: "maxRetriesExceeded",
        errors: [of7],
      });
      const wrapped = new Error("the model failed", { cause: bare });
      const copied = {
        name: "AI_APICallError",
        message: "x",
        statusCode: status,
        responseBody: bare.responseBody,
        stack: "",
      };
      for (const error of [of7, retried, retriedOf7, wrapped, copied]) expect(of(error)?.kind, what).toBe(kind);
    }
  });

  test("that a broken connection comes with, are still read", () => {
    const body = {
      error: {
        message:
          '{\n  "error": {\n    "code": 429,\n    "message": "Quota exceeded",\n    "status": "RESOURCE_EXHAUSTED"\n  }\n}\n',
        code: 429,
        status: "Too Many Requests",
      },
    };
    expect(of(call(429, body))?.kind).toBe("rate_window");
  });
});

describe("when to come back", () => {
  const inMs = (error: unknown) => (of(error)?.readyAtMs ?? Number.NaN) - NOW;
  const body = (what: string) => CASES.find(([name]) => name === what) as Case;
  const at = (what: string, headers = {}) => inMs(call(body(what)[2], body(what)[3], headers));

  test("headers say it, an hour included", () => {
    expect(at("nothing at all", { "retry-after": "3600" })).toBe(3_600_000);
    expect(
      at("Anthropic: rate", {
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-20T12:00:20Z",
      }),
    ).toBe(20_000);
    expect(at("Anthropic: overloaded", { "retry-after": "2" })).toBe(2_000);
  });

  test("bodies say it", () => {
    expect(at("OpenAI: tokens of the minute")).toBe(6_596);
    expect(at("OpenAI: requests of the day")).toBe(432_000);
    expect(at("Azure: rate")).toBe(7_000);
    expect(at("Gemini: minute")).toBe(45_838);
    expect(at("Anthropic: spend cap")).toBe(Date.parse("2026-12-01T00:00:00Z") - NOW);
    expect(inMs(call(429, { message: "Please try again in 5 minutes" }))).toBe(300_000);
  });

  test("a day's quota of Google lasts until its midnight, whatever delay it names", () => {
    expect(of(call(429, body("Gemini: day")[3]))?.readyAtMs).toBe(nextPacificMidnight(NOW));
  });

  test("nobody says it", () => {
    expect(at("nothing at all")).toBeNaN();
    expect(at("Gemini: says nothing")).toBeNaN();
    expect(at("OpenAI: wrong key", { "retry-after": "5" })).toBeNaN();
  });
});

describe("errors in the middle of a stream", () => {
  test.each([
    ["OpenAI", "transient", { message: "The server had an error", type: "server_error", code: null }],
    [
      "OpenAI Responses",
      "rate_window",
      { type: "error", sequence_number: 3, error: { type: "tokens", code: "rate_limit_exceeded", message: TPM } },
    ],
    [
      "OpenAI Responses, failed",
      "transient",
      {
        type: "response.failed",
        response: { status: "failed", error: { code: "server_error", message: "An error occurred" } },
      },
    ],
    ["Anthropic", "overloaded", { type: "overloaded_error", message: "Overloaded" }],
    ["Gemini", "overloaded", google(503, "UNAVAILABLE", "The model is overloaded.")],
    ["OpenRouter", "rate_window", { code: 429, message: "Rate limited upstream", metadata: { raw: "slow" } }],
  ] as const)("%s: %s", (_, kind, error) => {
    expect(of(error)?.kind).toBe(kind);
    expect(of(error, { began: true })?.kind).toBe(kind === "transient" ? "truncated_stream" : kind);
  });

  test("garbage, a half answer and no answer are broken answers", () => {
    const cause = new SyntaxError("Unexpected token");
    expect(of(new JSONParseError({ text: "{half", cause }))?.kind).toBe("truncated_stream");
    expect(of(new NoOutputGeneratedError())?.kind).toBe("truncated_stream");
    expect(of(new TypeError("terminated", { cause: coded("UND_ERR_SOCKET", "other side closed") }))?.kind).toBe(
      "truncated_stream",
    );
    const inBody = call(200, "", {}, APICallError);
    Object.assign(inBody, {
      message: "Failed to process successful response",
      cause: coded("UND_ERR_SOCKET", "other side closed"),
    });
    expect(of(inBody)?.kind).toBe("truncated_stream");
    expect(of(coded("ECONNRESET", "read ECONNRESET"), { began: true })?.kind).toBe("truncated_stream");
  });
});

describe("errors on the way", () => {
  test.each([
    ["ECONNREFUSED"],
    ["ENOTFOUND"],
    ["EAI_AGAIN"],
    ["ECONNRESET"],
    ["ETIMEDOUT"],
    ["EPIPE"],
    ["UND_ERR_CONNECT_TIMEOUT"],
    ["UND_ERR_HEADERS_TIMEOUT"],
    ["UND_ERR_SOCKET"],
    ["CERT_HAS_EXPIRED"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["ERR_TLS_CERT_ALTNAME_INVALID"],
  ])("%s is transient, bare and as the SDK wraps it", (code) => {
    const bare = coded(code, `something ${code}`);
    const fetchFailed = new TypeError("fetch failed", { cause: bare });
    const wrapped = new APICallError({
      message: `Cannot connect to API: ${bare.message}`,
      cause: fetchFailed,
      url: URL,
      requestBodyValues: {},
      isRetryable: true,
    });
    for (const error of [bare, fetchFailed, wrapped])
      expect(of(error)).toMatchObject({ kind: "transient", status: null, readyAtMs: null });
  });

  test("several addresses that all refuse are one failure", () => {
    const all = new AggregateError(
      [coded("ECONNREFUSED", "connect ECONNREFUSED ::1:1"), coded("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1")],
      "",
    );
    expect(of(new TypeError("fetch failed", { cause: all }))?.kind).toBe("transient");
  });
});

describe("aborts", () => {
  test("by somebody else are no failure, whatever the SDK makes of them", () => {
    const controller = new AbortController();
    controller.abort(new Error("cancelled"));
    for (const error of [
      controller.signal.reason,
      new DOMException("This operation was aborted", "AbortError"),
      call(429, ""),
    ]) {
      expect(of(error, { abort: controller.signal })).toBeNull();
    }
  });

  test("of our own are time-outs: of the whole attempt, and of a stream that fell silent", () => {
    const aborted = (reason: unknown) => {
      const controller = new AbortController();
      controller.abort(reason);
      return controller.signal;
    };
    const whole = new AttemptTimeout("attempt", 600_000);
    const idle = new AttemptTimeout("idle", 120_000);
    expect(of(new DOMException("aborted", "AbortError"), { abort: aborted(whole) })?.kind).toBe("transient");
    expect(of(new DOMException("aborted", "AbortError"), { abort: aborted(whole), began: true })?.kind).toBe(
      "truncated_stream",
    );
    expect(of(new Error("x", { cause: idle }))).toMatchObject({
      kind: "truncated_stream",
      message: "Nothing came for 2 min.",
    });
    expect(of(whole)?.message).toBe("There was no complete answer within 10 min.");
  });

  test("of which nobody here knows are trouble on the way", () => {
    expect(of(new DOMException("The operation timed out", "TimeoutError"))?.kind).toBe("transient");
    expect(
      of(new DOMException("This operation was aborted", "AbortError"), { abort: new AbortController().signal })?.kind,
    ).toBe("transient");
  });
});

describe("errors of our own and of the SDK", () => {
  test("a target that cannot be served from here leaves the others", () => {
    expect(
      of(fail("PROVIDER_KEY_MISSING", { provider: "openai", problem: "x", variable: "OPENAI_API_KEY" }))?.kind,
    ).toBe("auth_key");
    expect(
      of(fail("PROVIDER_PACKAGE_MISSING", { provider: "openai", package: "p", problem: "x", install: "y" }))?.kind,
    ).toBe("unknown_model");
    expect(of(new LoadAPIKeyError({ message: "OpenAI API key is missing." }))?.kind).toBe("auth_key");
  });

  test("a refusal of our own is thrown on", () => {
    expect(of(fail("PRICE_UNKNOWN", { model: "openai/x" }))).toBeNull();
  });

  test("what the SDK refuses before it asks is a bad request, and so is a mistake in a provider's code", () => {
    expect(of(new UnsupportedFunctionalityError({ functionality: "pdf" }))?.kind).toBe("bad_request");
    expect(of(new TypeError("model.doGenerate is not a function"))?.kind).toBe("bad_request");
    expect(of(new Error("weather"))?.kind).toBe("transient");
  });
});

describe("anything at all", () => {
  test("is one of the kinds, with a line of text", () => {
    const anything = fc.oneof(
      fc.anything(),
      fc.record({
        statusCode: fc.integer({ min: 0, max: 999 }),
        responseBody: fc.string(),
        responseHeaders: fc.dictionary(fc.string(), fc.string()),
      }),
    );
    fc.assert(
      fc.property(anything, fc.boolean(), (error, began) => {
        const failure = of(error, { began });
        expect(CALL_FAILURES).toContain(failure?.kind);
        expect(failure?.message).toMatch(/^.{1,520}$/u);
      }),
      { numRuns: 500 },
    );
  });

  test("may refer to itself, throw when it is looked at, or be huge", () => {
    const circle = new Error("round");
    circle.cause = circle;
    const hostile = new Proxy(
      {},
      {
        get() {
          throw new Error("no");
        },
      },
    );
    expect(of(circle)?.kind).toBe("transient");
    expect(of(hostile)?.kind).toBe("transient");
    const startedMs = performance.now();
    expect(of(call(400, { error: { message: "x ".repeat(5_000_000) } }))?.message.length).toBeLessThan(520);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  test("keys are not repeated", () => {
    const said = of(
      call(401, openai("Incorrect API key provided: sk-proj-AbCdEfGhIjKlMnOpQrSt1234.", "invalid_api_key", "x")),
    )?.message;
    expect(said).toContain("Incorrect API key provided: sk-p…");
    expect(said).not.toContain("AbCdEf");
  });
});

describe("callError", () => {
  const target = { provider: "openai", model: "gpt-5" };

  test("has a code for every kind, what was tried, and no placeholders left", () => {
    for (const kind of CALL_FAILURES) {
      const error = callError(
        [{ target, failure: { kind, readyAtMs: 5, status: 418, message: "It said so." } }],
        "why",
      );
      expect(`${error.message} ${error.hint}`).not.toMatch(/[{}]/);
      expect(error.message).toContain("It said so");
      expect(error).toMatchObject({
        cause: "why",
        details: { readyAtMs: 5, attempts: [{ model: "openai/gpt-5", kind }] },
      });
    }
  });

  test("the last attempt decides, the others are named", () => {
    const other = { provider: "anthropic", model: "claude" };
    const error = callError([
      { target, failure: { kind: "overloaded", readyAtMs: null, status: 503, message: "busy" } },
      { target: other, failure: { kind: "auth_key", readyAtMs: null, status: 401, message: "no key" } },
    ]);
    expect(error.code).toBe("MODEL_KEY_REJECTED");
    expect(error.message).toContain("attempt 2; before it: openai/gpt-5 overloaded");
  });
});

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
