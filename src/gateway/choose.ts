// Which target serves the next attempt: the first that is well, affordable and lets the call through; else the wait for the soonest.
import { setTimeout as pause } from "node:timers/promises";
import { NO_SPEND, type Spend } from "../domain/usage.ts";
import type { Chosen } from "./attempt.ts";
import { nameOf, type Parts, sizeOf } from "./parts.ts";
import { unknownPrice } from "./prices.ts";
import type { CallOptions, Job, Target } from "./roles.ts";

interface Later {
  readonly target: Target;
  readonly waitMs: number;
  readonly reason: string;
}

/** @throws BUDGET_EXCEEDED, PRICE_UNKNOWN, QUOTA_IMPOSSIBLE, the caller's abort, what the waiter throws */
export async function chooseTarget(
  parts: Parts,
  job: Job<unknown>,
  options: CallOptions,
  targets: readonly [Target, ...Target[]],
): Promise<Chosen> {
  const { holdMs } = options.waiter;
  for (;;) {
    options.abort.throwIfAborted();
    // Where there is somewhere else to go, nobody waits before all have been asked.
    let soonest = await tryTarget(parts, job, options, targets[0], targets.length === 1 ? holdMs : 0);
    for (const target of targets.slice(1)) {
      if ("reservation" in soonest) break;
      const tried = await tryTarget(parts, job, options, target, 0);
      if ("reservation" in tried || tried.waitMs < soonest.waitMs) soonest = tried;
    }
    if ("reservation" in soonest) return soonest;
    await waitFor(parts, options, soonest);
  }
}

async function waitFor(parts: Parts, { abort, waiter }: CallOptions, { waitMs, reason }: Later): Promise<void> {
  if (waitMs > waiter.holdMs) await waiter.postpone(parts.clock.now() + waitMs, reason);
  await pause(Math.max(waitMs, 1), undefined, { signal: abort }).catch(() => {
    throw abort.reason;
  });
}

async function tryTarget(
  parts: Parts,
  job: Job<unknown>,
  options: CallOptions,
  target: Target,
  waitMs: number,
): Promise<Chosen | Later> {
  const { payer, callKey, abort, attribution } = options;
  const door = await parts.breakers.ask(target);
  if (typeof door === "object") return { target, waitMs: door.waitMs, reason: `${nameOf(target)} to recover` };
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
    const answer = await parts.quotas.reserve({ callKey, target, estimate, waitMs, abort });
    if (answer.is === "go") return { target, estimate, price, need, reservation: answer.reservation };
    giveBack();
    return { target, waitMs: answer.waitMs, reason: answer.reason };
  } catch (error) {
    giveBack();
    throw error;
  }
}
