// Writes sql/schema.sql: the whole schema after all migrations.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freshDatabase, startTestPostgres } from "../test/support/postgres.ts";
import { dumpSchema } from "../test/support/schema-dump.ts";

const server = await startTestPostgres();
try {
  const fresh = await freshDatabase({ server });
  writeFileSync(fileURLToPath(new URL("../sql/schema.sql", import.meta.url)), await dumpSchema(fresh.db));
  await fresh.drop();
} finally {
  await server.stop();
}
