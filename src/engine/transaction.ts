// The verb `transaction`: the user's SQL and the record of the step in one commit.
import { KIND } from "../domain/entry.ts";
import { fromFailure, toFailure } from "../domain/failure.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";
import { type Append, appendEntries } from "../store/journal.ts";
import type { Execution } from "./execution.ts";
import { metaOf } from "./replay.ts";
import type { Scope } from "./scope.ts";
import { insideStep } from "./step.ts";

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
    if (recorded !== undefined) {
      return await new Promise((resolve, reject) => {
        execution.replay.request(key, async (entry) => {
          const value = await execution.valueOf(entry);
          if (scope.closed) return;
          if (metaOf(entry)["f"] === true) reject(fromFailure(value as ReturnType<typeof toFailure>));
          else resolve(value);
        });
      });
    }
    const replaying = execution.replay.ready(key);
    if (replaying !== undefined) await replaying;
    const blocked = execution.enter(scope);
    if (blocked !== undefined) await blocked;
    return await execution.during(() => commit(execution, key, body), key);
  } finally {
    done();
  }
}

/** Thrown inside the transaction to roll it back when the run turned out to be somebody else's. */
class Fenced extends Error {}

async function commit(execution: Execution, key: string, body: (sql: TransactionSql) => unknown): Promise<unknown> {
  const { committer } = execution.owner;
  for (;;) {
    let append: Append | null = null;
    let encoded = "null";
    try {
      await execution.journal.exclusive(async (first) => {
        await committer.db.transaction(async (tx) => {
          const sql: TransactionSql = {
            query: async <Row>(text: string, values: readonly unknown[] = []) =>
              (await tx.client.query(text, values as unknown[])).rows as Row[],
          };
          const value = await insideStep.run({ key, attempt: 1 }, async () => body(sql));
          encoded = encodeValue(value);
          const entry = execution.journal.compose(KIND.step, key, `"n":1,"tx":true`, encoded);
          await execution.journal.storeBlobs();
          append = { runId: execution.runId, epoch: execution.epoch, first, entries: [entry] };
          const [held] = await appendEntries(tx, committer.workerId, committer.leaseMs, [append]);
          if (held === undefined) throw new Fenced();
        });
        return { stored: 1, result: undefined };
      });
      return decodeValue(encoded);
    } catch (error) {
      if (error instanceof Fenced) {
        execution.lose();
        return execution.never();
      }
      if (isRetryable(error)) continue;
      if (!isConnectionLost(error)) return await refuse(execution, key, error);
      const outcome = append === null ? null : await committer.outcomeOf(append);
      if (outcome?.verdict === "lost") {
        execution.lose();
        return execution.never();
      }
      if (outcome?.verdict === "done") {
        await execution.journal.exclusive(async () => ({ stored: 1, result: undefined }));
        return decodeValue(encoded);
      }
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
