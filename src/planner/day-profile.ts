// A day with a busy hour: one smooth hump whose top is a given number of times the average.
import { requireNumber } from "./checks.ts";

/** Quarters of an hour. */
const PARTS = 96;
/** A day has 24 hours: a busier hour than all of it cannot be. */
export const PEAK_MAX = 24;

/**
 * How busy each quarter of an hour is, relative to the average; the busiest is `peak` times the average. It is the density of von Mises,
 * the bell curve of the circle: one formula from a day without a peak (1) to one whose work all comes at once (24).
 *
 * @throws CAPACITY_INVALID
 */
export function dayProfile(peak: number): number[] {
  requireNumber("Peak", peak, { min: 1, max: PEAK_MAX });
  // The narrower, the higher: halve the interval until it is right.
  let [low, high] = [0, 1_000];
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2;
    if (1 / average(hump(middle)) < peak) low = middle;
    else high = middle;
  }
  const shape = hump(low);
  const mean = average(shape);
  return shape.map((part) => part / mean);
}

/** At most 1, at noon. */
function hump(narrowness: number): number[] {
  return Array.from({ length: PARTS }, (_, part) => {
    const angle = (2 * Math.PI * (part - PARTS / 2)) / PARTS;
    return Math.exp(narrowness * (Math.cos(angle) - 1));
  });
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
