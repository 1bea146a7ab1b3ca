// One logical call from its model's name to its answer: who serves it, how often it is tried, and where it turns when that fails.
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { fail, type LonghaulError } from "../domain/errors.ts";
import type { CallFailureKind } from "../domain/model-call.ts";
import { NO_SPEND, NO_TOKENS } from "../domain/usage.ts";
import { type AttemptEnd, attemptOnce } from "./attempt.ts";
import { backoffMs, limitBackoffMs } from "./backoff.ts";
import { chooseTarget } from "./choose.ts";
import { type FailedAttempt, nameOf, type Parts, type Route } from "./parts.ts";
import type { CallOptions, Job, Performed, Target } from "./roles.ts";
import { type Verdict, verdictOn } from "./verdict.ts";

/** Of these at one target in a row, the call turns to the next. */
const SAME_TARGET_MAX = 2;

/**
 * Makes one call.
 *
 * @throws MODEL_CALL_FAILED, MODEL_BAD_REQUEST, MODEL_KEY_REFUSED, CONTENT_FILTERED, CONTEXT_TOO_LONG, MODEL_UNKNOWN, PARTIAL_STREAM,
 * QUOTA_IMPOSSIBLE, BUDGET_EXCEEDED, PRICE_UNKNOWN; what the waiter throws; the reason of the caller's abort
 */
export async function perform<R>(parts: Parts, job: Job<R>, options: CallOptions): Promise<Performed<R>> {
  const { attribution } = options;
  const first = { provider: "", model: options.model };
  const route = parts.route(options.model, {
    estimate: parts.estimate(first, job, attribution.feature),
    step: attribution.step,
    agent: attribution.agent,
    feature: attribution.feature,
    tenant: attribution.tenant,
    hasTools: job.hasTools,
  });
  const cacheMs = options.cacheMs ?? null;
  const coalesce = options.coalesce ?? cacheMs !== null;
  if (job.identity === null || job.codec === undefined || (cacheMs === null && !coalesce))
    return new Endeavour(parts, job, options, route).run();
  return shared(parts, job, options, route, { cacheMs, coalesce, identity: job.identity, codec: job.codec });
}

interface Sharing<R> {
  readonly cacheMs: number | null;
  readonly coalesce: boolean;
  readonly identity: string;
  readonly codec: NonNullable<Job<R>["codec"]>;
}

/** The answer that an equal call has had, or is having; else the call, and its answer for whoever asks the same. */
async function shared<R>(
  parts: Parts,
  job: Job<R>,
  options: CallOptions,
  route: Route,
  { cacheMs, coalesce, identity, codec }: Sharing<R>,
): Promise<Performed<R>> {
  const startMs = performance.now();
  const { tenant } = options.attribution;
  const target = route.targets[0] as Target;
  const key = createHash("sha256")
    .update(JSON.stringify([job.kind, route.targets.map(nameOf), identity]))
    .digest("hex");
  const found = await parts.answers.lead({ tenant, key, cacheMs, coalesce, abort: options.abort });
  if (found.is === "answer") {
    const latencyMs = performance.now() - startMs;
    const facts = { callKey: options.callKey, attribution: options.attribution, alias: route.alias, attempt: 0 };
    options.payer.note({
      ...facts,
      ...{ provider: target.provider, model: target.model, estimate: NO_SPEND },
      ...{ usage: NO_TOKENS, nanoUsd: 0n, confidence: "exact", source: found.source },
      ...{ latencyMs: Math.round(latencyMs), firstChunkMs: null },
    });
    return {
      ...{ result: codec.decode(found.text), target, source: found.source, usage: NO_TOKENS, spend: NO_SPEND },
      ...{ attempts: 0, latencyMs, firstChunkMs: null },
    };
  }
  try {
    const performed = await new Endeavour(parts, job, options, route).run();
    await found.publish(codec.encode(performed.result));
    return performed;
  } catch (error) {
    await found.withdraw();
    throw error;
  }
}

/** The attempts of one call. */
class Endeavour<R> {
  readonly #parts: Parts;
  readonly #job: Job<R>;
  readonly #options: CallOptions;
  readonly #route: Route;
  /** Those that cannot serve this call. */
  readonly #unfit = new Set<Target>();
  readonly #failed: FailedAttempt[] = [];
  #attempts = 0;
  /** Failed attempts that count against the number a call has. */
  #counted = 0;
  /** Failures in a row at the target that was asked last. */
  #inARow: { target: Target; count: number } | null = null;

  constructor(parts: Parts, job: Job<R>, options: CallOptions, route: Route) {
    this.#parts = parts;
    this.#job = job;
    this.#options = options;
    this.#route = route;
  }

  async run(): Promise<Performed<R>> {
    const startMs = performance.now();
    for (;;) {
      const chosen = await chooseTarget(this.#parts, this.#job, this.#options, this.#candidates());
      this.#attempts += 1;
      const end = await attemptOnce(this.#parts, this.#job, this.#options, this.#route, chosen, this.#attempts);
      if (end.is === "done") {
        const { sent, usage, price } = end;
        return {
          ...{ result: sent.result, target: chosen.target, source: "provider", usage },
          spend: { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens, nanoUsd: price.nanoUsd, steps: 0 },
          ...{ attempts: this.#attempts, latencyMs: performance.now() - startMs, firstChunkMs: sent.firstChunkMs },
        };
      }
      await this.#afterFailure(chosen.target, end);
    }
  }

  /** A target that has just failed twice comes last. */
  #candidates(): readonly Target[] {
    const fit = this.#route.targets.filter((target) => !this.#unfit.has(target));
    const tired = this.#inARow !== null && this.#inARow.count >= SAME_TARGET_MAX ? this.#inARow.target : null;
    if (tired === null || fit.length < 2) return fit;
    return [...fit.filter((target) => target !== tired), tired];
  }

  /** Gets everything ready for the next attempt. @throws the error with which the call ends */
  async #afterFailure(target: Target, end: Extract<AttemptEnd<R>, { is: "failed" }>): Promise<void> {
    const { failure, error, attempt } = end;
    const { kind, status, message } = failure;
    this.#failed.push({ target: nameOf(target), kind, status, message });
    this.#parts.log("warn", "an attempt at a model failed", {
      ...{ target: nameOf(target), kind, status, attempt: attempt.number, reason: message },
      ...{ runId: this.#options.attribution.runId, step: this.#options.attribution.step },
    });
    this.#inARow = { target, count: this.#inARow?.target === target ? this.#inARow.count + 1 : 1 };
    let verdict: Verdict = verdictOn(kind);
    // A spend cap without an end is not waited for.
    if (kind === "quota_exhausted" && failure.readyAtMs === null) verdict = "next";
    if (verdict === "next") this.#unfit.add(target);
    if (verdict === "stop" || this.#candidates().length === 0) throw this.#error(kind, error);
    // A limit that says when it ends may be waited for as often as it says so: it is the provider's way of queueing.
    if (verdict !== "limit" || failure.readyAtMs === null) this.#counted += 1;
    if (this.#counted >= this.#route.attempts) throw this.#error(kind, error);
    // What the caller has seen is taken back, or the call ends with it: nothing is silently said twice.
    if (this.#job.hasShown?.() === true && (this.#route.onPartial === "fail" || this.#job.reset?.(attempt) !== true))
      throw fail("PARTIAL_STREAM", { model: nameOf(target), reason: message }, { cause: error });
    if (verdict === "limit") {
      const untilMs = failure.readyAtMs ?? this.#parts.clock.now() + limitBackoffMs(this.#inARow.count);
      this.#parts.limiter.block(target, untilMs);
    } else if (verdict === "again") await this.#breathe(failure.readyAtMs);
  }

  async #breathe(readyAtMs: number | null): Promise<void> {
    const { waiter, abort } = this.#options;
    const toldMs = readyAtMs === null ? 0 : readyAtMs - this.#parts.clock.now();
    const others = this.#candidates().length > 1;
    const waitMs = Math.max(others ? 0 : toldMs, backoffMs(this.#inARow?.count ?? 1));
    if (waitMs > waiter.holdMs) await waiter.postpone(this.#parts.clock.now() + waitMs, "the provider to recover");
    await pause(waitMs, undefined, { signal: abort }).catch(() => {
      throw abort.reason;
    });
  }

  #error(kind: CallFailureKind, cause: unknown): LonghaulError {
    const last = this.#failed.at(-1) as FailedAttempt;
    const facts = { model: this.#options.model, reason: last.message, attempts: this.#failed.length };
    const details = { kind, status: last.status, attempts: this.#failed };
    return fail(ERROR_CODES[kind] ?? "MODEL_CALL_FAILED", facts, { cause, details });
  }
}

const ERROR_CODES: Partial<
  Record<
    CallFailureKind,
    "MODEL_BAD_REQUEST" | "MODEL_KEY_REFUSED" | "CONTENT_FILTERED" | "CONTEXT_TOO_LONG" | "MODEL_UNKNOWN"
  >
> = {
  bad_request: "MODEL_BAD_REQUEST",
  auth_key: "MODEL_KEY_REFUSED",
  content_filter: "CONTENT_FILTERED",
  context_too_long: "CONTEXT_TOO_LONG",
  unknown_model: "MODEL_UNKNOWN",
};
