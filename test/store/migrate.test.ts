// The migration runner on a real server: order, races, drift, locks, failures, other schema names, the script for people.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { migrate, migrationSql, pendingMigrations } from "../../src/store/migrate.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

const FIRST = "test/store/migrations/first";
const FIRST_NAMES = [
  { version: 1, name: "things" },
  { version: 2, name: "more" },
];
const THINGS = "create table longhaul.things (thing_id int primary key, name text not null);\n";

let fresh: FreshDatabase;
let db: Database;
let folders: string;
let schemaNumber = 0;
beforeAll(async () => {
  fresh = await freshDatabase({ migrated: false });
  folders = mkdtempSync(join(tmpdir(), "longhaul-migrations-"));
});
beforeEach(() => {
  schemaNumber++;
  db = openDatabase({ url: fresh.url, schema: `m${schemaNumber}`, max: 4 });
  return () => db.end();
});
afterAll(async () => {
  rmSync(folders, { recursive: true });
  await fresh.drop();
});

/** A folder with these files. */
function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(folders, "f-"));
  for (const [name, sql] of Object.entries(files)) writeFileSync(join(folder, name), sql);
  return folder;
}

describe("migrate", () => {
  test("applies what is pending, once", async () => {
    expect(await pendingMigrations(db, { folder: FIRST })).toEqual(FIRST_NAMES);
    const log: string[] = [];
    expect(await migrate(db, { folder: FIRST, log: (line) => log.push(line) })).toEqual(FIRST_NAMES);
    expect(log).toEqual(["Applying migration 0001_things", "Applying migration 0002_more"]);
    expect(await pendingMigrations(db, { folder: FIRST })).toEqual([]);
    expect(await migrate(db, { folder: FIRST })).toEqual([]);
    expect(await db.query("select longhaul.thing_count() as count")).toEqual([{ count: 2 }]);
  });

  test("many processes at once apply each migration once", async () => {
    const others = Array.from({ length: 6 }, () => openDatabase({ url: fresh.url, schema: db.schema, max: 2 }));
    const applied = await Promise.all(others.map((other) => migrate(other, { folder: FIRST })));
    expect(applied.flat().sort((a, b) => a.version - b.version)).toEqual(FIRST_NAMES);
    await Promise.all(others.map((other) => other.end()));
  });

  test("adds a later one to a schema in use", async () => {
    await migrate(db, { folder: folderOf({ "0001_things.sql": THINGS }) });
    const longer = folderOf({ "0001_things.sql": THINGS, "0002_index.sql": "create index on longhaul.things (name);" });
    expect(await migrate(db, { folder: longer })).toEqual([{ version: 2, name: "index" }]);
  });

  test("a migration that fails leaves nothing behind, and those before it stay", async () => {
    const folder = folderOf({
      "0001_things.sql": THINGS,
      "0002_broken.sql": "create table longhaul.half (id int); select 1 / 0;",
    });
    await expect(migrate(db, { folder })).rejects.toMatchObject({
      code: "MIGRATION_FAILED",
      message: "Migration 0002_broken failed and was rolled back: division by zero.",
    });
    expect(await db.query("select to_regclass('longhaul.half') as half")).toEqual([{ half: null }]);
    expect(await pendingMigrations(db, { folder })).toEqual([{ version: 2, name: "broken" }]);
  });

  test("a lock that others hold is waited for in short tries, and then named", async () => {
    const folder = folderOf({ "0001_things.sql": THINGS });
    await migrate(db, { folder });
    const longer = folderOf({
      "0001_things.sql": THINGS,
      "0002_column.sql": "alter table longhaul.things add column size int;",
    });
    await db.transaction(async (reader) => {
      await reader.query("select * from longhaul.things");
      await expect(migrate(db, { folder: longer, waitMs: 1 })).rejects.toMatchObject({
        code: "MIGRATION_BLOCKED",
        retryable: true,
      });
    });
    expect(await migrate(db, { folder: longer })).toEqual([{ version: 2, name: "column" }]);
  });

  test("needs no right to create schemas where the schema exists", async () => {
    await db.query(`create role plain_${schemaNumber} login password 'plain'`);
    await db.query(`create schema m${schemaNumber} authorization plain_${schemaNumber}`);
    const url = new URL(fresh.url);
    url.username = `plain_${schemaNumber}`;
    url.password = "plain";
    const plain = openDatabase({ url: url.toString(), schema: db.schema });
    expect(await migrate(plain, { folder: FIRST })).toEqual(FIRST_NAMES);
    await plain.end();
  });
});

describe("refusals", () => {
  test("a changed file is SCHEMA_DRIFT, another line ending is not", async () => {
    await migrate(db, { folder: folderOf({ "0001_things.sql": THINGS }) });
    const sameOnWindows = folderOf({ "0001_things.sql": THINGS.replaceAll("\n", "\r\n") });
    expect(await migrate(db, { folder: sameOnWindows })).toEqual([]);
    const changed = folderOf({ "0001_things.sql": `${THINGS}-- one more word\n` });
    await expect(migrate(db, { folder: changed })).rejects.toMatchObject({ code: "SCHEMA_DRIFT" });
    await expect(pendingMigrations(db, { folder: changed })).rejects.toMatchObject({ code: "SCHEMA_DRIFT" });
  });

  test("a newer schema is SCHEMA_TOO_NEW, unless its migration says that older programs may go on", async () => {
    const old = folderOf({ "0001_things.sql": THINGS });
    const compatible = { "0001_things.sql": THINGS, "0002_soft.sql": "--! compatible\nselect 1;" };
    await migrate(db, { folder: folderOf(compatible) });
    expect(await migrate(db, { folder: old })).toEqual([]);
    await migrate(db, { folder: folderOf({ ...compatible, "0003_hard.sql": "select 1;" }) });
    await expect(migrate(db, { folder: old })).rejects.toMatchObject({
      code: "SCHEMA_TOO_NEW",
      message: expect.stringContaining("is at version 3, but this program knows only versions up to 1"),
    });
  });

  test.each([
    ["a gap", { "0001_a.sql": "", "0003_c.sql": "" }, "0003_c should be number 2"],
    ["the same number twice", { "0001_a.sql": "", "0001_b.sql": "" }, "0001_b should be number 2"],
    ["an odd name", { "1_a.sql": "" }, "1_a.sql is not named like 0001_name.sql"],
  ])("%s is MIGRATION_FILES_INVALID", async (_what, files, reason) => {
    await expect(migrate(db, { folder: folderOf(files) })).rejects.toMatchObject({
      code: "MIGRATION_FILES_INVALID",
      message: expect.stringContaining(reason),
    });
  });

  test("a missing folder is MIGRATION_FILES_INVALID", async () => {
    await expect(migrate(db, { folder: join(folders, "none") })).rejects.toMatchObject({
      code: "MIGRATION_FILES_INVALID",
    });
  });

  test("a server that is not there is DATABASE_UNAVAILABLE", async () => {
    const nowhere = openDatabase({ url: "postgres://nobody@127.0.0.1:1/none" });
    await expect(migrate(nowhere, { folder: FIRST })).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    await nowhere.end();
  });
});

describe("migrationSql", () => {
  test("is a script that does the same as migrate", async () => {
    const client = await fresh.db.pool.connect();
    await client.query(migrationSql(db.schema, { folder: FIRST }));
    client.release();
    expect(await pendingMigrations(db, { folder: FIRST })).toEqual([]);
    expect(await migrate(db, { folder: FIRST })).toEqual([]);
    expect(await db.query("select longhaul.thing_count() as count")).toEqual([{ count: 2 }]);
  });
});

test("folders may hold other files", async () => {
  const folder = folderOf({ "0001_things.sql": THINGS, "README.md": "about" });
  mkdirSync(join(folder, "notes"));
  expect(await migrate(db, { folder })).toEqual([{ version: 1, name: "things" }]);
});
