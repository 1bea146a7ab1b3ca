// Which target serves the next attempt: the first that is well, affordable and lets the call through; else the wait for the soonest.
import { setTimeout as pause } from "node:timers/promises";
import { Postponed } from "../domain/postponed.ts";
import { NO_SPEND, type Spend } from "../domain/usage.ts";
import type { Chosen } from "./attempt.ts";
import { nameOf, type Parts, sizeOf } from "./parts.ts";
import { unknownPrice } from "./prices.ts";
import type { CallOptions, Job, Target } from "./roles.ts";

interface Later {
  readonly target: Target;
  /** On the database's clock. */
  readonly readyAtMs: number;
  readonly reason: string;
}

/** A wait in place is looked at again at least this often: a limit may be lifted, or a place further ahead be found. */
const LOOK_MS = 15_000;

/** @throws BUDGET_EXCEEDED, PRICE_UNKNOWN, QUOTA_IMPOSSIBLE, the caller's abort, what the waiter throws */
export async function chooseTarget(
  parts: Parts,
  job: Job<unknown>,
  options: CallOptions,
  targets: readonly [Target, ...Target[]],
): Promise<Chosen> {
  const isAlone = targets.length === 1;
  try {
    for (;;) {
      options.abort.throwIfAborted();
      // Where there is somewhere else to go, a place in a line is only taken where the wait is shortest.
      let soonest = await tryTarget(parts, job, options, targets[0], isAlone);
      for (const target of targets.slice(1)) {
        if ("booking" in soonest) break;
        const tried = await tryTarget(parts, job, options, target, false);
        if ("booking" in tried || tried.readyAtMs < soonest.readyAtMs) soonest = tried;
      }
      if (!("booking" in soonest) && !isAlone) soonest = await tryTarget(parts, job, options, soonest.target, true);
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
  target: Target,
  book: boolean,
): Promise<Chosen | Later> {
  const { payer, callKey, attribution } = options;
  const door = await parts.breakers.ask(target);
  if (typeof door === "object") return { target, readyAtMs: door.openUntilMs, reason: `${nameOf(target)} to recover` };
  let reserved: Spend | null = null;
  const giveBack = (): void => {
    if (reserved !== null) payer.settle(reserved, NO_SPEND);
    parts.breakers.report(target, "neutral");
  };
  try {
    const estimate = parts.estimator.estimate(target, sizeOf(job, attribution.feature));
    const price = await parts.prices.of(target);
    if (payer.limits.usd && price.confidence === "unknown") throw unknownPrice(target);
    const need = { ...estimate, nanoUsd: price.atMost(estimate), steps: 0 };
    await payer.reserve(need);
    reserved = need;
    const booking = await parts.limiter.reserve({ callKey, target, estimate, book });
    if (booking.is === "go") return { target, estimate, price, need, booking };
    giveBack();
    return { target, readyAtMs: booking.readyAtMs, reason: booking.reason };
  } catch (error) {
    giveBack();
    throw error;
  }
}
