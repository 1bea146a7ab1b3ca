// The verb `transaction`: the user's SQL and the record of the step in one commit.
import { KIND } from "../domain/entry.ts";
import { fromFailure, toFailure } from "../domain/failure.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";
import type { Transaction } from "../store/database.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";
import { type Append, appendEntries, type NewEntry } from "../store/journal.ts";
import type { Execution } from "./execution.ts";
import { insideStep } from "./inside-step.ts";
import { askedBefore } from "./more-budget.ts";
import { metaOf } from "./replay.ts";
import { type Scope, unlessClosed } from "./scope.ts";
import { beginStep } from "./step.ts";
import { pause } from "./timing.ts";

export interface TransactionSql {
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** Runs `body` inside a transaction that ends with the fenced record of its result. */
export async function performTransaction(
  execution: Execution,
  scope: Scope,
  name: string,
  body: (sql: TransactionSql) => unknown,
): Promise<unknown> {
  const { key, done } = scope.open(name);
  try {
    const recorded = execution.replay.find(key);
    const asked = askedBefore(execution.replay, key);
    if (recorded !== undefined) {
      return await new Promise((resolve, reject) => {
        execution.replay.request(key, (entry) => {
          const meta = metaOf(entry);
          return execution.values.use(entry, meta, (value) => {
            if (scope.closed) return;
            if (meta["f"] === true) reject(fromFailure(value as ReturnType<typeof toFailure>));
            else resolve(value);
          });
        });
      });
    }
    const replaying = execution.replay.ready(key);
    if (replaying !== undefined) await replaying;
    const blocked = execution.enter(scope);
    if (blocked !== undefined) await blocked;
    await beginStep(execution, scope, key, asked);
    return await unlessClosed(
      scope,
      execution.during(() => commit(execution, key, body), key).finally(() => endStep(execution)),
    );
  } finally {
    done();
  }
}

/** Its place is taken: whatever became of it, it is recorded, or the run is let go. */
function endStep(execution: Execution): void {
  if (execution.claim.counts_steps) execution.account.endStep(true);
}

/** Thrown inside the transaction to roll it back when the run turned out to be somebody else's. */
class Fenced extends Error {}

type Ending =
  | { readonly is: "stored"; readonly encoded: string }
  | { readonly is: "refused"; readonly error: unknown }
  | { readonly is: "lost" };

async function commit(execution: Execution, key: string, body: (sql: TransactionSql) => unknown): Promise<unknown> {
  const ending = await execution.journal.exclusive(async (first) => {
    const result = await untilKnown(execution, key, first, body);
    return { stored: result.is === "stored" ? 1 : 0, result };
  });
  if (ending.is === "stored") return decodeValue(ending.encoded);
  if (ending.is === "refused") return await refuse(execution, key, ending.error);
  execution.lose();
  return execution.never();
}

/** Tries until it is known how the transaction ended; gives up with the lost connection's error when the lease must be over. */
async function untilKnown(
  execution: Execution,
  key: string,
  first: number,
  body: (sql: TransactionSql) => unknown,
): Promise<Ending> {
  const { committer } = execution.owner;
  const startMs = performance.now();
  for (let delayMs = 20; ; delayMs = Math.min(delayMs * 2, 1_000)) {
    const attempt = new Attempt(execution, key, first, body);
    try {
      await committer.db.transaction((tx) => attempt.run(tx));
      return { is: "stored", encoded: attempt.encoded };
    } catch (error) {
      if (error instanceof Fenced) return { is: "lost" };
      if (attempt.bodyFailed) return { is: "refused", error };
      if (isRetryable(error)) continue;
      if (!isConnectionLost(error)) return { is: "refused", error };
      const outcome = attempt.append === null ? null : await committer.outcomeOf(attempt.append);
      if (outcome?.verdict === "lost") return { is: "lost" };
      if (outcome?.verdict === "done") return { is: "stored", encoded: attempt.encoded };
      if (performance.now() - startMs > committer.leaseMs) throw error;
      await pause(delayMs);
    }
  }
}

/** The user's SQL and the fenced record, inside one transaction. */
class Attempt {
  encoded = "null";
  /** What was sent to be stored; null while the body runs. */
  append: Append | null = null;
  /** The body threw an error of its own, not one of this connection's. */
  bodyFailed = false;
  readonly #execution: Execution;
  readonly #key: string;
  readonly #first: number;
  readonly #body: (sql: TransactionSql) => unknown;

  constructor(execution: Execution, key: string, first: number, body: (sql: TransactionSql) => unknown) {
    this.#execution = execution;
    this.#key = key;
    this.#first = first;
    this.#body = body;
  }

  async run(tx: Transaction): Promise<void> {
    const { journal, owner } = this.#execution;
    if (owner.standing(this.#execution) !== "trusted") await this.#fence(tx, []);
    this.encoded = await this.#runBody(tx);
    const entry = journal.compose(KIND.step, this.#key, `"n":1,"tx":true`, this.encoded);
    await this.#fence(tx, [entry]);
  }

  /** Appends, which fails when the run is somebody else's by now; with no entries it only asks. */
  async #fence(tx: Transaction, entries: readonly NewEntry[]): Promise<void> {
    const { runId, epoch, owner } = this.#execution;
    const append: Append = { runId, epoch, first: this.#first, entries };
    if (entries.length > 0) this.append = append;
    const { workerId, leaseMs } = owner.committer;
    const [held] = await appendEntries(tx, workerId, leaseMs, [append]);
    if (held === undefined) throw new Fenced();
  }

  async #runBody(tx: Transaction): Promise<string> {
    const refusals = new Set<unknown>();
    const sql: TransactionSql = {
      query: async <Row>(text: string, values: readonly unknown[] = []) => {
        try {
          return (await tx.client.query(text, values as unknown[])).rows as Row[];
        } catch (error) {
          refusals.add(error);
          throw error;
        }
      },
    };
    try {
      const value = await insideStep.run({ key: this.#key, attempt: 1 }, async () => this.#body(sql));
      return encodeValue(value);
    } catch (error) {
      this.bodyFailed = !refusals.has(error) || !(isConnectionLost(error) || isRetryable(error));
      throw error;
    }
  }
}

/** The body failed: the transaction did nothing, and that is what is recorded. */
async function refuse(execution: Execution, key: string, error: unknown): Promise<never> {
  if (execution.stopping) return execution.never();
  const failure = toFailure(error);
  await execution.journal.append(KIND.step, key, `"n":1,"tx":true,"f":true`, encodeValue(failure));
  throw fromFailure(failure);
}
