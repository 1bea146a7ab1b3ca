// A model call as the books know it: what is written before it goes out, and what when it is over.
import type { AnswerSource, Attribution } from "./model-call.ts";
import type { NanoUsd, Spend, TokenUsage } from "./usage.ts";

/** Where a price came from: the list names this model, or one like it, or nobody knows, or the configuration says so. */
export type PriceConfidence = "exact" | "fuzzy" | "unknown" | "override";

/** What is known of an attempt before it goes out. */
export interface CallFacts {
  /** The same for every attempt of one logical call, across crashes. */
  readonly callKey: string;
  readonly attribution: Attribution;
  /** The name by which it was asked for; null when that was the target itself. */
  readonly alias: string | null;
  readonly provider: string;
  readonly model: string;
  /** 1 for the first attempt of the call, over all its targets. */
  readonly attempt: number;
  /** What was reserved for it; it is charged if nobody ever says what became of it. */
  readonly estimate: Spend;
}

/** What became of it. */
export interface CallOutcome {
  readonly usage: TokenUsage;
  readonly nanoUsd: NanoUsd;
  readonly confidence: PriceConfidence;
  readonly source: AnswerSource;
  readonly latencyMs: number;
  /** Null when it did not stream. */
  readonly firstChunkMs: number | null;
}

/** A call whose row is there: say what became of it, once. */
export interface OpenedCall {
  readonly callId: string;
  succeeded(outcome: CallOutcome): void;
  /** @param failure A kind of CallFailureKind, or a word for what stopped it: `cancelled`. */
  failed(failure: string, outcome: CallOutcome): void;
}
