// How long the answers of a model usually are: counts per size, old ones fading, from which a percentile is read.

/** Four sizes per doubling: a percentile is at most 19 % too high. */
const PER_DOUBLING = 4;
const BUCKETS = 20 * PER_DOUBLING + 1;
/** From so many answers on the counts are halved: what was usual last month says little about today. */
const FADES_AT = 400;

export class OutputHistogram {
  #counts: number[] = [];
  #total = 0;

  add(tokens: number): void {
    const bucket = bucketOf(tokens);
    while (this.#counts.length <= bucket) this.#counts.push(0);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
    if (this.#total >= FADES_AT) this.#set(this.#counts.map((count) => count / 2));
  }

  get total(): number {
    return this.#total;
  }

  /** So many tokens that this part of the answers is not longer, rounded up to a size; null while nothing was seen. */
  percentile(part: number): number | null {
    if (this.#total === 0) return null;
    let left = this.#total * part;
    for (const [bucket, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 1e-9) return topOf(bucket);
    }
    return topOf(this.#counts.length - 1);
  }

  /** Sizes in order, for a table. */
  toJSON(): number[] {
    return this.#counts.map((count) => Math.round(count * 100) / 100);
  }

  /** Null for what is no such list. */
  static from(counts: unknown): OutputHistogram | null {
    const fits = Array.isArray(counts) && counts.length <= BUCKETS && counts.every(isCount);
    if (!fits) return null;
    const histogram = new OutputHistogram();
    histogram.#set(counts);
    return histogram;
  }

  #set(counts: number[]): void {
    this.#counts = [...counts];
    this.#total = counts.reduce((sum, count) => sum + count, 0);
  }
}

function isCount(count: unknown): boolean {
  return typeof count === "number" && count >= 0 && count <= FADES_AT;
}

function bucketOf(tokens: number): number {
  if (!(tokens > 1)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(tokens) * PER_DOUBLING - 1e-9));
}

function topOf(bucket: number): number {
  return Math.ceil(2 ** (bucket / PER_DOUBLING) - 1e-9);
}
