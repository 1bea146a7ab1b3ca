// sql/schema.sql is the schema that the migrations make: read, run, and compared.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { dumpSchema } from "../support/schema-dump.ts";

let migrated: FreshDatabase;
beforeAll(async () => {
  migrated = await freshDatabase();
});
afterAll(() => migrated.drop());

test("sql/schema.sql is true (if not: npm run schema)", async () => {
  expect(readFileSync("sql/schema.sql", "utf8")).toBe(await dumpSchema(migrated.db));
});

test("sql/schema.sql runs, and makes the same schema", async () => {
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
