// What time does: leases lapse, crashes are counted, timers ring, and an idle process asks one question.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import type { Claimed } from "../../src/store/claim.ts";
import { resumeRun } from "../../src/store/finish.ts";
import { appendEntries } from "../../src/store/journal.ts";
import { submitRuns } from "../../src/store/submit.ts";
import { freeWorker, sweep, tick } from "../../src/store/sweep.ts";
import { installGuards } from "../support/guards.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aHeldRun, aRun, claim, liveRow, submit, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
  await installGuards(fresh.db);
});
afterEach(async () => expect(await wrongCounters(fresh.db)).toEqual([]));
afterAll(() => fresh.drop());

const lapse = (...runIds: string[]) =>
  fresh.db.query(
    "update longhaul.live set expires_at = clock_timestamp() - interval '1 ms' where run_id = any($1::uuid[])",
    [runIds],
  );

/** The lease of a claimed run lapses, and it is swept; with what the run appended before. */
async function crash(
  run: Claimed,
  workerId: string,
  { progress = false, canIsolate = false } = {},
): Promise<string | undefined> {
  if (progress) {
    const entries = [{ kind: KIND.step, key: `s#${run.epoch}`, body: '{"n":1,"v":1}', blob: null }];
    await appendEntries(fresh.db, workerId, 60_000, [
      { runId: run.run_id, epoch: run.epoch, first: run.journal_seq + 1, entries },
    ]);
  }
  await lapse(run.run_id);
  const rows = await sweep(fresh.db, 100, 2, canIsolate);
  return rows.find((row) => row.run_id === run.run_id)?.became;
}

async function again(run: Claimed, workerId: string): Promise<Claimed> {
  const [next] = await claim(fresh.db, { queue: run.queue, workerId });
  if (next === undefined) throw new Error("the run is not claimable");
  return next;
}

describe("leases", () => {
  test("a lapsed lease puts the run back with the next epoch, and writes whose it was (15)", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    expect(await crash(run, workerId)).toBe("queued");
    expect(await liveRow(fresh.db, run.run_id)).toMatchObject({
      state: "queued",
      epoch: 2,
      crashes: 1,
      worker_id: null,
    });
    const [entry] = await fresh.db.query(
      "select kind, epoch, body from longhaul.journal where run_id = $1 and seq = 2",
      [run.run_id],
    );
    expect(entry).toEqual({ kind: KIND.lost, epoch: 2, body: `{"worker":"${workerId}"}` });
    expect((await again(run, workerId)).epoch).toBe(3);
  });

  test("one that still holds is left alone, and so is one that somebody is extending this moment", async () => {
    const held = await aHeldRun(fresh.db);
    const busy = await aHeldRun(fresh.db);
    await lapse(busy.run.run_id);
    await fresh.db.transaction(async (tx) => {
      await tx.query("select 1 from longhaul.live where run_id = $1 for update", [busy.run.run_id]);
      expect(await sweep(fresh.db, 100, 2, false)).toEqual([]);
    });
    expect(await liveRow(fresh.db, held.run.run_id)).toMatchObject({ state: "running" });
    expect((await sweep(fresh.db, 100, 2, false)).map((row) => row.run_id)).toEqual([busy.run.run_id]);
  });

  test("of 10 sweepers at once each lapsed run is taken by one", async () => {
    const queue = newId();
    await submitRuns(
      fresh.db,
      Array.from({ length: 50 }, () => aRun({ queue })),
    );
    const runs = await claim(fresh.db, { queue });
    await lapse(...runs.map((run) => run.run_id));
    const swept = await Promise.all(Array.from({ length: 10 }, () => sweep(fresh.db, 20, 2, false)));
    const ids = swept.flat().map((row) => row.run_id);
    expect(new Set(ids).size).toBe(ids.length);
    while ((await sweep(fresh.db, 20, 2, false)).length > 0);
    expect(await claim(fresh.db, { queue })).toHaveLength(50);
  });

  test("a run that was to be cancelled ends when its worker is gone, with its own reason", async () => {
    const one = await aHeldRun(fresh.db);
    const two = await aHeldRun(fresh.db);
    await fresh.db.query("select longhaul.cancel($1, 'reason one'), longhaul.cancel($2, 'reason two')", [
      one.run.run_id,
      two.run.run_id,
    ]);
    await lapse(one.run.run_id, two.run.run_id);
    expect((await sweep(fresh.db, 100, 2, false)).map((row) => row.became)).toEqual(["cancelled", "cancelled"]);
    const outcomes = await fresh.db.query(
      "select reason from longhaul.outcomes where run_id = any($1::uuid[]) order by run_id",
      [[one.run.run_id, two.run.run_id]],
    );
    expect(outcomes).toEqual([{ reason: "reason one" }, { reason: "reason two" }]);
  });

  test("a supervisor that saw a worker die frees its leases, and nobody else's", async () => {
    const dead = await aHeldRun(fresh.db);
    const alive = await aHeldRun(fresh.db);
    expect(await freeWorker(fresh.db, dead.workerId)).toBe(1);
    expect((await sweep(fresh.db, 100, 2, false)).map((row) => row.run_id)).toEqual([dead.run.run_id]);
    expect(await liveRow(fresh.db, alive.run.run_id)).toMatchObject({ state: "running" });
    expect(await freeWorker(fresh.db, dead.workerId)).toBe(0);
  });
});

describe("crashes (21)", () => {
  test("a crash counts only when nothing was appended since the claim", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await crash(run, workerId);
    const second = await again(run, workerId);
    expect(second.crashes).toBe(1);
    expect(await crash(second, workerId, { progress: true })).toBe("queued");
    expect(await liveRow(fresh.db, run.run_id)).toMatchObject({ crashes: 0 });
  });

  test("without anybody who can try it alone, the third crash in a row pauses the run", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    expect(await crash(run, workerId)).toBe("queued");
    expect(await crash(await again(run, workerId), workerId)).toBe("queued");
    expect(await crash(await again(run, workerId), workerId)).toBe("paused");
    expect(await liveRow(fresh.db, run.run_id)).toMatchObject({
      pause_reason: "quarantined: the process that ran it died 3 times without progress",
    });
  });

  test("with somebody who can, the second crash sets it aside, and only a crash there pauses it", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await crash(run, workerId, { canIsolate: true });
    expect(await crash(await again(run, workerId), workerId, { canIsolate: true })).toBe("isolated");
    expect(await claim(fresh.db, { queue: run.queue })).toEqual([]);
    await fresh.db.query("select longhaul.claim_isolated($1, 60000, $2)", [workerId, run.run_id]);
    await lapse(run.run_id);
    expect((await sweep(fresh.db, 100, 2, true)).map((row) => row.became)).toEqual(["paused"]);
  });

  test("somebody who releases the paused run gives it a clean record", async () => {
    const { run, workerId } = await aHeldRun(fresh.db);
    await crash(run, workerId);
    await crash(await again(run, workerId), workerId);
    await crash(await again(run, workerId), workerId);
    expect(await resumeRun(fresh.db, run.run_id, "ann")).toBe(true);
    const released = await again(run, workerId);
    expect(released.crashes).toBe(0);
    expect(await crash(released, workerId)).toBe("queued");
  });

  test("runs that are lost together are not paused together: they come back one by one", async () => {
    const queue = newId();
    const workerId = newId();
    await submitRuns(
      fresh.db,
      Array.from({ length: 4 }, () => aRun({ queue })),
    );
    for (const expected of ["queued", "queued"]) {
      const runs = await claim(fresh.db, { queue, workerId });
      expect(runs).toHaveLength(4);
      await lapse(...runs.map((run) => run.run_id));
      expect((await sweep(fresh.db, 100, 2, false)).map((row) => row.became)).toEqual(Array(4).fill(expected));
    }
    expect(await claim(fresh.db, { queue, workerId })).toEqual([]);
    const due = await fresh.db.query<{ due_at: Date }>(
      "select d.due_at from longhaul.later d join longhaul.runs r using (run_id) where r.queue = $1",
      [queue],
    );
    expect(new Set(due.map((row) => row.due_at.getTime())).size).toBe(4);
    await fresh.db.query(
      "update longhaul.later set due_at = clock_timestamp() where run_id = (select min(run_id::text)::uuid from longhaul.runs where queue = $1)",
      [queue],
    );
    await fresh.db.query("select longhaul.promote(100)");
    const [single] = await claim(fresh.db, { queue, workerId });
    await lapse(single?.run_id ?? "");
    expect((await sweep(fresh.db, 100, 2, false)).map((row) => row.became)).toEqual(["paused"]);
  });
});

describe("timers", () => {
  test("one that is due makes its run claimable, one that is not does not (28)", async () => {
    const queue = newId();
    const [due, later] = await submit(
      fresh.db,
      { queue, runAt: new Date(Date.now() + 3_600_000) },
      { queue, runAt: new Date(Date.now() + 3_600_000) },
    );
    await fresh.db.query("update longhaul.later set due_at = clock_timestamp() where run_id = $1", [due?.run_id]);
    await fresh.db.query("select longhaul.promote(100)");
    expect((await claim(fresh.db, { queue })).map((run) => run.run_id)).toEqual([due?.run_id]);
    expect(await fresh.db.query("select 1 from longhaul.later where run_id = $1", [later?.run_id])).toHaveLength(1);
  });

  test("10 that look at once ring each timer once", async () => {
    const queue = newId();
    await submit(fresh.db, ...Array.from({ length: 30 }, () => ({ queue, runAt: new Date(Date.now() + 3_600_000) })));
    await fresh.db.query(
      "delete from longhaul.later d using longhaul.runs r where r.run_id = d.run_id and r.queue <> $1",
      [queue],
    );
    await fresh.db.query("update longhaul.later set due_at = clock_timestamp()");
    const rung = await Promise.all(
      Array.from({ length: 10 }, () => fresh.db.query<{ n: number }>("select longhaul.promote(10) as n")),
    );
    let sum = rung.reduce((n, [row]) => n + (row?.n ?? 0), 0);
    for (let n = 1; n > 0; sum += n)
      n = (await fresh.db.query<{ n: number }>("select longhaul.promote(100) as n"))[0]?.n ?? 0;
    expect(sum).toBe(30);
    expect(await claim(fresh.db, { queue })).toHaveLength(30);
  });

  test("a delayed run of a busy thread lines up when its time has come", async () => {
    const queue = newId();
    const threadId = newId();
    const [active] = await submit(fresh.db, { queue, threadId });
    const [delayed] = await submit(fresh.db, { queue, threadId, runAt: new Date(Date.now() + 3_600_000) });
    await fresh.db.query("update longhaul.later set due_at = clock_timestamp() where run_id = $1", [delayed?.run_id]);
    await fresh.db.query("select longhaul.promote(100)");
    expect((await claim(fresh.db, { queue })).map((run) => run.run_id)).toEqual([active?.run_id]);
    expect(
      await fresh.db.query("select run_id from longhaul.thread_queue where run_id = $1", [delayed?.run_id]),
    ).toHaveLength(1);
  });
});

describe("the tick", () => {
  const ask = (queues: string[], canIsolate = false) =>
    tick(fresh.db, { workerId: newId(), queues, build: "b", limit: 100, crashesMax: 2, canIsolate });

  test("does one thing that is due and says so, until there is nothing", async () => {
    const queue = newId();
    const { run } = await aHeldRun(fresh.db, { queue });
    await lapse(run.run_id);
    const [timer] = await submit(fresh.db, { queue, runAt: new Date(Date.now() + 3_600_000) });
    await fresh.db.query("update longhaul.later set due_at = clock_timestamp() where run_id = $1", [timer?.run_id]);
    expect((await ask([queue])).did).toBe("promoted");
    expect((await ask([queue])).did).toBe("swept");
    expect(await ask([queue])).toMatchObject({ did: null, runnable: true });
    await claim(fresh.db, { queue });
    expect(await ask([queue])).toMatchObject({ did: null, runnable: false });
  });

  test("tells of work only who serves its queue and build", async () => {
    const queue = newId();
    await submit(fresh.db, { queue });
    expect((await ask([queue])).runnable).toBe(true);
    expect((await ask([newId()])).runnable).toBe(false);
    await submit(fresh.db, { queue: `${queue}x`, build: "another" });
    expect((await ask([`${queue}x`])).runnable).toBe(false);
  });

  test("names suspects only to who serves them, and only while their tenants have room", async () => {
    const queue = newId();
    const tenant = newId();
    const { run, workerId } = await aHeldRun(fresh.db, { queue, tenant });
    await crash(run, workerId, { canIsolate: true });
    expect(await crash(await again(run, workerId), workerId, { canIsolate: true })).toBe("isolated");
    expect((await ask([queue], true)).isolated).toEqual([run.run_id]);
    expect((await ask([queue])).isolated).toEqual([]);
    expect((await ask([newId()], true)).isolated).toEqual([]);
    await fresh.db.query("update longhaul.tenants set paused = true where tenant_id = $1", [tenant]);
    expect((await ask([queue], true)).isolated).toEqual([]);
    await fresh.db.query("update longhaul.tenants set paused = false, cap = 0 where tenant_id = $1", [tenant]);
    expect((await ask([queue], true)).isolated).toEqual([]);
    await fresh.db.query("update longhaul.tenants set cap = 1 where tenant_id = $1", [tenant]);
    expect((await ask([queue], true)).isolated).toEqual([run.run_id]);
  });

  test("says when the next timer rings", async () => {
    await fresh.db.query("delete from longhaul.later");
    expect((await ask([])).next_ms).toBeNull();
    await submit(fresh.db, { runAt: new Date(Date.now() + 60_000) });
    const { next_ms } = await ask([]);
    expect(next_ms).toBeGreaterThan(50_000);
    expect(next_ms).toBeLessThanOrEqual(60_000);
  });
});
