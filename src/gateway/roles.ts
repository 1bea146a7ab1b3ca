// The contract between the parts of the gateway: what a job is, who serves it, who pays, and who waits.

import type { CallFacts, CallOutcome, OpenedCall } from "../domain/calls.ts";
import type { AnswerSource, Attribution, CallFailureKind } from "../domain/model-call.ts";
import type { Spend, TokenUsage } from "../domain/usage.ts";

/** Where a call can go: a provider of the configuration and one of its models. */
export interface Target {
  /** Name in the configuration: `openai`. */
  readonly provider: string;
  /** The provider's own name of the model: `gpt-5-mini`. */
  readonly model: string;
}

/** What a call is thought to use, before it is made. `outputTokens` is the real `max_tokens`, or what this model usually gives. */
export interface Estimate {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What a target gave. */
export interface Sent<R> {
  readonly result: R;
  /** Null when the provider did not say, or said what cannot be: the estimate counts. */
  readonly usage: TokenUsage | null;
  /** Lower-case response headers, for what they say about limits. */
  readonly headers: Readonly<Record<string, string>>;
  /** From sending to the first part, in milliseconds; null when it did not stream. */
  readonly firstChunkMs: number | null;
}

/** One attempt at one target. */
export interface Attempt {
  readonly target: Target;
  /** 1 for the first attempt of the call, over all its targets. */
  readonly number: number;
  /** Near the end of a budget: the answer may be no longer, whatever the caller said. Null: as the caller said. */
  readonly maxOutputTokens: number | null;
  /** Fires on cancel, on time-out, and when nothing came for too long. */
  readonly abort: AbortSignal;
  /** The stream is alive: call it for every part that arrives, so that the idle watchdog stays quiet. */
  alive(): void;
}

/** One logical call, whoever serves it in the end. `send` may run several times, on several targets; it rejects with whatever went wrong. */
export interface Job<R> {
  readonly kind: "chat" | "embedding";
  /** UTF-8 bytes of everything that goes in. */
  readonly inputBytes: number;
  /** `max_tokens` as the caller set it; null when it did not. */
  readonly maxOutputTokens: number | null;
  /** Tools are offered: a routing rule may look at it. */
  readonly hasTools: boolean;
  /** It gives signs of life before it is whole. */
  readonly streams: boolean;
  /** Canonical text of the request without the model: what makes two calls identical. Null: never cached nor coalesced. */
  readonly identity: string | null;
  send(attempt: Attempt): Promise<Sent<R>>;
  /** The caller has seen a part of the attempt's answer. */
  hasShown?(): boolean;
  /** That attempt is given up, and what follows replaces what was shown of it. False: that is not possible. */
  reset?(attempt: Attempt): boolean;
  /** To and from what the cache keeps. Without them the job is not cached. */
  readonly codec?: { encode(result: R): string; decode(text: string): R };
}

/** Who pays, for one call after another. A run pays from its tree's budgets; the HTTP endpoint from a budget of its own, or none. */
export interface Payer {
  /** A limit in US dollars holds somewhere: a call of unknown price must be refused. */
  readonly limits: { readonly usd: boolean };
  /** Sets aside what an attempt may cost. Rejects with BUDGET_EXCEEDED, throws Postponed while others of the tree hold what is left. */
  reserve(need: Spend): Promise<void>;
  /** What it really cost; NO_SPEND gives everything back. Once for each `reserve`. */
  settle(reserved: Spend, actual: Spend): void;
  /** Writes down that an attempt goes out, committed before it does: a process that dies then neither loses nor resets spend. */
  open(call: CallFacts): Promise<OpenedCall>;
  /** The same for one that may not go out after all. Without it: it is only opened when it goes out. */
  openEarly?(call: CallFacts): Promise<EarlyCall>;
  /** An answer that cost no attempt: from the cache, or shared. */
  note(call: CallFacts & CallOutcome): void;
}

/** A call that can be said never to have been. */
export interface EarlyCall extends OpenedCall {
  withdrawn(): void;
}

/** Who waits. In a run the run itself sleeps, holding no slot; over HTTP a long wait is refused. */
export interface Waiter {
  /** The longest wait in place, in milliseconds. */
  readonly holdMs: number;
  /** Asked for more than `holdMs`: never resolves, or rejects with what says "come back then". */
  postpone(untilMs: number, reason: string): Promise<never>;
}

export interface CallOptions {
  /** An alias, or `provider/model`. */
  readonly model: string;
  readonly attribution: Attribution;
  readonly abort: AbortSignal;
  readonly payer: Payer;
  readonly waiter: Waiter;
  /** The same for every attempt of the same logical call, across crashes: books its place in a quota's line, and finds what a dead
   * process left open. */
  readonly callKey: string;
  /** Milliseconds for which an equal answer will do; null: always ask. */
  readonly cacheMs?: number | null;
  /** Share the answer of an identical call in flight. Default: when `cacheMs` is set. */
  readonly coalesce?: boolean;
}

/** A call that has been made. */
export interface Performed<R> {
  readonly result: R;
  readonly target: Target;
  readonly source: AnswerSource;
  readonly usage: TokenUsage;
  readonly spend: Spend;
  readonly attempts: number;
  readonly latencyMs: number;
  readonly firstChunkMs: number | null;
}

/** What went wrong with an attempt, classified. */
export interface CallFailure {
  readonly kind: CallFailureKind;
  /** When the provider says to come back, in milliseconds since 1970 on this process's clock; null when it does not. */
  readonly readyAtMs: number | null;
  /** HTTP status, where there was one. */
  readonly status: number | null;
  /** One line for people. */
  readonly message: string;
}
