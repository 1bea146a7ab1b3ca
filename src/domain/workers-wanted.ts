// How many workers a load asks for: one formula for the local autoscaler and, as `longhaul.workers_wanted` in SQL, for all others.

/** What there is to do, of the queues that one kind of worker serves. */
export interface Demand {
  /** Runs that would start at once if there were workers without end. */
  readonly depth: number;
  readonly inFlight: number;
  /** How long the first of those that wait has been ready; null when none waits. */
  readonly oldestMs: number | null;
  /** Workers that serve these queues now. */
  readonly workers: number;
}

export interface ScaleRule {
  readonly min: number;
  readonly max: number;
  /** Runs that one worker executes at once. At least 1. */
  readonly slots: number;
  /** Runs that may wait for each slot. At least 1. */
  readonly target: number;
  /** How long the oldest run may wait, in milliseconds. */
  readonly slaMs: number;
}

/** Runs that may wait for each slot before another worker is worth its start. */
export const SCALE_TARGET_DEFAULT = 2;

/**
 * One worker for every `target` runs per slot that wait, not fewer than hold what is in flight; while the oldest waits longer than it
 * should, a quarter more than there are. Never fewer than `min` or more than `max`; none when there is nothing to do and `min` is 0.
 */
export function workersWanted({ depth, inFlight, oldestMs, workers }: Demand, rule: ScaleRule): number {
  const { min, max, slots, target, slaMs } = rule;
  const late = depth > 0 && oldestMs !== null && oldestMs > slaMs;
  const wanted = Math.max(
    Math.ceil(depth / (target * slots)),
    Math.ceil(inFlight / slots),
    late ? workers + Math.max(Math.ceil(workers / 4), 1) : 0,
    min,
  );
  return Math.min(wanted, max);
}
