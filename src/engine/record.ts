// The verbs that record without waiting: values, custom events, the thread's state, checkpoints.
import { KIND } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";
import type { Execution } from "./execution.ts";
import { generationPrefix, KEPT_PARTIAL, KEPT_STATE, type Scope, unlessClosed } from "./scope.ts";

/** A value that must be the same on every replay. Goes with the next write: what depends on it is written later. */
export function recordValue(execution: Execution, scope: Scope, name: string, make: () => unknown): unknown {
  const key = scope.key(name);
  const recorded = execution.replay.value(key);
  if (recorded !== undefined) return recorded.value;
  const value = make();
  if (!execution.stopping) execution.journal.buffer(KIND.value, key, "", encodeValue(value));
  return value;
}

/** What the code has so far: kept if the run fails, the last one wins. Goes with the next write, like a value. */
export function recordPartial(execution: Execution, scope: Scope, value: unknown): void {
  const encoded = encodeValue(value);
  const key = scope.key("partial");
  if (execution.stopping || scope.closed) return;
  execution.partialOutput = encoded;
  if (execution.replay.value(key) === undefined) execution.journal.buffer(KIND.value, key, "", encoded);
}

/** A custom event, once; not awaited, but on its way at once. */
export function emit(execution: Execution, scope: Scope, name: string, payload: unknown, stepKey: string | null): void {
  const encoded = encodeValue(payload);
  if (execution.stopping || scope.closed) return;
  if (stepKey === null) {
    const key = scope.key(`emit ${name}`);
    if (execution.replay.emitted(key)) return;
    execution.journal.buffer(KIND.emit, key, `"name":${JSON.stringify(name)}`, encoded);
  } else execution.journal.buffer(KIND.emit, stepKey, `"name":${JSON.stringify(name)}`, encoded);
  if (execution.mode === "running") execution.journal.flush();
  // A released run is called back, and writes it then.
  else void execution.enter(scope);
}

/** Sets the thread's state, in the commit of the entry that says so. */
export async function setState(execution: Execution, scope: Scope, value: unknown): Promise<void> {
  const { key, done } = scope.open("state");
  try {
    const encoded = encodeValue(value);
    const recorded = execution.replay.find(key);
    if (recorded !== undefined) {
      await new Promise<void>((resolve) => {
        execution.replay.request(key, () => {
          execution.threadState = decodeValue(encoded);
          if (!scope.closed) resolve();
        });
      });
      return;
    }
    const replaying = execution.replay.ready(key);
    if (replaying !== undefined) await replaying;
    const blocked = execution.enter(scope);
    if (blocked !== undefined) await blocked;
    const stored = execution.during(async () => {
      const entry = execution.journal.compose(KIND.state, key, "", encoded);
      const threadState = { text: entry.blob === null ? encoded : null, blob: entry.blob };
      await execution.journal.add(entry, { threadState });
      execution.threadState = decodeValue(encoded);
    });
    await unlessClosed(scope, stored);
  } finally {
    done();
  }
}

/**
 * Stores a state that makes everything before it unnecessary.
 *
 * @throws CHECKPOINT_IN_PARALLEL, CHECKPOINT_NOT_RESTORED
 */
export async function checkpoint(execution: Execution, generation: number, state: unknown): Promise<number> {
  const replaying = execution.replay.ready("(checkpoint)");
  if (replaying !== undefined) await replaying;
  const blocked = execution.enter(execution.root);
  if (blocked !== undefined) await blocked;
  const pending = execution.pending();
  if (pending !== null) throw fail("CHECKPOINT_IN_PARALLEL", { pending });
  const next = generation + 1;
  const { journal, openChildren, childrenCount } = execution;
  // What a later process must know of the time before: the children that are still to be waited for, and how many there were.
  const children = childrenCount === 0 ? "" : `,"open":${JSON.stringify([...openChildren])},"spawned":${childrenCount}`;
  await execution.during(async () => {
    const stored = journal.append(KIND.checkpoint, null, `"g":${next}${children}`, encodeValue(state));
    journal.restart();
    // Without a thread this is the only place where the run's own state is kept.
    const kept = execution.claim.thread_id === null ? execution.threadState : undefined;
    if (kept !== undefined) journal.buffer(KIND.value, `${generationPrefix(next)}${KEPT_STATE}`, "", encodeValue(kept));
    const { partialOutput } = execution;
    if (partialOutput !== null)
      journal.buffer(KIND.value, `${generationPrefix(next)}${KEPT_PARTIAL}`, "", partialOutput);
    await stored;
  });
  execution.root.restart(generationPrefix(next));
  return next;
}
