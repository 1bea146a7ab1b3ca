// What must be undone at the end, in the reverse order of its making, however the middle ended.

export class Teardown {
  readonly #steps: (() => Promise<unknown> | unknown)[] = [];

  defer(step: () => Promise<unknown> | unknown): void {
    this.#steps.push(step);
  }

  /** Undoes everything, also when one step fails. @throws what the first step to fail threw */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
