// sql/schema.sql is the schema that the migrations make: read, run, and compared.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { dumpSchema } from "../support/schema-dump.ts";

let migrated: FreshDatabase;
/** The file is dumped from this version; others spell the same schema differently. */
const DUMPED_FROM = 18;
let version = 0;
beforeAll(async () => {
  migrated = await freshDatabase();
  const [row] = await migrated.db.query<{ n: number }>(
    "select current_setting('server_version_num')::int / 10000 as n",
  );
  version = row?.n ?? 0;
});
afterAll(() => migrated.drop());

test("sql/schema.sql is true (if not: npm run schema)", async (context) => {
  context.skip(version !== DUMPED_FROM, `dumped from PostgreSQL ${DUMPED_FROM}`);
  expect(readFileSync("sql/schema.sql", "utf8")).toBe(await dumpSchema(migrated.db));
});

test("sql/schema.sql runs, and makes the same schema", async (context) => {
  context.skip(version !== DUMPED_FROM, `dumped from PostgreSQL ${DUMPED_FROM}`);
  const built = await freshDatabase({ migrated: false });
  await built.db.query(readFileSync("sql/schema.sql", "utf8"));
  expect(await dumpSchema(built.db)).toBe(await dumpSchema(migrated.db));
  await built.drop();
});

test("the dump tells a difference", async () => {
  const changed = await freshDatabase();
  const before = await dumpSchema(changed.db);
  await changed.db.query("alter table longhaul.schema_migrations add column extra text");
  expect(await dumpSchema(changed.db)).not.toBe(before);
  await changed.drop();
});
