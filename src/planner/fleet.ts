// The workers: a fixed number, or one that follows the load between two bounds, with the time that a new one needs to start.
import { requireNumber } from "./checks.ts";

export interface FleetSpec {
  /** Workers that are there from the start and stay. */
  readonly workers: number;
  /** More are started, up to this many, while runs wait for slots. Default: no more. */
  readonly workersMax?: number;
  /** Runs that one worker executes at once. */
  readonly slots: number;
  /** From the decision to start one more until it claims. Default 60,000. */
  readonly startupMs?: number;
  /** Time of a slot that each claim costs beside the run itself: the claim, the replay, the end. Default 5. */
  readonly handoverMs?: number;
}

/** How often the fleet looks whether it has the right size. */
export const LOOK_EVERY_MS = 10_000;
/** It shrinks when it has been too large for this long, so that it does not swing. */
const SHRINK_AFTER_MS = 300_000;
const STARTUP_MS = 60_000;

export class Fleet {
  readonly startupMs: number;
  readonly handoverMs: number;
  readonly #slotsPerWorker: number;
  readonly #min: number;
  readonly #max: number;
  #ready: number;
  #starting = 0;
  #tooLargeSinceMs = Number.POSITIVE_INFINITY;

  /** @throws CAPACITY_INVALID */
  constructor({ workers, workersMax = workers, slots, startupMs = STARTUP_MS, handoverMs = 5 }: FleetSpec) {
    this.#min = requireNumber("Workers", workers, { min: 0, whole: true });
    this.#max = requireNumber("Most workers", workersMax, { min: Math.max(workers, 1), whole: true });
    this.#slotsPerWorker = requireNumber("Slots", slots, { min: 1, whole: true });
    this.startupMs = requireNumber("Start-up time", startupMs, { min: 0 });
    this.handoverMs = requireNumber("Hand-over time", handoverMs, { min: 0 });
    this.#ready = workers;
  }

  get follows(): boolean {
    return this.#max > this.#min;
  }

  get workers(): number {
    return this.#ready;
  }

  get slots(): number {
    return this.#ready * this.#slotsPerWorker;
  }

  /** Compares the fleet with what there is to do, and gives how many workers begin to start now. */
  look(nowMs: number, running: number, queued: number): number {
    const wanted = Math.min(this.#max, Math.max(this.#min, Math.ceil((running + queued) / this.#slotsPerWorker)));
    const missing = Math.max(0, wanted - this.#ready - this.#starting);
    this.#starting += missing;
    if (wanted >= this.#ready) this.#tooLargeSinceMs = Number.POSITIVE_INFINITY;
    else this.#tooLargeSinceMs = Math.min(this.#tooLargeSinceMs, nowMs);
    // Its runs are handed to the others, which have room for them.
    if (nowMs - this.#tooLargeSinceMs >= SHRINK_AFTER_MS) this.#ready = wanted;
    return missing;
  }

  started(): void {
    this.#starting -= 1;
    this.#ready += 1;
  }
}
