// What a model provider lets through: requests and tokens per minute, booked call by call so that no sliding minute has more.
import { requireNumber } from "./checks.ts";

export interface ProviderLimits {
  /** Null: no limit. */
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
}

export const UNLIMITED: ProviderLimits = { requestsPerMinute: null, tokensPerMinute: null };

export const MINUTE_MS = 60_000;
/** Part of the limit that may go at once; the rest is the steady rate, and burst + rate make exactly the limit in any minute. */
const BURST = 0.1;
export const STEADY_RATE = 1 - BURST;

/** One limit as a GCRA: `fullMs` is the moment at which everything booked so far has been paid for at the steady rate. */
interface Meter {
  readonly unitMs: number;
  readonly burstMs: number;
  readonly units: number;
  fullMs: number;
}

export class Provider {
  readonly #meters: readonly Meter[];

  /** @throws CAPACITY_INVALID where a single call does not fit into a minute's tokens */
  constructor(limits: ProviderLimits, tokensPerCall: number) {
    this.#meters = [
      meterOf("Requests per minute", limits.requestsPerMinute, 1),
      meterOf("Tokens per minute", limits.tokensPerMinute, tokensPerCall),
    ].filter((meter) => meter !== null);
  }

  get limited(): boolean {
    return this.#meters.length > 0;
  }

  /** The moment at which a call that wants to go now may go. Calls must be booked in the order of their moments. */
  book(nowMs: number): number {
    let goesMs = nowMs;
    for (const { units, unitMs, burstMs, fullMs } of this.#meters)
      goesMs = Math.max(goesMs, fullMs + units * unitMs - burstMs);
    // As if it had come at that moment: one limit must not count as idle what the call waited for another.
    for (const meter of this.#meters) meter.fullMs = Math.max(meter.fullMs, goesMs) + meter.units * meter.unitMs;
    return goesMs;
  }
}

/** A call that needs more than a tenth of the minute makes the burst as large as itself, and the rate lower by as much. */
function meterOf(what: string, perMinute: number | null, units: number): Meter | null {
  if (perMinute === null || units === 0) return null;
  requireNumber(what, perMinute, { min: units, aboveMin: true });
  const burst = Math.max(perMinute * BURST, units);
  const unitMs = MINUTE_MS / (perMinute - burst);
  return { unitMs, burstMs: burst * unitMs, units, fullMs: Number.NEGATIVE_INFINITY };
}
