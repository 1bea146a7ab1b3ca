// Frames of a model's stream on their way to one client: the model speaks when it likes, the client reads when it can.

export class FrameQueue implements AsyncIterable<string> {
  readonly #bytesMax: number;
  #frames: string[] = [];
  #length = 0;
  #isEnded = false;
  #opened: () => void = () => undefined;
  #arrived: (() => void) | null = null;
  #drained: (() => void) | null = null;
  /** Resolves when there is something to read, or nothing more to come. */
  readonly opened = new Promise<void>((resolve) => {
    this.#opened = resolve;
  });

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  /** A promise when the client has fallen behind: wait for it. */
  push(frames: string): Promise<void> | undefined {
    if (this.#isEnded) return undefined;
    this.#frames.push(frames);
    this.#length += frames.length;
    this.#opened();
    this.#arrived?.();
    if (this.#length <= this.#bytesMax) return undefined;
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  /** Nothing more comes, and nobody waits any longer. */
  end(): void {
    this.#isEnded = true;
    this.#opened();
    this.#arrived?.();
    this.#drained?.();
  }

  /** Everything that is there at once. */
  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      if (this.#frames.length > 0) {
        const text = this.#frames.join("");
        this.#frames = [];
        this.#length = 0;
        this.#drained?.();
        yield text;
      } else if (this.#isEnded) return;
      else
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
    }
  }
}
