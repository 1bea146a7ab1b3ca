// The body of the one program that all systems run, and what is measured in it.
import type { Work } from "./system.ts";

export interface LoopTimes {
  /** From the moment when all runs began their steps together until the last one had ended its own. */
  readonly ms: number;
  /** Of every single step, as the program sees it. */
  readonly stepMs: number[];
}

interface Loop {
  runs: number;
  arrived: number;
  left: number;
  readonly stepMs: number[];
  begin: () => void;
  readonly begun: Promise<void>;
  end: (times: LoopTimes) => void;
  startedMs: number;
}

/** Moments of a recovery that somebody else counts statements at. */
export type Mark = "first line" | "past the recorded steps";

export class Stage {
  readonly #loops = new Map<string, Loop>();
  readonly #starts = new Map<string, (atMs: number) => void>();
  readonly #mark: (mark: Mark, fields?: Record<string, number>) => Promise<void>;
  /** True in the process that is to die once everything is recorded. */
  readonly #dying: boolean;

  constructor(dying: boolean, mark: (mark: Mark, fields?: Record<string, number>) => Promise<void>) {
    this.#dying = dying;
    this.#mark = mark;
  }

  /** Runs whose steps begin together, when the last of them has arrived. */
  loop(id: string, runs: number): Promise<LoopTimes> {
    return new Promise((end) => {
      let begin = (): void => undefined;
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      this.#loops.set(id, { runs, arrived: 0, left: runs, stepMs: [], begin, begun, end, startedMs: 0 });
    });
  }

  /** The moment at which the program with this id reaches its first line. */
  started(id: string): Promise<number> {
    return new Promise((resolve) => this.#starts.set(id, resolve));
  }

  /** The program. `step` runs one trivial durable step; its number counts from 0. */
  async perform(work: Work, step: (number: number) => Promise<unknown>): Promise<number> {
    if (work.kind === "start") this.#starts.get(work.id)?.(performance.now());
    else if (work.kind === "recover") await this.#recover(work.steps, step);
    else await this.#loop(work, step);
    return work.steps;
  }

  async #loop(work: Work, step: (number: number) => Promise<unknown>): Promise<void> {
    const loop = this.#loops.get(work.id);
    if (loop === undefined) throw new Error(`no loop ${work.id}`);
    loop.arrived += 1;
    if (loop.arrived === loop.runs) {
      loop.startedMs = performance.now();
      loop.begin();
    }
    await loop.begun;
    for (let number = 0; number < work.steps; number++) {
      const startedMs = performance.now();
      await step(number);
      loop.stepMs.push(performance.now() - startedMs);
    }
    loop.left -= 1;
    if (loop.left > 0) return;
    this.#loops.delete(work.id);
    loop.end({ ms: performance.now() - loop.startedMs, stepMs: loop.stepMs });
  }

  /** Records its steps and dies; in the next process everything is there already. */
  async #recover(steps: number, step: (number: number) => Promise<unknown>): Promise<void> {
    await this.#mark("first line");
    const startedMs = performance.now();
    for (let number = 0; number < steps; number++) await step(number);
    await this.#mark("past the recorded steps", { ms: performance.now() - startedMs });
    if (this.#dying) await new Promise(() => undefined);
  }
}
