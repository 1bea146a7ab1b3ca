// The part of a run's hold that is in its worker's memory: what of it is free, and what has been reserved.
import { addSpend, NO_SPEND, type Spend } from "../domain/usage.ts";

/** `covered`: out of what is free. `owed`: let through; whoever opens it takes it from the budgets. `opened`: written down. */
type State = "covered" | "owed" | "opened";

interface Reservation {
  readonly need: Spend;
  state: State;
}

export class Hold {
  #free: Spend = NO_SPEND;
  #reservations: Reservation[] = [];

  get free(): Spend {
    return this.#free;
  }

  /** What must not be given back although no row says that it is under way. */
  get keep(): Spend {
    return this.#reservations
      .filter(({ state }) => state === "covered")
      .reduce((sum, { need }) => addSpend(sum, need), NO_SPEND);
  }

  /** Reserves it, if there is room. */
  cover(need: Spend): boolean {
    if (!isNone(this.lackFor(need))) return false;
    this.#free = lessSpend(this.#free, need);
    this.reserve(need, "covered");
    return true;
  }

  /** Reserves what has just been taken, or will be. */
  reserve(need: Spend, state: State): void {
    this.#reservations.push({ need, state });
  }

  /** Whether what is about to be opened has no cover. */
  isOwed(need: Spend): boolean {
    return this.#find(need, ["covered", "owed"])?.state !== "covered";
  }

  /** What has to be taken before this can go. */
  lackFor(need: Spend): Spend {
    return notNegative(lessSpend(need, this.#free));
  }

  /** It is written down now. */
  opened(need: Spend): void {
    const found = this.#find(need, ["covered", "owed"]);
    if (found === undefined) this.reserve(need, "opened");
    else found.state = "opened";
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
  settle(need: Spend, actual: Spend): void {
    const found = this.#find(need, ["opened", "covered", "owed"]);
    if (found === undefined) return;
    this.#reservations.splice(this.#reservations.indexOf(found), 1);
    // Nothing was taken for one that is still owed.
    if (found.state !== "owed") this.#free = notNegative(addSpend(this.#free, lessSpend(need, actual)));
  }

  /** Everything that is free was given back. */
  emptied(): void {
    this.#free = NO_SPEND;
  }

  /** The run was let go, or was in other hands before: nothing of it is known. */
  forget(): void {
    this.#free = NO_SPEND;
    this.#reservations = [];
  }

  /** The very one that was reserved, or else one of the same amount. */
  #find(need: Spend, states: readonly State[]): Reservation | undefined {
    const same = this.#reservations.find((one) => one.need === need && states.includes(one.state));
    if (same !== undefined) return same;
    const equal = this.#reservations.filter((one) => isSame(one.need, need));
    return states.flatMap((state) => equal.filter((one) => one.state === state))[0];
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
