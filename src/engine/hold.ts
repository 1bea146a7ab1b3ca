// The part of a run's hold that is in its worker's memory: what is free, what is reserved, and what was let through without cover.
import { addSpend, NO_SPEND, type Spend } from "../domain/usage.ts";

export class Hold {
  #free: Spend = NO_SPEND;
  /** Reserved out of what is free, and not yet opened as calls or recorded as steps. */
  readonly #covered: Spend[] = [];
  /** Let through: whoever opens it takes it from the budgets. */
  readonly #owed: Spend[] = [];

  get free(): Spend {
    return this.#free;
  }

  /** What must not be given back although no row says that it is under way. */
  get keep(): Spend {
    return this.#covered.reduce(addSpend, NO_SPEND);
  }

  /** Reserves it, if there is room. */
  cover(need: Spend): boolean {
    if (!isNone(shortOf(need, this.#free))) return false;
    this.#free = lessSpend(this.#free, need);
    this.#covered.push(need);
    return true;
  }

  /** Reserves it out of nothing. */
  owe(need: Spend): void {
    this.#owed.push(need);
  }

  /** Whether what is about to be opened has no cover. */
  isOwed(need: Spend): boolean {
    return !this.#covered.some((one) => isSame(one, need));
  }

  /** What was just taken for this is reserved. */
  reserved(need: Spend): void {
    this.#covered.push(need);
  }

  /** What has to be taken before this can go. */
  lackFor(need: Spend): Spend {
    return shortOf(need, this.#free);
  }

  /** It is written down now: under way as a call, or recorded as a step. */
  opened(need: Spend): void {
    if (!remove(this.#covered, need)) remove(this.#owed, need);
  }

  /** What was taken for this, and perhaps some more. */
  granted(granted: Spend, need: Spend): void {
    this.#free = notNegative(lessSpend(addSpend(this.#free, granted), need));
  }

  /** What the database says is left, where memory did not know. */
  found(room: Spend): void {
    this.#free = notNegative(lessSpend(room, this.keep));
  }

  /** What was reserved has been used as far as this; the rest is free again. */
  settle(reserved: Spend, actual: Spend): void {
    // Nothing was taken for it.
    if (this.isOwed(reserved) && remove(this.#owed, reserved)) return;
    remove(this.#covered, reserved);
    this.#free = notNegative(addSpend(this.#free, lessSpend(reserved, actual)));
  }

  /** Everything that is free was given back. */
  emptied(): void {
    this.#free = NO_SPEND;
  }

  /** The run was let go, or was found in other hands before: nothing of it is known. */
  forget(): void {
    this.#free = NO_SPEND;
    this.#covered.length = 0;
    this.#owed.length = 0;
  }
}

export function isNone(spend: Spend): boolean {
  return isSame(spend, NO_SPEND);
}

export function timesSpend(spend: Spend, factor: number): Spend {
  return {
    inputTokens: spend.inputTokens * factor,
    outputTokens: spend.outputTokens * factor,
    nanoUsd: spend.nanoUsd * BigInt(factor),
    steps: spend.steps * factor,
  };
}

function lessSpend(a: Spend, b: Spend): Spend {
  return {
    inputTokens: a.inputTokens - b.inputTokens,
    outputTokens: a.outputTokens - b.outputTokens,
    nanoUsd: a.nanoUsd - b.nanoUsd,
    steps: a.steps - b.steps,
  };
}

function shortOf(need: Spend, have: Spend): Spend {
  return notNegative(lessSpend(need, have));
}

function notNegative({ inputTokens, outputTokens, nanoUsd, steps }: Spend): Spend {
  return {
    inputTokens: Math.max(0, inputTokens),
    outputTokens: Math.max(0, outputTokens),
    nanoUsd: nanoUsd < 0n ? 0n : nanoUsd,
    steps: Math.max(0, steps),
  };
}

function isSame(a: Spend, b: Spend): boolean {
  return (
    a.inputTokens === b.inputTokens &&
    a.outputTokens === b.outputTokens &&
    a.nanoUsd === b.nanoUsd &&
    a.steps === b.steps
  );
}

function remove(from: Spend[], spend: Spend): boolean {
  const at = from.findIndex((one) => isSame(one, spend));
  if (at >= 0) from.splice(at, 1);
  return at >= 0;
}
