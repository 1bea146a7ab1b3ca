// How long a run has been running, in all its claims, and the alarm for when that is too long.

/** setTimeout holds at most 2^31 - 1 ms. */
const TIMEOUT_MAX_MS = 2_147_483_647;

export class ActiveTime {
  readonly #limitMs: number | null;
  readonly #onOver: () => void;
  #claimedAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /** @param limitMs Null: unlimited. */
  constructor(limitMs: number | null, onOver: () => void) {
    this.#limitMs = limitMs;
    this.#onOver = onOver;
  }

  /** Since the last claim. */
  get ms(): number {
    return performance.now() - this.#claimedAtMs;
  }

  /** The limit as people read it, in minutes. */
  get limitMinutes(): number {
    return Math.round((this.#limitMs ?? 0) / 600) / 100;
  }

  /** The run was claimed again. */
  restart(): void {
    this.#claimedAtMs = performance.now();
  }

  /** @param usedMs In earlier claims. */
  arm(usedMs: number): void {
    if (this.#limitMs === null) return;
    clearTimeout(this.#timer);
    const leftMs = Math.max(0, this.#limitMs - usedMs);
    this.#timer = setTimeout(this.#onOver, Math.min(leftMs, TIMEOUT_MAX_MS));
  }

  disarm(): void {
    clearTimeout(this.#timer);
  }
}
