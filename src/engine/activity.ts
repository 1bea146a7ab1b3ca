// What of a run is under way at this moment: while there is something, the run cannot be let go.
import { pause } from "./timing.ts";

export class Activity {
  #busy = 0;
  readonly #labels = new Set<string>();
  readonly #onLess: () => void;

  constructor(onLess: () => void) {
    this.#onLess = onLess;
  }

  get busy(): boolean {
    return this.#busy > 0;
  }

  /** One of the things that the code itself asked for. */
  get label(): string | undefined {
    return this.#labels.values().next().value;
  }

  async during<T>(work: () => Promise<T>, label?: string): Promise<T> {
    this.#busy += 1;
    if (label !== undefined) this.#labels.add(label);
    try {
      return await work();
    } finally {
      this.#busy -= 1;
      if (label !== undefined) this.#labels.delete(label);
      this.#onLess();
    }
  }

  /** Resolves when nothing is under way, or after the limit. */
  async over(limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (this.#busy > 0 && performance.now() < deadline) await pause(5);
  }
}
