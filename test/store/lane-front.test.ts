// The front of a lane: claims begin to look there, past what earlier ones have taken, and miss nothing.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import { type Claimed, claimRuns, EVERY_TURN, EVERYTHING } from "../../src/store/claim.ts";
import type { Database, Queryable } from "../../src/store/database.ts";
import { settleRuns } from "../../src/store/finish.ts";
import { submitRuns } from "../../src/store/submit.ts";
import { untilBlocked } from "../support/ended.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aRun, claim, settle, submit, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
let db: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  db = fresh.db;
});
afterEach(async () => expect(await wrongCounters(db)).toEqual([]));
afterAll(() => fresh.drop());

const idsOf = (runs: readonly Claimed[]): string[] => runs.map((run) => run.run_id);

async function submitted(queue: string, ...changes: Parameters<typeof aRun>[0][]): Promise<string[]> {
  const runs = changes.map((change) => aRun({ queue, ...change }));
  await submitRuns(db, runs);
  return runs.map(({ runId }) => runId);
}

test("a run that is put back goes before those that came after it", async () => {
  const [queue, workerId] = [newId(), newId()];
  const [first, second, third] = await submitted(queue, {}, {}, {});
  const claims = await claim(db, { queue, workerId, count: 2 });
  expect(idsOf(claims).toSorted()).toEqual([first, second]);
  const back = claims.filter((run) => run.run_id === first);
  await settleRuns(
    db,
    workerId,
    back.map((run) => settle(run, { move: "yield" })),
  );
  expect(idsOf(await claim(db, { queue, count: 1 }))).toEqual([first]);
  expect(idsOf(await claim(db, { queue }))).toEqual([third]);
});

test("what is more urgent than all that was taken goes first", async () => {
  const queue = newId();
  const [first, second] = await submitted(queue, { priority: 100 }, { priority: 200 });
  expect(idsOf(await claim(db, { queue, count: 1 }))).toEqual([first]);
  const [urgent] = await submitted(queue, { priority: 50 });
  expect(idsOf(await claim(db, { queue, count: 1 }))).toEqual([urgent]);
  expect(idsOf(await claim(db, { queue }))).toEqual([second]);
});

test("a run that somebody holds at the moment of a claim is left, and taken by the next", async () => {
  const queue = newId();
  const [first, second] = await submitted(queue, {}, {});
  await db.transaction(async (tx) => {
    await tx.query("select from longhaul.live where run_id = $1 for update", [first]);
    expect(idsOf(await claim(db, { queue }))).toEqual([second]);
  });
  expect(idsOf(await claim(db, { queue }))).toEqual([first]);
});

test("what is put back between the look of a claim and its lock is taken by the next", async () => {
  const [queue, tenant] = [newId(), newId()];
  const [older] = await submitted(queue, { tenant });
  await claim(db, { queue });
  const later = await submitted(queue, { tenant }, { tenant });
  let claiming: Promise<Claimed[]> = Promise.resolve([]);
  await db.transaction(async (tx) => {
    await tx.query("select from longhaul.lanes where tenant_id = $1 for update", [tenant]);
    claiming = claim(db, { queue });
    await untilBlocked(db);
    await putBackByHand(tx, older ?? "");
  });
  expect(idsOf(await claiming).toSorted()).toEqual(later);
  await db.query("update longhaul.turns set ready = ready + 1 where tenant_id = $1", [tenant]);
  await db.query("update longhaul.tenants set in_flight = in_flight - 1 where tenant_id = $1", [tenant]);
  expect(idsOf(await claim(db, { queue }))).toEqual([older]);
});

/** What `push` does with a lane, as if its turn had been free just before the claim came. */
async function putBackByHand(tx: Queryable, runId: string): Promise<void> {
  await tx.query(
    "update longhaul.live set state = 'queued', worker_id = null, expires_at = null, claimed_at = null where run_id = $1",
    [runId],
  );
  await tx.query(
    "insert into longhaul.ready (lane_id, prio, run_id) select lane_id, prio, run_id from longhaul.live where run_id = $1",
    [runId],
  );
  await tx.query(
    `update longhaul.lanes set ready = ready + 1, front = $1
      where lane_id = (select l.lane_id from longhaul.live l where l.run_id = $1)`,
    [runId],
  );
}

test("a claim that looks at everything looks in front of the front too", async () => {
  const [queue, tenant] = [newId(), newId()];
  const [runId] = await submitted(queue, { tenant });
  await db.query("update longhaul.lanes set front = 'ffffffff-ffff-ffff-ffff-ffffffffffff' where tenant_id = $1", [
    tenant,
  ]);
  expect(await claim(db, { queue })).toEqual([]);
  const request = { workerId: newId(), leaseMs: 60_000, queue, builds: ["b"], bands: [1], count: 1, turns: 8 };
  expect(idsOf(await claimRuns(db, { ...request, floors: [EVERYTHING] }))).toEqual([runId]);
});

test("a claim does not read what was taken before it, while an old snapshot keeps that from being cleaned up", async () => {
  const [queue, taken, batch] = [newId(), 20_000, 1_000];
  // One for each claim that is looked at.
  await submit(db, ...Array.from({ length: 2 * LOOKS }, () => ({ queue })));
  await db.transaction(async (holder) => {
    await holder.query("set transaction isolation level repeatable read");
    await holder.query("select count(*) from longhaul.ready");
    for (let n = 0; n < taken; n += batch) {
      await submit(db, ...Array.from({ length: batch }, () => ({ queue })));
      await claim(db, { queue, count: batch });
    }
    const [fromTheFront, all] = [await blocksRead(queue, EVERY_TURN), await blocksRead(queue, EVERYTHING)];
    expect(fromTheFront).toBeGreaterThan(0);
    expect(fromTheFront).toBeLessThan(all / 2);
  });
});

test("a claim reads a lane in its order, whatever a planner thinks of that", async () => {
  const queue = newId();
  for (let n = 0; n < 20; n++) await submit(db, ...Array.from({ length: 1_000 }, () => ({ queue })));
  const usual = await blocksRead(queue, EVERY_TURN);
  const tempted = await db.transaction(async (tx) => {
    await tx.query("set local random_page_cost = 10000");
    await tx.query("discard plans");
    return await blocksRead(queue, EVERY_TURN, tx);
  });
  expect(tempted).toBeLessThan(usual * 1.5);
});

const LOOKS = 3;

/** Blocks that a claim of one run touches: the fewest of some, because one that has to be planned again reads the catalogue too. */
async function blocksRead(queue: string, floor: number, from: Queryable = db): Promise<number> {
  const blocks: number[] = [];
  for (let look = 0; look < LOOKS; look++) blocks.push(await blocksOfOne(from, queue, floor));
  return Math.min(...blocks);
}

async function blocksOfOne(from: Queryable, queue: string, floor: number): Promise<number> {
  const [row] = await from.query<{ "QUERY PLAN": { Plan: Record<string, number> }[] }>(
    `explain (analyze, buffers, format json)
     select from longhaul.claim($1, 60000, $2, array['b'], array[1::smallint], array[$3::bigint], 1, 8)`,
    [newId(), queue, floor],
  );
  const plan = row?.["QUERY PLAN"][0]?.Plan ?? {};
  return (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0);
}
