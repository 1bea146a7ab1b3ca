// Behind a transaction pooler: no start-up parameters, no session state, no prepared statements, and still limits.
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../src/store/database.ts";
import { migrate, pendingMigrations } from "../../src/store/migrate.ts";
import { type Pooler, startPooler } from "../support/pooler.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fresh: FreshDatabase;
let pooler: Pooler;
beforeAll(async () => {
  fresh = await freshDatabase({ migrated: false });
  pooler = await startPooler(fresh.url);
});
afterAll(async () => {
  await pooler.close();
  await fresh.drop();
});

test("connects without the parameters that the pooler refuses, also many at once", async () => {
  const db = openDatabase({ url: pooler.url });
  const answers = await Promise.all([1, 2, 3, 4].map((n) => db.query("select $1::int as n", [n])));
  expect(answers).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 3 }], [{ n: 4 }]]);
  await db.end();
});

test("sets the limits in each transaction", async () => {
  const db = openDatabase({ url: pooler.url, max: 1 });
  await db.query("select 1");
  const show = "select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement";
  expect(await db.transaction((tx) => tx.query(show))).toEqual([{ lock: "2s", statement: "6s" }]);
  expect(await db.query(show)).toEqual([{ lock: "0", statement: "0" }]);
  await db.end();
});

test("gives up preparing where a statement's session has gone, without failing the statement", async () => {
  const db = openDatabase({ url: pooler.url, max: 1 });
  for (const n of [1, 2, 3, 4]) {
    expect(await db.query("select $1::int as n", [n], "pooled_n")).toEqual([{ n }]);
  }
  await db.end();
});

test("migrates", async () => {
  const db = openDatabase({ url: pooler.url, schema: "pooled" });
  const applied = await migrate(db, { folder: "test/store/migrations/first" });
  expect(applied.map(({ name }) => name)).toEqual(["things", "more"]);
  expect(await pendingMigrations(db, { folder: "test/store/migrations/first" })).toEqual([]);
  await db.end();
});
