// What an error of the PostgreSQL driver means to the program: connection lost, worth repeating, or a real refusal.
import { fail, isLonghaulError, type LonghaulError } from "../domain/errors.ts";

const SOCKET_CODES = /^(ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/;
/** 08 connection, 25P03 and 57P05 idle time-outs, 53300 too many connections, 57P01..57P03 shutting down or starting. */
const LOST_STATES = /^(08...|25P03|25P04|53300|57P01|57P02|57P03|57P05)$/;
/** 28000 and 28P01 user or password, 3D000 no such database: the server is there, and lets nobody in who comes like this. */
const REFUSED_STATES =
  /^(28000|28P01|3D000|CERT_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|ERR_TLS_\w+)$/;
const REFUSED_MESSAGES = /^(SASL|The server does not support SSL|There was an error establishing an SSL)/;
const DRIVER_MESSAGES =
  /^(Connection terminated|timeout expired|timeout exceeded when trying to connect|Query read timeout|Client (has encountered|was closed|is closed)|Cannot use a pool after calling end)/;
/** Deadlock, serialisation failure, lock time-out: the transaction did nothing and may be run again. */
const RETRYABLE_STATES = new Set(["40001", "40P01", "55P03"]);

/** Not even asked: nobody there, nobody let in, or no connection free. */
const UNSENT_STATES = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ENOENT|53300|57P03)$/;
const UNSENT_MESSAGES = /^(timeout exceeded when trying to connect|Cannot use a pool after calling end)/;
/** Time-out of a statement, no memory or disk, read-only after a failover, trouble of the machine: rolled back, and no fault of the statement. */
const HINDERED_STATES = /^(57014|25006|53...|58...)$/;

/** The SQLSTATE of a driver error, or the system's code (`ECONNREFUSED`), or undefined. */
export function errorState(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * True when the connection failed under the statement, or could not be had. The outcome of a statement that was under
 * way is then unknown: it may have committed. Look before doing it again.
 */
export function isConnectionLost(error: unknown): boolean {
  if (isLonghaulError(error)) return error.code === "DATABASE_UNAVAILABLE" || error.code === "DATABASE_REFUSED";
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isConnectionLost);
  if (!(error instanceof Error)) return false;
  // A password that is being changed must not fail the runs of those who came before.
  if (isRefused(error)) return true;
  const state = errorState(error);
  if (state === "ENOENT") return "syscall" in error && error.syscall === "connect";
  if (state !== undefined) return SOCKET_CODES.test(state) || LOST_STATES.test(state);
  return DRIVER_MESSAGES.test(error.message);
}

/** True when the database rolled the transaction back for the sake of another one; running it again may succeed. */
export function isRetryable(error: unknown): boolean {
  const state = errorState(error);
  return state !== undefined && RETRYABLE_STATES.has(state);
}

/** True when the server never got the statement. Only then, and when it rolled back, is it certain that nothing was done. */
export function isUnsent(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isUnsent);
  if (!(error instanceof Error)) return false;
  const state = errorState(error);
  return isRefused(error) || (state === undefined ? UNSENT_MESSAGES.test(error.message) : UNSENT_STATES.test(state));
}

/** True when the server rolled the statement back because of its own troubles; the same statement may succeed later. */
export function isHindered(error: unknown): boolean {
  const state = errorState(error);
  return state !== undefined && HINDERED_STATES.test(state);
}

/** True when the server is there and would not have us: wrong user, password or database, or no agreement about TLS. */
function isRefused(error: Error): boolean {
  const state = errorState(error);
  return state === undefined ? REFUSED_MESSAGES.test(error.message) : REFUSED_STATES.test(state);
}

/** Turns a lost connection into DATABASE_UNAVAILABLE or DATABASE_REFUSED for the outside, and leaves every other error as it is. */
export function asUnavailable(error: unknown): unknown {
  if (!isConnectionLost(error) || isLonghaulError(error)) return error;
  return unavailable(error);
}

function unavailable(cause: unknown): LonghaulError {
  const code = cause instanceof Error && isRefused(cause) ? "DATABASE_REFUSED" : "DATABASE_UNAVAILABLE";
  return fail(code, { reason: reasonOf(cause) }, { cause });
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\.$/, "") || (errorState(error) ?? "no connection");
}
