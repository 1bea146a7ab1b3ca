// Statements by which runs leave their worker or end, and by which others reach them.
import { type Apart, queryWithBlobs } from "./blobs.ts";
import type { Queryable } from "./database.ts";
import { type Append, entryColumns } from "./journal.ts";

export interface WaitRow {
  readonly key: string;
  readonly dueAt: Date | null;
  readonly failFast: boolean;
  readonly label: string;
}

export type Move =
  | {
      readonly move: "finish";
      readonly status: "succeeded";
      readonly output: string | null;
      readonly outputBlob: string | null;
      /** The value of `outputBlob`, where it is not stored yet. */
      readonly apart?: Apart | undefined;
    }
  | {
      readonly move: "finish";
      readonly status: "failed";
      readonly reason: string | null;
      readonly failure: string;
      /** What it had so far, if it said so. */
      readonly output?: string | null;
      readonly outputBlob?: string | null;
      readonly apart?: Apart | undefined;
    }
  | { readonly move: "finish"; readonly status: "cancelled"; readonly reason: string | null }
  | {
      readonly move: "wait";
      /** The inbox as the worker has seen it: if more has come, the run may not go to sleep. */
      readonly inboxSeq: number;
      readonly need: number;
      readonly waits: readonly WaitRow[];
      readonly dueAt: Date | null;
    }
  | { readonly move: "yield" }
  | { readonly move: "pause"; readonly reason: string };

/** One run's farewell: its last entries, and where it goes. */
export interface Settle extends Append {
  readonly to: Move;
  /** Inbox messages that the entries consume. */
  readonly consumed: readonly number[];
  /** Running time of this claim. */
  readonly activeMs: number;
}

export type SettleVerdict = "done" | "inbox" | "cancel";

const SETTLE = `select * from longhaul.settle($1, $2::uuid[], $3::int[], $4::int[], $5::int[], $6::text[], $7::int[], $8::int[], $9::timestamptz[], $10::bigint[],
  $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
  $16::uuid[], $17::int[], $18::int[], $19::smallint[], $20::text[], $21::text[], $22::text[], $23::uuid[], $24::int[],
  $25::uuid[], $26::text[], $27::timestamptz[], $28::boolean[], $29::text[])`;

/** Lets go of a batch of runs in one fenced statement. A run that is missing in the answer was lost. */
export function settleRuns(
  db: Queryable,
  workerId: string,
  settles: readonly Settle[],
): Promise<{ run_id: string; verdict: SettleVerdict }[]> {
  const of = <T>(pick: (to: Move) => T): T[] => settles.map((s) => pick(s.to));
  const waits = settles.flatMap((s) => (s.to.move === "wait" ? s.to.waits.map((w) => ({ runId: s.runId, ...w })) : []));
  const consumed = settles.flatMap((s) => s.consumed.map((seq) => ({ runId: s.runId, seq })));
  return queryWithBlobs(
    db,
    SETTLE,
    [
      workerId,
      settles.map((s) => s.runId),
      settles.map((s) => s.epoch),
      settles.map((s) => s.first),
      settles.map((s) => s.entries.length),
      of((to) => to.move),
      of((to) => (to.move === "wait" ? to.inboxSeq : null)),
      of((to) => (to.move === "wait" ? to.need : null)),
      of((to) => (to.move === "wait" ? to.dueAt : null)),
      settles.map((s) => Math.round(s.activeMs)),
      of((to) => (to.move === "finish" ? to.status : null)),
      of((to) => ("reason" in to ? to.reason : null)),
      of((to) => ("output" in to ? (to.output ?? null) : null)),
      of((to) => ("outputBlob" in to ? (to.outputBlob ?? null) : null)),
      of((to) => ("failure" in to ? to.failure : null)),
      ...entryColumns(settles),
      consumed.length === 0 ? null : consumed.map((c) => c.runId),
      consumed.length === 0 ? null : consumed.map((c) => c.seq),
      waits.map((w) => w.runId),
      waits.map((w) => w.key),
      waits.map((w) => w.dueAt),
      waits.map((w) => w.failFast),
      waits.map((w) => w.label),
    ],
    "lh_settle",
    settles.flatMap((s) => ["apart" in s.to ? s.to.apart : undefined, ...s.entries.map((e) => e.apart)]),
  );
}

/** `cancelled`: it ended here and now. `requested`: its worker will stop it. */
export async function cancelRun(
  db: Queryable,
  runId: string,
  reason: string,
): Promise<"cancelled" | "requested" | "finished" | "unknown"> {
  const [row] = await db.query<{ cancel: "cancelled" | "requested" | "finished" | "unknown" }>(
    "select longhaul.cancel($1, $2)",
    [runId, reason],
    "lh_cancel",
  );
  return row?.cancel ?? "unknown";
}

export interface Delivery {
  readonly runId: string;
  readonly kind: "signal" | "nudge";
  readonly key: string;
  readonly body: string | null;
  readonly blob: string | null;
  readonly inboxMax: number;
}

/** Puts one message into a run's inbox and wakes the run if it waits for it. */
export async function deliver(
  db: Queryable,
  message: Delivery,
): Promise<"delivered" | "finished" | "unknown" | "full"> {
  const [row] = await db.query<{ deliver: "delivered" | "finished" | "unknown" | "full" }>(
    "select longhaul.deliver($1, $2, $3, $4, $5, $6)",
    [message.runId, message.kind, message.key, message.body, message.blob, message.inboxMax],
    "lh_deliver",
  );
  return row?.deliver ?? "unknown";
}

/** Puts a paused run back into the queue. False when it is not paused. */
export async function resumeRun(db: Queryable, runId: string, by: string): Promise<boolean> {
  const [row] = await db.query<{ resume: boolean }>("select longhaul.resume($1, $2)", [runId, by]);
  return row?.resume ?? false;
}

/** Which of these runs have ended. */
export async function readFinished(db: Queryable, runIds: readonly string[]): Promise<string[]> {
  const rows = await db.query<{ run_id: string }>(
    "select run_id from longhaul.outcomes where run_id = any($1::uuid[])",
    [runIds],
    "lh_finished",
  );
  return rows.map((row) => row.run_id);
}
