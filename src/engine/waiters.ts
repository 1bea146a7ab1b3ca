// Who waits for entries of one run to be committed, and is told in the order of the entries.
import { nextTurn } from "./timing.ts";

interface Waiter {
  readonly seq: number;
  readonly tell: () => void;
}

export class Waiters {
  readonly #onTell: () => void;
  #waiting: Waiter[] = [];
  #due: Waiter[] = [];
  #telling = false;

  /** @param onTell Called before each is told. */
  constructor(onTell: () => void) {
    this.#onTell = onTell;
  }

  /** Resolves when everything up to this entry is committed. */
  until(seq: number): Promise<void> {
    return new Promise((tell) => this.#waiting.push({ seq, tell }));
  }

  committed(upTo: number): void {
    this.#due.push(...this.#waiting.filter(({ seq }) => seq <= upTo));
    this.#waiting = this.#waiting.filter(({ seq }) => seq > upTo);
    if (!this.#telling) void this.#tellAll();
  }

  /** Nobody hears anything any more. */
  clear(): void {
    this.#waiting = [];
    this.#due = [];
  }

  /** One per turn: what follows from one entry happens before the next is heard of, as in a replay. */
  async #tellAll(): Promise<void> {
    this.#telling = true;
    this.#due.sort((a, b) => a.seq - b.seq);
    for (let waiter = this.#due.shift(); waiter !== undefined; waiter = this.#due.shift()) {
      this.#onTell();
      waiter.tell();
      if (this.#due.length > 0) await nextTurn();
    }
    this.#telling = false;
  }
}
