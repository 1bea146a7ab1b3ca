// A stream that is written to from many places and read in one: what a long-running command says as it goes.

export class Feed<Item> implements AsyncIterable<Item> {
  readonly #items: Item[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  push(item: Item): void {
    this.#items.push(item);
    this.#wake?.();
  }

  /** No more items: the reader ends after those that are there. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** The reader gets the items that are there, then this error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift() as Item;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Runs `work` with a feed, and gives what it pushes; ends or fails with it. */
export function feedOf<Item>(work: (feed: Feed<Item>) => Promise<void>): AsyncIterable<Item> {
  const feed = new Feed<Item>();
  void work(feed).then(
    () => feed.end(),
    (error: unknown) => feed.fail(error),
  );
  return feed;
}
