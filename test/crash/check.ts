// What must be true after a point: the same outputs as undisturbed, every invariant, and what the witness and the clients saw.

import type { Database } from "../../src/store/database.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import type { Arena } from "./arena.ts";
import { modelStep, readAcks, readStarts } from "./witness.ts";

/** What came of all runs, without anything that differs from run to run. */
export async function outcomeOf(db: Database): Promise<string> {
  const rows = await db.query(
    `select r.agent, coalesce(r.input, r.input_blob) as input, r.idempotency_key, o.status, coalesce(o.output, o.output_blob) as output
       from longhaul.runs r left join longhaul.outcomes o using (run_id) order by 1, 2, 3, 4, 5`,
  );
  return rows.map((row) => JSON.stringify(row)).join("\n");
}

export async function brokenInvariants(db: Database, when: string): Promise<string[]> {
  const violations = await checkInvariants(db);
  return violations.map(
    ({ invariant, name, rows }) => `${when}: ${invariant} ${name}: ${JSON.stringify(rows.slice(0, 3))}`,
  );
}

interface Recorded {
  readonly run_id: string;
  readonly key: string;
  readonly at_ms: number;
  readonly failed_attempts: number;
  readonly losses: number;
}

/** The clocks are the same, but one tells whole milliseconds. */
const CLOCK_MS = 1;

/** Compares what bodies did (promise 2, invariants 7 and 9) and what was acknowledged (1) with what the database holds. */
export async function contradictions(arena: Arena, file: string, mayRepeatTransaction: boolean): Promise<string[]> {
  const { db } = arena;
  const recorded = await db.query<Recorded>(
    `select j.run_id, j.key, extract(epoch from j.at)::float8 * 1000 as at_ms,
       (select count(*) from longhaul.journal a where a.run_id = j.run_id and a.key = j.key and a.kind = 11) as failed_attempts,
       (select count(*) from longhaul.journal l where l.run_id = j.run_id and l.kind = 4) as losses
       from longhaul.journal j where j.kind = 10 order by j.run_id, j.seq`,
  );
  const byStep = new Map(recorded.map((row) => [`${row.run_id}/${row.key}`, row]));
  for (const [step, row] of modelCalls(recorded)) byStep.set(step, row);
  const found: string[] = [];
  const starts = new Map<string, number[]>();
  for (const { runId, key, atMs } of readStarts(file)) {
    const step = `${runId}/${key}`;
    starts.set(step, [...(starts.get(step) ?? []), atMs]);
    const record = byStep.get(step);
    if (record !== undefined && atMs > record.at_ms + CLOCK_MS) {
      found.push(`I7: the body of ${key} started ${Math.round(atMs - record.at_ms)} ms after it was recorded`);
    }
  }
  for (const [step, times] of starts) {
    const record = byStep.get(step);
    if (record === undefined) continue;
    const repeats = mayRepeatTransaction ? 1 : 0;
    const allowed = 1 + record.failed_attempts + record.losses + repeats;
    if (times.length > allowed)
      found.push(`I9: the body of ${record.key} started ${times.length} times, allowed ${allowed}`);
  }
  const tallies = await db.query("select run_id, step, count(*) as n from tallies group by 1, 2 having count(*) > 1");
  if (tallies.length > 0) found.push(`transaction took effect more than once: ${JSON.stringify(tallies)}`);
  return [...found, ...(await lostSubmits(db, file))];
}

/** The key of a model call has a hash of the question in it. The models here do not know it, but which question it is. */
function modelCalls(recorded: readonly Recorded[]): [string, Recorded][] {
  const asked = new Map<string, number>();
  return recorded.flatMap((row) => {
    const [name, mark] = row.key.split("@");
    if (mark === undefined || name?.startsWith("model ") !== true) return [];
    const nth = (asked.get(row.run_id) ?? 0) + 1;
    asked.set(row.run_id, nth);
    return [[modelStep(row.run_id, nth), row] as [string, Recorded]];
  });
}

async function lostSubmits(db: Database, file: string): Promise<string[]> {
  const acks = readAcks(file);
  const runs = await db.query<{ run_id: string }>("select run_id from longhaul.runs");
  const known = new Set(runs.map((row) => row.run_id));
  const lost = acks.filter(({ runId }) => !known.has(runId));
  const byWhat = new Map<string, Set<string>>();
  for (const { ack, runId } of acks) byWhat.set(ack, (byWhat.get(ack) ?? new Set()).add(runId));
  const doubled = [...byWhat].filter(([, ids]) => ids.size > 1).map(([what]) => what);
  return [
    ...lost.map(({ ack }) => `I1: the acknowledged submit ${ack} is lost`),
    ...doubled.map((what) => `I3: the submit ${what} was answered with two runs`),
  ];
}

/** Where unfinished runs stand, for whoever must find out why. */
export async function standstill(db: Database): Promise<string> {
  const rows = await db.query(
    `select r.agent, l.state, l.epoch, l.need, l.inbox_seq, l.cancel, l.pause_reason, l.expires_at - clock_timestamp() as lease, l.worker_id,
       (select array_agg(w.key) from longhaul.waits w where w.run_id = l.run_id) as waits,
       (select array_agg(i.key) from longhaul.inbox i where i.run_id = l.run_id) as inbox,
       (select d.due_at - clock_timestamp() from longhaul.later d where d.run_id = l.run_id) as due,
       (select array_agg(concat_ws(' ', j.seq, j.epoch, j.kind, j.key) order by j.seq) from longhaul.journal j where j.run_id = l.run_id) as journal
       from longhaul.live l join longhaul.runs r using (run_id)`,
  );
  return rows.map((row) => JSON.stringify(row)).join("\n  ");
}
