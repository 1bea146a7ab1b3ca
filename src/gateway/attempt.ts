// One attempt at one target: written down before it goes out, watched while it is out, paid for whatever becomes of it.
import type { CallFacts, CallOutcome } from "../domain/calls.ts";
import { NO_SPEND, NO_TOKENS, type Spend, type TokenUsage } from "../domain/usage.ts";
import type { Booking, Parts, Price, Route } from "./parts.ts";
import type { Attempt, CallFailure, CallOptions, Estimate, Job, Sent, Target } from "./roles.ts";
import { TruncatedStream } from "./truncated-stream.ts";
import { isSickness } from "./verdict.ts";
import { watched } from "./watchdog.ts";

/** A target that may be asked now: money is set aside, and the limits let it through. */
export interface Chosen {
  readonly target: Target;
  readonly estimate: Estimate;
  readonly need: Spend;
  readonly booking: Extract<Booking, { is: "go" }>;
}

export type AttemptEnd<R> =
  | {
      readonly is: "done";
      readonly sent: Sent<R>;
      readonly usage: TokenUsage;
      readonly price: Price;
      readonly ms: number;
    }
  | { readonly is: "failed"; readonly failure: CallFailure; readonly error: unknown; readonly attempt: Attempt };

/** @throws what is not a failure of the target: the caller's abort, no budget, a postponement */
export async function attemptOnce<R>(
  parts: Parts,
  job: Job<R>,
  options: CallOptions,
  route: Route,
  chosen: Chosen,
  number: number,
): Promise<AttemptEnd<R>> {
  const { target, estimate, need, booking } = chosen;
  const { payer } = options;
  const facts: CallFacts = {
    callKey: options.callKey,
    attribution: options.attribution,
    alias: route.alias,
    provider: target.provider,
    model: target.model,
    attempt: number,
    estimate: need,
  };
  let call: Awaited<ReturnType<typeof payer.open>>;
  try {
    call = await payer.open(facts);
  } catch (error) {
    payer.settle(need, NO_SPEND);
    booking.release(NO_TOKENS);
    parts.breakers.report(target, "neutral");
    throw error;
  }
  const startMs = performance.now();
  const limits = { timeoutMs: route.timeoutMs, openMs: job.streams ? route.idleMs : null, idleMs: route.idleMs };
  let attempt: Attempt = { target, number, abort: options.abort, alive: () => undefined };
  try {
    const sent = await watched(limits, options.abort, (abort, alive) => {
      attempt = { target, number, abort, alive };
      return job.send(attempt);
    });
    const ms = performance.now() - startMs;
    const usage = sent.usage ?? usageFrom(estimate);
    const price = await parts.price(target, usage);
    payer.settle(need, { ...usage, nanoUsd: price.nanoUsd, steps: 0 });
    call.succeeded(outcomeOf(usage, price, ms, sent.firstChunkMs));
    booking.release(usage);
    parts.breakers.report(target, "success");
    parts.limiter.observe(target, sent.headers);
    if (sent.usage !== null) parts.learn(target, job, options.attribution.feature, sent.usage);
    return { is: "done", sent, usage, price, ms };
  } catch (error) {
    const ms = performance.now() - startMs;
    const failure = parts.classify(error);
    // What may have been used is paid for: a stream that broke off had its input read, and so had a request that was given up.
    const usage = usageOfFailure(failure, error, estimate, options.abort.aborted);
    const price = await parts.price(target, usage);
    payer.settle(need, { ...usage, nanoUsd: price.nanoUsd, steps: 0 });
    call.failed(failure.kind, outcomeOf(usage, price, ms, null));
    booking.release(usage);
    parts.breakers.report(target, options.abort.aborted || !isSickness(failure.kind) ? "neutral" : "failure");
    if (options.abort.aborted) throw options.abort.reason;
    return { is: "failed", failure, error, attempt };
  }
}

function usageFrom({ inputTokens, outputTokens }: Estimate): TokenUsage {
  return { ...NO_TOKENS, inputTokens, outputTokens };
}

/** A refusal costs nothing. What was cut off in its course costs its input and what had come of the output. */
function usageOfFailure(failure: CallFailure, error: unknown, estimate: Estimate, aborted: boolean): TokenUsage {
  if (error instanceof TruncatedStream) {
    return { ...NO_TOKENS, inputTokens: estimate.inputTokens, outputTokens: Math.ceil(error.partial.length / 4) };
  }
  const cutOff =
    aborted || failure.kind === "truncated_stream" || (failure.kind === "transient" && failure.status === null);
  return cutOff ? { ...NO_TOKENS, inputTokens: estimate.inputTokens } : NO_TOKENS;
}

function outcomeOf(usage: TokenUsage, price: Price, ms: number, firstChunkMs: number | null): CallOutcome {
  return {
    usage,
    nanoUsd: price.nanoUsd,
    confidence: price.confidence,
    source: "provider",
    latencyMs: Math.round(ms),
    firstChunkMs: firstChunkMs === null ? null : Math.round(firstChunkMs),
  };
}
