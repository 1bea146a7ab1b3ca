// How long something takes: always the same, without memory, or as runs of agents do: most near the mean, a few much longer.
import { requireNumber } from "./checks.ts";
import type { Random } from "./random.ts";

export type Distribution =
  | { readonly kind: "constant"; readonly ms: number }
  | { readonly kind: "exponential"; readonly meanMs: number }
  /** `p95Ms`: 95 of 100 take at most this long; from 1 to 3.8 times the mean. */
  | { readonly kind: "lognormal"; readonly meanMs: number; readonly p95Ms: number };

/** Gives one length of time after the other, in milliseconds. */
export type Sampler = (random: Random) => number;

/** What 95 of 100 normal numbers do not exceed. */
const Z_95 = 1.6448536269514722;
/** The mean of a lognormal distribution lies at most this far below its 95th percentile; 3.868 is where that turns round. */
export const P95_PER_MEAN_MAX = 3.8;

export function meanOf(distribution: Distribution): number {
  return distribution.kind === "constant" ? distribution.ms : distribution.meanMs;
}

/** @throws CAPACITY_INVALID */
export function samplerOf(what: string, distribution: Distribution): Sampler {
  const meanMs = requireNumber(what, meanOf(distribution), { min: 0 });
  if (distribution.kind === "constant") return () => meanMs;
  if (distribution.kind === "exponential") return (random) => meanMs * random.exponential();
  if (meanMs === 0) return () => 0;
  const { p95Ms } = distribution;
  requireNumber(`${what} (95th percentile)`, p95Ms, { min: meanMs, max: meanMs * P95_PER_MEAN_MAX });
  const { mu, sigma } = lognormal(meanMs, p95Ms);
  return (random) => Math.exp(mu + sigma * random.normal());
}

/**
 * Solves mean = exp(mu + sigma²/2) and p95 = exp(mu + z·sigma). Of the two solutions the smaller sigma is meant: the larger one has
 * its 95th percentile where almost everything is below the mean.
 */
function lognormal(meanMs: number, p95Ms: number): { mu: number; sigma: number } {
  const sigma = Z_95 - Math.sqrt(Z_95 ** 2 - 2 * Math.log(p95Ms / meanMs));
  return { mu: Math.log(meanMs) - sigma ** 2 / 2, sigma };
}
