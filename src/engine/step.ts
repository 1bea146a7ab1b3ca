// The verb `step`: runs a body, records its outcome once, tries again as the policy says.
import { KIND, type Recorded } from "../domain/entry.ts";
import type { Askable } from "../domain/exceeded.ts";
import { type Failure, fromFailure } from "../domain/failure.ts";
import { hashInput } from "../domain/hash.ts";
import { WAIT_REASON_CHARS_MAX } from "../domain/limits.ts";
import type { Postponed } from "../domain/postponed.ts";
import { isRetryable, nextDelayMs, type RetryPolicy } from "../domain/retry.ts";
import { clip, storable } from "../domain/text.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";
import type { Extras } from "../store/journal.ts";
import type { Execution } from "./execution.ts";
import { type Asked, askedBefore, mayGoOn } from "./more-budget.ts";
import { metaOf } from "./replay.ts";
import { type Scope, unlessClosed } from "./scope.ts";
import { type Refused, refusedBy, runBody, type StepBody } from "./step-body.ts";
import { StepStream } from "./step-stream.ts";

export interface StepSpec extends StepBody {
  readonly name: string;
  /** Tells it from others of its name by what it is about, not by their order: see Scope.open. */
  readonly mark?: string;
  /** Told the step's key, whether it is recorded or not. */
  readonly onKey?: (key: string) => void;
  /** Encoded, or null. */
  readonly input: string | null;
  readonly retry: RetryPolicy;
  /** What else goes into the commit that says how the body ended. What its model calls cost is in there by itself. */
  readonly settle?: (ending: StepEnding) => Extras | null;
  /** False: it does not count against budgets of steps. Default true. */
  readonly counted?: boolean;
}

/** How a body ended. `retried`: it failed and will be tried again. */
export type StepEnding =
  | { readonly is: "done"; readonly value: unknown }
  | { readonly is: "failed" | "retried"; readonly failure: Failure }
  | { readonly is: "postponed"; readonly untilMs: number; readonly reason: string };

/**
 * Gives the recorded outcome, or runs the body until there is one.
 *
 * @throws DUPLICATE_STEP, at once; the promise rejects with what the body failed with
 */
export function performStep(execution: Execution, scope: Scope, spec: StepSpec): Promise<unknown> {
  // Not an async function: a long journal is replayed through here, and each frame costs it time.
  const hash = spec.input === null ? null : hashInput(spec.input);
  const { key, done } = scope.open(spec.name, spec.mark);
  spec.onKey?.(key);
  const recorded = execution.replay.find(key);
  const asked = askedBefore(execution.replay, key);
  if (recorded === undefined) return performed(execution, scope, key, hash, spec, asked, done);
  return replayed(execution, scope, recorded, hash, done);
}

/** The recorded outcome in its turn. */
function replayed(
  execution: Execution,
  scope: Scope,
  recorded: Recorded,
  hash: string | null,
  done: () => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    execution.replay.request(recorded.key ?? "", (entry) => {
      const meta = metaOf(entry);
      if (((meta["h"] as string | undefined) ?? null) !== hash) {
        execution.mismatch(`the input of step ${entry.key} (entry ${entry.seq}) is not the one that was recorded`);
        return;
      }
      return execution.values.use(entry, meta, (value) => {
        if (scope.closed) return;
        done();
        if (meta["f"] === true) reject(fromFailure(value as Failure));
        else resolve(value);
      });
    });
  });
}

async function performed(
  execution: Execution,
  scope: Scope,
  key: string,
  hash: string | null,
  spec: StepSpec,
  asked: Asked,
  done: () => void,
): Promise<unknown> {
  try {
    const replaying = execution.replay.ready(key);
    if (replaying !== undefined) await replaying;
    return await unlessClosed(scope, attempts(execution, scope, key, hash, spec, asked));
  } finally {
    done();
  }
}

async function attempts(
  execution: Execution,
  scope: Scope,
  key: string,
  hash: string | null,
  spec: StepSpec,
  asked: Asked,
): Promise<unknown> {
  const before = execution.replay.attempts(key);
  let failed = before?.failed ?? 0;
  if (before !== undefined) await backoff(execution, scope, key, before);
  for (;;) {
    const blocked = execution.enter(scope);
    if (blocked !== undefined) await blocked;
    const stream = new StepStream(execution, key, failed + 1);
    const outcome = await execution
      .during(() => attempt(execution, scope, key, hash, spec, stream), key)
      .finally(() => stream.end());
    if (outcome === STOPPED) return execution.never();
    if (outcome.is === "done") return outcome.value;
    if (outcome.is === "refused") {
      if (await mayGoOn(execution, scope, key, outcome.refusal, asked)) continue;
      return await execution.during(() => recordFailure(execution, key, outcome.meta, outcome.failure, null));
    }
    if (outcome.is === "failed") failed += 1;
    await backoff(execution, scope, key, outcome);
  }
}

type Outcome =
  | { readonly is: "done"; readonly value: unknown }
  | ({ readonly is: "failed" | "postponed" } & Pause)
  /** A budget does not allow it, and a person may be asked. */
  | { readonly is: "refused"; readonly refusal: Askable; readonly failure: Failure; readonly meta: string };

interface Pause {
  readonly retryAtMs: number;
  readonly notBeforeMs?: number;
  /** Null: the pause after a failure. */
  readonly reason: string | null;
  /** A message to this address ends it early. */
  readonly wake?: string | null;
  /** Attempts that have failed. */
  readonly failed?: number;
}

/** The body was told to stop, and nothing was recorded. */
const STOPPED = Symbol("stopped");
/** What begins like this is not counted as a step: see count_steps in sql/migrations/0014_budgets.sql. */
const UNCOUNTED = `"c":0,`;

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
  const counts = spec.counted !== false && execution.claim.counts_steps;
  const refused = counts ? await refusalToBegin(execution) : null;
  // The answer may have taken its time: nothing begins for a run that somebody else has by now.
  const assured = execution.assured();
  if (assured !== undefined) await assured;
  const startedMs = performance.now();
  const result = refused ?? (await runBody(execution, scope, key, spec, stream));
  const ms = Math.round(performance.now() - startedMs);
  const uncounted = spec.counted === false || refused !== null;
  const meta = `${uncounted ? UNCOUNTED : ""}${hash === null ? "" : `"h":"${hash}",`}"n":${number},"ms":${ms}`;
  if ("encoded" in result) {
    const value = decodeValue(result.encoded);
    const extras = extrasOf(execution, key, spec, { is: "done", value });
    await execution.journal.append(KIND.step, key, meta + stream.recordWith(result.value), result.encoded, extras);
    if (counts) execution.account.endStep(true);
    return { is: "done", value };
  }
  if (counts && refused === null) execution.account.endStep(false);
  // A body that failed because it was told to stop has not failed: it runs again where the run goes on.
  if (execution.stopping || scope.closed) return STOPPED;
  if ("postponed" in result) return await postpone(execution, key, spec, number, ms, result.postponed);
  if (result.refusal !== null) return { is: "refused", refusal: result.refusal, failure: result.failure, meta };
  if (isRetryable(result.failure) && number < spec.retry.maxAttempts) {
    const delayMs = nextDelayMs(spec.retry, number, Math.random(), result.failure.retryAfterMs);
    const retryAtMs = execution.owner.clock.now() + delayMs;
    const notBeforeMs = performance.now() + delayMs;
    const extras = extrasOf(execution, key, spec, { is: "retried", failure: result.failure });
    const failure = encodeValue(result.failure);
    await execution.journal.append(KIND.attempt, key, `"n":${number},"ms":${ms},"r":${retryAtMs}`, failure, extras);
    return { is: "failed", retryAtMs, notBeforeMs, reason: null };
  }
  return await recordFailure(execution, key, meta, result.failure, spec);
}

/** The step has failed for good. */
async function recordFailure(
  execution: Execution,
  key: string,
  meta: string,
  failure: Failure,
  spec: StepSpec | null,
): Promise<never> {
  const extras = extrasOf(execution, key, spec, { is: "failed", failure });
  await execution.journal.append(KIND.step, key, `${meta},"f":true`, encodeValue(failure), extras);
  throw fromFailure(failure);
}

/** The body is to run again later, as the same attempt: that it was put off is recorded, and counts as nothing. */
async function postpone(
  execution: Execution,
  key: string,
  spec: StepSpec,
  number: number,
  ms: number,
  postponed: Postponed,
): Promise<Outcome> {
  const nowMs = execution.owner.clock.now();
  const untilMs = Number.isFinite(postponed.untilMs) ? Math.ceil(postponed.untilMs) : nowMs;
  const reason = clip(storable(String(postponed.reason)), WAIT_REASON_CHARS_MAX);
  const extras = extrasOf(execution, key, spec, { is: "postponed", untilMs, reason });
  const failed = number - 1;
  const { wake } = postponed;
  const woken = wake === null ? "" : `,"w":${JSON.stringify(wake)}`;
  const meta = `"n":${failed},"ms":${ms},"r":${untilMs},"p":true${woken}`;
  await execution.journal.append(KIND.attempt, key, meta, encodeValue(reason), extras);
  return { is: "postponed", retryAtMs: untilMs, reason, wake, failed };
}

/** Why a step may not begin, or null. */
async function refusalToBegin(execution: Execution): Promise<Refused | null> {
  try {
    await execution.account.beginStep();
    return null;
  } catch (error) {
    return refusedBy(error);
  }
}

/** What goes with the record of a body's end: what its model calls cost, and what its spec says. */
function extrasOf(execution: Execution, key: string, spec: StepSpec | null, ending: StepEnding): Extras | undefined {
  const spend = execution.hasAccount ? execution.account.takeClosings(key) : null;
  const extras = spec?.settle?.(ending) ?? undefined;
  if (spend === null) return extras;
  return { ...extras, spend: [...(extras?.spend ?? []), ...spend] };
}

/** A durable pause before the body runs again: short ones in place, long ones cost a row like any wait. */
function backoff(execution: Execution, scope: Scope, key: string, pause: Pause): Promise<void> {
  const { retryAtMs, notBeforeMs = 0, reason, wake = null, failed = 0 } = pause;
  if (notBeforeMs === 0 && retryAtMs <= execution.owner.clock.now()) return Promise.resolve();
  return new Promise((resolve) => {
    execution.waits.open({
      key: null,
      address: wake ?? `timer:retry:${key}`,
      ...(wake === null ? {} : { early: { key, failed } }),
      scope,
      dueMs: retryAtMs,
      notBeforeMs,
      label: reason ?? `retry of step ${key}`,
      group: null,
      approvalId: null,
      resolve: () => resolve(),
    });
  });
}

/**
 * Where a step begins that is not one of `performStep`'s: waits until the budgets allow it.
 *
 * @throws BUDGET_EXCEEDED, which has been recorded as the step's outcome
 */
export async function beginStep(execution: Execution, scope: Scope, key: string, asked: Asked): Promise<void> {
  if (!execution.claim.counts_steps) return;
  for (;;) {
    const refused = await execution.during(() => refusalToBegin(execution));
    if (refused === null) return;
    if (execution.stopping || scope.closed) return execution.never();
    if ("postponed" in refused) {
      const { untilMs, reason } = refused.postponed;
      await backoff(execution, scope, key, { retryAtMs: untilMs, reason });
    } else if (refused.refusal === null || !(await mayGoOn(execution, scope, key, refused.refusal, asked))) {
      await execution.during(() => recordFailure(execution, key, `${UNCOUNTED}"n":1`, refused.failure, null));
    }
    const blocked = execution.enter(scope);
    if (blocked !== undefined) await blocked;
  }
}
