// Watches over one attempt: gives it up when it takes too long as a whole, or when nothing has come for too long.
import { AttemptTimeout } from "./timeout.ts";

export interface WatchdogLimits {
  /** For the whole attempt, in milliseconds. */
  readonly timeoutMs: number;
  /** Until the first sign of life, in milliseconds; null where none comes before the whole reply. */
  readonly openMs: number | null;
  /** Between two signs of life, in milliseconds. */
  readonly idleMs: number;
}

type Work<T> = (abort: AbortSignal, alive: () => void) => Promise<T>;

/**
 * Runs `work` and rejects as soon as the outer signal fires or a limit is reached, whether or not `work` listens to its signal:
 * a provider that hangs must not hold the call.
 */
export function watched<T>(limits: WatchdogLimits, outer: AbortSignal, work: Work<T>): Promise<T> {
  if (outer.aborted) return Promise.reject(outer.reason);
  return new Promise((resolve, reject) => new Watch<T>(limits, outer, resolve, reject).over(work));
}

/** One object and one timer: hundreds of calls are out at the same time. */
class Watch<T> {
  readonly #limits: WatchdogLimits;
  readonly #outer: AbortSignal;
  readonly #inner = new AbortController();
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #startMs = performance.now();
  /** Told often, asked seldom: a part only writes down when it came, and the timer looks. */
  #lastMs = this.#startMs;
  #opened = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    limits: WatchdogLimits,
    outer: AbortSignal,
    resolve: (value: T) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#limits = limits;
    this.#outer = outer;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  over(work: Work<T>): void {
    this.#outer.addEventListener("abort", this, { once: true });
    this.#look();
    const alive = (): void => this.#alive();
    try {
      work(this.#inner.signal, alive).then(
        (value) => {
          this.#end();
          this.#resolve(value);
        },
        (error) => this.#fail(error),
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The outer signal fires. */
  handleEvent(): void {
    this.#giveUp(this.#outer.reason);
  }

  #alive(): void {
    this.#lastMs = performance.now();
    if (this.#opened || this.#isOver) return;
    this.#opened = true;
    clearTimeout(this.#timer);
    this.#look();
  }

  #look(): void {
    const { timeoutMs, openMs, idleMs } = this.#limits;
    const allowedMs = this.#opened ? idleMs : openMs;
    const nowMs = performance.now();
    const leftMs = this.#startMs + timeoutMs - nowMs;
    const quietMs = allowedMs === null ? Number.POSITIVE_INFINITY : this.#lastMs + allowedMs - nowMs;
    if (leftMs <= 0) this.#giveUp(new AttemptTimeout("attempt", timeoutMs));
    else if (quietMs <= 0) this.#giveUp(new AttemptTimeout("idle", allowedMs ?? 0));
    else this.#timer = setTimeout(() => this.#look(), Math.max(1, Math.min(leftMs, quietMs)));
  }

  #giveUp(reason: unknown): void {
    this.#inner.abort(reason);
    this.#fail(reason);
  }

  #fail(reason: unknown): void {
    this.#end();
    this.#reject(reason);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#outer.removeEventListener("abort", this);
  }
}
