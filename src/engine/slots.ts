// How many more runs a worker may start: in all, and of a queue that must not fill it.

export class Slots {
  readonly #all: number;
  readonly #limits: ReadonlyMap<string, number>;
  readonly #queues = new Map<string, string>();
  readonly #taken = new Map<string, number>();

  constructor(all: number, limits: ReadonlyMap<string, number>) {
    this.#all = all;
    this.#limits = limits;
  }

  free(queue: string): number {
    const limit = this.#limits.get(queue) ?? this.#all;
    return Math.min(this.#all - this.#queues.size, limit - (this.#taken.get(queue) ?? 0));
  }

  /** Taking twice is taking once. */
  take(runId: string, queue: string): void {
    this.give(runId);
    this.#queues.set(runId, queue);
    this.#taken.set(queue, (this.#taken.get(queue) ?? 0) + 1);
  }

  give(runId: string): void {
    const queue = this.#queues.get(runId);
    if (queue === undefined) return;
    this.#queues.delete(runId);
    this.#taken.set(queue, (this.#taken.get(queue) ?? 0) - 1);
  }
}
