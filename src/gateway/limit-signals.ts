// The headers of a reply in the words of the quotas: of every limit, how much is left and how long until it is full.
import type { LimitSignal } from "./quota.ts";
import { type LimitDimension, readSignals } from "./signals.ts";

/** Limits of a minute; those of hours and days are learned from refusals, which say when they end. */
const DIMENSIONS: Partial<Record<LimitDimension, LimitSignal["dimension"]>> = {
  rpm: "requests",
  tpm: "tokens",
  itpm: "input",
  otpm: "output",
};

export function limitSignals(headers: Readonly<Record<string, string>>): LimitSignal[] {
  const nowMs = Date.now();
  return readSignals(headers, nowMs).limits.flatMap(({ dimension, limit, remaining, resetAtMs }) => {
    const known = DIMENSIONS[dimension];
    const resetMs = resetAtMs === null ? null : Math.max(0, resetAtMs - nowMs);
    return known === undefined ? [] : [{ dimension: known, limit, remaining, resetMs }];
  });
}
