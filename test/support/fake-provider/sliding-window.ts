// One true sliding window: an exact log of what was taken when. Nothing is rounded, nothing is estimated.

export class SlidingWindow {
  readonly limit: number;
  readonly spanMs: number;
  /** The most that any window of the span ever held. */
  fullest = 0;
  #at: number[] = [];
  #amounts: number[] = [];
  #head = 0;
  #sum = 0;

  constructor(limit: number, spanMs: number) {
    this.limit = limit;
    this.spanMs = spanMs;
  }

  /** What the window that ends now holds. */
  used(nowMs: number): number {
    const oldest = nowMs - this.spanMs;
    while (this.#head < this.#at.length && (this.#at[this.#head] ?? 0) <= oldest) {
      this.#sum -= this.#amounts[this.#head] ?? 0;
      this.#head += 1;
    }
    if (this.#head > 4096 && this.#head * 2 > this.#at.length) {
      this.#at = this.#at.slice(this.#head);
      this.#amounts = this.#amounts.slice(this.#head);
      this.#head = 0;
    }
    return this.#sum;
  }

  take(nowMs: number, amount: number): void {
    const used = this.used(nowMs) + amount;
    this.#at.push(nowMs);
    this.#amounts.push(amount);
    this.#sum = used;
    this.fullest = Math.max(this.fullest, used);
  }

  /** Until so much fits again; null when it never will. */
  waitMs(nowMs: number, amount: number): number | null {
    if (amount > this.limit) return null;
    let over = this.used(nowMs) + amount - this.limit;
    for (let at = this.#head; at < this.#at.length && over > 0; at += 1) {
      over -= this.#amounts[at] ?? 0;
      if (over <= 0) return Math.max(1, Math.ceil((this.#at[at] ?? 0) + this.spanMs - nowMs));
    }
    return 0;
  }

  /** Until it is empty. */
  resetMs(nowMs: number): number {
    return this.used(nowMs) === 0 ? 0 : Math.max(0, (this.#at.at(-1) ?? 0) + this.spanMs - nowMs);
  }
}
