// Dropping what is old: whole trees, in small steps, one at a time (54).
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import type { Database } from "../../src/store/database.ts";
import { settleRuns } from "../../src/store/finish.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { appendEntries } from "../../src/store/journal.ts";
import { clearLeftovers, purgeRows, retain, START, walk } from "../../src/store/retention.ts";
import { forkRun, type NewRun, reviveRun, submitRuns } from "../../src/store/submit.ts";
import {
  ALL,
  ageRun,
  apart,
  countOf,
  DAY_MS,
  type Ending,
  endedRun,
  PACE,
  POLICY,
  rounds,
  untilBlocked,
} from "../support/ended.ts";
import { until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aHeldRun, aRun } from "../support/runs.ts";

let fresh: FreshDatabase;
let db: Database;
beforeEach(async () => {
  fresh = await freshDatabase();
  db = fresh.db;
});
afterEach(async () => {
  expect(await checkInvariants(db)).toEqual([]);
  await fresh.drop();
});

const ended = (changes: Partial<NewRun> = {}, ending: Ending = {}): Promise<string> => endedRun(db, changes, ending);
const count = (table: string): Promise<number> => countOf(db, table);

async function left(): Promise<string[]> {
  const rows = await db.query<{ run_id: string }>("select run_id from longhaul.runs order by run_id");
  return rows.map((row) => row.run_id);
}

describe("what is dropped", () => {
  test("runs past their time, with all that belongs to them; failures have a time of their own", async () => {
    await ended({}, { days: 31, entries: 3 });
    const young = await ended({}, { days: 29 });
    const failed = await ended({}, { days: 89, failed: true });
    await ended({}, { days: 91, failed: true });
    await rounds(db);
    expect(await left()).toEqual([young, failed]);
    expect(await count("journal")).toBe(4);
    expect(await count("outcomes")).toBe(2);
  });

  test("nothing, when everything is kept for ever", async () => {
    const old = [await ended({}, { days: 3_000 }), await ended({}, { days: 3_000, failed: true })];
    expect(await rounds(db, { finishedMs: null, failedMs: null, threadsMs: null })).toEqual([]);
    expect(await left()).toEqual(old);
  });

  test("an idempotency key goes with its run, and may then stand for a new one", async () => {
    const key = { idempotencyKey: "k", requestHash: "h" };
    const first = await ended(key, { days: 31 });
    const [same] = await submitRuns(db, [aRun(key)]);
    expect(same).toMatchObject({ run_id: first, existing: true });
    await rounds(db);
    const [other] = await submitRuns(db, [aRun(key)]);
    expect(other).toMatchObject({ existing: false });
    expect(other?.run_id).not.toBe(first);
  });

  test("ids of any kind, since clients may choose them", async () => {
    await ended({ runId: "ffffffff-ffff-4fff-bfff-ffffffffffff" }, { days: 31 });
    await ended({ runId: "00000000-0000-4000-8000-000000000001" }, { days: 31 });
    await rounds(db);
    expect(await left()).toEqual([]);
  });

  test("workers that nobody has heard of for days, unless a run still names them", async () => {
    const { workerId } = await aHeldRun(db);
    const gone = newId();
    await db.query(
      `insert into longhaul.workers (worker_id, pid, slots, host, build, queues, agents, version, state, seen_at)
       select id, 1, 1, 'h', 'b', '{}', '{}', '0', 'lost', clock_timestamp() - interval '4 days' from unnest($1::uuid[]) id`,
      [[workerId, gone]],
    );
    await rounds(db);
    expect(await db.query("select worker_id from longhaul.workers")).toEqual([{ worker_id: workerId }]);
    await db.query("delete from longhaul.workers");
  });

  test("threads that are empty and idle, only if somebody asks", async () => {
    const threadId = newId();
    await ended({ threadId }, { days: 31 });
    const busy = newId();
    const { run } = await aHeldRun(db, { threadId: busy });
    const state = apart("a state");
    await db.query("insert into longhaul.blobs (tenant_id, hash, body) values ($1, $2, $3)", Object.values(state));
    await db.query("update longhaul.threads set updated_at = clock_timestamp() - interval '1 year'");
    await db.query("update longhaul.threads set state_blob = $2 where thread_id = $1", [threadId, state.hash]);
    await rounds(db);
    expect(await count("threads")).toBe(2);
    expect(await count("blobs")).toBe(1);
    await db.query("update longhaul.retention set began_at = '-infinity'");
    await rounds(db, { ...POLICY, threadsMs: DAY_MS });
    expect(await db.query("select active_run from longhaul.threads")).toEqual([{ active_run: run.run_id }]);
    expect(await count("blobs")).toBe(0);
  });
});

describe("steps", () => {
  test("a transaction drops about as many runs as it is told, and the next goes on behind it", async () => {
    for (let i = 0; i < 25; i++) await ended({}, { days: 40 - i / 100 });
    expect(await rounds(db, POLICY, 10)).toEqual(["runs 10", "runs 10", "runs 5"]);
  });

  test("a walk does not come back for what it had to leave; the last of a tree to come of age lets it go", async () => {
    const root = await ended({}, { days: 40 });
    const child = await ended({ rootId: root, depth: 1, detached: true }, { days: 10, failed: true });
    expect(await rounds(db)).toEqual(["runs 0"]);
    expect(await rounds(db)).toEqual([]);
    await ageRun(db, child, 91);
    expect(await rounds(db)).toEqual(["runs 2"]);
    expect(await left()).toEqual([]);
  });

  test("once a day it looks at everything again", async () => {
    const run = await ended({}, { days: 10 });
    await ended({}, { days: 31 });
    await rounds(db);
    await ageRun(db, run, 35);
    expect(await rounds(db)).toEqual([]);
    await db.query("update longhaul.retention set began_at = clock_timestamp() - interval '25 hours'");
    expect(await rounds(db)).toEqual(["runs 1"]);
  });

  test("a clock that was set back is no reason to stop for longer than a round", async () => {
    await rounds(db);
    await db.query(
      `update longhaul.retention set began_at = clock_timestamp() + interval '3 years', ended_at = clock_timestamp() + interval '3 years'`,
    );
    await ended({}, { days: 31 });
    expect(await rounds(db)).toEqual(["runs 1"]);
  });

  test("many that ended in the same moment are all met", async () => {
    const ids = [];
    for (let i = 0; i < 12; i++) ids.push(await ended());
    await db.query("update longhaul.outcomes set finished_at = '2020-01-01'");
    expect(await rounds(db, POLICY, 5)).toEqual(["runs 5", "runs 5", "runs 2"]);
  });

  test("a long journal goes in pieces after its run, from the end, and breaks no rule meanwhile", async () => {
    const big = apart("b".repeat(1_000));
    const { run, workerId } = await aHeldRun(db);
    const entries = Array.from({ length: 12_000 }, (_, i) => {
      return {
        kind: KIND.step,
        key: `s${i}#1`,
        body: '{"n":1,"v":1}',
        blob: i === 7 ? big.hash : null,
        ...(i === 7 ? { apart: big } : {}),
      };
    });
    await appendEntries(db, workerId, 60_000, [{ runId: run.run_id, epoch: 1, first: 2, entries }]);
    const last = { kind: KIND.finished, key: null, body: '{"status":"succeeded"}', blob: null };
    const to = { move: "finish", status: "succeeded", output: "1", outputBlob: null } as const;
    await settleRuns(db, workerId, [
      { runId: run.run_id, epoch: 1, first: 12_002, entries: [last], to, consumed: [], activeMs: 1 },
    ]);
    expect((await walk(db, ALL, START, 10))?.runs).toBe(1);
    expect(await left()).toEqual([]);
    expect(await count("journal")).toBe(12_002);
    for (let n = await clearLeftovers(db, 5_000, 50); n !== 0; n = await clearLeftovers(db, 5_000, 50))
      expect(await checkInvariants(db)).toEqual([]);
    expect(await count("journal")).toBe(0);
    expect(await count("leftovers")).toBe(0);
    expect(await count("blobs")).toBe(0);
  });

  test("a count drops nothing, and counts each tree once", async () => {
    const root = await ended({}, { days: 40, entries: 2 });
    await ended({ rootId: root, depth: 1, detached: true }, { days: 40 });
    await ended({}, { days: 40, failed: true });
    let trees = 0;
    let runs = 0;
    for (const failed of [false, true]) {
      const counted = await walk(db, { ...ALL, failed, dry: true }, START, 100);
      trees += counted?.trees ?? 0;
      runs += counted?.runs ?? 0;
    }
    expect({ trees, runs }).toEqual({ trees: 2, runs: 3 });
    expect(await left()).toHaveLength(3);
  });

  test("of one tenant only, by hand", async () => {
    const other = await ended({ tenant: "other" }, { days: 40 });
    await ended({}, { days: 40 });
    expect((await walk(db, { ...ALL, tenant: "t" }, START, 100))?.runs).toBe(1);
    expect(await left()).toEqual([other]);
  });
});

describe("others at the same time", () => {
  test("of ten that prune at once one does, the others leave it out, and every run goes once", async () => {
    for (let i = 0; i < 30; i++) await ended({}, { days: 40 });
    const walked = await Promise.all(Array.from({ length: 10 }, () => walk(db, ALL, START, 100)));
    expect(walked.reduce((sum, one) => sum + (one?.runs ?? 0), 0)).toBe(30);
    await ended({}, { days: 40 });
    const rounds = await Promise.all(Array.from({ length: 10 }, () => retain(db, POLICY, { ...PACE, share: 0.25 })));
    expect(rounds.filter((round) => round?.did === "runs")).toHaveLength(1);
  });

  test("whoever comes before the pace allows it gets nothing", async () => {
    await rounds(db);
    await ended({}, { days: 40 });
    await db.query("update longhaul.retention set next_at = '-infinity'");
    expect(await retain(db, POLICY, { ...PACE, share: 0.001 })).toMatchObject({
      did: "runs",
      next_ms: expect.any(Number),
    });
    expect(await retain(db, POLICY, { ...PACE, share: 0.001 })).toBeNull();
  });

  test("takes its part of the time, and more the further behind it is, up to twice as much at a minute", async () => {
    const pauseMs = async (share: number, behindMs: number): Promise<number | null | undefined> => {
      await ended({}, { days: 31 });
      await db.query("update longhaul.retention set next_at = '-infinity'");
      return (await retain(db, { ...POLICY, finishedMs: 31 * DAY_MS - behindMs }, { ...PACE, share }))?.next_ms;
    };
    expect(await pauseMs(0.7, 1_000)).toBeGreaterThan(0);
    expect(await pauseMs(0.7, 30_000)).toBe(0);
    expect(await pauseMs(0.4, 60_000)).toBeGreaterThan(0);
    expect(await pauseMs(0.5, 60_000)).toBe(0);
    expect(await pauseMs(0.4, DAY_MS)).toBeGreaterThan(0);
  });

  test("a connection that dies in the middle has done nothing, and the next one does it", async () => {
    const run = await ended({}, { days: 40, entries: 5 });
    const dying = db.transaction(async (tx) => {
      await tx.query("select * from longhaul.prune(null, 'infinity', 'infinity', false, '-infinity', $1, 10, false)", [
        START.id,
      ]);
      expect(await retain(db, POLICY, PACE)).toMatchObject({ did: "runs", n: 0 });
      const [me] = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
      await db.query("select pg_terminate_backend($1)", [me?.pid]);
      await tx.query("select 1");
    });
    await expect(dying).rejects.toThrow();
    expect(await left()).toEqual([run]);
    expect(await checkInvariants(db)).toEqual([]);
    await until(async () => ((await walk(db, ALL, START, 10))?.runs ?? 0) === 1);
  });

  test("the source of a fork stays until it is copied; then it may go, and the copy stands on its own", async () => {
    const source = await ended({}, { days: 40, entries: 4 });
    const forked = newId();
    await db.transaction(async (tx) => {
      expect(await forkRun(tx, forked, source, [2, 3], null)).toBe(true);
      expect((await walk(db, ALL, START, 10))?.runs).toBe(0);
    });
    expect((await walk(db, ALL, START, 10))?.runs).toBe(1);
    expect(await left()).toEqual([forked]);
    expect(await count("journal")).toBe(2);
    expect(await forkRun(db, newId(), source, [2], null)).toBe(false);
    // A repeat after a lost answer.
    expect(await forkRun(db, forked, source, [2, 3], null)).toBe(true);
  });

  test("a fork that comes while the source is being dropped finds nothing to copy", async () => {
    const source = await ended({}, { days: 40, entries: 4 });
    let forking: Promise<boolean> | undefined;
    await db.transaction(async (tx) => {
      await tx.query("select longhaul.drop_trees(array[$1::uuid])", [source]);
      forking = forkRun(db, newId(), source, [2, 3], null);
      await untilBlocked(db);
    });
    expect(await forking).toBe(false);
    expect(await left()).toEqual([]);
  });

  test("a failed run that is tried again stays until it is copied, and then leaves no letter behind", async () => {
    const source = await ended({}, { days: 100, entries: 4, failed: true });
    expect(await count("dead_letters")).toBe(1);
    const next = newId();
    await db.transaction(async (tx) => {
      expect(await reviveRun(tx, next, source, [2, 3], null, true)).toBe(true);
      expect((await walk(db, { ...ALL, failed: true }, START, 10))?.runs).toBe(0);
    });
    expect((await walk(db, { ...ALL, failed: true }, START, 10))?.runs).toBe(1);
    expect(await left()).toEqual([next]);
    expect(await reviveRun(db, newId(), source, [2], null, false)).toBe(false);
  });

  test("a tenant is not forgotten while a run of its is on its way in", async () => {
    const known = { queue: "q", agent: "a", build: "b", threadId: newId() };
    await ended(known);
    await walk(db, ALL, START, 10);
    let submitting: Promise<unknown> | undefined;
    let purging: Promise<number | null> | undefined;
    await db.transaction(async (tx) => {
      // Everything that the submit needs is there: it makes no lane and no tenant. It has found them, and waits for its thread.
      await tx.query("select 1 from longhaul.threads for update");
      submitting = submitRuns(db, [aRun(known)]);
      await untilBlocked(db);
      purging = purgeRows(db, "t", 100);
      await untilBlocked(db, 2);
    });
    await submitting;
    expect(await purging).toBeNull();
    expect(await left()).toHaveLength(1);
  });

  test("a run that comes in while its tenant is forgotten makes it anew", async () => {
    const known = { queue: "q", agent: "a", build: "b", concurrencyKey: "k" };
    await ended(known);
    await walk(db, ALL, START, 10);
    let submitting: Promise<unknown> | undefined;
    await db.transaction(async (tx) => {
      for (let n: number | undefined; n !== 0; ) {
        const [row] = await tx.query<{ n: number }>("select longhaul.purge_rows('t', 1) as n");
        n = row?.n ?? 0;
      }
      submitting = submitRuns(db, [aRun(known)]);
      await untilBlocked(db);
    });
    await submitting;
    expect(await db.query("select unfinished from longhaul.tenants")).toEqual([{ unfinished: 1 }]);
    expect(await checkInvariants(db)).toEqual([]);
  });

  test("a tenant is forgotten piece by piece, and every piece leaves what is right", async () => {
    for (const concurrencyKey of ["", "x", "y"]) await ended({ concurrencyKey, agent: "a", queue: "q" });
    await ended({ tenant: "other", agent: "a", queue: "q", concurrencyKey: "x" });
    expect((await walk(db, { ...ALL, tenant: "t" }, START, 10))?.runs).toBe(3);
    for (let n = await purgeRows(db, "t", 1); n !== 0; n = await purgeRows(db, "t", 1)) {
      expect(n).toBe(1);
      expect(await checkInvariants(db)).toEqual([]);
    }
    for (const table of ["lanes", "turns", "gates", "tenants"])
      expect(await db.query(`select tenant_id from longhaul.${table}`)).toEqual([{ tenant_id: "other" }]);
  });
});
