// What a simulation measures: waits, work done, how full everything was. Nothing counts before the warm-up is over.
import { Histogram, type WaitFigures } from "./histogram.ts";
import { MINUTE_MS, type ProviderLimits } from "./provider.ts";

export interface Simulated {
  /** Over the whole time: arrived = finished + queued + running + waiting. */
  readonly arrived: number;
  readonly finished: number;
  readonly queued: number;
  readonly running: number;
  readonly waiting: number;
  /** What was measured: the simulated time without the warm-up. */
  readonly measuredMs: number;
  /** From claimable to claimed, each time a run becomes claimable. */
  readonly wait: WaitFigures;
  /** From wanting to call the provider to being let through. */
  readonly callWait: WaitFigures;
  readonly finishedPerSecond: number;
  readonly callsPerSecond: number;
  /** Journal entries and moves of runs. */
  readonly stepsPerSecond: number;
  /** Parts of what there is, 0 to 1, over the measured time; null: no limit was given. */
  readonly utilisation: {
    readonly slots: number;
    readonly requests: number | null;
    readonly tokens: number | null;
    readonly database: number | null;
  };
  readonly queueDepthMax: number;
  /** Runs that hold a slot. */
  readonly runningMax: number;
  readonly workersMax: number;
  readonly workerHours: number;
}

export interface Capacity {
  readonly limits: ProviderLimits;
  readonly tokensPerCall: number;
  readonly databaseStepsPerSecond: number | null;
}

/** How many runs are where, when it ended. */
export type Places = Pick<Simulated, "arrived" | "finished" | "queued" | "running" | "waiting">;

export class Meter {
  readonly #fromMs: number;
  readonly #waits = new Histogram();
  readonly #callWaits = new Histogram();
  #nowMs = 0;
  #runningMs = 0;
  #slotsMs = 0;
  #workersMs = 0;
  #finished = 0;
  #calls = 0;
  #steps = 0;
  #depthMax = 0;
  #runningMax = 0;
  #workersMax = 0;

  constructor(fromMs: number) {
    this.#fromMs = fromMs;
  }

  /** Time passes with so much in it. */
  pass(toMs: number, running: number, slots: number, workers: number): void {
    const ms = toMs - Math.max(this.#nowMs, this.#fromMs);
    this.#nowMs = toMs;
    if (ms < 0) return;
    this.#runningMs += ms * running;
    this.#slotsMs += ms * slots;
    this.#workersMs += ms * workers;
    if (running > this.#runningMax) this.#runningMax = running;
    if (workers > this.#workersMax) this.#workersMax = workers;
  }

  depth(queued: number): void {
    if (queued > this.#depthMax && this.#counts()) this.#depthMax = queued;
  }

  claimed(readyMs: number, nowMs: number): void {
    if (readyMs >= this.#fromMs) this.#waits.add(nowMs - readyMs);
  }

  called(count: number, waitedMs: number): void {
    if (!this.#counts()) return;
    this.#calls += count;
    this.#callWaits.add(waitedMs);
  }

  wrote(steps: number): void {
    if (this.#counts()) this.#steps += steps;
  }

  finished(): void {
    if (this.#counts()) this.#finished += 1;
  }

  result(places: Places, { limits, tokensPerCall, databaseStepsPerSecond }: Capacity): Simulated {
    const measuredMs = Math.max(0, this.#nowMs - this.#fromMs);
    const perSecond = (count: number): number => (measuredMs === 0 ? 0 : (count * 1_000) / measuredMs);
    const stepsPerSecond = perSecond(this.#steps);
    const part = (perMinute: number | null, units: number): number | null =>
      perMinute === null ? null : (perSecond(this.#calls * units) * MINUTE_MS) / 1_000 / perMinute;
    return {
      ...places,
      measuredMs,
      wait: this.#waits.figures,
      callWait: this.#callWaits.figures,
      finishedPerSecond: perSecond(this.#finished),
      callsPerSecond: perSecond(this.#calls),
      stepsPerSecond,
      utilisation: {
        slots: this.#slotsMs === 0 ? 0 : this.#runningMs / this.#slotsMs,
        requests: part(limits.requestsPerMinute, 1),
        tokens: part(limits.tokensPerMinute, tokensPerCall),
        database: databaseStepsPerSecond === null ? null : stepsPerSecond / databaseStepsPerSecond,
      },
      queueDepthMax: this.#depthMax,
      runningMax: this.#runningMax,
      workersMax: this.#workersMax,
      workerHours: this.#workersMs / 3_600_000,
    };
  }

  #counts(): boolean {
    return this.#nowMs >= this.#fromMs;
  }
}
