// Runs that have ended, some days ago, and rounds of retention without their pauses: for tests of what is dropped.
import { createHash } from "node:crypto";
import { KIND } from "../../src/domain/entry.ts";
import type { Apart } from "../../src/store/blobs.ts";
import type { Database } from "../../src/store/database.ts";
import { settleRuns } from "../../src/store/finish.ts";
import { type RetentionPolicy, retain, type Walk } from "../../src/store/retention.ts";
import type { NewRun } from "../../src/store/submit.ts";
import { until } from "./longhaul.ts";
import { aHeldRun } from "./runs.ts";

export const DAY_MS = 86_400_000;
export const POLICY: RetentionPolicy = { finishedMs: 30 * DAY_MS, failedMs: 90 * DAY_MS, threadsMs: null };
export const PACE = { limit: 100, share: 1, everyMs: 60_000 };
export const ALL: Walk = { tenant: null, until: "infinity", failedUntil: "infinity", failed: false, dry: false };

export function apart(body: string, tenant = "t"): Apart {
  return { tenant, hash: createHash("sha256").update(body).digest("hex"), body };
}

export interface Ending {
  readonly days?: number;
  readonly failed?: boolean;
  readonly entries?: number;
  readonly output?: Apart;
}

/** A run that ended so many days ago. */
export async function endedRun(
  db: Database,
  changes: Partial<NewRun> = {},
  { days = 0, failed = false, entries = 0, output }: Ending = {},
): Promise<string> {
  const { run, workerId } = await aHeldRun(db, changes);
  const steps = Array.from({ length: entries }, (_, i) => {
    return { kind: KIND.step, key: `s${i}#1`, body: '{"n":1,"v":1}', blob: null };
  });
  const status = failed ? "failed" : "succeeded";
  const last = { kind: KIND.finished, key: null, body: `{"status":"${status}"}`, blob: null };
  const to = failed
    ? ({ move: "finish", status: "failed", reason: null, failure: "{}" } as const)
    : ({ move: "finish", status: "succeeded", output: null, outputBlob: output?.hash ?? null, apart: output } as const);
  const settle = { runId: run.run_id, epoch: 1, first: 2, entries: [...steps, last], to, consumed: [], activeMs: 1 };
  await settleRuns(db, workerId, [settle]);
  await ageRun(db, run.run_id, days);
  return run.run_id;
}

export async function ageRun(db: Database, runId: string, days: number): Promise<void> {
  await db.query(
    "update longhaul.outcomes set finished_at = clock_timestamp() - $2 * interval '1 day' where run_id = $1",
    [runId, days],
  );
}

/** Rounds as a worker makes them, without the pauses, until there is nothing to do. */
export async function rounds(db: Database, policy = POLICY, limit = 200): Promise<string[]> {
  const did: string[] = [];
  for (;;) {
    await db.query("update longhaul.retention set next_at = '-infinity'");
    const round = await retain(db, policy, { ...PACE, limit });
    if (round === null) throw new Error("somebody else prunes");
    if (round.did === null) return did;
    did.push(`${round.did} ${round.n}`);
  }
}

export async function countOf(db: Database, table: string): Promise<number> {
  const [row] = await db.query<{ n: number }>(`select count(*) as n from longhaul.${table}`);
  return row?.n ?? 0;
}

/** Until some session of this database waits for a lock. */
export function untilBlocked(db: Database): Promise<unknown> {
  return until(async () => {
    const rows = await db.query(
      "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return rows.length > 0;
  });
}
