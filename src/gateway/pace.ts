// How a limit per minute is kept: what one unit costs, and how much may go at once. Rate and burst make up the limit together, so that no
// minute exceeds it, wherever it begins.

/** Both in milliseconds: the cost of one unit, and of what may go at once after a pause. */
export interface Pace {
  readonly emissionMs: number;
  readonly burstMs: number;
}

const BURST_PART = 0.1;
/** A usual model call: a limit that lets less go at once would make each of them wait for a bucket that is all its own. */
const USUAL_TOKENS = 8_000;
const BURST_PART_MAX = 0.5;
/** Of a limit that nobody declared and that the provider itself keeps: near to how providers count, and not strict. */
const LEARNED_RATE = 0.95;
const LEARNED_BURST = 0.5;

/** Requests count one each, so that one at a time is never too many. */
export function requestPace(limit: number, minuteMs: number): Pace {
  const emissionMs = minuteMs / (limit * (1 - BURST_PART));
  return { emissionMs, burstMs: emissionMs * Math.max(1, limit * BURST_PART) };
}

export function tokenPace(limit: number, minuteMs: number): Pace {
  const burst = Math.max(limit * BURST_PART, Math.min(limit * BURST_PART_MAX, USUAL_TOKENS));
  const emissionMs = minuteMs / (limit - burst);
  return { emissionMs, burstMs: emissionMs * burst };
}

export function learnedPace(limit: number, minuteMs: number): Pace {
  const emissionMs = minuteMs / (limit * LEARNED_RATE);
  return { emissionMs, burstMs: emissionMs * Math.max(1, limit * LEARNED_BURST) };
}
