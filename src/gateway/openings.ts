// Calls outside of runs that are opened at the same time go in one commit, those of one budget together: they all draw on its row, and
// one after the other each would wait for the disk behind all those before it.
import { Batcher } from "../store/batch.ts";
import { type Drawn, type NewCall, openCalls } from "../store/calls.ts";
import type { Queryable } from "../store/database.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";

/** Calls of one statement; more make the next. */
const CALLS_MAX = 100;
/** Statements of one budget at a time: a second would wait for its row. Those without a budget wait for nobody. */
const UNDER_WAY_MAX = 1;
const UNDER_WAY_FREE_MAX = 3;

interface Line {
  readonly batcher: Batcher<NewCall, Drawn>;
  /** Calls that have not been answered. */
  open: number;
}

export class Openings {
  readonly #db: Queryable;
  readonly #lines = new Map<string | null, Line>();

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** As `openCalls` does it. One that finds nothing under way goes at once; one that the database will not take fails alone. */
  async open(call: NewCall, budgetId: string | null): Promise<Drawn> {
    const line = this.#lines.get(budgetId) ?? { batcher: this.#batcherOf(budgetId), open: 0 };
    this.#lines.set(budgetId, line);
    line.open += 1;
    try {
      return await line.batcher.add(call);
    } finally {
      line.open -= 1;
      if (line.open === 0) this.#lines.delete(budgetId);
    }
  }

  #batcherOf(budgetId: string | null): Batcher<NewCall, Drawn> {
    return new Batcher({
      send: (calls) => openCalls(this.#db, calls, budgetId),
      itemsMax: CALLS_MAX,
      inFlightMax: budgetId === null ? UNDER_WAY_FREE_MAX : UNDER_WAY_MAX,
      isShared: (error) => isConnectionLost(error) || isRetryable(error),
    });
  }
}
