// What follows from a failed attempt: ask the same target again, turn to the next one, or give up.
import type { CallFailureKind } from "../domain/model-call.ts";
import type { CallFailure } from "./roles.ts";

/**
 * `again`: the same target, after a pause · `next`: this target cannot serve this call, another may · `limit`: it can when its limit has
 * refilled, another may now · `stop`: no target will.
 */
export type Verdict = "again" | "next" | "limit" | "stop";

const VERDICTS: Readonly<Record<CallFailureKind, Verdict>> = {
  rate_window: "limit",
  quota_exhausted: "limit",
  overloaded: "again",
  transient: "again",
  truncated_stream: "again",
  auth_key: "next",
  billing: "next",
  unknown_model: "next",
  context_too_long: "next",
  bad_request: "stop",
  content_filter: "stop",
};

export function verdictOn(kind: CallFailureKind): Verdict {
  return VERDICTS[kind];
}

/** Says something about the health of the target; a refused key or a full limit does not, however it is worded. */
export function isSickness({ kind, status }: CallFailure): boolean {
  if (status === 429) return false;
  return kind === "overloaded" || kind === "transient" || kind === "truncated_stream";
}
