// The command that brings the schema up to date, says whether it is, or prints the SQL for somebody else to run.
import type { MigrationName } from "../store/migrate.ts";
import type { Context } from "./context.ts";
import { sharedDatabase } from "./installation.ts";
import { mistake } from "./mistake.ts";

export interface MigrateInput {
  readonly sql?: boolean | undefined;
  readonly status?: boolean | undefined;
}

/** What was applied, or with `status` what would be. */
export interface Migrated {
  readonly schema: string;
  readonly applied: readonly MigrationName[];
  readonly pending: readonly MigrationName[];
}

/** @throws SCHEMA_DRIFT, SCHEMA_TOO_NEW, MIGRATION_BLOCKED, MIGRATION_FAILED, DATABASE_UNAVAILABLE */
export async function migrateSchema(input: MigrateInput, context: Context): Promise<Migrated | string> {
  if (input.sql && input.status) throw mistake("--sql and --status exclude each other", "Give one of them.");
  const project = await context.project();
  const { schema } = project.settings;
  const { migrate, migrationSql, pendingMigrations } = await import("../store/migrate.ts");
  if (input.sql) return migrationSql(schema);
  const { openDatabase } = await import("../store/database.ts");
  const log = await context.log(project);
  const handle = await sharedDatabase(project, log);
  const db = openDatabase({ url: handle.url, schema, max: 1, applicationName: "longhaul migrate" });
  try {
    const applied = input.status ? [] : await migrate(db, { log: (message) => log("info", message) });
    return { schema, applied, pending: await pendingMigrations(db) };
  } finally {
    await db.end();
    await handle.stop();
  }
}
