// What the pipeline is put together from. Each part knows one thing, and none of them knows the others.
import type { AnswerSource } from "../domain/model-call.ts";
import type { TokenUsage } from "../domain/usage.ts";
import type { Estimator } from "./estimate.ts";
import type { Prices } from "./prices.ts";
import type { Estimate, Job, Target } from "./roles.ts";
import type { GatewaySettings } from "./settings.ts";

/** A place in the line of all the limits of a target. */
export type Booking =
  | {
      readonly is: "go";
      /** What was really used, null when that is unknown; frees the place among the calls in flight. */
      release(actual: TokenUsage | null): void;
      /** Instead of `release`: the call was never sent, and nothing of it counts. */
      undo(): void;
    }
  | { readonly is: "wait"; readonly readyAtMs: number; readonly reason: string };

/** What a response says of one limit: see readSignals. Of those by the hour or day only errors tell. */
export interface LimitTold {
  readonly dimension: string;
  readonly limit: number | null;
  readonly remaining: number | null;
}

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
  /** Nobody here has waited for a limit of this target lately: the next call will hardly have to. */
  isClear(target: Target): boolean;
  /** The call will not be made. */
  cancel(callKey: string): void;
  /** A provider said that its limit is reached until then, on the database's clock. */
  block(target: Target, untilMs: number): void;
  /** What the headers of a reply say about limits. */
  observe(target: Target, limits: readonly LimitTold[]): void;
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
  readonly settings: GatewaySettings;
  /** The database's clock. */
  readonly clock: { now(): number };
  readonly estimator: Estimator;
  readonly prices: Prices;
  readonly limiter: Limiter;
  readonly breakers: BreakerDesk;
  readonly answers: AnswerDesk;
  readonly log: (level: "debug" | "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;
}

export function nameOf(target: Target): string {
  return `${target.provider}/${target.model}`;
}

/** What the estimator wants to know of a job. */
export function sizeOf(job: Job<unknown>, feature: string | null) {
  return {
    inputBytes: job.inputBytes,
    maxOutputTokens: job.maxOutputTokens,
    kind: job.kind,
    text: job.identity,
    feature,
  };
}
