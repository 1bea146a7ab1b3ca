// The error with which a call fails in the end: what happened to its last attempt, as a code with what to do about it.
import { type ErrorCode, fail, isLonghaulError, type LonghaulError } from "../domain/errors.ts";
import type { CallFailureKind } from "../domain/model-call.ts";
import type { CallFailure, Target } from "./roles.ts";

/** An attempt that failed. */
export interface FailedAttempt {
  readonly target: Target;
  readonly failure: CallFailure;
}

const CODES = {
  rate_window: "MODEL_RATE_LIMITED",
  quota_exhausted: "MODEL_QUOTA_EXHAUSTED",
  overloaded: "MODEL_OVERLOADED",
  transient: "MODEL_UNREACHABLE",
  auth_key: "MODEL_KEY_REJECTED",
  billing: "MODEL_UNPAID",
  bad_request: "MODEL_REQUEST_REFUSED",
  content_filter: "MODEL_CONTENT_FILTERED",
  context_too_long: "MODEL_CONTEXT_TOO_LONG",
  truncated_stream: "MODEL_ANSWER_BROKEN",
  unknown_model: "MODEL_NOT_SERVED",
} as const satisfies Record<CallFailureKind, ErrorCode>;

const NOT_FROM_HERE = ["PROVIDER_KEY_MISSING", "PROVIDER_PACKAGE_MISSING", "PROVIDER_UNUSABLE"] as const;

/** `attempts` in the order in which they were made, at least one; the last one decides the code, `details` has them all. */
export function callError(attempts: readonly [FailedAttempt, ...FailedAttempt[]], cause?: unknown): LonghaulError {
  // Nobody was asked: our own error says better what is missing here, and what to do about it.
  if (attempts.length === 1 && NOT_FROM_HERE.some((code) => isLonghaulError(cause, code)))
    return cause as LonghaulError;
  const last = attempts.at(-1) ?? attempts[0];
  const { target, failure } = last;
  const model = `${target.provider}/${target.model}`;
  const tried = attempts.length === 1 ? "" : ` (attempt ${attempts.length}; before it: ${before(attempts)})`;
  const params = { model, provider: target.provider, problem: `${withoutStop(failure.message)}${tried}` };
  const details = {
    attempts: attempts.map((attempt) => ({
      model: `${attempt.target.provider}/${attempt.target.model}`,
      kind: attempt.failure.kind,
      status: attempt.failure.status,
      message: attempt.failure.message,
    })),
    readyAtMs: failure.readyAtMs,
  };
  return fail(CODES[failure.kind], params, cause === undefined ? { details } : { details, cause });
}

function before(attempts: readonly FailedAttempt[]): string {
  const kinds = attempts
    .slice(0, -1)
    .map(({ target, failure }) => `${target.provider}/${target.model} ${failure.kind}`);
  return [...new Set(kinds)].slice(0, 4).join(", ");
}

function withoutStop(message: string): string {
  return message.replace(/\.$/, "");
}
