// What went wrong with an attempt: every error, of whomever, becomes exactly one kind of failure.
import { isLonghaulError } from "../domain/errors.ts";
import type { CallFailureKind } from "../domain/model-call.ts";
import { type ErrorFacts, errorFacts } from "./error-facts.ts";
import { failureMessage } from "./failure-message.ts";
import * as words from "./failure-words.ts";
import { type GoogleQuota, googleQuota } from "./google-quota.ts";
import type { CallFailure } from "./roles.ts";
import { readSignals } from "./signals.ts";
import { AttemptTimeout } from "./timeout.ts";
import { ProviderClock, waitMs } from "./times.ts";

export interface FailureContext {
  readonly nowMs: number;
  /** The signal that the attempt was given. */
  readonly abort?: AbortSignal | undefined;
  /** Something of the answer had come: what breaks then is a broken answer. */
  readonly began?: boolean;
}

/**
 * The failure that an error stands for, or null when it is none and has to be thrown on: somebody gave the call up (the signal's
 * reason says who), or an error of our own refuses it.
 * Errors are told by what is in them, never by their class: there may be several copies of every package.
 */
export function classify(error: unknown, context: FailureContext): CallFailure | null {
  const { abort, nowMs, began = false } = context;
  const timeout = abort?.aborted === true ? abort.reason : findTimeout(error);
  if (timeout instanceof AttemptTimeout) return timedOut(timeout, began);
  if (abort?.aborted === true) return null;
  const facts = errorFacts(error);
  const own = ofOwn(error);
  if (own === null && isLonghaulError(error)) return null;
  const quota = googleQuota(facts, nowMs);
  const kind = own ?? kindOf(new Evidence(facts, began), quota, error);
  return {
    kind,
    readyAtMs: readyAt(kind, facts, quota, nowMs),
    status: facts.status,
    message: failureMessage(facts, kind),
  };
}

function timedOut({ phase, message }: AttemptTimeout, began: boolean): CallFailure {
  const kind = began || phase === "idle" ? "truncated_stream" : "transient";
  return { kind, readyAtMs: null, status: null, message };
}

/** The SDK hands on the reason of an abort, bare or as a cause. */
function findTimeout(error: unknown): unknown {
  let at = error;
  for (let depth = 0; depth < 8 && at instanceof Error && !(at instanceof AttemptTimeout); depth++) at = at.cause;
  return at;
}

/** Our own errors about a target that cannot be served from here: another one may be. */
function ofOwn(error: unknown): CallFailureKind | null {
  if (isLonghaulError(error, "PROVIDER_KEY_MISSING")) return "auth_key";
  const isUnusable = isLonghaulError(error, "PROVIDER_PACKAGE_MISSING") || isLonghaulError(error, "PROVIDER_UNUSABLE");
  return isUnusable || isLonghaulError(error, "MODEL_UNKNOWN") ? "unknown_model" : null;
}

class Evidence {
  readonly status: number;
  readonly began: boolean;
  readonly #facts: ErrorFacts;
  readonly #text: string;

  constructor(facts: ErrorFacts, began: boolean) {
    this.#facts = facts;
    this.status = facts.status ?? 0;
    this.began = began || (this.status >= 200 && this.status < 300);
    this.#text = facts.messages.join("\n");
  }

  named(codes: ReadonlySet<string>): boolean {
    const reasons = this.#facts.details.map((detail) => String(detail["reason"] ?? "").toLowerCase());
    return [...this.#facts.codes, ...reasons].some((code) => codes.has(code));
  }

  says(pattern: RegExp): boolean {
    return pattern.test(this.#text);
  }

  isOf(names: ReadonlySet<string>): boolean {
    return [...this.#facts.names].some((name) => names.has(name));
  }

  get hasNetworkCode(): boolean {
    return [...this.#facts.codes].some((code) => words.NETWORK_CODE.test(code));
  }
}

/** From what is said most clearly to what is only likely. */
function kindOf(it: Evidence, quota: GoogleQuota | null, error: unknown): CallFailureKind {
  return refusal(it) ?? limit(it, quota) ?? missing(it) ?? trouble(it) ?? ofStatus(it) ?? ofClass(it, error);
}

/** The request itself is not wanted, whoever sends it whenever. */
function refusal(it: Evidence): CallFailureKind | null {
  const isServers = it.status === 429 || it.status >= 500;
  if (!isServers && (it.named(words.CONTENT_CODES) || it.says(words.CONTENT_WORDS))) return "content_filter";
  if (it.says(words.NEVER_FITS_WORDS)) return "context_too_long";
  const isTooLong = it.named(words.TOO_LONG_CODES) || it.says(words.TOO_LONG_WORDS) || it.status === 413;
  return isTooLong && it.status !== 429 ? "context_too_long" : null;
}

/** Something is used up. */
function limit(it: Evidence, quota: GoogleQuota | null): CallFailureKind | null {
  if (quota !== null && it.status !== 400) {
    if (quota.window === "none") return "billing";
    if (quota.window === "day") return "quota_exhausted";
    if (it.status === 429 || quota.window === "minute") return "rate_window";
  }
  const mayBeLimit = it.status !== 401 && it.status !== 404 && it.status < 500;
  if (!mayBeLimit) return null;
  if (it.named(words.BILLING_CODES) || it.says(words.BILLING_WORDS)) return "billing";
  const mayBeWrong = it.status === 400 || it.status === 422;
  if (it.says(mayBeWrong ? words.PLAIN_CAP_WORDS : words.CAP_WORDS)) return "quota_exhausted";
  if (it.status === 402) return "billing";
  if (it.named(words.OVERLOADED_CODES) || (it.status === 429 && it.says(words.OVERLOADED_WORDS))) return "overloaded";
  const isRate = it.status === 429 || it.named(words.RATE_CODES) || (!mayBeWrong && it.says(words.RATE_WORDS));
  return isRate ? "rate_window" : null;
}

/** What was asked for is not there, or not for this key. */
function missing(it: Evidence): CallFailureKind | null {
  if (it.status >= 500) return null;
  const isOther = it.says(words.OTHER_THING_WORDS);
  if (!isOther && (it.named(words.MODEL_CODES) || it.says(words.MODEL_WORDS))) return "unknown_model";
  if (it.status === 401 || it.status === 403 || it.named(words.KEY_CODES) || it.says(words.KEY_WORDS))
    return "auth_key";
  if (it.status === 404) return isOther ? "bad_request" : "unknown_model";
  if (it.isOf(new Set(["AI_LoadAPIKeyError"]))) return "auth_key";
  if (it.isOf(new Set(["AI_NoSuchModelError", "AI_NoSuchProviderError"]))) return "unknown_model";
  return it.isOf(words.REQUEST_NAMES) ? "bad_request" : null;
}

/** Something is broken, there or on the way. */
function trouble(it: Evidence): CallFailureKind | null {
  const isOverloaded = it.named(words.OVERLOADED_CODES) || it.status === 503 || it.status === 529;
  if (isOverloaded || (it.status >= 500 && it.says(words.OVERLOADED_WORDS))) return "overloaded";
  const isNetwork = it.hasNetworkCode || it.says(words.NETWORK_WORDS);
  const isBroken = it.isOf(words.BROKEN_NAMES) || it.says(words.BROKEN_WORDS);
  if (isBroken || (isNetwork && it.began)) return it.status >= 400 ? null : "truncated_stream";
  if (isNetwork || it.named(words.SERVER_CODES)) return it.began ? "truncated_stream" : "transient";
  return null;
}

function ofStatus({ status }: Evidence): CallFailureKind | null {
  if (status === 408 || status === 409 || status === 425 || status >= 500) return "transient";
  return status >= 300 ? "bad_request" : null; // a redirect: the address of the provider is wrong
}

const PROGRAM_ERRORS = new Set(["TypeError", "ReferenceError", "RangeError", "SyntaxError", "EvalError", "URIError"]);

/** It says nothing at all. A mistake in the code of a provider stays one however often it is tried. */
function ofClass(it: Evidence, error: unknown): CallFailureKind {
  if (it.began) return "truncated_stream";
  return error instanceof Error && PROGRAM_ERRORS.has(error.name) ? "bad_request" : "transient";
}

function readyAt(kind: CallFailureKind, facts: ErrorFacts, quota: GoogleQuota | null, nowMs: number): number | null {
  if (kind !== "rate_window" && kind !== "quota_exhausted" && kind !== "overloaded" && kind !== "transient")
    return null;
  if (quota?.window === "day") return quota.readyAtMs;
  const { retryAtMs } = readSignals(facts.headers, nowMs);
  return retryAtMs ?? quota?.readyAtMs ?? saidIn(facts, nowMs);
}

/** "Please try again in 2.5s", "you will regain access on 2026-12-01 at 00:00 UTC". */
function saidIn({ messages, headers }: ErrorFacts, nowMs: number): number | null {
  const text = messages.join("\n");
  const span = words.RETRY_IN.exec(text)?.[1];
  if (span !== undefined) {
    const ms = waitMs(
      span.replace(/ ?(milliseconds?|[dhms])[a-z]*$/i, (_, unit: string) => (unit.length > 1 ? "ms" : unit)),
    );
    if (ms !== null) return nowMs + ms;
  }
  const [, day, time = "00:00"] = words.RETRY_ON.exec(text) ?? [];
  return day === undefined ? null : new ProviderClock(nowMs, headers["date"]).at(`${day}T${time}Z`);
}
