// What is worth doing now and then, by whoever gets to it: every worker does it, none of it matters if it is late.
import { forgetAnswers, forgetRecentRuns } from "../store/answers.ts";
import { forgetBatches } from "../store/batches.ts";
import { abandonCalls } from "../store/calls.ts";
import type { Database } from "../store/database.ts";
import { forgetIdle, reconcile } from "../store/plans.ts";
import { forgetQuotas } from "../store/quotas.ts";
import { sweepTokens } from "../store/tokens.ts";
import { forgetMinutes } from "../store/traffic.ts";

export interface Chore {
  readonly everyMs: number;
  readonly run: () => Promise<unknown>;
}

const MINUTE_MS = 60_000;
/** A concurrency key that nobody has used for so long costs a row no more. */
const IDLE_MS = 10 * MINUTE_MS;
const IDLE_BATCH = 1_000;
/** A model call from outside of runs that nobody has closed for so long never will be: its process died. */
const CALL_MS_MAX = 60 * MINUTE_MS;
/** Shared answers and runs that are dropped at once. */
const FORGET_BATCH = 1_000;
/** How old the counts of a worker may be before others see them. */
const TRAFFIC_MS = 10_000;
/** What a dead worker has streamed and nobody has replaced since. */
const DEAD_TOKENS_MS = 10 * MINUTE_MS;

export function chores(
  db: Database,
  log: (level: "warn", message: string, fields: Record<string, unknown>) => void,
  flushTraffic: () => Promise<void>,
): Chore[] {
  let forgotten: Date | null = null;
  return [
    { everyMs: TRAFFIC_MS, run: flushTraffic },
    { everyMs: 60 * MINUTE_MS, run: () => forgetMinutes(db) },
    { everyMs: DEAD_TOKENS_MS, run: () => sweepTokens(db, DEAD_TOKENS_MS) },
    { everyMs: IDLE_MS, run: () => forgetIdle(db, IDLE_MS, IDLE_BATCH) },
    { everyMs: IDLE_MS, run: () => abandonCalls(db, CALL_MS_MAX, IDLE_BATCH) },
    { everyMs: IDLE_MS, run: () => forgetQuotas(db) },
    { everyMs: MINUTE_MS, run: () => untilFew(() => forgetAnswers(db, FORGET_BATCH)) },
    { everyMs: MINUTE_MS, run: () => untilFew(() => forgetRecentRuns(db, FORGET_BATCH)) },
    {
      everyMs: MINUTE_MS,
      async run() {
        do forgotten = await forgetBatches(db, forgotten, FORGET_BATCH);
        while (forgotten !== null);
      },
    },
    {
      everyMs: MINUTE_MS,
      async run() {
        const wrong = await reconcile(db);
        if (wrong > 0) log("warn", "counters of slots in use were wrong and are mended", { wrong });
      },
    },
  ];
}

/** Goes on while a whole batch was dropped. */
async function untilFew(forget: () => Promise<number>): Promise<void> {
  while ((await forget()) === FORGET_BATCH);
}

/** Does those chores whose time has come, one after the other. The first times are spread, so that workers started together take turns. */
export class Housekeeping {
  readonly #chores: readonly Chore[];
  readonly #dueMs: number[];

  constructor(list: readonly Chore[]) {
    this.#chores = list;
    const now = performance.now();
    this.#dueMs = list.map(({ everyMs }) => now + everyMs * (0.5 + Math.random()));
  }

  async round(): Promise<void> {
    for (const [place, { everyMs, run }] of this.#chores.entries()) {
      if (performance.now() < (this.#dueMs[place] as number)) continue;
      this.#dueMs[place] = performance.now() + everyMs;
      await run();
    }
  }
}
