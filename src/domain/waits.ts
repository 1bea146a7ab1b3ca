// How long runs waited from ready to claimed, as counts per bucket: small enough to be added up over processes and minutes.

/** Upper bounds of the buckets in milliseconds, ascending; one more bucket takes what waited longer. Stored: never change an entry. */
export const WAIT_BOUNDS_MS: readonly number[] = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

export function noWaits(): number[] {
  return new Array<number>(WAIT_BOUNDS_MS.length + 1).fill(0);
}

/** The place of a wait's bucket. A negative wait, which only a clock that was set could give, is none. */
export function waitBucket(ms: number): number {
  const place = WAIT_BOUNDS_MS.findIndex((bound) => ms <= bound);
  return place < 0 ? WAIT_BOUNDS_MS.length : place;
}

/** The sum of two histograms; a shorter one counts as zero where it ends. */
export function addWaits(a: readonly number[], b: readonly number[]): number[] {
  return noWaits().map((_, place) => (a[place] ?? 0) + (b[place] ?? 0));
}

/**
 * The wait that the part `q` (0 to 1) of the runs did not exceed, in milliseconds, spread evenly within its bucket; null for no runs. Of
 * runs beyond the last bound only that bound is known.
 */
export function waitQuantile(waits: readonly number[], q: number): number | null {
  const total = waits.reduce((sum, n) => sum + n, 0);
  if (total === 0) return null;
  let below = 0;
  for (const [place, n] of waits.entries()) {
    if (n > 0 && below + n >= q * total) {
      const from = WAIT_BOUNDS_MS[place - 1] ?? 0;
      const to = WAIT_BOUNDS_MS[place] ?? from;
      return from + (to - from) * Math.max(0, (q * total - below) / n);
    }
    below += n;
  }
  return WAIT_BOUNDS_MS.at(-1) ?? null;
}
