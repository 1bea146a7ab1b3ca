// Blocks of messages: who may write them, who gets them, and what makes them dead.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { newId } from "../../src/engine/ids.ts";
import { appendEntries } from "../../src/store/journal.ts";
import { type NewsRow, readNewsAfter, type TokenCursor } from "../../src/store/stream.ts";
import { sweepTokens, type TokenBlock, writeTokens } from "../../src/store/tokens.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aHeldRun, submit } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

interface Held {
  readonly runId: string;
  readonly epoch: number;
  readonly workerId: string;
}

async function held(): Promise<Held> {
  const { run, workerId } = await aHeldRun(fresh.db);
  return { runId: run.run_id, epoch: run.epoch, workerId };
}

const block = ({ runId, epoch }: Held, n: number, changes: Partial<TokenBlock> = {}): TokenBlock => ({
  runId,
  epoch,
  n,
  take: 1,
  pos: n - 1,
  afterSeq: 1,
  attempt: 1,
  key: "say#1",
  body: `["${n}"]`,
  ...changes,
});

/** Adds an entry of this kind after the claim's. */
async function append({ runId, epoch, workerId }: Held, kind: number, key: string | null, first = 2): Promise<void> {
  const entries = [{ kind, key, body: "{}", blob: null }];
  expect(await appendEntries(fresh.db, workerId, 60_000, [{ runId, epoch, first, entries }])).toHaveLength(1);
}

const START: TokenCursor = { epoch: 0, n: 0 };

async function read(runId: string, cursor: TokenCursor | null = START, after = 1_000, pages = 100): Promise<NewsRow[]> {
  return readNewsAfter(fresh.db, [runId], [after], [cursor], 100, pages);
}

const bodies = async (runId: string, cursor?: TokenCursor): Promise<(string | null)[]> =>
  (await read(runId, cursor)).map(({ body }) => body);

describe("blocks", () => {
  test("are read in order from a cursor, page by page, and again when written twice", async () => {
    const run = await held();
    await writeTokens(fresh.db, [block(run, 1), block(run, 2), block(run, 10)], []);
    await writeTokens(fresh.db, [block(run, 2, { body: '["other"]' }), block(run, 3)], []);
    expect(await bodies(run.runId)).toEqual(['["1"]', '["2"]', '["3"]', '["10"]']);
    expect(await bodies(run.runId, { epoch: run.epoch, n: 2 })).toEqual(['["3"]', '["10"]']);
    expect(await bodies(run.runId, { epoch: run.epoch + 1, n: 0 })).toEqual([]);
    expect((await read(run.runId, START, 1_000, 3)).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  test("come after the entries, for those who want them, in the places of many followers", async () => {
    const [one, other] = [await held(), await held()];
    await writeTokens(fresh.db, [block(one, 1), block(other, 2)], []);
    const ids = [one.runId, other.runId, one.runId];
    const rows = await readNewsAfter(fresh.db, ids, [0, 0, 5], [START, null, START], 100, 100);
    expect(rows.map(({ place, take, seq }) => [place, take, seq])).toEqual([
      [1, null, 1],
      [2, null, 1],
      [1, 1, 1],
      [3, 1, 1],
    ]);
  });

  test("of a run that the worker does not hold are not taken", async () => {
    const run = await held();
    const [queued] = await submit(fresh.db, {});
    const foreign = { ...run, runId: queued?.run_id ?? "" };
    await writeTokens(fresh.db, [block({ ...run, epoch: run.epoch - 1 }, 1), block({ ...run, runId: newId() }, 2)], []);
    await writeTokens(fresh.db, [block(foreign, 3)], []);
    expect(await bodies(run.runId)).toEqual([]);
    expect(await bodies(foreign.runId)).toEqual([]);
  });

  test("of a new take replace those of an older one of the same step, and no others", async () => {
    const run = await held();
    const elsewhere = { take: 2, pos: 0, key: "other#1" };
    await writeTokens(fresh.db, [block(run, 1), block(run, 2), block(run, 3, elsewhere)], []);
    await writeTokens(fresh.db, [block(run, 4, { take: 3, pos: 0 }), block(run, 5, { take: 3, pos: 1 })], []);
    expect(await bodies(run.runId)).toEqual(['["3"]', '["4"]', '["5"]']);
  });

  test("are deleted by step or by run, up to an epoch, in the statement that writes others", async () => {
    const [one, other] = [await held(), await held()];
    await writeTokens(fresh.db, [block(one, 1), block(one, 2, { key: "b#1", take: 2 }), block(other, 3)], []);
    const dead = [{ runId: one.runId, epoch: one.epoch, key: "say#1" }];
    await writeTokens(fresh.db, [block(one, 4, { key: "b#1", take: 2 })], [...dead, { ...other, key: null }]);
    expect(await bodies(one.runId)).toEqual(['["2"]', '["4"]']);
    expect(await bodies(other.runId)).toEqual([]);
    await writeTokens(fresh.db, [], [{ runId: one.runId, epoch: one.epoch - 1, key: null }]);
    expect(await bodies(one.runId)).toHaveLength(2);
  });
});

describe("a message is dead", () => {
  test.each([
    ["its step is recorded", KIND.step, "say#1"],
    ["its attempt has failed", KIND.attempt, "say#1"],
    ["its text is recorded", KIND.message, "say#1"],
    ["the run has changed hands", KIND.claimed, null],
  ])("when %s", async (_when, kind, key) => {
    const run = await held();
    await writeTokens(fresh.db, [block(run, 1)], []);
    await append(run, kind, key);
    expect(await bodies(run.runId)).toEqual([]);
    // The next attempt began after that entry.
    await writeTokens(fresh.db, [block(run, 2, { take: 2, pos: 0, afterSeq: 2 })], []);
    expect(await bodies(run.runId)).toEqual(['["2"]']);
  });

  test("not when something else is recorded, and dead blocks do not hide living ones", async () => {
    const run = await held();
    const many = Array.from({ length: 20 }, (_, i) => block(run, i + 1));
    await writeTokens(fresh.db, [...many, block(run, 21, { key: "other#1", take: 2, pos: 0 })], []);
    await append(run, KIND.emit, "say#1");
    expect(await bodies(run.runId)).toHaveLength(21);
    await append(run, KIND.step, "say#1", 3);
    expect((await read(run.runId, START, 1_000, 1)).map(({ key }) => key)).toEqual(["other#1"]);
  });
});

test("a sweep deletes what is old of runs that are not held any more", async () => {
  const [kept, ended] = [await held(), await held()];
  await writeTokens(fresh.db, [block(kept, 1), block(ended, 2)], []);
  await fresh.db.query("update longhaul.live set epoch = epoch + 1 where run_id = $1", [ended.runId]);
  await sweepTokens(fresh.db, 60_000);
  expect(await bodies(ended.runId)).toHaveLength(1);
  await sweepTokens(fresh.db, 0);
  expect(await bodies(ended.runId)).toEqual([]);
  expect(await bodies(kept.runId)).toHaveLength(1);
});

test("nothing of it reaches the log of the database", async () => {
  const run = await held();
  const walOf = async (): Promise<number> => {
    const [row] = await fresh.db.query<{ n: number }>(
      "select pg_current_wal_insert_lsn() - '0/0' as n, pg_stat_force_next_flush()",
    );
    return Number(row?.n);
  };
  // The first ones set hint bits and extend the table.
  await writeTokens(fresh.db, [block(run, 1)], []);
  const before = await walOf();
  for (let n = 2; n < 52; n++) await writeTokens(fresh.db, [block(run, n, { body: `["${"x".repeat(4_000)}"]` })], []);
  // A commit record each, of some 50 bytes; others of the server write too.
  expect((await walOf()) - before).toBeLessThan(100_000);
});
