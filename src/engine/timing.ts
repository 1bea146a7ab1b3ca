// Time inside one process: the database's clock as this process estimates it, turns of the event loop, and pauses.

/** A difference from what was known that no delay of an answer explains: one of the clocks was set. */
const JUMP_MS = 1_000;

/** Milliseconds since 1970 on the database's clock, carried forward by the monotonic clock: immune to jumps of this machine's. */
export class DatabaseClock {
  #offsetMs = Date.now() - performance.now();
  #observed = false;

  /**
   * A time that the database has just told. Its answer took some time to come, so that the quickest answer is the best: of all that
   * were seen the one with the largest difference counts, and time does not wobble with the network.
   */
  observe(now: Date): void {
    const offsetMs = now.getTime() - performance.now();
    const jumped = Math.abs(offsetMs - this.#offsetMs) > JUMP_MS;
    if (!this.#observed || jumped || offsetMs > this.#offsetMs) this.#offsetMs = offsetMs;
    this.#observed = true;
  }

  now(): number {
    return Math.floor(performance.now() + this.#offsetMs);
  }
}

const SETTLED = Promise.resolve();

/** Calls back after every promise that can settle by itself has settled, and what follows from it: much cheaper than a turn. */
export function whenCodeStandsStill(call: () => void): void {
  // By way of a microtask: a tick that is asked for inside a tick runs before what follows from the promises settled there.
  void SETTLED.then(() => process.nextTick(call));
}

/** After everything that is ready now has run. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** setTimeout holds at most 2^31 - 1 ms; a longer one is set again when it fires early. */
const TIMEOUT_MAX_MS = 2_147_483_647;

/**
 * Calls back when the database's clock has reached `dueMs`, and this process's monotonic clock `notBeforeMs`: the first is an estimate
 * that may become better while the alarm is set, and a pause is never cut short by that.
 */
export class Alarm {
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: DatabaseClock, dueMs: number, notBeforeMs: number, ring: () => void) {
    const arm = (): void => {
      const leftMs = Math.max(dueMs - clock.now(), notBeforeMs - performance.now());
      if (leftMs <= 0) ring();
      else this.#timer = setTimeout(arm, Math.min(leftMs + 1, TIMEOUT_MAX_MS));
    };
    this.#timer = setTimeout(arm, Math.max(0, Math.min(dueMs - clock.now() + 1, TIMEOUT_MAX_MS)));
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
