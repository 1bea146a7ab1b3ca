// The ways in which a run leaves its worker: for each the last entry of the journal, and the move that goes with it.
import { KIND } from "../domain/entry.ts";
import { encodeValue } from "../domain/value.ts";
import type { Move, WaitRow } from "../store/finish.ts";
import type { NewEntry } from "../store/journal.ts";
import type { RunJournal } from "./journal.ts";

export interface Farewell {
  readonly entry: NewEntry;
  readonly to: Move;
}

/** The output goes to the outcome, apart when it is large; the entry only says that the run has ended. */
export function succeeded(journal: RunJournal, output: string): Farewell {
  const { blob, apart } = journal.compose(KIND.finished, null, "", output);
  const entry = lastEntry(KIND.finished, { status: "succeeded" });
  return {
    entry,
    to: { move: "finish", status: "succeeded", output: blob === null ? output : null, outputBlob: blob, apart },
  };
}

/**
 * @param failure Encoded.
 * @param partial What the code had so far, encoded; null when it never said.
 */
export function failed(journal: RunJournal, reason: string | null, failure: string, partial: string | null): Farewell {
  const body = `{"status":"failed","reason":${JSON.stringify(reason)},"failure":${failure}}`;
  const entry = { kind: KIND.finished, key: null, body, blob: null };
  const { blob, apart } = journal.compose(KIND.finished, null, "", partial);
  const output = blob === null ? partial : null;
  return { entry, to: { move: "finish", status: "failed", reason, failure, output, outputBlob: blob, apart } };
}

export function cancelled(reason: string): Farewell {
  const entry = lastEntry(KIND.finished, { status: "cancelled", reason });
  return { entry, to: { move: "finish", status: "cancelled", reason } };
}

/** Back into the queue, for another worker to go on. */
export function handedOver(reason: string): Farewell {
  return { entry: lastEntry(KIND.released, { move: "yield", reason }), to: { move: "yield" } };
}

/** Until a person releases it. */
export function paused(reason: string): Farewell {
  return { entry: lastEntry(KIND.released, { move: "pause", reason }), to: { move: "pause", reason } };
}

/** Until what it waits for has come; not if the inbox reaches further than was seen. */
export function asleep(
  inboxSeq: number,
  sleep: { readonly need: number; readonly waits: readonly WaitRow[]; readonly dueAt: Date | null },
): Farewell {
  const entry = lastEntry(KIND.released, { move: "wait", for: sleep.waits.map((wait) => wait.label) });
  return { entry, to: { move: "wait", inboxSeq, ...sleep } };
}

function lastEntry(kind: number, body: Record<string, unknown>): NewEntry {
  return { kind, key: null, body: encodeValue(body), blob: null };
}
