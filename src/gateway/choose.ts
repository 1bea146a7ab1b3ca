// Which target serves the next attempt: the first that is well, affordable and lets the call through; else a wait for the soonest.
import { setTimeout as pause } from "node:timers/promises";
import { fail } from "../domain/errors.ts";
import { NO_SPEND, NO_TOKENS, type Spend } from "../domain/usage.ts";
import type { Chosen } from "./attempt.ts";
import { nameOf, type Parts } from "./parts.ts";
import type { CallOptions, Estimate, Job, Target } from "./roles.ts";

interface Later {
  readonly target: Target;
  readonly readyAtMs: number;
  readonly reason: string;
}

/** A wait in place is looked at again at least this often: a limit may be lifted. */
const LOOK_MS = 30_000;

/** @throws BUDGET_EXCEEDED, PRICE_UNKNOWN, QUOTA_IMPOSSIBLE, the caller's abort, what the waiter throws */
export async function chooseTarget(
  parts: Parts,
  job: Job<unknown>,
  options: CallOptions,
  targets: readonly Target[],
): Promise<Chosen> {
  for (;;) {
    options.abort.throwIfAborted();
    let soonest: Later | null = null;
    // With somewhere else to go a place in the line is only taken where the wait is shortest.
    for (const target of targets) {
      const tried = await tryTarget(parts, job, options, target, targets.length === 1);
      if ("booking" in tried) return tried;
      if (soonest === null || tried.readyAtMs < soonest.readyAtMs) soonest = tried;
    }
    if (soonest === null) throw fail("MODEL_UNKNOWN", { model: options.model });
    if (targets.length > 1) {
      const booked = await tryTarget(parts, job, options, soonest.target, true);
      if ("booking" in booked) return booked;
      soonest = booked;
    }
    await waitFor(parts, options, soonest);
  }
}

async function waitFor(parts: Parts, options: CallOptions, { readyAtMs, reason }: Later): Promise<void> {
  const waitMs = readyAtMs - parts.clock.now();
  if (waitMs > options.waiter.holdMs) await options.waiter.postpone(readyAtMs, reason);
  await pause(Math.min(Math.max(waitMs, 1), LOOK_MS), undefined, { signal: options.abort }).catch(() => {
    throw options.abort.reason;
  });
}

async function tryTarget(
  parts: Parts,
  job: Job<unknown>,
  options: CallOptions,
  target: Target,
  book: boolean,
): Promise<Chosen | Later> {
  const standing = await parts.breakers.ask(target);
  if (typeof standing === "object")
    return { target, readyAtMs: standing.openUntilMs, reason: `${nameOf(target)} to recover` };
  const giveBack = (): void => {
    if (standing === "probe") parts.breakers.report(target, "neutral");
  };
  let need: Spend = NO_SPEND;
  let isReserved = false;
  try {
    const estimate = parts.estimate(target, job, options.attribution.feature);
    need = await needOf(parts, options, target, estimate);
    await options.payer.reserve(need);
    isReserved = true;
    const booking = await parts.limiter.reserve({ callKey: options.callKey, target, estimate, book });
    if (booking.is === "go") return { target, estimate, need, booking };
    options.payer.settle(need, NO_SPEND);
    giveBack();
    return { target, readyAtMs: booking.readyAtMs, reason: booking.reason };
  } catch (error) {
    if (isReserved) options.payer.settle(need, NO_SPEND);
    giveBack();
    throw error;
  }
}

/** @throws PRICE_UNKNOWN where a limit in dollars holds and nobody knows what the call costs */
async function needOf(parts: Parts, options: CallOptions, target: Target, estimate: Estimate): Promise<Spend> {
  const price = await parts.price(target, { ...NO_TOKENS, ...estimate });
  if (options.payer.limits.usd && price.confidence === "unknown")
    throw fail("PRICE_UNKNOWN", { model: nameOf(target) });
  return { ...estimate, nanoUsd: price.nanoUsd, steps: 0 };
}
