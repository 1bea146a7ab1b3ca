// A large value is there as long as somebody refers to it, whoever submits and whoever drops at the same time (54).
import { afterEach, beforeEach, expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import type { Apart } from "../../src/store/blobs.ts";
import type { Database, Queryable } from "../../src/store/database.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { clearLeftovers, START, walk } from "../../src/store/retention.ts";
import { type NewRun, submitRuns } from "../../src/store/submit.ts";
import { ALL, ageRun, apart, countOf, type Ending, endedRun, POLICY, rounds, untilBlocked } from "../support/ended.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aRun } from "../support/runs.ts";

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

const dropBlobs = async (on: Queryable, blob: Apart): Promise<number> => {
  const [row] = await on.query<{ n: number }>("select longhaul.drop_blobs(array[$1], array[$2]) as n", [
    blob.tenant,
    blob.hash,
  ]);
  return row?.n ?? 0;
};
const withInput = (blob: Apart): NewRun => aRun({ input: null, inputBlob: blob.hash, apart: blob });

test("one goes with the last row that refers to it, and not the same content of another tenant", async () => {
  const shared = apart("shared");
  const [first, second] = [
    await ended({}, { output: shared }),
    await ended({ input: null, inputBlob: shared.hash, apart: shared }),
  ];
  const elsewhere = apart("shared", "other");
  await ended({ tenant: "other", input: null, inputBlob: elsewhere.hash, apart: elsewhere });
  await ageRun(db, first, 40);
  await rounds(db);
  expect(await count("blobs")).toBe(2);
  await ageRun(db, second, 40);
  await db.query("update longhaul.retention set began_at = '-infinity'");
  await rounds(db);
  expect(await db.query("select tenant_id from longhaul.blobs")).toEqual([{ tenant_id: "other" }]);
});

/** A reference of each kind, and what takes it away again. */
const REFERENCES: Readonly<Record<string, readonly [refer: string, undo: string]>> = {
  "the input of a run": [
    "update longhaul.runs set input = null, input_blob = $1",
    "update longhaul.runs set input_blob = null",
  ],
  "an output": ["update longhaul.outcomes set output_blob = $1", "update longhaul.outcomes set output_blob = null"],
  "an entry": ["update longhaul.journal set blob = $1 where seq = 1", "update longhaul.journal set blob = null"],
  "a question": [
    `insert into longhaul.approvals (approval_id, run_id, tenant_id, step_key, kind, name, request_hash, request_blob)
     select run_id, run_id, 't', 'k', 'approval', 'n', 'h', $1 from longhaul.runs`,
    "delete from longhaul.approvals",
  ],
  "a message": [
    "insert into longhaul.inbox (run_id, seq, kind, key, blob) select run_id, 1, 'signal', 'k', $1 from longhaul.runs",
    "delete from longhaul.inbox",
  ],
  "the state of a thread": [
    "update longhaul.threads set state_blob = $1",
    "update longhaul.threads set state_blob = null",
  ],
  "a submit that is not taken in yet": [
    `insert into longhaul.intake (run_id, band, priority, tenant_id, agent, build, queue, key, options, metadata, input_blob)
     values (gen_random_uuid(), 1, 100, 't', 'a', 'b', 'q', '', '{}', '{}', $1)`,
    "delete from longhaul.intake",
  ],
};

test.each(Object.entries(REFERENCES))("%s holds the value that it refers to", async (_, [refer, undo]) => {
  const blob = apart("held");
  await db.query("insert into longhaul.blobs (tenant_id, hash, body) values ($1, $2, $3)", [
    blob.tenant,
    blob.hash,
    blob.body,
  ]);
  await ended({ threadId: newId() });
  await db.query(refer, [blob.hash]);
  expect(await dropBlobs(db, blob)).toBe(0);
  await db.query(undo);
  expect(await dropBlobs(db, blob)).toBe(1);
});

test("one that is just being put again is left alone, by whoever drops and whoever comes after", async () => {
  const blob = apart("again");
  await ended({ input: null, inputBlob: blob.hash, apart: blob }, { days: 40 });
  await db.transaction(async (tx) => {
    await submitRuns(tx, [withInput(blob)]);
    // Uncommitted, so that the reference cannot be seen: only the lock tells.
    await rounds(db);
    expect(await count("runs")).toBe(0);
    expect(await dropBlobs(db, blob)).toBe(0);
  });
  expect(await dropBlobs(db, blob)).toBe(0);
  expect(await count("blobs")).toBe(1);
});

test("a submit that comes while the value is being dropped stores it anew", async () => {
  const blob = apart("anew");
  await ended({ input: null, inputBlob: blob.hash, apart: blob }, { days: 40 });
  expect((await walk(db, ALL, START, 10))?.runs).toBe(1);
  let submitting: Promise<unknown> | undefined;
  await db.transaction(async (tx) => {
    expect(await dropBlobs(tx, blob)).toBe(1);
    submitting = submitRuns(db, [withInput(blob)]);
    await untilBlocked(db);
  });
  await submitting;
  expect(await db.query("select body from longhaul.blobs")).toEqual([{ body: "anew" }]);
  await clearLeftovers(db, 1, 10);
});

test("the same when the value is locked first, and found without references only then", async () => {
  const blob = apart("locked");
  await ended({ input: null, inputBlob: blob.hash, apart: blob }, { days: 40 });
  expect((await walk(db, ALL, START, 10))?.runs).toBe(1);
  let submitting: Promise<unknown> | undefined;
  await db.transaction(async (tx) => {
    await tx.query("select 1 from longhaul.blobs where hash = $1 for update", [blob.hash]);
    submitting = submitRuns(db, [withInput(blob)]);
    await untilBlocked(db);
    expect(await dropBlobs(tx, blob)).toBe(1);
  });
  await submitting;
  expect(await count("blobs")).toBe(1);
  await clearLeftovers(db, 1, 10);
});

test("whatever submits, ends and drops come together, nobody ever refers to a value that is gone", async () => {
  const contents = ["x", "y", "z"].map((text) => apart(text));
  const end = performance.now() + 2_000;
  let dropped = 0;
  const submitting = Array.from({ length: 3 }, async (_, i) => {
    for (let n = i; performance.now() < end; n++) {
      const [input, output] = [contents[n % 3] as Apart, contents[(n + 1) % 3] as Apart];
      await ended({ input: null, inputBlob: input.hash, apart: input }, { output });
    }
  });
  const dropping = Array.from({ length: 2 }, async () => {
    while (performance.now() < end) {
      dropped += (await walk(db, ALL, START, 5))?.runs ?? 0;
      await clearLeftovers(db, 100, 2);
      for (const blob of contents) await dropBlobs(db, blob);
      expect((await checkInvariants(db)).map(({ name }) => name)).toEqual([]);
    }
  });
  await Promise.all([...submitting, ...dropping]);
  expect(dropped).toBeGreaterThan(0);
});

test("one to which nothing ever referred is found by the daily look", async () => {
  await db.query(
    "insert into longhaul.blobs (tenant_id, hash, body) select 't', n::text, 'x' from generate_series(1, 25) n",
  );
  expect(await rounds(db, POLICY, 10)).toEqual(["blobs 10", "blobs 10", "blobs 5"]);
  expect(await rounds(db, POLICY, 10)).toEqual([]);
  expect(await count("blobs")).toBe(0);
});
