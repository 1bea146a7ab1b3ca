// Asking a database that does not answer now and may answer soon: a moment without it must not end what waits for it.
import { setTimeout as pause } from "node:timers/promises";
import type { Queryable } from "./database.ts";
import { isConnectionLost, isRetryable } from "./driver-errors.ts";

/** For those who hold no lease: the database may be restarted meanwhile, or fail over. */
export const PATIENCE_MS = 10_000;

/**
 * Asks until the database answers, with growing pauses. Gives up after the lease: by then somebody else may have the run, and
 * whoever waits for the answer has been told that it lost it.
 */
export async function untilAnswered<T>(ask: () => Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  const start = performance.now();
  for (let delayMs = 20; ; delayMs = Math.min(delayMs * 2, 1_000)) {
    try {
      return await ask();
    } catch (error) {
      const worthIt = isConnectionLost(error) || isRetryable(error);
      if (!worthIt || performance.now() - start > patienceMs) throw error;
      await pause(delayMs);
    }
  }
}

/** The same database for statements that are safe to repeat: each is sent until it is answered. */
export function patient(db: Queryable, patienceMs?: number): Queryable {
  return { query: (text, values, name) => untilAnswered(() => db.query(text, values, name), patienceMs) };
}
