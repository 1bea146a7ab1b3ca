// The attempts of one call: whom it asks next, how long it breathes between, and when it gives up.
import { setTimeout as pause } from "node:timers/promises";
import { fail } from "../domain/errors.ts";
import { type AttemptEnd, attemptOnce, type Chosen } from "./attempt.ts";
import { backoffMs, limitBackoffMs } from "./backoff.ts";
import { callError, type FailedAttempt } from "./call-error.ts";
import { chooseTarget } from "./choose.ts";
import { fittingOutput } from "./fit.ts";
import { nameOf, type Parts } from "./parts.ts";
import type { CallFailure, CallOptions, Job, Performed, Target } from "./roles.ts";
import type { Route } from "./route.ts";
import { verdictOn } from "./verdict.ts";

/** After so many failures in a row a target is asked last. */
const IN_A_ROW_MAX = 2;

type Failed<R> = Extract<AttemptEnd<R>, { is: "failed" }>;

export class Endeavour<R> {
  readonly #parts: Parts;
  readonly #job: Job<R>;
  readonly #options: CallOptions;
  readonly #route: Route;
  /** Those that cannot serve this call. */
  readonly #unfit = new Set<Target>();
  readonly #failed: FailedAttempt[] = [];
  /** Failed attempts that count against the number a call has. */
  #counted = 0;
  /** Output tokens for which there is money. */
  #outputMax = Number.POSITIVE_INFINITY;
  #inARow: { readonly target: Target; readonly failures: number } | null = null;

  constructor(parts: Parts, job: Job<R>, options: CallOptions, route: Route) {
    this.#parts = parts;
    this.#job = job;
    this.#options = options;
    this.#route = route;
  }

  async run(): Promise<Performed<R>> {
    const startMs = performance.now();
    const { targets } = this.#route;
    for (let candidates: readonly [Target, ...Target[]] = targets; ; ) {
      const number = this.#failed.length + 1;
      const search = { targets: candidates, outputMax: this.#outputMax, alias: this.#route.alias, attempt: number };
      const chosen = await chooseTarget(this.#parts, this.#job, this.#options, search);
      const end = await this.#attempt(chosen, number);
      if (end === null) continue;
      if (end.is === "done") {
        const { result, firstChunkMs } = end.sent;
        const { usage, spend } = end;
        const latencyMs = performance.now() - startMs;
        return {
          result,
          target: chosen.target,
          source: "provider",
          usage,
          spend,
          attempts: number,
          latencyMs,
          firstChunkMs,
        };
      }
      candidates = await this.#afterFailure(chosen.target, end);
    }
  }

  /** Null when its budget had less room than was thought: it is asked for less. */
  async #attempt(chosen: Chosen, number: number): Promise<AttemptEnd<R> | null> {
    try {
      return await attemptOnce(this.#parts, this.#job, this.#options, this.#route, chosen, number);
    } catch (error) {
      const fits = fittingOutput(error, chosen.estimate, chosen.price);
      if (fits === null) throw error;
      this.#outputMax = fits;
      return null;
    }
  }

  /** Whom to ask next, when it is time to. @throws the error with which the call ends */
  async #afterFailure(target: Target, end: Failed<R>): Promise<readonly [Target, ...Target[]]> {
    const { failure, error } = end;
    this.#note(target, end);
    // A spend cap without an end is not waited for.
    const isCapped = failure.kind === "quota_exhausted" && failure.readyAtMs === null;
    const verdict = isCapped ? "next" : verdictOn(failure.kind);
    if (verdict === "next") this.#unfit.add(target);
    const [first, ...others] = this.#candidates();
    // A limit that says when it ends may be met as often as it says so: it is the provider's way of queueing.
    if (verdict !== "limit" || failure.readyAtMs === null) this.#counted += 1;
    const isOver = verdict === "stop" || first === undefined || this.#counted >= this.#route.policy.attempts;
    if (isOver) throw this.#error(error);
    this.#takeBack(target, end);
    if (verdict === "limit") this.#parts.limiter.block(target, this.#blockedUntilMs(failure));
    else if (verdict === "again" && first === target) await this.#breathe(failure);
    return [first, ...others];
  }

  #note(target: Target, { failure, attempt }: Failed<R>): void {
    this.#failed.push({ target, failure });
    const failures = this.#inARow?.target === target ? this.#inARow.failures + 1 : 1;
    this.#inARow = { target, failures };
    const { runId, step } = this.#options.attribution;
    const { kind, status, message } = failure;
    const facts = { model: nameOf(target), kind, status, attempt: attempt.number, reason: message, runId, step };
    this.#parts.log("debug", "an attempt at a model failed", facts);
  }

  /** A target that keeps failing comes last. */
  #candidates(): Target[] {
    const fit = this.#route.targets.filter((target) => !this.#unfit.has(target));
    const { target, failures } = this.#inARow ?? { failures: 0 };
    if (target === undefined || failures < IN_A_ROW_MAX || !fit.includes(target)) return fit;
    return [...fit.filter((other) => other !== target), target];
  }

  /** What the caller has seen is taken back, or the call ends with it: nothing is silently said twice. @throws PARTIAL_STREAM */
  #takeBack(target: Target, { failure, error, attempt }: Failed<R>): void {
    if (this.#job.hasShown?.() !== true) return;
    const isReplaced = this.#route.policy.onPartial === "reset" && this.#job.reset?.(attempt) === true;
    if (!isReplaced)
      throw fail("PARTIAL_STREAM", { model: nameOf(target), problem: failure.message }, { cause: error });
  }

  /** On the database's clock; a provider tells its time on this process's. */
  #blockedUntilMs({ readyAtMs }: CallFailure): number {
    const forMs = readyAtMs === null ? limitBackoffMs(this.#inARow?.failures ?? 1) : readyAtMs - Date.now();
    return this.#parts.clock.now() + Math.max(0, forMs);
  }

  async #breathe({ readyAtMs }: CallFailure): Promise<void> {
    const { waiter, abort } = this.#options;
    const told = readyAtMs === null ? 0 : readyAtMs - Date.now();
    const waitMs = Math.max(told, backoffMs(this.#inARow?.failures ?? 1));
    if (waitMs > waiter.holdMs) await waiter.postpone(this.#parts.clock.now() + waitMs, "the provider to recover");
    await pause(waitMs, undefined, { signal: abort }).catch(() => {
      throw abort.reason;
    });
  }

  #error(cause: unknown): Error {
    const [first, ...others] = this.#failed;
    return first === undefined ? new Error("no attempt was made") : callError([first, ...others], cause);
  }
}
