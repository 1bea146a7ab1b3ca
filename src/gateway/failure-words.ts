// How providers say what is wrong: the words and codes by which a failure is told, each as some provider really sends it.

export const CONTENT_CODES = new Set([
  ...["content_filter", "content_policy_violation", "responsibleaipolicyviolation", "data_inspection_failed"],
  ...["prohibited_content", "safety", "blocklist", "spii", "image_safety", "moderation_error"],
]);
/** OpenAI, Azure; Anthropic; Gemini; OpenRouter. */
export const CONTENT_WORDS =
  /content management policy|blocked by content filtering|content (?:filter|policy|moderation)|safety system|violat\w+ (?:our|the) (?:usage )?polic|prompt was (?:blocked|flagged)|input was flagged|requires moderation/i;

export const TOO_LONG_CODES = new Set([
  ...[
    "context_length_exceeded",
    "string_above_max_length",
    "request_too_large",
    "context_window_exceeded",
    "max_tokens_exceeded",
  ],
]);
/** OpenAI, vLLM, Mistral; Anthropic; Gemini; xAI, Groq; Bedrock; llama.cpp. */
export const TOO_LONG_WORDS =
  /prompt is too long|maximum (?:context|prompt) length|context (?:length|window|size)|max_tokens. exceed context|input token count.{0,60}exceeds|exceeds the (?:model'?s )?maximum (?:context|number of (?:input )?tokens)|reduce the length of|too many (?:input )?tokens in|input is too long|string too long/i;
/** More than the limit of a whole minute: waiting does not help, a model with more room does. OpenAI, Groq. */
export const NEVER_FITS_WORDS = /request too large for|limit \d+,? requested \d+(?!.*(?:used|try again))/i;

export const KEY_CODES = new Set([
  ...[
    "invalid_api_key",
    "authentication_error",
    "permission_error",
    "api_key_invalid",
    "unauthenticated",
    "permission_denied",
  ],
  ...[
    "invalid_authentication",
    "unauthorized",
    "account_deactivated",
    "service_disabled",
    "unsupported_country_region_territory",
  ],
]);
export const KEY_WORDS =
  /api[ -]?key (?:not valid|is invalid|expired|not found)|(?:invalid|incorrect|missing|no) (?:api[ -]?key|x-api-key|authorization|authentication)|api key not valid|expired api key|unauthori[sz]ed|no auth credentials/i;

export const BILLING_CODES = new Set([
  ...[
    "insufficient_quota",
    "billing_not_active",
    "billing_hard_limit_reached",
    "billing_error",
    "insufficient_balance",
  ],
  ...["payment_required", "credit_balance_too_low", "insufficient_credits", "arrearage", "billing_disabled"],
]);
export const BILLING_WORDS =
  /credit balance is too low|insufficient (?:credits?|balance|funds|account balance)|requires more credits|more credits are required|can only afford|payment required|billing (?:is not|has not been)|(?:account|plan) is not active|no (?:remaining )?credits|out of credits|prepay|exceeded your (?:monthly )?included credits/i;

/** A cap that somebody set, or that a long window set: it does not refill in minutes. */
export const CAP_WORDS =
  /(?:spend(?:ing)?|usage|budget|cost) (?:limits?|caps?)|(?:daily|weekly|monthly|hourly) (?:\w+ )?(?:limits?|caps?|quota|budget|spend)|(?:limits?|caps?|quota) (?:for|of) (?:today|this (?:day|week|month))|key (?:\w+ )?limit exceeded|budget (?:has been )?exceeded|exceeded (?:\w+ ){0,3}budget|regain access on|per (?:day|week|month)\b|\((?:RPD|TPD)\)|reached your specified/i;

/** The same where a request may also just be wrong, and talk of limits and budgets in another sense. */
export const PLAIN_CAP_WORDS =
  /reached your (?:specified|monthly|daily)|regain access on|(?:spend(?:ing)?|usage) (?:limit|cap)s? (?:reached|exceeded)/i;

export const RATE_CODES = new Set([
  ...[
    "rate_limit_error",
    "rate_limit_exceeded",
    "rate_limited",
    "ratelimitexceeded",
    "too_many_requests",
    "resource_exhausted",
  ],
  ...["throttlingexception", "throttling", "too_many_requests_error", "queue_exceeded"],
]);
export const RATE_WORDS =
  /rate[ -]?limit|too many requests|requests? per (?:minute|second)|tokens? per min|quota exceeded|resource (?:has been )?exhausted|throttl/i;

export const OVERLOADED_CODES = new Set([
  ...[
    "overloaded_error",
    "overloaded",
    "unavailable",
    "server_overloaded",
    "engine_overloaded",
    "slow_down",
    "service_unavailable",
  ],
  ...["modelnotreadyexception", "service_tier_capacity_exceeded", "capacity_exceeded"],
]);
export const OVERLOADED_WORDS =
  /overloaded|(?:high|heavy) (?:demand|load)|at capacity|capacity (?:exceeded|constraints?)|model is (?:currently )?(?:loading|busy)/i;

export const MODEL_CODES = new Set([
  ...[
    "model_not_found",
    "not_found_error",
    "not_found",
    "model_decommissioned",
    "model_not_available",
    "invalid_model",
    "model_not_supported",
  ],
  ...["deploymentnotfound", "model_access_denied", "model_terms_required", "unknown_model"],
]);
export const MODEL_WORDS =
  /model [^.]{0,120}(?:does not exist|not found|is not found|not exist|is not available|is not supported|unavailable for|has been (?:deprecated|decommissioned|retired))|(?:unknown|invalid|unsupported|no such) model|not a valid model|(?:does not|don.t) have access to (?:the )?model/i;

/** Things other than models that are not found. */
export const OTHER_THING_WORDS =
  /\b(?:file|response|item|batch|cached ?content|assistant|conversation|prompt) (?:with id |object )?[^.]{0,80}not found|no such (?:file|batch)/i;

export const SERVER_CODES = new Set([
  "server_error",
  "api_error",
  "internal_error",
  "internal_server_error",
  "internal",
  "timeout_error",
  "deadline_exceeded",
]);

/** Codes of sockets, DNS, TLS and undici: nothing came back, or not all of it. */
export const NETWORK_CODE =
  /^(?:econn\w+|enotfound|eai_\w+|etimedout|epipe|ehostunreach|enetunreach|enetdown|ehostdown|eaddrnotavail|emfile|enfile|eproto|und_err_\w+|err_(?:ssl|tls|stream|http2|socket)\w*|cert_\w+|depth_zero_self_signed_cert|self_signed_cert_in_chain|unable_to_\w+|connectionrefused|connectionclosed|failedtoopensocket)$/;
export const NETWORK_WORDS =
  /fetch failed|failed to fetch|network ?error|socket hang up|cannot connect to api|connection (?:error|refused|reset|closed)|other side closed|terminated$/im;

/** What broke after it began: half an answer, or one that is no answer. */
export const BROKEN_NAMES = new Set([
  ...["AI_JSONParseError", "AI_TypeValidationError", "AI_EmptyResponseBodyError", "AI_NoOutputGeneratedError"],
  ...["AI_NoContentGeneratedError", "AI_InvalidResponseDataError", "AI_InvalidStreamPartError", "TruncatedStream"],
]);
export const BROKEN_WORDS =
  /invalid json response|failed to process successful response|premature close|^terminated$|unexpected end of|response (?:body )?(?:was )?(?:incomplete|truncated)|no output generated/im;

/** Errors of the AI SDK itself about what it was asked for: the provider was never asked. */
export const REQUEST_NAMES = new Set([
  ...[
    "AI_UnsupportedFunctionalityError",
    "AI_InvalidPromptError",
    "AI_InvalidArgumentError",
    "AI_InvalidMessageRoleError",
  ],
  ...[
    "AI_TooManyEmbeddingValuesForCallError",
    "AI_InvalidDataContentError",
    "AI_MessageConversionError",
    "AI_DownloadError",
  ],
  ...["AI_UnsupportedModelVersionError", "AI_LoadSettingError", "AI_NoSuchToolError", "AI_InvalidToolInputError"],
]);

/** `in 2.5s`, `after 7 seconds`, `in 1m30s`, `in 5 minutes`. */
export const RETRY_IN =
  /(?:try again|retry)(?: your request)? (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|[dhms]))+|\d+(?:\.\d+)? ?(?:milliseconds?|seconds?|secs?|minutes?|mins?|hours?|days?))/i;
/** `regain access on 2026-12-01 at 00:00 UTC`. */
export const RETRY_ON = /(?:regain access|resets?|try again) (?:on|at) (\d{4}-\d{2}-\d{2})(?:T| at )?(\d{2}:\d{2})?/i;
