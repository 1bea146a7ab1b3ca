// A step's body: what it is told, its time-out, and what comes out of one run of it.
import { formatDuration } from "../domain/duration.ts";
import { fail } from "../domain/errors.ts";
import { type Askable, askable } from "../domain/exceeded.ts";
import { type Failure, toFailure } from "../domain/failure.ts";
import { Postponed } from "../domain/postponed.ts";
import { encodeValue } from "../domain/value.ts";
import type { Execution } from "./execution.ts";
import { insideStep } from "./inside-step.ts";
import type { Scope } from "./scope.ts";
import type { StepStream } from "./step-stream.ts";

export interface StepBody {
  /** Null: none. */
  readonly timeoutMs: number | null;
  /** May throw `Postponed`: then it runs again at that moment, as the same attempt. */
  readonly body: (step: BodyInfo) => unknown;
  /**
   * True: no code of the agent's runs in the body, so that nothing in there can ask for a step. Its context is not followed then: before
   * Node.js 24 that makes every promise of the process larger and slower, from the first time on.
   */
  readonly sealed?: boolean;
}

/** What a body is told. A class: of a literal with a getter each one would be a dictionary of its own, in thousands of waiting runs. */
class BodyInfo {
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly stream: StepStream;
  readonly #signals: AbortSignal[];
  #abort: AbortSignal | null = null;

  constructor(signals: AbortSignal[], attempt: number, idempotencyKey: string, stream: StepStream) {
    this.attempt = attempt;
    this.idempotencyKey = idempotencyKey;
    this.stream = stream;
    this.#signals = signals;
  }

  /** Made when it is asked for: most bodies never ask, and a dependent signal costs more than the rest of a step. */
  get abort(): AbortSignal {
    this.#abort ??= AbortSignal.any(this.#signals);
    return this.#abort;
  }
}

/** Runs the body under its time-out and the run's signals. Encoding is part of the attempt: a value that cannot be kept is a failure. */
export async function runBody(
  execution: Execution,
  scope: Scope,
  key: string,
  spec: StepBody,
  stream: StepStream,
): Promise<{ readonly encoded: string; readonly value: unknown } | Refused> {
  const { attempt } = stream;
  const timeout = spec.timeoutMs === null ? null : new AbortController();
  const signals = timeout === null ? [scope.abort] : [scope.abort, timeout.signal];
  const info = new BodyInfo(signals, attempt, `${execution.runId}/${key}`, stream);
  const timers: NodeJS.Timeout[] = [];
  try {
    const running = spec.sealed ? spec.body(info) : insideStep.run({ key, attempt }, async () => spec.body(info));
    const value = await (timeout === null
      ? running
      : Promise.race([running, tooLate(execution, key, spec, timeout, timers)]));
    return { encoded: encodeValue(value), value };
  } catch (error) {
    return refusedBy(timeout?.signal.aborted === true ? timeout.signal.reason : error);
  } finally {
    timers.forEach(clearTimeout);
  }
}

/** Rejects when the body has not ended in its time: first the signal, so that it can stop by itself; then without it. */
function tooLate(
  execution: Execution,
  key: string,
  spec: StepBody,
  timeout: AbortController,
  timers: NodeJS.Timeout[],
): Promise<never> {
  const timeoutMs = spec.timeoutMs ?? 0;
  const error = fail("STEP_TIMEOUT", { step: key, timeout: formatDuration(timeoutMs) });
  return new Promise((_, reject) => {
    timers.push(setTimeout(() => timeout.abort(error), timeoutMs));
    timers.push(setTimeout(() => reject(error), timeoutMs + execution.owner.settings.graceMs));
  });
}

/** Why there is no value: it is to run again at a later moment, or it has failed. */
export type Refused =
  | { readonly postponed: Postponed }
  | { readonly failure: Failure; readonly refusal: Askable | null };

export function refusedBy(error: unknown): Refused {
  if (Postponed.is(error)) return { postponed: error };
  return { failure: toFailure(error), refusal: askable(error) };
}
