// Prepared statements that stopped fitting their connection, after a migration or behind a transaction pooler.
import { errorState } from "./driver-errors.ts";

/** A migration changed the columns of a prepared statement: this connection must go, the statement did not run. */
export function isStalePlan(error: unknown): boolean {
  return errorState(error) === "0A000" && error instanceof Error && /cached plan/.test(error.message);
}

/** A pooler gave us a server connection on which our statement is unknown, or known to another client: prepare no more. */
export function isForeignPreparedStatement(error: unknown): boolean {
  const state = errorState(error);
  return state === "26000" || state === "42P05";
}

/** A pooler such as PgBouncer refused a start-up parameter that it does not track. */
export function isStartupParameterRefused(error: unknown): boolean {
  return errorState(error) === "08P01" && error instanceof Error && /startup parameter/.test(error.message);
}
