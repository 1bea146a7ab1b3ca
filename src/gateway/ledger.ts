// Pays for calls that no run makes: each is written down before it goes out, and drawn from an open budget where there is one.
import { setTimeout as pause } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import type { CallFacts, CallOutcome } from "../domain/calls.ts";
import { fail } from "../domain/errors.ts";
import { exceeded } from "../domain/exceeded.ts";
import { NO_TOKENS, type Spend } from "../domain/usage.ts";
import { type Account, type Closing, closeCalls, type NewCall } from "../store/calls.ts";
import type { Queryable } from "../store/database.ts";
import { patient } from "../store/patience.ts";
import { Openings } from "./openings.ts";
import type { EarlyCall, Payer } from "./roles.ts";

/** Closings go together, this long after the first of them. */
const FLUSH_MS = 50;
/** How long a call waits for what other calls of its budget have set aside. */
const PATIENCE_MS = 10_000;
const ASK_AGAIN_MS = 100;

/** The books of one process for calls outside of runs. */
export class Ledger {
  readonly #db: Queryable;
  readonly #openings: Openings;
  #waiting: (Closing & Account)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(db: Queryable, patienceMs?: number) {
    this.#db = patient(db, patienceMs);
    this.#openings = new Openings(this.#db);
  }

  /**
   * `hasUsdLimit`: dollars are limited, so that a call of unknown price must be refused. `reopen`: opens the budget again when it has been
   * dropped.
   */
  payer(budgetId: string | null, hasUsdLimit: boolean, reopen?: () => Promise<unknown>): Payer {
    return {
      limits: { usd: hasUsdLimit },
      // An open budget is drawn on when the call is opened: what it asks for is in that statement.
      reserve: async () => undefined,
      settle: (_reserved: Spend, _actual: Spend) => undefined,
      open: (facts) => this.#open(facts, budgetId, reopen),
      openEarly: (facts) => this.#open(facts, budgetId, reopen),
      note: (facts) => this.#note(facts),
    };
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#flush();
    await this.#flushing;
  }

  async #open(
    facts: CallFacts,
    budgetId: string | null,
    reopen: (() => Promise<unknown>) | undefined,
  ): Promise<EarlyCall> {
    const call: NewCall = { callId: uuidv7(), ...facts };
    const untilMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const drawn = await this.#openings.open(call, budgetId);
      if (drawn.verdict === "done") break;
      if (drawn.verdict === "lost") {
        if (reopen === undefined || (await reopen()) === null)
          throw fail("BUDGET_NOT_FOUND", { budget: budgetId ?? "" });
        continue;
      }
      if (drawn.refusal.final || performance.now() > untilMs) throw exceeded(drawn.refusal);
      await pause(ASK_AGAIN_MS);
    }
    const close = (state: Closing["state"], failure: string | null, outcome: CallOutcome): void =>
      this.#add({ callId: call.callId, state, failure, outcome, accountId: budgetId, epoch: null });
    return {
      callId: call.callId,
      succeeded: (outcome) => close("succeeded", null, outcome),
      failed: (failure, outcome) => close("failed", failure, outcome),
      withdrawn: () => close("withdrawn", null, NOTHING),
    };
  }

  #note({ usage, nanoUsd, confidence, source, latencyMs, firstChunkMs, ...facts }: CallFacts & CallOutcome): void {
    const callId = uuidv7();
    const outcome = { usage, nanoUsd, confidence, source, latencyMs, firstChunkMs };
    const fresh = { callId, ...facts };
    this.#add({ callId, state: "succeeded", failure: null, outcome, fresh, accountId: null, epoch: null });
  }

  #add(closing: Closing & Account): void {
    this.#waiting.push(closing);
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS);
  }

  /** A statement that fails is sent again with the next: what is never closed is charged at its estimate in the end. */
  #flush(): void {
    this.#timer = undefined;
    const closings = this.#waiting.splice(0);
    if (closings.length === 0) return;
    this.#flushing = this.#flushing.then(() =>
      closeCalls(this.#db, closings).then(
        () => undefined,
        () => this.#keep(closings),
      ),
    );
  }

  #keep(closings: readonly (Closing & Account)[]): void {
    if (this.#waiting.length + closings.length <= KEPT_MAX) this.#waiting.push(...closings);
  }
}

const NOTHING: CallOutcome = {
  usage: NO_TOKENS,
  nanoUsd: 0n,
  confidence: "exact",
  source: "provider",
  latencyMs: 0,
  firstChunkMs: null,
};

/** Closings that are kept while the database does not answer. */
const KEPT_MAX = 100_000;
