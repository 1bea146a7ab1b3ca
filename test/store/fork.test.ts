// A new run from the journal of another: copied, renumbered, of its own from then on.
import { afterAll, beforeAll, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import { appendEntries } from "../../src/store/journal.ts";
import { forkRun } from "../../src/store/submit.ts";
import { installGuards } from "../support/guards.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aHeldRun, claim, liveRow, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
  await installGuards(fresh.db);
});
afterAll(() => fresh.drop());

const entry = (key: string) => ({ kind: KIND.step, key, body: `{"n":1,"v":"${key}"}`, blob: null });

async function source(): Promise<{ runId: string; queue: string }> {
  const { run, workerId } = await aHeldRun(fresh.db, {
    input: '"old"',
    metadata: '{"m":1}',
    threadId: newId(),
    priority: 7,
  });
  const entries = ["a", "b", "c"].map(entry);
  await appendEntries(fresh.db, workerId, 60_000, [{ runId: run.run_id, epoch: 1, first: 2, entries }]);
  return { runId: run.run_id, queue: run.queue };
}

test("the kept entries are copied in order, numbered from one, and the source stays as it was", async () => {
  const { runId, queue } = await source();
  const before = await fresh.db.query("select * from longhaul.journal where run_id = $1 order by seq", [runId]);
  const forked = newId();
  expect(await forkRun(fresh.db, forked, runId, [2, 4], null)).toBe(true);
  const copied = await fresh.db.query(
    "select seq, epoch, key, body from longhaul.journal where run_id = $1 order by seq",
    [forked],
  );
  expect(copied).toEqual([
    { seq: 1, epoch: 0, key: "a", body: '{"n":1,"v":"a"}' },
    { seq: 2, epoch: 0, key: "c", body: '{"n":1,"v":"c"}' },
  ]);
  expect(await fresh.db.query("select * from longhaul.journal where run_id = $1 order by seq", [runId])).toEqual(
    before,
  );
  const [claimed] = await claim(fresh.db, { queue });
  expect(claimed).toMatchObject({ run_id: forked, epoch: 1, journal_seq: 3, input: '"old"', metadata: { m: 1 } });
});

test("the new run is of the same tenant, agent, build and queue, with no parent and no thread", async () => {
  const { runId } = await source();
  const forked = newId();
  await forkRun(fresh.db, forked, runId, [], { text: '"new"', blob: null });
  const [row] = await fresh.db.query("select * from longhaul.runs where run_id = $1", [forked]);
  const [old] = await fresh.db.query<Record<string, unknown>>("select * from longhaul.runs where run_id = $1", [runId]);
  expect(row).toMatchObject({
    forked_from: runId,
    root_id: forked,
    parent_id: null,
    thread_id: null,
    input: '"new"',
    priority: 7,
  });
  for (const same of ["tenant_id", "agent", "build", "queue", "lane_id"]) expect(row?.[same]).toBe(old?.[same]);
  expect(await liveRow(fresh.db, forked)).toMatchObject({ state: "queued", journal_seq: 0 });
});

test("a fork that is repeated after a lost answer is the same fork", async () => {
  const { runId } = await source();
  const forked = newId();
  expect(await forkRun(fresh.db, forked, runId, [2], null)).toBe(true);
  expect(await forkRun(fresh.db, forked, runId, [2], null)).toBe(true);
  expect(await fresh.db.query("select 1 from longhaul.journal where run_id = $1", [forked])).toHaveLength(1);
});

test("an unknown source is said to be unknown, and the counters are right all the while (23)", async () => {
  expect(await forkRun(fresh.db, newId(), newId(), [], null)).toBe(false);
  expect(await wrongCounters(fresh.db)).toEqual([]);
});
