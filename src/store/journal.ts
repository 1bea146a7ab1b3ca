// Statements on the journal: the fenced append, reading it back, and the inbox.
import type { Entry, Recorded } from "../domain/entry.ts";
import type { Message } from "../domain/message.ts";
import { type Apart, queryWithBlobs } from "./blobs.ts";
import { type Closing, closingsJson, runClosingsJson } from "./calls.ts";
import type { Queryable } from "./database.ts";

/** An entry that is not stored yet; its number is known, because a run has one writer. */
export interface NewEntry {
  readonly kind: number;
  readonly key: string | null;
  readonly body: string | null;
  readonly blob: string | null;
  /** The value of `blob`, where it is not stored yet. */
  readonly apart?: Apart | undefined;
}

/** What one run wants to append: entries numbered from `first`, under its epoch. */
export interface Append {
  readonly runId: string;
  readonly epoch: number;
  readonly first: number;
  readonly entries: readonly NewEntry[];
  /** Model calls that the entries record, and what became of them. */
  readonly spend?: readonly Closing[];
}

/** The answer for a run that is still held. */
export interface Held {
  readonly run_id: string;
  readonly cancel: string | null;
  readonly inbox_seq: number;
}

const APPEND = `select * from longhaul.append($1, $2, $3::uuid[], $4::int[], $5::int[], $6::int[],
  $7::uuid[], $8::int[], $9::int[], $10::smallint[], $11::text[], $12::text[], $13::text[])`;
const APPEND_SPENT = `${APPEND.replace("longhaul.append(", "longhaul.append_spent(").slice(0, -1)}, $14::jsonb)`;

/** Appends for many runs in one fenced statement. A run that is missing in the answer was lost: nothing of it was written. */
export function appendEntries(
  db: Queryable,
  workerId: string,
  leaseMs: number,
  appends: readonly Append[],
): Promise<Held[]> {
  const values = [
    workerId,
    leaseMs,
    appends.map((a) => a.runId),
    appends.map((a) => a.epoch),
    appends.map((a) => a.first),
    appends.map((a) => a.entries.length),
    ...entryColumns(appends),
  ];
  const apart = appends.flatMap((a) => a.entries.map((e) => e.apart));
  return appends.every(({ spend }) => spend === undefined)
    ? queryWithBlobs<Held>(db, APPEND, values, "lh_append", apart)
    : queryWithBlobs<Held>(db, APPEND_SPENT, [...values, runClosingsJson(appends)], "lh_append_spent", apart);
}

/** The entries of a batch as columns: run, seq, epoch, kind, key, body, blob. */
export function entryColumns(appends: readonly Append[]): unknown[][] {
  const columns: unknown[][] = [[], [], [], [], [], [], []];
  for (const append of appends) {
    append.entries.forEach((entry, i) => {
      const row = [append.runId, append.first + i, append.epoch, entry.kind, entry.key, entry.body, entry.blob];
      row.forEach((value, c) => void columns[c]?.push(value));
    });
  }
  return columns;
}

export interface NewApproval {
  readonly approvalId: string;
  readonly stepKey: string;
  readonly kind: "approval" | "interrupt";
  readonly name: string;
  readonly request: string | null;
  readonly requestBlob: string | null;
  readonly requestHash: string;
  readonly expiresAt: Date | null;
}

/** What an append of one run changes besides the journal. */
export interface Extras {
  /** Inbox messages that these entries consume. */
  readonly consumed?: readonly number[];
  readonly threadState?: { readonly text: string | null; readonly blob: string | null };
  readonly approvals?: readonly NewApproval[];
  /** Approvals whose time-out these entries record. */
  readonly expired?: readonly string[];
  /** Model calls that the entries have to do with, and what became of them. */
  readonly spend?: readonly Closing[];
}

const APPEND_ONE = `select * from longhaul.append_one($1, $2, $3, $4, $5, $6::smallint[], $7::text[], $8::text[], $9::text[],
  $10::int[], $11, $12, $13, $14::uuid[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::timestamptz[], $22::uuid[], $23::jsonb)`;

/** The append of one run together with what else it changes. `moved`: an approval that was to expire has just been answered. */
export async function appendWith(
  db: Queryable,
  workerId: string,
  leaseMs: number,
  append: Append,
  extras: Extras,
): Promise<{ verdict: "done" | "lost" | "moved"; cancel: string | null; inbox_seq: number }> {
  const approvals = extras.approvals;
  const [row] = await queryWithBlobs<{ verdict: "done" | "lost" | "moved"; cancel: string | null; inbox_seq: number }>(
    db,
    APPEND_ONE,
    [
      workerId,
      leaseMs,
      append.runId,
      append.epoch,
      append.first,
      append.entries.map((e) => e.kind),
      append.entries.map((e) => e.key),
      append.entries.map((e) => e.body),
      append.entries.map((e) => e.blob),
      extras.consumed ?? null,
      extras.threadState !== undefined,
      extras.threadState?.text ?? null,
      extras.threadState?.blob ?? null,
      approvals?.map((a) => a.approvalId) ?? null,
      approvals?.map((a) => a.stepKey) ?? null,
      approvals?.map((a) => a.kind) ?? null,
      approvals?.map((a) => a.name) ?? null,
      approvals?.map((a) => a.request) ?? null,
      approvals?.map((a) => a.requestBlob) ?? null,
      approvals?.map((a) => a.requestHash) ?? null,
      approvals?.map((a) => a.expiresAt) ?? null,
      extras.expired ?? null,
      extras.spend === undefined || extras.spend.length === 0 ? null : closingsJson(extras.spend),
    ],
    "lh_append_one",
    append.entries.map((e) => e.apart),
  );
  if (row === undefined) throw new Error("append_one gave no verdict");
  return row;
}

/** Where the runs stand, for a writer whose connection broke under a statement: which tail is stored, and whose the run is. */
export function readTails(
  db: Queryable,
  runIds: readonly string[],
): Promise<
  {
    run_id: string;
    epoch: number;
    worker_id: string | null;
    state: string;
    journal_seq: number;
    cancel: string | null;
    inbox_seq: number;
  }[]
> {
  return db.query(
    "select run_id, epoch, worker_id, state, journal_seq, cancel, inbox_seq from longhaul.live where run_id = any($1::uuid[])",
    [runIds],
  );
}

/**
 * Everything since the last checkpoint, for many runs in one query: by run, in order. Only what a replay needs, because a
 * thousand of each column is what the replay of a thousand steps costs.
 */
export async function readForReplay(db: Queryable, runIds: readonly string[]): Promise<Map<string, Recorded[]>> {
  const rows = await db.query<Recorded & { readonly place: number }>(
    `select u.place::int, j.* from unnest($1::uuid[]) with ordinality u(run_id, place)
      cross join lateral (select coalesce(max(c.seq), 0) as seq from longhaul.journal c where c.run_id = u.run_id and c.kind = 16) last
      cross join lateral (
        -- a subselect of its own, so that only what is after the checkpoint is read, whatever the planner knows
        select x.seq, x.kind, x.key, x.body, x.blob from longhaul.journal x
         where x.run_id = u.run_id and x.seq >= last.seq order by x.seq offset 0) j
      order by u.place, j.seq`,
    [runIds],
    "lh_replay",
  );
  const byRun = new Map(runIds.map((runId): [string, Recorded[]] => [runId, []]));
  for (const row of rows) byRun.get(runIds[row.place - 1] ?? "")?.push(row);
  return byRun;
}

/** A page of one run's journal. */
export function readEntries(db: Queryable, runId: string, after: number, limit: number): Promise<Entry[]> {
  return db.query<Entry>(
    "select seq, epoch, kind, key, body, blob, at from longhaul.journal where run_id = $1 and seq > $2 order by seq limit $3",
    [runId, after, limit],
    "lh_entries",
  );
}

interface InboxRow {
  readonly run_id: string;
  readonly seq: number;
  readonly kind: Message["kind"];
  readonly key: string;
  readonly body: string | null;
  readonly blob: string | null;
}

/** Messages of many runs that came after the given ones, oldest first. */
export async function readInbox(
  db: Queryable,
  runIds: readonly string[],
  after: readonly number[],
): Promise<Message[]> {
  const rows = await db.query<InboxRow>(
    `select i.run_id, i.seq, i.kind, i.key, i.body, i.blob from unnest($1::uuid[], $2::int[]) u(run_id, after)
       join longhaul.inbox i on i.run_id = u.run_id and i.seq > u.after and i.run_id = any($1) order by i.run_id, i.seq`,
    [runIds, after],
    "lh_inbox",
  );
  return rows.map((row) => ({
    runId: row.run_id,
    seq: row.seq,
    kind: row.kind,
    key: row.key,
    body: row.body,
    blob: row.blob,
  }));
}

/** Cancel flags and inbox tails of runs that this worker holds. */
export function readNews(db: Queryable, runIds: readonly string[]): Promise<Held[]> {
  return db.query<Held>(
    "select run_id, cancel, inbox_seq from longhaul.live where run_id = any($1::uuid[])",
    [runIds],
    "lh_news",
  );
}
