// What a run's journal is made of: one numbered entry per thing that happened, and what each kind carries.

/** Kinds are stored as small integers; the numbers never change. */
export const KIND = {
  /** A worker took the run. Body: worker. */
  claimed: 1,
  /** The worker let go: waiting, handed back, paused. Body: move, reason. */
  released: 2,
  /** The end. Body: status, reason. */
  finished: 3,
  /** The lease lapsed and the run was taken from its worker. Body: worker. */
  lost: 4,
  /** A person released the paused run. Body: by. */
  resumed: 5,
  /** A step's outcome: value or failure. */
  step: 10,
  /** A failed attempt of a step that will be tried again. */
  attempt: 11,
  /** now, random, uuid. */
  value: 12,
  /** A wait was opened: timer, signal, approval. */
  wait: 13,
  /** A wait was resolved: by a message, or by time. */
  received: 14,
  /** Children were submitted. */
  spawned: 15,
  /** A state that makes everything before it unnecessary. */
  checkpoint: 16,
  /** A custom stream event. */
  emit: 17,
  /** The thread's state was set. */
  state: 18,
  /** What a step has written to its stream, where its value does not say it: comes right before the step's outcome. */
  message: 20,
} as const;

export type EntryKind = keyof typeof KIND;

const KIND_NAMES = new Map<number, EntryKind>(
  Object.entries(KIND).map(([name, number]) => [number, name as EntryKind]),
);

export function kindName(kind: number): EntryKind {
  const name = KIND_NAMES.get(kind);
  if (name === undefined) throw new RangeError(`journal entry of unknown kind ${kind}: written by a newer version`);
  return name;
}

/** A row of the journal. `body` is an encoded value; a large value lies apart under its content hash, in `blob`. */
export interface Entry {
  readonly seq: number;
  readonly epoch: number;
  readonly kind: number;
  readonly key: string | null;
  readonly body: string | null;
  readonly blob: string | null;
  readonly at: Date;
}

/** What a replay needs of an entry. */
export type Recorded = Omit<Entry, "epoch" | "at">;

/** Entries that settle something the agent's code waits for. Replay gives them back in exactly this order. */
export const SETTLING: ReadonlySet<number> = new Set([KIND.step, KIND.received, KIND.spawned, KIND.state]);

/** A journal entry as streams, the API and the dashboard show it. `seq` counts from 1 without a gap: it is the stream cursor. */
export interface RunEvent {
  readonly runId: string;
  readonly seq: number;
  readonly kind: EntryKind;
  /** The step's key (`scope/name#2`), where the entry has one. */
  readonly key: string | null;
  readonly epoch: number;
  readonly at: string;
  /** Decoded body: depends on the kind. */
  readonly data: unknown;
}
