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

  /** What is under way until it has settled. Not an async function: hundreds of steps wait at this place, and each frame costs them memory. */
  during<T>(work: () => Promise<T>, label?: string): Promise<T> {
    this.#busy += 1;
    if (label !== undefined) this.#labels.add(label);
    const over = (): void => {
      this.#busy -= 1;
      if (label !== undefined) this.#labels.delete(label);
      this.#onLess();
    };
    try {
      return work().then(
        (value) => {
          over();
          return value;
        },
        (error) => {
          over();
          throw error;
        },
      );
    } catch (error) {
      over();
      return Promise.reject(error);
    }
  }

  /** Resolves when nothing is under way, or after the limit. */
  async over(limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (this.#busy > 0 && performance.now() < deadline) await pause(5);
  }
}
