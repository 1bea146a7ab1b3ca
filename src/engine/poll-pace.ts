// How long a worker waits before it looks by itself again.

/** Where no hints arrive looking is what finds new work: this soon after the last find, then ever less often. */
const SOON_MS = 200;
const GROWTH = 1.5;

export class PollPace {
  readonly #tickMs: number;
  #lookMs: number;

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
    this.#lookMs = Math.min(SOON_MS, tickMs);
  }

  /** There was something, or there may soon be: a run started, one let go of. */
  found(): void {
    this.#lookMs = Math.min(SOON_MS, this.#tickMs);
  }

  /**
   * Until the next look: the tick where hints arrive; else from 200 ms growing to the tick while nothing is found. A tenth of jitter, so that
   * workers started together do not ask together for ever.
   */
  next(hintsArrive: boolean): number {
    const baseMs = hintsArrive ? this.#tickMs : this.#lookMs;
    this.#lookMs = Math.min(this.#lookMs * GROWTH, this.#tickMs);
    return baseMs * (0.9 + Math.random() * 0.2);
  }
}
