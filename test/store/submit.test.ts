// Taking runs in: one statement per batch, safe to repeat, strict about keys, threads and counters.
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import { intakeStatements, lockTree, submitRuns, treeSize } from "../../src/store/submit.ts";
import { installGuards } from "../support/guards.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aRun, claim, liveRow, submit, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
  await installGuards(fresh.db);
});
afterEach(async () => expect(await wrongCounters(fresh.db)).toEqual([]));
afterAll(() => fresh.drop());

test("a batch that is repeated after an unknown commit finds its own first try", async () => {
  const batch = [aRun(), aRun({ tenant: "u" })];
  const first = await submitRuns(fresh.db, batch);
  expect(first.map((row) => row.existing)).toEqual([false, false]);
  const second = await submitRuns(fresh.db, batch);
  expect(second.map((row) => [row.run_id, row.existing, row.same_request])).toEqual(
    batch.map((run) => [run.runId, true, true]),
  );
});

test("20 submits at once with one idempotency key give one run (3)", async () => {
  const key = newId();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => submit(fresh.db, { idempotencyKey: key, requestHash: "h" })),
  );
  expect(new Set(answers.map(([row]) => row?.run_id)).size).toBe(1);
  expect(answers.filter(([row]) => row?.existing === false)).toHaveLength(1);
});

test("in one batch, too", async () => {
  const key = newId();
  const rows = await submit(fresh.db, ...Array.from({ length: 5 }, () => ({ idempotencyKey: key, requestHash: "h" })));
  expect(new Set(rows.map((row) => row.run_id)).size).toBe(1);
  expect(rows.filter((row) => !row.existing)).toHaveLength(1);
});

test("another request under the same key is told apart, another tenant's key is another key (3)", async () => {
  const key = newId();
  await submit(fresh.db, { idempotencyKey: key, requestHash: "h" });
  const [other] = await submit(fresh.db, { idempotencyKey: key, requestHash: "other" });
  expect(other).toMatchObject({ existing: true, same_request: false });
  const [tenant] = await submit(fresh.db, { idempotencyKey: key, requestHash: "other", tenant: "u" });
  expect(tenant).toMatchObject({ existing: false });
});

test("a delayed run is not claimable, and has its timer", async () => {
  const queue = newId();
  const [row] = await submit(fresh.db, { queue, runAt: new Date(Date.now() + 3_600_000) });
  expect(await claim(fresh.db, { queue })).toEqual([]);
  expect(await fresh.db.query("select 1 from longhaul.later where run_id = $1", [row?.run_id])).toHaveLength(1);
  expect(await liveRow(fresh.db, row?.run_id ?? "")).toMatchObject({ state: "queued", epoch: 0 });
});

test("a moment that has passed is no delay", async () => {
  const queue = newId();
  await submit(fresh.db, { queue, runAt: new Date(0) });
  expect(await claim(fresh.db, { queue })).toHaveLength(1);
});

describe("threads", () => {
  test("of runs submitted at once one is active, the others line up in the order of their ids (24)", async () => {
    const threadId = newId();
    const queue = newId();
    const runs = Array.from({ length: 10 }, () => aRun({ threadId, queue }));
    await Promise.all(runs.map((run) => submitRuns(fresh.db, [run])));
    expect(await claim(fresh.db, { queue })).toHaveLength(1);
    const rows = await fresh.db.query<{ thread_seq: number }>(
      "select thread_seq from longhaul.runs where thread_id = $1 order by 1",
      [threadId],
    );
    expect(rows.map((row) => row.thread_seq)).toEqual(Array.from({ length: 10 }, (_, i) => i + 1));
  });

  test("in one batch they line up as they were given", async () => {
    const threadId = newId();
    const queue = newId();
    const runs = Array.from({ length: 5 }, () => aRun({ threadId, queue }));
    await submitRuns(fresh.db, runs);
    const rows = await fresh.db.query<{ run_id: string }>(
      "select run_id from longhaul.runs where thread_id = $1 order by thread_seq",
      [threadId],
    );
    expect(rows.map((row) => row.run_id)).toEqual(runs.map((run) => run.runId));
    expect((await claim(fresh.db, { queue })).map((run) => run.run_id)).toEqual([runs[0]?.runId]);
  });

  test("who would not share a busy thread is refused, and stored nowhere; a repeat of the active run is not", async () => {
    const threadId = newId();
    const active = aRun({ threadId, rejectIfBusy: true });
    await submitRuns(fresh.db, [active]);
    const [refused] = await submit(fresh.db, { threadId, rejectIfBusy: true });
    expect(refused).toMatchObject({ refused: "busy" });
    expect(await fresh.db.query("select 1 from longhaul.runs where thread_id = $1", [threadId])).toHaveLength(1);
    expect(await submitRuns(fresh.db, [active])).toMatchObject([{ existing: true, refused: null }]);
  });
});

describe("submits in the caller's own transaction", () => {
  test("what is rolled back leaves nothing, what is committed is taken in once", async () => {
    const kept = aRun();
    const dropped = aRun();
    for (const [run, keep] of [
      [kept, true],
      [dropped, false],
    ] as const) {
      await fresh.db
        .transaction(async (tx) => {
          const [{ text, values } = { text: "", values: [] }] = intakeStatements(run);
          await tx.query(text, values);
          if (!keep) throw new Error("rolled back");
        })
        .catch(() => undefined);
    }
    const takers = await Promise.all(
      Array.from({ length: 5 }, () => fresh.db.query<{ n: number }>("select longhaul.take_intake(100) as n")),
    );
    expect(takers.reduce((sum, [row]) => sum + (row?.n ?? 0), 0)).toBe(1);
    expect(await liveRow(fresh.db, kept.runId)).toMatchObject({ state: "queued" });
    expect(await liveRow(fresh.db, dropped.runId)).toBeUndefined();
    expect(await fresh.db.query("select 1 from longhaul.intake")).toEqual([]);
  });

  test("they lock nothing of ours: a long foreign transaction holds nobody up", async () => {
    const run = aRun();
    await fresh.db.transaction(async (tx) => {
      const [{ text, values } = { text: "", values: [] }] = intakeStatements(run);
      await tx.query(text, values);
      const [row] = await submit(fresh.db, { tenant: run.tenant, queue: run.queue });
      expect(row?.existing).toBe(false);
    });
    await fresh.db.query("select longhaul.take_intake(100)");
  });
});

test("a tree is counted and locked: 10 that grow it at once never exceed its size", async () => {
  const root = aRun();
  await submitRuns(fresh.db, [root]);
  const grow = () =>
    fresh.db.transaction(async (tx) => {
      await lockTree(tx, root.runId);
      if ((await treeSize(tx, root.runId)) >= 5) return false;
      await submitRuns(tx, [aRun({ rootId: root.runId, parentId: root.runId, depth: 1 })]);
      return true;
    });
  const grown = await Promise.all(Array.from({ length: 10 }, grow));
  expect(grown.filter(Boolean)).toHaveLength(4);
  expect(await treeSize(fresh.db, root.runId)).toBe(5);
});

test("any text is only a name: tenants, queues, builds and idempotency keys come back as they were (27)", async () => {
  const name = fc
    .oneof(
      fc.constantFrom(
        "*",
        ":",
        "a:b",
        "../..",
        "__proto__",
        "constructor",
        "'; drop table longhaul.runs; --",
        "%",
        "_",
        "\\",
        "{}",
        "null",
        " ",
        "\u202e",
      ),
      fc
        .string({ unit: "binary", minLength: 1, maxLength: 100 })
        .filter((text) => !text.includes("\u0000") && !/\p{Surrogate}/u.test(text)),
    )
    .filter((text) => Buffer.byteLength(text) <= 512);
  const used = new Set<string>();
  await fc.assert(
    fc.asyncProperty(name, name, name, name, async (tenant, queue, build, idempotencyKey) => {
      // Examples repeat: the key of an earlier one stands for that one's run, as it should.
      fc.pre(!used.has(JSON.stringify([tenant, idempotencyKey])));
      used.add(JSON.stringify([tenant, idempotencyKey]));
      const run = aRun({ tenant, queue, build, idempotencyKey });
      const [stored] = await submitRuns(fresh.db, [run]);
      const [again] = await submitRuns(fresh.db, [aRun({ tenant, queue, build, idempotencyKey })]);
      expect(again?.run_id).toBe(stored?.run_id);
      const [row] = await fresh.db.query(
        "select tenant_id, queue, build, idempotency_key from longhaul.runs where run_id = $1",
        [stored?.run_id],
      );
      expect(row).toEqual({ tenant_id: tenant, queue, build, idempotency_key: idempotencyKey });
    }),
    { numRuns: 60 },
  );
});
