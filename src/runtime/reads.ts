// Runs and their outcomes as one process reads them: those that are asked for at the same time are read in one statement.
import { Batcher } from "../store/batch.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import { type OutcomeRow, type RunAsk, type RunRow, readOutcomes, readRuns } from "../store/read.ts";

const TOGETHER = { itemsMax: 200, inFlightMax: 3, isShared: isConnectionLost };

export class Reads {
  readonly #runs: Batcher<RunAsk, RunRow | null>;
  readonly #outcomes: Batcher<RunAsk, OutcomeRow | null>;

  constructor(db: Database) {
    this.#runs = new Batcher({ ...TOGETHER, send: (asks) => readRuns(db, asks) });
    this.#outcomes = new Batcher({ ...TOGETHER, send: (asks) => readOutcomes(db, asks) });
  }

  /** A run of this tenant. */
  run(tenant: string, runId: string): Promise<RunRow | null> {
    return this.#runs.add({ tenant, runId });
  }

  /** How a run of this tenant ended; null when it has not, or there is none. */
  outcome(tenant: string, runId: string): Promise<OutcomeRow | null> {
    return this.#outcomes.add({ tenant, runId });
  }
}
