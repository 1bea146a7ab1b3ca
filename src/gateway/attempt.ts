// One attempt at one target: written down before it goes out, watched while it is out, paid for whatever becomes of it.
import type { CallOutcome, OpenedCall } from "../domain/calls.ts";
import { NO_SPEND, NO_TOKENS, type Spend, type TokenUsage } from "../domain/usage.ts";
import { classify } from "./classify.ts";
import type { Opening } from "./opening.ts";
import { type Booking, type Parts, sizeOf } from "./parts.ts";
import type { Price } from "./prices.ts";
import type { Attempt, CallFailure, CallOptions, Estimate, Job, Sent, Target } from "./roles.ts";
import type { Route } from "./route.ts";
import { readSignals } from "./signals.ts";
import { TruncatedStream } from "./truncated-stream.ts";
import { isSickness } from "./verdict.ts";
import { watched } from "./watchdog.ts";

/** A target that may be asked now: money is set aside, and its limits let the call through. */
export interface Chosen {
  readonly target: Target;
  readonly estimate: Estimate;
  /** The estimate is what the budget has room for: the answer must keep to it. */
  readonly isShortened: boolean;
  readonly price: Price;
  readonly need: Spend;
  readonly booking: Extract<Booking, { is: "go" }>;
  readonly opening: Opening;
}

export type AttemptEnd<R> =
  | { readonly is: "done"; readonly sent: Sent<R>; readonly usage: TokenUsage; readonly spend: Spend }
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
  const call = await opened(parts, options, chosen);
  const { target } = chosen;
  const startMs = performance.now();
  const { timeoutMs, idleMs } = route.policy;
  const maxOutputTokens = chosen.isShortened ? chosen.estimate.outputTokens : null;
  let attempt: Attempt = { target, number, maxOutputTokens, abort: options.abort, alive: () => undefined };
  let wasSent = false;
  try {
    const sent = await watched(
      { timeoutMs, openMs: job.streams ? idleMs : null, idleMs },
      options.abort,
      (abort, alive) => {
        attempt = { ...attempt, abort, alive };
        wasSent = true;
        return job.send(attempt);
      },
    );
    // First of all, so that nothing that goes wrong here keeps its place among the calls in flight.
    chosen.booking.release(sent.usage);
    const usage = sent.usage ?? { ...NO_TOKENS, ...chosen.estimate };
    const spend = settle(options, chosen, usage);
    call.succeeded(outcomeOf(chosen, usage, spend, startMs, sent.firstChunkMs));
    parts.limiter.observe(target, readSignals(sent.headers, Date.now()).limits);
    parts.breakers.report(target, "success");
    if (sent.usage !== null) parts.estimator.learn(target, sizeOf(job, options.attribution.feature), sent.usage);
    return { is: "done", sent, usage, spend };
  } catch (error) {
    const nowMs = Date.now();
    const failure = classify(error, { nowMs, abort: attempt.abort, began: job.hasShown?.() ?? false });
    const usage = wasSent ? usageOfFailure(failure, error, chosen.estimate) : NO_TOKENS;
    if (wasSent) chosen.booking.release(usage);
    else chosen.booking.undo();
    const spend = settle(options, chosen, usage);
    call.failed(failure?.kind ?? "cancelled", outcomeOf(chosen, usage, spend, startMs, null));
    parts.breakers.report(target, failure !== null && isSickness(failure) ? "failure" : "neutral");
    if (failure === null) throw options.abort.aborted ? options.abort.reason : error;
    return { is: "failed", failure, error, attempt };
  }
}

async function opened(
  { breakers }: Parts,
  { payer }: CallOptions,
  { target, need, booking, opening }: Chosen,
): Promise<OpenedCall> {
  try {
    return await opening.done();
  } catch (error) {
    payer.settle(need, NO_SPEND);
    booking.undo();
    breakers.report(target, "neutral");
    throw error;
  }
}

function settle({ payer }: CallOptions, { need, price }: Chosen, usage: TokenUsage): Spend {
  const { inputTokens, outputTokens } = usage;
  const spend = { inputTokens, outputTokens, nanoUsd: price.cost(usage), steps: 0 };
  payer.settle(need, spend);
  return spend;
}

/**
 * A refusal costs nothing. What was cut off in its course costs its input, and what had come of the output: the provider had
 * read the one and written the other.
 */
function usageOfFailure(failure: CallFailure | null, error: unknown, estimate: Estimate): TokenUsage {
  const { inputTokens } = estimate;
  if (error instanceof TruncatedStream)
    return { ...NO_TOKENS, inputTokens, outputTokens: Math.ceil(Buffer.byteLength(error.partial) / 4) };
  const wasCutOff = failure === null || failure.kind === "truncated_stream";
  const mayHaveRun = failure?.kind === "transient" && failure.status === null;
  return wasCutOff || mayHaveRun ? { ...NO_TOKENS, inputTokens } : NO_TOKENS;
}

function outcomeOf(
  { price }: Chosen,
  usage: TokenUsage,
  { nanoUsd }: Spend,
  startMs: number,
  firstChunkMs: number | null,
): CallOutcome {
  const latencyMs = Math.round(performance.now() - startMs);
  return {
    usage,
    nanoUsd,
    confidence: price.confidence,
    source: "provider",
    latencyMs,
    firstChunkMs: firstChunkMs === null ? null : Math.round(firstChunkMs),
  };
}
