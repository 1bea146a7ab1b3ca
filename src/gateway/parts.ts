// What the pipeline is put together from. Each part knows one thing, and none of them knows the others.
import type { Answers } from "./answers.ts";
import type { Breakers } from "./breaker.ts";
import type { Estimator } from "./estimate.ts";
import type { Prices } from "./prices.ts";
import type { QuotaBook } from "./quota.ts";
import type { Job, Target } from "./roles.ts";
import type { GatewaySettings } from "./settings.ts";

export interface Parts {
  readonly settings: GatewaySettings;
  /** The database's clock. */
  readonly clock: { now(): number };
  readonly estimator: Estimator;
  readonly prices: Prices;
  readonly quotas: QuotaBook;
  readonly breakers: Breakers;
  readonly answers: Answers;
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
