// The verb `step`: runs a body, records its outcome once, tries again as the policy says.
import { AsyncLocalStorage } from "node:async_hooks";
import { formatDuration } from "../domain/duration.ts";
import { KIND, type Recorded } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import { type Failure, fromFailure, toFailure } from "../domain/failure.ts";
import { hashInput } from "../domain/hash.ts";
import { isRetryable, nextDelayMs, type RetryPolicy } from "../domain/retry.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";
import type { Execution } from "./execution.ts";
import { metaOf } from "./replay.ts";
import { type Scope, unlessClosed } from "./scope.ts";
import { StepStream } from "./step-stream.ts";

export interface StepSpec {
  readonly name: string;
  /** Encoded, or null. */
  readonly input: string | null;
  readonly retry: RetryPolicy;
  /** Null: none. */
  readonly timeoutMs: number | null;
  readonly body: (step: { abort: AbortSignal; attempt: number; idempotencyKey: string; stream: StepStream }) => unknown;
}

/** The step whose body is running here, so that a verb called inside of it can be told apart. */
export const insideStep = new AsyncLocalStorage<{ readonly key: string; readonly attempt: number }>();

/** Gives the recorded outcome, or runs the body until there is one. */
export async function performStep(execution: Execution, scope: Scope, spec: StepSpec): Promise<unknown> {
  const { key, done } = scope.open(spec.name);
  try {
    const hash = spec.input === null ? null : hashInput(spec.input);
    const recorded = execution.replay.find(key);
    if (recorded !== undefined) return await replayed(execution, scope, recorded, hash);
    const replaying = execution.replay.ready(key);
    if (replaying !== undefined) await replaying;
    return await unlessClosed(scope, attempts(execution, scope, key, hash, spec));
  } finally {
    done();
  }
}

/** The recorded outcome in its turn. */
function replayed(execution: Execution, scope: Scope, recorded: Recorded, hash: string | null): Promise<unknown> {
  return new Promise((resolve, reject) => {
    execution.replay.request(recorded.key ?? "", (entry) => {
      const meta = metaOf(entry);
      if (((meta["h"] as string | undefined) ?? null) !== hash) {
        execution.mismatch(`the input of step ${entry.key} (entry ${entry.seq}) is not the one that was recorded`);
        return;
      }
      return execution.values.use(entry, meta, (value) => {
        if (scope.closed) return;
        if (meta["f"] === true) reject(fromFailure(value as Failure));
        else resolve(value);
      });
    });
  });
}

async function attempts(
  execution: Execution,
  scope: Scope,
  key: string,
  hash: string | null,
  spec: StepSpec,
): Promise<unknown> {
  const before = execution.replay.attempts(key);
  let failed = before?.failed ?? 0;
  if (before !== undefined) await backoff(execution, scope, key, before.retryAtMs);
  for (;;) {
    const blocked = execution.enter(scope);
    if (blocked !== undefined) await blocked;
    const stream = new StepStream(execution, key, failed + 1);
    const outcome = await execution
      .during(() => attempt(execution, scope, key, hash, spec, stream), key)
      .finally(() => stream.end());
    if (outcome === STOPPED) return execution.never();
    if (outcome.done) return outcome.value;
    failed += 1;
    await backoff(execution, scope, key, outcome.retryAtMs, outcome.notBeforeMs);
  }
}

type Outcome =
  | { readonly done: true; readonly value: unknown }
  | { readonly done: false; readonly retryAtMs: number; readonly notBeforeMs: number };

/** The body was told to stop, and nothing was recorded. */
const STOPPED = Symbol("stopped");

/** One attempt and its record. */
async function attempt(
  execution: Execution,
  scope: Scope,
  key: string,
  hash: string | null,
  spec: StepSpec,
  stream: StepStream,
): Promise<Outcome | typeof STOPPED> {
  const number = stream.attempt;
  const startedMs = performance.now();
  const result = await runBody(execution, scope, key, spec, stream);
  const ms = Math.round(performance.now() - startedMs);
  const meta = `${hash === null ? "" : `"h":"${hash}",`}"n":${number},"ms":${ms}`;
  if ("encoded" in result) {
    await execution.journal.append(KIND.step, key, meta + stream.recordWith(result.value), result.encoded);
    return { done: true, value: decodeValue(result.encoded) };
  }
  // A body that failed because it was told to stop has not failed: it runs again where the run goes on.
  if (execution.stopping || scope.closed) return STOPPED;
  const failure = encodeValue(result.failure);
  if (isRetryable(result.failure) && number < spec.retry.maxAttempts) {
    const delayMs = nextDelayMs(spec.retry, number, Math.random(), result.failure.retryAfterMs);
    const retryAtMs = execution.owner.clock.now() + delayMs;
    const notBeforeMs = performance.now() + delayMs;
    await execution.journal.append(KIND.attempt, key, `"n":${number},"ms":${ms},"r":${retryAtMs}`, failure);
    return { done: false, retryAtMs, notBeforeMs };
  }
  await execution.journal.append(KIND.step, key, `${meta},"f":true`, failure);
  throw fromFailure(result.failure);
}

/** Runs the body under its time-out and the run's signals. Encoding is part of the attempt: a value that cannot be kept is a failure. */
async function runBody(
  execution: Execution,
  scope: Scope,
  key: string,
  spec: StepSpec,
  stream: StepStream,
): Promise<{ encoded: string; value: unknown } | { failure: Failure }> {
  const { attempt } = stream;
  const timeout = spec.timeoutMs === null ? null : new AbortController();
  let abort: AbortSignal | undefined;
  const info = {
    // Made when it is asked for: most bodies never ask, and a dependent signal costs more than the rest of a step.
    get abort(): AbortSignal {
      abort ??= AbortSignal.any(timeout === null ? [scope.abort] : [scope.abort, timeout.signal]);
      return abort;
    },
    attempt,
    idempotencyKey: `${execution.runId}/${key}`,
    stream,
  };
  const timers: NodeJS.Timeout[] = [];
  try {
    const running = insideStep.run({ key, attempt }, async () => spec.body(info));
    const value = await (timeout === null
      ? running
      : Promise.race([running, tooLate(execution, key, spec, timeout, timers)]));
    return { encoded: encodeValue(value), value };
  } catch (error) {
    return { failure: toFailure(timeout?.signal.aborted === true ? timeout.signal.reason : error) };
  } finally {
    timers.forEach(clearTimeout);
  }
}

/** Rejects when the body has not ended in its time: first the signal, so that it can stop by itself; then without it. */
function tooLate(
  execution: Execution,
  key: string,
  spec: StepSpec,
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

/** A durable pause between attempts: short ones in place, long ones cost a row like any wait. */
function backoff(execution: Execution, scope: Scope, key: string, retryAtMs: number, notBeforeMs = 0): Promise<void> {
  if (notBeforeMs === 0 && retryAtMs <= execution.owner.clock.now()) return Promise.resolve();
  return new Promise((resolve) => {
    execution.waits.open({
      key: null,
      address: `timer:retry:${key}`,
      scope,
      dueMs: retryAtMs,
      notBeforeMs,
      label: `retry of step ${key}`,
      group: null,
      approvalId: null,
      resolve: () => resolve(),
    });
  });
}
