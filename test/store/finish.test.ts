// Every way a run leaves its worker, and every way others reach it.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import type { Claimed } from "../../src/store/claim.ts";
import { cancelRun, deliver, type Move, resumeRun, settleRuns, type WaitRow } from "../../src/store/finish.ts";
import { appendWith } from "../../src/store/journal.ts";
import { submitRuns } from "../../src/store/submit.ts";
import { installGuards } from "../support/guards.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aHeldRun, aRun, claim, liveRow, settle, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase({ max: 25 });
  await installGuards(fresh.db);
});
afterEach(async () => expect(await wrongCounters(fresh.db)).toEqual([]));
afterAll(() => fresh.drop());

const SUCCEEDED = { move: "finish", status: "succeeded", output: "1", outputBlob: null } as const;

function waitFor(keys: readonly string[], changes: Partial<Extract<Move, { move: "wait" }>> = {}): Move {
  const waits: WaitRow[] = keys.map((key) => ({ key, dueAt: null, failFast: false, label: key }));
  return { move: "wait", inboxSeq: 0, need: 1, waits, dueAt: null, ...changes };
}

const signal = (runId: string, name: string) =>
  deliver(fresh.db, { runId, kind: "signal", key: `signal:${name}`, body: "1", blob: null, inboxMax: 100 });

async function inFlight(run: Claimed): Promise<number | undefined> {
  const [row] = await fresh.db.query<{ in_flight: number }>(
    "select in_flight from longhaul.tenants where tenant_id = $1",
    [run.tenant_id],
  );
  return row?.in_flight;
}

describe("farewells", () => {
  test("a finished run has an outcome, no live row, and its slot is free (16, 23)", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    expect(await inFlight(run)).toBe(1);
    expect(await settleRuns(fresh.db, workerId, [settle(run, SUCCEEDED)])).toEqual([
      { run_id: run.run_id, verdict: "done" },
    ]);
    expect(await liveRow(fresh.db, run.run_id)).toBeUndefined();
    expect(await inFlight(run)).toBe(0);
    const [outcome] = await fresh.db.query(
      "select status, output, entries, epoch from longhaul.outcomes where run_id = $1",
      [run.run_id],
    );
    expect(outcome).toEqual({ status: "succeeded", output: "1", entries: 2, epoch: 1 });
  });

  test("a second end is refused, whoever tries (16)", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await settleRuns(fresh.db, workerId, [settle(run, SUCCEEDED)]);
    expect(
      await settleRuns(fresh.db, workerId, [settle(run, { move: "finish", status: "cancelled", reason: "x" })]),
    ).toEqual([]);
    expect(await cancelRun(fresh.db, run.run_id, "x")).toBe("finished");
    await expect(
      fresh.db.query(
        "insert into longhaul.outcomes (run_id, tenant_id, status, epoch, entries) values ($1, 't', 'succeeded', 1, 1)",
        [run.run_id],
      ),
    ).rejects.toMatchObject({ code: "23505" });
  });

  test("a waiting run has its waits and its timer, and no slot (34)", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await settleRuns(fresh.db, workerId, [
      settle(run, waitFor(["signal:a", "signal:b"], { dueAt: new Date(Date.now() + 3_600_000) })),
    ]);
    expect(await liveRow(fresh.db, run.run_id)).toMatchObject({
      state: "waiting",
      worker_id: null,
      expires_at: null,
      need: 1,
    });
    expect(await fresh.db.query("select key from longhaul.waits where run_id = $1 order by 1", [run.run_id])).toEqual([
      { key: "signal:a" },
      { key: "signal:b" },
    ]);
    expect(await fresh.db.query("select 1 from longhaul.later where run_id = $1", [run.run_id])).toHaveLength(1);
    expect(await inFlight(run)).toBe(0);
  });

  test("a run that is handed back can be claimed at once, with the next epoch (14)", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await settleRuns(fresh.db, workerId, [settle(run, { move: "yield" })]);
    expect(await claim(fresh.db, { queue: run.queue })).toMatchObject([{ run_id: run.run_id, epoch: 2 }]);
  });

  test("a paused run is claimed by nobody until somebody releases it, and by one only", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await settleRuns(fresh.db, workerId, [settle(run, { move: "pause", reason: "look at it" })]);
    expect(await claim(fresh.db, { queue: run.queue })).toEqual([]);
    const released = await Promise.all(Array.from({ length: 5 }, () => resumeRun(fresh.db, run.run_id, "ann")));
    expect(released.filter(Boolean)).toHaveLength(1);
    expect(await claim(fresh.db, { queue: run.queue })).toMatchObject([{ run_id: run.run_id, epoch: 3 }]);
  });

  test.each([["finish"], ["yield"], ["pause"], ["wait"]])(
    "a worker that lost the run cannot %s it (11)",
    async (move) => {
      const { run } = await aHeldRun(fresh.db);
      const to = {
        finish: SUCCEEDED,
        yield: { move: "yield" },
        pause: { move: "pause", reason: "x" },
        wait: waitFor(["signal:a"]),
      }[move] as Move;
      expect(await settleRuns(fresh.db, newId(), [settle(run, to)])).toEqual([]);
      expect(await liveRow(fresh.db, run.run_id)).toMatchObject({ state: "running", journal_seq: 1 });
    },
  );

  test("a message that came since the worker looked keeps it from going to sleep (31)", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await signal(run.run_id, "a");
    const verdicts = await settleRuns(fresh.db, workerId, [settle(run, waitFor(["signal:a"]))]);
    expect(verdicts).toEqual([{ run_id: run.run_id, verdict: "inbox" }]);
    expect(await liveRow(fresh.db, run.run_id)).toMatchObject({ state: "running", journal_seq: 1 });
    expect(await fresh.db.query("select 1 from longhaul.waits where run_id = $1", [run.run_id])).toEqual([]);
  });

  test.each([["wait"], ["yield"]])(
    "a cancel that came since keeps it from a %s; an end of its own it may still write",
    async (move) => {
      const { run, workerId } = await aHeldRun(fresh.db);
      await cancelRun(fresh.db, run.run_id, "enough");
      const to = (move === "wait" ? waitFor(["signal:a"]) : { move: "yield" }) as Move;
      expect(await settleRuns(fresh.db, workerId, [settle(run, to)])).toEqual([
        { run_id: run.run_id, verdict: "cancel" },
      ]);
      expect(await settleRuns(fresh.db, workerId, [settle(run, SUCCEEDED)])).toEqual([
        { run_id: run.run_id, verdict: "done" },
      ]);
    },
  );

  test("many runs of one worker leave in one statement, each its own way", async () => {
    const queue = newId();
    const workerId = newId();
    await submitRuns(
      fresh.db,
      Array.from({ length: 5 }, () => aRun({ queue })),
    );
    const runs = await claim(fresh.db, { queue, workerId });
    const moves: Move[] = [
      SUCCEEDED,
      { move: "yield" },
      { move: "pause", reason: "x" },
      waitFor(["signal:a"]),
      SUCCEEDED,
    ];
    const settles = runs.map((run, i) => settle(run, moves[i] as Move, i === 4 ? { epoch: 99 } : {}));
    const verdicts = await settleRuns(fresh.db, workerId, settles);
    expect(verdicts.map((row) => row.run_id).sort()).toEqual(
      runs
        .slice(0, 4)
        .map((run) => run.run_id)
        .sort(),
    );
    const states = await Promise.all(runs.map(async (run) => (await liveRow(fresh.db, run.run_id))?.["state"]));
    expect(states).toEqual([undefined, "queued", "paused", "waiting", "running"]);
  });
});

describe("messages", () => {
  test("a run that waits for one of several is woken by the first, and its waits are gone", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await settleRuns(fresh.db, workerId, [
      settle(run, waitFor(["signal:a", "signal:b"], { dueAt: new Date(Date.now() + 3_600_000) })),
    ]);
    expect(await signal(run.run_id, "other")).toBe("delivered");
    expect(await liveRow(fresh.db, run.run_id)).toMatchObject({ state: "waiting", inbox_seq: 1 });
    expect(await signal(run.run_id, "b")).toBe("delivered");
    expect(await liveRow(fresh.db, run.run_id)).toMatchObject({ state: "queued", inbox_seq: 2 });
    expect(await fresh.db.query("select 1 from longhaul.waits where run_id = $1", [run.run_id])).toEqual([]);
    expect(await fresh.db.query("select 1 from longhaul.later where run_id = $1", [run.run_id])).toEqual([]);
  });

  test("a run that needs several is woken by the last", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await settleRuns(fresh.db, workerId, [settle(run, waitFor(["signal:a", "signal:b", "signal:c"], { need: 3 }))]);
    for (const name of ["b", "a"]) {
      await signal(run.run_id, name);
      expect(await liveRow(fresh.db, run.run_id)).toMatchObject({ state: "waiting" });
    }
    await signal(run.run_id, "c");
    expect(await liveRow(fresh.db, run.run_id)).toMatchObject({ state: "queued" });
  });

  test("20 at once are all kept, in one order, and wake the run once", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await settleRuns(fresh.db, workerId, [settle(run, waitFor(["signal:a"]))]);
    await Promise.all(Array.from({ length: 20 }, () => signal(run.run_id, "a")));
    const rows = await fresh.db.query<{ seq: number }>(
      "select seq from longhaul.inbox where run_id = $1 order by seq",
      [run.run_id],
    );
    expect(rows.map((row) => row.seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(await claim(fresh.db, { queue: run.queue })).toHaveLength(1);
  });

  test("a full inbox, an ended run and an unknown one say so", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    const message = { runId: run.run_id, kind: "signal", key: "signal:a", body: "1", blob: null, inboxMax: 2 } as const;
    expect([
      await deliver(fresh.db, message),
      await deliver(fresh.db, message),
      await deliver(fresh.db, message),
    ]).toEqual(["delivered", "delivered", "full"]);
    await settleRuns(fresh.db, workerId, [settle(run, SUCCEEDED)]);
    expect(await deliver(fresh.db, message)).toBe("finished");
    expect(await deliver(fresh.db, { ...message, runId: newId() })).toBe("unknown");
  });
});

describe("the end of a child", () => {
  async function family(
    need: number,
    children: number,
  ): Promise<{ parent: Claimed; runs: Claimed[]; workerId: string }> {
    const { run: parent, workerId } = await aHeldRun(fresh.db);
    const queue = newId();
    await submitRuns(
      fresh.db,
      Array.from({ length: children }, () => aRun({ queue, parentId: parent.run_id, rootId: parent.run_id, depth: 1 })),
    );
    const runs = await claim(fresh.db, { queue, workerId });
    const waits = runs.map((run) => ({ key: `child:${run.run_id}`, dueAt: null, failFast: true, label: "child" }));
    await settleRuns(fresh.db, workerId, [settle(parent, { move: "wait", inboxSeq: 0, need, waits, dueAt: null })]);
    return { parent, runs, workerId };
  }
  const parentState = async (parent: Claimed) => (await liveRow(fresh.db, parent.run_id))?.["state"];

  test("reaches its parent in the same commit, and wakes it when it was the last", async () => {
    const { parent, runs, workerId } = await family(2, 2);
    await settleRuns(fresh.db, workerId, [settle(runs[0] as Claimed, SUCCEEDED)]);
    expect(await parentState(parent)).toBe("waiting");
    await settleRuns(fresh.db, workerId, [settle(runs[1] as Claimed, SUCCEEDED)]);
    expect(await parentState(parent)).toBe("queued");
    const inbox = await fresh.db.query("select key, body from longhaul.inbox where run_id = $1 order by seq", [
      parent.run_id,
    ]);
    expect(inbox).toEqual(
      runs.map((run) => ({ key: `child:${run.run_id}`, body: '{"status":"succeeded","output":1}' })),
    );
  });

  test("wakes it at once when the child failed", async () => {
    const { parent, runs, workerId } = await family(3, 3);
    await settleRuns(fresh.db, workerId, [
      settle(runs[1] as Claimed, {
        move: "finish",
        status: "failed",
        reason: null,
        failure: '{"name":"E","message":"m"}',
      }),
    ]);
    expect(await parentState(parent)).toBe("queued");
  });

  test("parent and child may leave in one statement", async () => {
    const { run: parent, workerId } = await aHeldRun(fresh.db);
    const queue = newId();
    await submitRuns(fresh.db, [aRun({ queue, parentId: parent.run_id, rootId: parent.run_id, depth: 1 })]);
    const [child] = await claim(fresh.db, { queue, workerId });
    const verdicts = await settleRuns(fresh.db, workerId, [
      settle(parent, waitFor([`child:${child?.run_id}`])),
      settle(child as Claimed, SUCCEEDED),
    ]);
    expect(verdicts.map((row) => row.verdict)).toEqual(["done", "done"]);
    expect(await parentState(parent)).toBe("queued");
  });

  test("a parent that ends leaves word that its children are to be cancelled", async () => {
    const { parent, runs } = await family(1, 2);
    expect(await cancelRun(fresh.db, parent.run_id, "enough")).toBe("cancelled");
    const due = () => fresh.db.query<{ ids: string[] }>("select longhaul.cascade_children(100) as ids");
    expect((await due())[0]?.ids.sort()).toEqual(runs.map((run) => run.run_id).sort());
    for (const run of runs) expect(await cancelRun(fresh.db, run.run_id, "parent ended")).toBe("requested");
    expect((await due())[0]?.ids).toEqual([]);
    expect(await fresh.db.query("select 1 from longhaul.cancel_cascade where parent_id = $1", [parent.run_id])).toEqual(
      [],
    );
  });
});

test("of 20 answers to one approval one is taken (30)", async () => {
  const { run, workerId } = await aHeldRun(fresh.db);
  const approvalId = newId();
  const approval = {
    approvalId,
    stepKey: "a#1",
    kind: "approval",
    name: "a",
    request: "1",
    requestBlob: null,
    requestHash: "h",
    expiresAt: null,
  } as const;
  await appendWith(
    fresh.db,
    workerId,
    60_000,
    { runId: run.run_id, epoch: 1, first: 2, entries: [] },
    { approvals: [approval] },
  );
  const verdicts = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      fresh.db.query<{ verdict: string }>("select longhaul.resolve_approval('t', $1, 'approved', $2, '1') as verdict", [
        approvalId,
        `p${i}`,
      ]),
    ),
  );
  const said = verdicts.map(([row]) => row?.verdict);
  expect(said.filter((verdict) => verdict === "resolved")).toHaveLength(1);
  expect(said.filter((verdict) => verdict === "taken")).toHaveLength(19);
  expect(await fresh.db.query("select 1 from longhaul.inbox where run_id = $1", [run.run_id])).toHaveLength(1);
  const [other] = await fresh.db.query(
    "select longhaul.resolve_approval('another', $1, 'approved', 'eve', '1') as verdict",
    [approvalId],
  );
  expect(other).toEqual({ verdict: "unknown" });
});

test("cancel and finish at the same time: one end, whichever comes first (16, 18)", async () => {
  for (let i = 0; i < 20; i++) {
    const { run, workerId } = await aHeldRun(fresh.db);
    const [cancelled] = await Promise.all([
      cancelRun(fresh.db, run.run_id, "x"),
      settleRuns(fresh.db, workerId, [settle(run, SUCCEEDED)]),
    ]);
    expect(["requested", "finished"]).toContain(cancelled);
    expect(await fresh.db.query("select status from longhaul.outcomes where run_id = $1", [run.run_id])).toEqual([
      { status: "succeeded" },
    ]);
  }
});
