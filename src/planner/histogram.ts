// Many lengths of time in little memory: exact mean and maximum, percentiles within half a percent.

export interface WaitFigures {
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Each bucket reaches 1 % further than the one before it. */
const GROWTH = Math.log(1.01);
/** Below a microsecond nobody waits. */
const LEAST_MS = 0.001;

export class Histogram {
  /** The first bucket is "not at all". */
  readonly #buckets: number[] = [0];
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  add(ms: number): void {
    const bucket = ms < LEAST_MS ? 0 : 1 + Math.floor(Math.log(ms / LEAST_MS) / GROWTH);
    while (this.#buckets.length <= bucket) this.#buckets.push(0);
    this.#buckets[bucket] = (this.#buckets[bucket] as number) + 1;
    this.#count += 1;
    this.#sumMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** All 0 when nothing was added. */
  get figures(): WaitFigures {
    return {
      meanMs: this.#count === 0 ? 0 : this.#sumMs / this.#count,
      p50Ms: this.#percentile(0.5),
      p95Ms: this.#percentile(0.95),
      p99Ms: this.#percentile(0.99),
      maxMs: this.#maxMs,
    };
  }

  #percentile(part: number): number {
    let left = this.#count * part;
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count;
      if (left >= 0) continue;
      return bucket === 0 ? 0 : Math.min(this.#maxMs, LEAST_MS * Math.exp((bucket - 0.5) * GROWTH));
    }
    return this.#maxMs;
  }
}
