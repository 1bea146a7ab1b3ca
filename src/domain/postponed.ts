// What a step's body throws when it cannot go on now and knows when it can: it has not failed, and its run need not stay for it.

const MARK = Symbol.for("longhaul.postponed");

/**
 * Throw it in a step's body to be run again at this moment, as the same attempt: nothing is counted, and while everything waits the
 * run sleeps as a row. It is no `Error`, so that nobody on the way takes it for one: let it pass, as the same object.
 */
export class Postponed {
  readonly [MARK] = true;
  /** Milliseconds since 1970, on the database's clock. */
  readonly untilMs: number;
  /** What is waited for, for people: `quota openai/gpt-5 (tokens per minute)`. */
  readonly reason: string;
  /** A message to this address ends the wait early; null: only time does. */
  readonly wake: string | null;

  constructor(untilMs: number, reason: string, wake: string | null = null) {
    this.untilMs = untilMs;
    this.reason = reason;
    this.wake = wake;
  }

  /** Also across copies of the package. */
  static is(value: unknown): value is Postponed {
    return typeof value === "object" && value !== null && (value as { [MARK]?: unknown })[MARK] === true;
  }
}
