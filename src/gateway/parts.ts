// What the pipeline is put together from. Each part knows one thing, and none of them knows the others.
import type { AnswerSource, CallFailureKind } from "../domain/model-call.ts";
import type { NanoUsd, TokenUsage } from "../domain/usage.ts";
import type { RouteFacts } from "./config.ts";
import type { CallFailure, Estimate, Job, Target } from "./roles.ts";

/** Where a call may go, in the order in which targets are tried, and how patiently. */
export interface Route {
  /** What was asked for, when that was an alias. */
  readonly alias: string | null;
  readonly targets: readonly Target[];
  readonly attempts: number;
  readonly timeoutMs: number;
  readonly idleMs: number;
  readonly onPartial: "reset" | "fail";
}

export interface Price {
  readonly nanoUsd: NanoUsd;
  readonly confidence: "exact" | "fuzzy" | "unknown" | "override";
}

/** A place in the line of all the limits of a target. */
export type Booking =
  | {
      readonly is: "go";
      /** What was really used, null when that is unknown; frees the place among the calls in flight. */
      release(actual: TokenUsage | null): void;
    }
  | { readonly is: "wait"; readonly readyAtMs: number; readonly reason: string };

export interface Limiter {
  /**
   * `book`: takes a place in the line, so that the same key finds it later. Without it: goes if it can at once.
   *
   * @throws QUOTA_IMPOSSIBLE
   */
  reserve(ask: {
    readonly callKey: string;
    readonly target: Target;
    readonly estimate: Estimate;
    readonly book: boolean;
  }): Promise<Booking>;
  /** A provider said that its limit is reached until then. */
  block(target: Target, untilMs: number): void;
  /** What the headers of a reply say about limits. */
  observe(target: Target, headers: Readonly<Record<string, string>>): void;
}

export interface BreakerDesk {
  /** `probe`: the one attempt that may find out whether the target is well again. */
  ask(target: Target): Promise<"go" | "probe" | { readonly openUntilMs: number }>;
  report(target: Target, outcome: "success" | "failure" | "neutral"): void;
}

export interface AnswerDesk {
  /** The answer, or the part of leader: who leads makes the call and tells the others. */
  lead(ask: {
    readonly tenant: string;
    readonly key: string;
    readonly cacheMs: number | null;
    readonly coalesce: boolean;
    readonly abort: AbortSignal;
  }): Promise<
    | { readonly is: "answer"; readonly text: string; readonly source: Extract<AnswerSource, "cache" | "coalesced"> }
    | { readonly is: "lead"; publish(text: string): Promise<void>; withdraw(): Promise<void> }
  >;
}

export interface Parts {
  /** The database's clock. */
  readonly clock: { now(): number };
  /** @throws MODEL_UNKNOWN */
  route(model: string, facts: RouteFacts): Route;
  estimate(target: Target, job: Job<unknown>, feature: string | null): Estimate;
  learn(target: Target, job: Job<unknown>, feature: string | null, actual: TokenUsage): void;
  price(target: Target, usage: TokenUsage): Promise<Price>;
  classify(error: unknown): CallFailure;
  readonly limiter: Limiter;
  readonly breakers: BreakerDesk;
  readonly answers: AnswerDesk;
  log(level: "debug" | "info" | "warn" | "error", message: string, fields?: Record<string, unknown>): void;
}

/** One failed attempt, as the error at the end tells it. */
export interface FailedAttempt {
  readonly target: string;
  readonly kind: CallFailureKind;
  readonly status: number | null;
  readonly message: string;
}

export function nameOf(target: Target): string {
  return `${target.provider}/${target.model}`;
}
