// The fenced append, the lease that it extends, and reading back.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import {
  type Append,
  appendEntries,
  appendWith,
  type NewApproval,
  type NewEntry,
  readEntries,
  readForReplay,
  readInbox,
  readTails,
} from "../../src/store/journal.ts";
import { installGuards } from "../support/guards.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aHeldRun, liveRow, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
  await installGuards(fresh.db);
});
afterEach(async () => expect(await wrongCounters(fresh.db)).toEqual([]));
afterAll(() => fresh.drop());

const LEASE_MS = 60_000;
const entry = (key: string, kind: number = KIND.step): NewEntry => ({
  kind,
  key,
  body: `{"n":1,"v":"${key}"}`,
  blob: null,
});
const appendTo = (runId: string, first: number, ...entries: NewEntry[]): Append => ({
  runId,
  epoch: 1,
  first,
  entries,
});

async function keys(runId: string): Promise<(string | null)[]> {
  return (await readEntries(fresh.db, runId, 0, 1_000)).map((stored) => stored.key);
}

test("entries are numbered by their writer, without a gap (41)", async () => {
  const { run, workerId } = await aHeldRun(fresh.db);
  await appendEntries(fresh.db, workerId, LEASE_MS, [appendTo(run.run_id, 2, entry("a"), entry("b"))]);
  await appendEntries(fresh.db, workerId, LEASE_MS, [appendTo(run.run_id, 4, entry("c"))]);
  const stored = await readEntries(fresh.db, run.run_id, 0, 100);
  expect(stored.map((one) => [one.seq, one.key])).toEqual([
    [1, null],
    [2, "a"],
    [3, "b"],
    [4, "c"],
  ]);
  expect(await liveRow(fresh.db, run.run_id)).toMatchObject({ journal_seq: 4 });
});

describe("the fence (11)", () => {
  test.each([
    ["another epoch", { epoch: 2 }],
    ["an epoch that has passed", { epoch: 0 }],
    ["a number that is taken", { first: 1 }],
    ["a number that leaves a gap", { first: 3 }],
    ["a run that is not there", { runId: newId() }],
  ])("nothing is written with %s", async (_, wrong) => {
    const { run, workerId } = await aHeldRun(fresh.db);
    const append = { ...appendTo(run.run_id, 2, entry("a")), ...wrong };
    expect(await appendEntries(fresh.db, workerId, LEASE_MS, [append])).toEqual([]);
    expect((await appendWith(fresh.db, workerId, LEASE_MS, append, {})).verdict).toBe("lost");
    expect(await keys(run.run_id)).toEqual([null]);
  });

  test("nothing is written by another worker, or after the run was taken away", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    const append = appendTo(run.run_id, 2, entry("a"));
    expect(await appendEntries(fresh.db, newId(), LEASE_MS, [append])).toEqual([]);
    await fresh.db.query("update longhaul.live set expires_at = clock_timestamp() - interval '1 s' where run_id = $1", [
      run.run_id,
    ]);
    await fresh.db.query("select * from longhaul.sweep(10, 2, false)");
    expect(await appendEntries(fresh.db, workerId, LEASE_MS, [append])).toEqual([]);
    expect((await appendWith(fresh.db, workerId, LEASE_MS, append, {})).verdict).toBe("lost");
    expect((await readEntries(fresh.db, run.run_id, 0, 100)).map((stored) => stored.kind)).toEqual([
      KIND.claimed,
      KIND.lost,
    ]);
  });

  test("one lost run of a batch costs the others nothing", async () => {
    const kept = await aHeldRun(fresh.db);
    const lost = await aHeldRun(fresh.db);
    const answer = await appendEntries(fresh.db, kept.workerId, LEASE_MS, [
      appendTo(lost.run.run_id, 2, entry("x")),
      appendTo(kept.run.run_id, 2, entry("a")),
    ]);
    expect(answer.map((row) => row.run_id)).toEqual([kept.run.run_id]);
    expect(await keys(lost.run.run_id)).toEqual([null]);
    expect(await keys(kept.run.run_id)).toEqual([null, "a"]);
  });

  test("a lease that has lapsed and was not taken is still one's own: only the next claim ends it", async () => {
    const { run, workerId } = await aHeldRun(fresh.db, {});
    await fresh.db.query("update longhaul.live set expires_at = clock_timestamp() - interval '1 s' where run_id = $1", [
      run.run_id,
    ]);
    expect(await appendEntries(fresh.db, workerId, LEASE_MS, [appendTo(run.run_id, 2, entry("a"))])).toHaveLength(1);
  });
});

test("an append extends the lease, by the database's clock even inside an old transaction (13)", async () => {
  const { run, workerId } = await aHeldRun(fresh.db);
  await fresh.db.transaction(async (tx) => {
    await tx.query("select now(), pg_sleep(0.05)");
    await appendEntries(tx, workerId, LEASE_MS, [appendTo(run.run_id, 2, entry("a"))]);
    const [row] = await tx.query<{ exact: boolean }>(
      "select expires_at > now() + interval '60.04 s' and expires_at <= clock_timestamp() + interval '60 s' as exact from longhaul.live where run_id = $1",
      [run.run_id],
    );
    expect(row?.exact).toBe(true);
  });
});

test("an append reports what others want of the run: its cancel and how far its inbox reaches", async () => {
  const { run, workerId } = await aHeldRun(fresh.db);
  await fresh.db.query("select longhaul.deliver($1, 'signal', 'signal:s', '1', null, 10)", [run.run_id]);
  await fresh.db.query("select longhaul.cancel($1, 'enough')", [run.run_id]);
  const answer = await appendEntries(fresh.db, workerId, LEASE_MS, [appendTo(run.run_id, 2, entry("a"))]);
  expect(answer).toEqual([{ run_id: run.run_id, cancel: "enough", inbox_seq: 1 }]);
});

describe("an append that changes more", () => {
  const approval = (approvalId = newId()): NewApproval => ({
    approvalId,
    stepKey: "approval a#1",
    kind: "approval",
    name: "a",
    request: "1",
    requestBlob: null,
    requestHash: "h",
    expiresAt: null,
  });

  test("messages, approvals and the thread's state go with the entries, or not at all", async () => {
    const { run, workerId } = await aHeldRun(fresh.db, { threadId: newId() });
    await fresh.db.query("select longhaul.deliver($1, 'signal', 'signal:s', '1', null, 10)", [run.run_id]);
    const extras = { consumed: [1], approvals: [approval()], threadState: { text: '"s"', blob: null } };
    const seen = async () => ({
      inbox: (await readInbox(fresh.db, [run.run_id], [0])).length,
      approvals: (await fresh.db.query("select 1 from longhaul.approvals where run_id = $1", [run.run_id])).length,
      state: (await fresh.db.query("select state from longhaul.threads where thread_no = $1", [run.thread_no]))[0]?.[
        "state"
      ],
    });
    await appendWith(fresh.db, workerId, LEASE_MS, { ...appendTo(run.run_id, 2, entry("a")), epoch: 7 }, extras);
    expect(await seen()).toEqual({ inbox: 1, approvals: 0, state: null });
    await appendWith(fresh.db, workerId, LEASE_MS, appendTo(run.run_id, 2, entry("a")), extras);
    expect(await seen()).toEqual({ inbox: 0, approvals: 1, state: '"s"' });
  });

  test("an expiry that comes after the answer is refused, and writes nothing", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    const asked = approval();
    await appendWith(fresh.db, workerId, LEASE_MS, appendTo(run.run_id, 2, entry("w", KIND.wait)), {
      approvals: [asked],
    });
    await fresh.db.query("select longhaul.resolve_approval('t', $1, 'approved', 'ann', '1')", [asked.approvalId]);
    const verdict = await appendWith(fresh.db, workerId, LEASE_MS, appendTo(run.run_id, 3, entry("r", KIND.received)), {
      expired: [asked.approvalId],
    });
    expect(verdict.verdict).toBe("moved");
    expect(await keys(run.run_id)).toEqual([null, "w"]);
  });
});

describe("the heartbeat", () => {
  const beat = (workerId: string, runs: { run_id: string; epoch: number }[]) =>
    fresh.db.query("select * from longhaul.heartbeat($1, 60000, $2::uuid[], $3::int[])", [
      workerId,
      runs.map((run) => run.run_id),
      runs.map((run) => run.epoch),
    ]);

  test("extends one's own leases and says of the others that they are not held", async () => {
    const mine = await aHeldRun(fresh.db);
    const other = await aHeldRun(fresh.db);
    await fresh.db.query(
      "update longhaul.live set expires_at = clock_timestamp() + interval '1 s' where run_id = any($1)",
      [[mine.run.run_id, other.run.run_id]],
    );
    const rows = await beat(mine.workerId, [mine.run, other.run, { run_id: newId(), epoch: 1 }]);
    expect(rows.filter((row) => row["held"] === true).map((row) => row["run_id"])).toEqual([mine.run.run_id]);
    expect(await beat(mine.workerId, [{ ...mine.run, epoch: 9 }])).toMatchObject([{ held: false }]);
    const [left] = await fresh.db.query<{ mine: boolean; other: boolean }>(
      "select (select expires_at > clock_timestamp() + interval '30 s' from longhaul.live where run_id = $1) as mine, (select expires_at > clock_timestamp() + interval '30 s' from longhaul.live where run_id = $2) as other",
      [mine.run.run_id, other.run.run_id],
    );
    expect(left).toEqual({ mine: true, other: false });
  });

  test("passes over a row that somebody has locked: skipped is not lost", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await fresh.db.transaction(async (tx) => {
      await tx.query("select 1 from longhaul.live where run_id = $1 for update", [run.run_id]);
      expect(await beat(workerId, [run])).toMatchObject([{ run_id: run.run_id, held: true }]);
    });
  });
});

describe("reading back", () => {
  test("a replay starts at the last checkpoint, for many runs in one query", async () => {
    const plain = await aHeldRun(fresh.db);
    const long = await aHeldRun(fresh.db);
    await appendEntries(fresh.db, plain.workerId, LEASE_MS, [appendTo(plain.run.run_id, 2, entry("a"))]);
    await appendEntries(fresh.db, long.workerId, LEASE_MS, [
      appendTo(
        long.run.run_id,
        2,
        entry("before"),
        { kind: KIND.checkpoint, key: null, body: '{"g":1}', blob: null },
        entry("between"),
        { kind: KIND.checkpoint, key: null, body: '{"g":2}', blob: null },
        entry("after"),
      ),
    ]);
    const rows = await readForReplay(fresh.db, [plain.run.run_id, long.run.run_id]);
    const of = (runId: string) => rows.get(runId)?.map((row) => row.seq);
    expect(of(plain.run.run_id)).toEqual([1, 2]);
    expect(of(long.run.run_id)).toEqual([5, 6]);
  });

  test("the tail says whose a run is and what is stored", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    expect(await readTails(fresh.db, [run.run_id, newId()])).toEqual([
      {
        run_id: run.run_id,
        epoch: 1,
        worker_id: workerId,
        state: "running",
        journal_seq: 1,
        cancel: null,
        inbox_seq: 0,
      },
    ]);
  });
});
