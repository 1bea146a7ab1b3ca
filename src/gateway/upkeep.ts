// What the gateway's tables need now and then, with or without workers: one process of the installation does it for all.
import { forgetAnswers, forgetRecentRuns } from "../store/answers.ts";
import { forgetBatches } from "../store/batches.ts";
import { abandonCalls } from "../store/calls.ts";
import { type ChoreName, takeChores } from "../store/chores.ts";
import type { Database } from "../store/database.ts";
import { forgetQuotas } from "../store/quotas.ts";

export interface UpkeepOptions {
  readonly db: Database;
  /** How often this process looks whether something is due. Default 1 min. */
  readonly lookEveryMs?: number;
  readonly log?: (level: "warn", message: string, fields?: Record<string, unknown>) => void;
}

const MINUTE_MS = 60_000;
/** A model call from outside of runs that nobody has closed for so long never will be: its process died. */
const CALL_MS_MAX = 60 * MINUTE_MS;
/** Rows that are dropped at once. */
const BATCH = 1_000;

const CHORES: readonly {
  readonly name: ChoreName;
  readonly everyMs: number;
  readonly run: (db: Database) => Promise<unknown>;
}[] = [
  { name: "quotas", everyMs: 10 * MINUTE_MS, run: forgetQuotas },
  { name: "calls", everyMs: 10 * MINUTE_MS, run: (db) => untilFew(() => abandonCalls(db, CALL_MS_MAX, BATCH)) },
  {
    name: "answers",
    everyMs: MINUTE_MS,
    run: async (db) => {
      await untilFew(() => forgetAnswers(db, BATCH));
      await untilFew(() => forgetRecentRuns(db, BATCH));
    },
  },
  { name: "batches", everyMs: MINUTE_MS, run: forgetAllBatches },
];

async function forgetAllBatches(db: Database): Promise<void> {
  let forgotten: Date | null = null;
  do forgotten = await forgetBatches(db, forgotten, BATCH);
  while (forgotten !== null);
}

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #timer: NodeJS.Timeout;
  #round: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    // Processes that start together look at different times.
    const everyMs = (options.lookEveryMs ?? MINUTE_MS) * (0.75 + 0.5 * Math.random());
    this.#timer = setInterval(() => void this.look(), everyMs).unref();
  }

  /** Does what is due, if nobody else does. Never rejects: what was not done is due again after its time. */
  look(): Promise<void> {
    this.#round ??= this.#look().finally(() => {
      this.#round = null;
    });
    return this.#round;
  }

  /** A round that is under way ends with what it is doing. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#round;
  }

  async #look(): Promise<void> {
    const { db, log } = this.#options;
    try {
      const taken = await takeChores(db, CHORES);
      for (const { name, run } of CHORES) if (taken.includes(name) && !this.#isClosed) await run(db);
    } catch (error) {
      log?.("warn", "old rows of the gateway could not be cleared away", { error });
    }
  }
}

/** Goes on while a whole batch was dropped. */
async function untilFew(forget: () => Promise<number>): Promise<void> {
  while ((await forget()) === BATCH);
}
