// Group commit: what is ready at one moment goes out as one statement, and a bad item fails alone.

export interface BatchOptions<Item, Result> {
  /** Sends a batch; answers one result per item, in order. */
  readonly send: (items: readonly Item[]) => Promise<Result[]>;
  /** Statements under way at the same time. Items that come meanwhile make the next batch. */
  readonly inFlightMax: number;
  readonly itemsMax: number;
  /** Size of an item in bytes, and how many bytes one statement may have. */
  readonly bytesOf?: (item: Item) => number;
  readonly bytesMax?: number;
  /** True for an error that no item is to blame for: all of the batch fail with it. */
  readonly isShared?: (error: unknown) => boolean;
}

interface Slot<Item, Result> {
  readonly item: Item;
  readonly bytes: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Never waits to fill a batch: an item that finds the line free goes at the end of the current turn of the event loop. Under
 * load the batches grow by themselves, because items gather while earlier statements are under way.
 */
export class Batcher<Item, Result> {
  readonly #options: BatchOptions<Item, Result>;
  #queue: Slot<Item, Result>[] = [];
  #waitingBytes = 0;
  #inFlight = 0;
  #scheduled = false;

  constructor(options: BatchOptions<Item, Result>) {
    this.#options = options;
  }

  /** Items that have not been sent, and their bytes. */
  get waiting(): { readonly items: number; readonly bytes: number } {
    return { items: this.#queue.length, bytes: this.#waitingBytes };
  }

  add(item: Item): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const bytes = this.#options.bytesOf?.(item) ?? 0;
      this.#queue.push({ item, bytes, resolve, reject });
      this.#waitingBytes += bytes;
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#options.inFlightMax || this.#queue.length === 0) return;
    this.#scheduled = true;
    // After the current turn, so that everything which became ready together goes together.
    setImmediate(() => {
      this.#scheduled = false;
      const slots = this.#take();
      this.#inFlight += 1;
      void this.#flush(slots).finally(() => {
        this.#inFlight -= 1;
        this.#schedule();
      });
      this.#schedule();
    });
  }

  #take(): Slot<Item, Result>[] {
    const { itemsMax, bytesMax = Number.POSITIVE_INFINITY } = this.#options;
    let count = 0;
    let bytes = 0;
    for (const slot of this.#queue) {
      if (count > 0 && (count >= itemsMax || bytes + slot.bytes > bytesMax)) break;
      bytes += slot.bytes;
      count += 1;
    }
    this.#waitingBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  async #flush(slots: Slot<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#options.send(slots.map((slot) => slot.item));
      for (const [i, slot] of slots.entries()) slot.resolve(results[i] as Result);
    } catch (error) {
      if (slots.length === 1 || this.#options.isShared?.(error) === true) {
        for (const slot of slots) slot.reject(error);
        return;
      }
      // Bisect: the bad item fails alone, its neighbours go through.
      const half = slots.length >> 1;
      await this.#flush(slots.slice(0, half));
      await this.#flush(slots.slice(half));
    }
  }
}
