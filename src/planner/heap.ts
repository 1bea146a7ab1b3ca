// A binary heap: whatever order things come in, the one with the least key comes out first.

export class Heap<Item> {
  #keys = new Float64Array(16);
  #size = 0;
  readonly #items: Item[] = [];

  get size(): number {
    return this.#size;
  }

  /** Infinity when it is empty. */
  get leastKey(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#keys[0] as number);
  }

  get least(): Item | undefined {
    return this.#items[0];
  }

  push(key: number, item: Item): void {
    if (this.#size === this.#keys.length) this.#grow();
    const keys = this.#keys;
    const items = this.#items;
    let place = this.#size;
    this.#size += 1;
    items.push(item);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const parentKey = keys[parent] as number;
      if (parentKey <= key) break;
      keys[place] = parentKey;
      items[place] = items[parent] as Item;
      place = parent;
    }
    keys[place] = key;
    items[place] = item;
  }

  pop(): Item | undefined {
    const first = this.#items[0];
    const item = this.#items.pop();
    if (item === undefined) return undefined;
    this.#size -= 1;
    if (this.#size > 0) this.#sink(this.#keys[this.#size] as number, item);
    return first;
  }

  #grow(): void {
    const keys = new Float64Array(2 * this.#keys.length);
    keys.set(this.#keys);
    this.#keys = keys;
  }

  /** Puts an entry in the first place and lets it sink to where it belongs. */
  #sink(key: number, item: Item): void {
    const keys = this.#keys;
    const items = this.#items;
    const size = this.#size;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= size) break;
      if (child + 1 < size && (keys[child + 1] as number) < (keys[child] as number)) child += 1;
      const childKey = keys[child] as number;
      if (childKey >= key) break;
      keys[place] = childKey;
      items[place] = items[child] as Item;
      place = child;
    }
    keys[place] = key;
    items[place] = item;
  }
}
