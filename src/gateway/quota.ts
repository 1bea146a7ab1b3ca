// Quotas of the providers: a call asks once, and goes, or learns the moment at which it may go.
import type { TokenUsage } from "../domain/usage.ts";
import type { Database } from "../store/database.ts";
import type { LimitedProvider } from "./quota-keys.ts";
import type { Estimate, Target } from "./roles.ts";

export interface QuotasOptions {
  readonly db: Database;
  readonly providers: readonly LimitedProvider[];
  /** How long a slot of a process that died stays taken. Default 60 s; renewed by itself while the call lasts. */
  readonly slotMs?: number;
  /** How far ahead a call gets a place in a quota's line. Default 1 h; beyond it: come back then and ask again. */
  readonly horizonMs?: number;
  readonly log?: (level: "warn" | "debug", message: string, fields?: Record<string, unknown>) => void;
}

export interface QuotaRequest {
  /** The same whenever the same call asks: finds its place in the line again, also from another process. */
  readonly callKey: string;
  readonly target: Target;
  readonly estimate: Estimate;
  /** Longest wait in place. Default 0: answer at once. */
  readonly waitMs?: number;
  /** Ends a wait in place; the place in the line is given up. */
  readonly abort?: AbortSignal;
}

export type QuotaAnswer = { readonly is: "go"; readonly reservation: Reservation } | QuotaWait;

/** Not yet. Whoever comes back at `readyAtMs` with the same `callKey` goes then, unless somebody was told to stop meanwhile. */
export interface QuotaWait {
  readonly is: "wait";
  /** On the database's clock. */
  readonly readyAtMs: number;
  /** From now. */
  readonly waitMs: number;
  /** `quota openai/gpt-5 (tokens per minute)`, for people. */
  readonly reason: string;
}

export interface Reservation {
  /**
   * The attempt is over: gives its slot back, and corrects what was counted. Once; more calls do nothing. `usage` null: it may have been
   * counted, so the estimate stays; `"unused"`: the request did not go out, everything is given back.
   */
  release(usage: TokenUsage | null | "unused", signals?: readonly LimitSignal[]): void;
}

/** What a response's headers say of one limit. */
export interface LimitSignal {
  readonly dimension: "requests" | "tokens" | "input" | "output";
  readonly limit: number | null;
  readonly remaining: number | null;
  /** Until the limit is full again. */
  readonly resetMs: number | null;
}

/** What a whole run will need, at least for its start. */
export interface Needs {
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface Headroom {
  readonly ok: boolean;
  /** On the database's clock; null when there is room now. */
  readonly readyAtMs: number | null;
  readonly waitMs: number;
  /** The quota that has no room, for people. */
  readonly blocking: string | null;
}

/** The quotas of one process; their state is the database's. */
export interface QuotaBook {
  /** @throws QUOTA_IMPOSSIBLE when the call is larger than what a limit ever lets through, and the abort reason. */
  reserve(request: QuotaRequest): Promise<QuotaAnswer>;
  /** The call will not be made: gives its place in the line back. */
  cancel(callKey: string): Promise<void>;
  /** A provider said "not before": nobody calls this target for so long. `dimension`: only what counts this is meant. */
  block(target: Target, forMs: number, dimension?: LimitSignal["dimension"]): Promise<void>;
  /** Whether there is room now, booking nothing. @throws QUOTA_IMPOSSIBLE */
  headroom(target: Target, needs: Needs): Promise<Headroom>;
  /** Sends what is still to be told. */
  close(): Promise<void>;
}

export declare function openQuotas(options: QuotasOptions): QuotaBook;
