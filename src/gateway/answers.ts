// Answers that will do again, and calls that are being made already: identical calls run once, in whatever process.
import type { Database } from "../store/database.ts";

export interface AnswerRequest {
  readonly tenant: string;
  /** Everything that makes two calls identical, the model (or alias) included. */
  readonly identity: string;
  /** Milliseconds for which an equal answer will do; null: none that was there before. */
  readonly cacheMs: number | null;
  /** Share the answer of an identical call in flight. */
  readonly coalesce: boolean;
  readonly abort: AbortSignal;
}

export type AnswerRole =
  | { readonly is: "answer"; readonly source: "cache" | "coalesced"; readonly text: string }
  | { readonly is: "yours"; readonly lead: AnswerLead };

/** The caller makes the call, and says how it ended: exactly one of the two. */
export interface AnswerLead {
  /** Only whole answers: no error, nothing truncated. Never rejects. */
  give(text: string): Promise<void>;
  /** It failed, or the run goes to sleep: who waits for it goes on by itself. Never rejects. */
  giveUp(): Promise<void>;
}

export interface Answers {
  /** @throws the abort reason, while it waits for another's answer. */
  seek(request: AnswerRequest): Promise<AnswerRole>;
  close(): Promise<void>;
}

export declare function openAnswers(options: { readonly db: Database; readonly leaseMs?: number }): Answers;
