// Where the code of a run waits while the run is let go: it opens when the run is back.

export class Gate {
  #open: (() => void) | null = null;
  #opened: Promise<void> | null = null;

  /** True when somebody waits. */
  get isWaitedAt(): boolean {
    return this.#opened !== null;
  }

  wait(): Promise<void> {
    this.#opened ??= new Promise((resolve) => {
      this.#open = resolve;
    });
    return this.#opened;
  }

  open(): void {
    this.#open?.();
    this.#open = null;
    this.#opened = null;
  }
}
