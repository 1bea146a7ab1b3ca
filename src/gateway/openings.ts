// Calls outside of runs that are opened at the same time go in one commit, those of one budget together: they all draw on its row, and
// one after the other each would wait for the disk behind all those before it.
import { type Drawn, type NewCall, openCalls } from "../store/calls.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";

/** Calls of one statement; more make the next. */
const CALLS_MAX = 100;
/** Statements of one budget at a time: a second would wait for its row. Those without a budget wait for nobody. */
const UNDER_WAY_MAX = 1;
const UNDER_WAY_FREE_MAX = 3;

interface Waiting {
  readonly call: NewCall;
  readonly resolve: (drawn: Drawn) => void;
  readonly reject: (error: unknown) => void;
}

interface Line {
  readonly budgetId: string | null;
  waiting: Waiting[];
  underWay: number;
}

export class Openings {
  readonly #db: Database;
  readonly #lines = new Map<string | null, Line>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** As `openCalls` does it. One that finds nothing under way goes at once. */
  open(call: NewCall, budgetId: string | null): Promise<Drawn> {
    const line = this.#lines.get(budgetId) ?? { budgetId, waiting: [], underWay: 0 };
    this.#lines.set(budgetId, line);
    return new Promise((resolve, reject) => {
      line.waiting.push({ call, resolve, reject });
      this.#send(line);
    });
  }

  #send(line: Line): void {
    if (line.waiting.length === 0) {
      if (line.underWay === 0) this.#lines.delete(line.budgetId);
      return;
    }
    if (line.underWay >= (line.budgetId === null ? UNDER_WAY_FREE_MAX : UNDER_WAY_MAX)) return;
    line.underWay += 1;
    void this.#together(line.waiting.splice(0, CALLS_MAX), line.budgetId).finally(() => {
      line.underWay -= 1;
      this.#send(line);
    });
  }

  /** Never rejects. A call that the database will not take fails alone. */
  async #together(calls: readonly Waiting[], budgetId: string | null): Promise<void> {
    try {
      const drawn = await openCalls(
        this.#db,
        calls.map(({ call }) => call),
        budgetId,
      );
      for (const [place, { resolve }] of calls.entries()) resolve(drawn[place] ?? { verdict: "lost" });
    } catch (error) {
      if (calls.length === 1 || isConnectionLost(error) || isRetryable(error))
        for (const { reject } of calls) reject(error);
      else await Promise.all(calls.map((one) => this.#together([one], budgetId)));
    }
  }
}
