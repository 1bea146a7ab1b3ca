// Which target serves the next attempt: the first that is well, affordable and lets the call through; else the wait for the soonest.
import { setTimeout as pause } from "node:timers/promises";
import { Postponed } from "../domain/postponed.ts";
import { NO_SPEND, type Spend } from "../domain/usage.ts";
import type { Chosen } from "./attempt.ts";
import { fittingOutput } from "./fit.ts";
import { Opening } from "./opening.ts";
import { nameOf, type Parts, sizeOf } from "./parts.ts";
import { type Price, unknownPrice } from "./prices.ts";
import type { CallOptions, Estimate, Job, Payer, Target } from "./roles.ts";

interface Later {
  readonly target: Target;
  /** On the database's clock. */
  readonly readyAtMs: number;
  readonly reason: string;
}

/** What is looked for. */
export interface Search {
  readonly targets: readonly [Target, ...Target[]];
  /** Output tokens for which there is money. */
  readonly outputMax: number;
  /** The name by which the call was asked for; null when that was the target itself. */
  readonly alias: string | null;
  /** Number of the attempt. */
  readonly attempt: number;
}

/** A wait in place is looked at again at least this often: a limit may be lifted, or a place further ahead be found. */
const LOOK_MS = 15_000;

/** @throws BUDGET_EXCEEDED, PRICE_UNKNOWN, QUOTA_IMPOSSIBLE, the caller's abort, what the waiter throws */
export async function chooseTarget(
  parts: Parts,
  job: Job<unknown>,
  options: CallOptions,
  search: Search,
): Promise<Chosen> {
  const { targets } = search;
  const isAlone = targets.length === 1;
  try {
    for (;;) {
      options.abort.throwIfAborted();
      // Where there is somewhere else to go, a place in a line is only taken where the wait is shortest.
      let soonest = await tryTarget(parts, job, options, search, targets[0], isAlone);
      for (const target of targets.slice(1)) {
        if ("booking" in soonest) break;
        const tried = await tryTarget(parts, job, options, search, target, false);
        if ("booking" in tried || tried.readyAtMs < soonest.readyAtMs) soonest = tried;
      }
      if (!("booking" in soonest) && !isAlone)
        soonest = await tryTarget(parts, job, options, search, soonest.target, true);
      if ("booking" in soonest) return soonest;
      await waitFor(parts, options, soonest);
    }
  } catch (error) {
    // Not when the run is put off: it comes back for its place.
    if (!Postponed.is(error)) parts.limiter.cancel(options.callKey);
    throw error;
  }
}

async function waitFor(parts: Parts, { abort, waiter }: CallOptions, { readyAtMs, reason }: Later): Promise<void> {
  const waitMs = readyAtMs - parts.clock.now();
  if (waitMs > waiter.holdMs) await waiter.postpone(readyAtMs, reason);
  await pause(Math.min(Math.max(waitMs, 1), LOOK_MS), undefined, { signal: abort }).catch(() => {
    throw abort.reason;
  });
}

async function tryTarget(
  parts: Parts,
  job: Job<unknown>,
  options: CallOptions,
  { outputMax, alias, attempt }: Search,
  target: Target,
  book: boolean,
): Promise<Chosen | Later> {
  const { payer, callKey, attribution } = options;
  const door = await parts.breakers.ask(target);
  if (typeof door === "object") return { target, readyAtMs: door.openUntilMs, reason: `${nameOf(target)} to recover` };
  let reserved: Spend | null = null;
  let opening: Opening | null = null;
  const giveBack = (): void => {
    if (reserved !== null) payer.settle(reserved, NO_SPEND);
    opening?.withdraw();
    parts.breakers.report(target, "neutral");
  };
  try {
    const whole = parts.estimator.estimate(target, sizeOf(job, attribution.feature));
    const price = await parts.prices.of(target);
    if (payer.limits.usd && price.confidence === "unknown") throw unknownPrice(target);
    const most = { ...whole, outputTokens: Math.min(whole.outputTokens, outputMax) };
    const { estimate, need } = await reserveWhatFits(payer, most, price);
    reserved = need;
    opening = new Opening(payer, { callKey, attribution, alias, attempt, estimate: need, ...target });
    if (parts.limiter.isClear(target)) opening.begin();
    const booking = await parts.limiter.reserve({ callKey, target, estimate, book });
    if (booking.is === "go") {
      if (options.abort.aborted) {
        booking.undo();
        throw options.abort.reason;
      }
      const isShortened = estimate.outputTokens < whole.outputTokens;
      return { target, estimate, isShortened, price, need, booking, opening };
    }
    giveBack();
    return { target, readyAtMs: booking.readyAtMs, reason: booking.reason };
  } catch (error) {
    giveBack();
    throw error;
  }
}

/** Sets aside all of it, or as much as there is room for. @throws BUDGET_EXCEEDED */
async function reserveWhatFits(
  payer: Payer,
  most: Estimate,
  price: Price,
): Promise<{ readonly estimate: Estimate; readonly need: Spend }> {
  for (let estimate = most; ; ) {
    const need = { nanoUsd: price.atMost(estimate), steps: 0, ...estimate };
    try {
      await payer.reserve(need);
      return { estimate, need };
    } catch (refusal) {
      const outputTokens = fittingOutput(refusal, estimate, price);
      if (outputTokens === null) throw refusal;
      estimate = { ...estimate, outputTokens };
    }
  }
}
