// Brings the schema up to date: numbered files, forward only, each in a transaction of its own, one process at a time.
import { setTimeout as delay } from "node:timers/promises";
import { fail } from "../domain/errors.ts";
import type { Database, Transaction } from "./database.ts";
import { asUnavailable, errorState, isConnectionLost, isRetryable } from "./driver-errors.ts";
import { label, type Migration, readMigrations } from "./migration-files.ts";
import { checkSchemaName, schemaRewriter } from "./schema-name.ts";

export interface MigrateOptions {
  /** Where the files are; default: those of this package. */
  readonly folder?: string | undefined;
  /** Told of each migration before it is applied; default: nothing. */
  readonly log?: ((message: string) => void) | undefined;
  /** How long to try for locks that other sessions hold; default 60,000 ms. */
  readonly waitMs?: number | undefined;
}

/** A migration that was or would be applied. */
export interface MigrationName {
  readonly version: number;
  readonly name: string;
}

interface AppliedMigration extends MigrationName {
  readonly checksum: string;
  readonly compatible: boolean;
}

/** Shorter than a second: whoever queues behind our lock request waits no longer than that. */
const LOCK_TIMEOUT_MS = 900;
const RETRY_MS = 100;
const WAIT_MS = 60_000;
/** A day: a migration may take long, as long as it holds no lock that others need. */
const STATEMENT_TIMEOUT_MS = 86_400_000;

const CREATE_TABLE = `
create table if not exists longhaul.schema_migrations (
  version    integer     not null primary key,
  name       text        not null,
  checksum   text        not null,
  compatible boolean     not null,
  applied_at timestamptz not null default clock_timestamp()
)`;

const SELECT_APPLIED = `
select version, name, checksum, compatible
  from longhaul.schema_migrations
 order by version`;

const INSERT_APPLIED = `
insert into longhaul.schema_migrations (version, name, checksum, compatible)
values ($1, $2, $3, $4)`;

const HAS_SCHEMA = `select 1 from pg_catalog.pg_namespace where nspname = $1`;
const HAS_TABLE = `select 1 where to_regclass('longhaul.schema_migrations') is not null`;
/** Held to the end of the transaction, so that a pooler cannot lose it. */
const LOCK = `select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))`;

/**
 * Applies what is pending, and returns what was applied. Safe to call from many processes at once.
 * Throws SCHEMA_DRIFT, SCHEMA_TOO_NEW, MIGRATION_BLOCKED, MIGRATION_FAILED, MIGRATION_FILES_INVALID, DATABASE_UNAVAILABLE.
 */
export async function migrate(db: Database, options: MigrateOptions = {}): Promise<MigrationName[]> {
  const migrations = readMigrations(options.folder);
  const deadline = Date.now() + (options.waitMs ?? WAIT_MS);
  const done: MigrationName[] = [];
  for (const migration of await pendingOf(db, migrations)) {
    if (await applyPatiently(db, migration, deadline, options))
      done.push({ version: migration.version, name: migration.name });
  }
  return done;
}

/** What `migrate` would apply now. Throws SCHEMA_DRIFT, SCHEMA_TOO_NEW. */
export async function pendingMigrations(
  db: Database,
  options: Pick<MigrateOptions, "folder"> = {},
): Promise<MigrationName[]> {
  const pending = await pendingOf(db, readMigrations(options.folder));
  return pending.map(({ version, name }) => ({ version, name }));
}

/** Everything that `migrate` would do to an empty database, as one script for a person to read and run with psql. */
export function migrationSql(schema = "longhaul", options: Pick<MigrateOptions, "folder"> = {}): string {
  const rewrite = schemaRewriter(checkSchemaName(schema));
  const parts = readMigrations(options.folder).map((migration) => {
    const { version, name, checksum, compatible, sql } = migration;
    const record = `insert into longhaul.schema_migrations (version, name, checksum, compatible)
values (${version}, '${name}', '${checksum}', ${compatible});`;
    return rewrite(`-- ${label(version, name)}\nbegin;\n${sql.trim()}\n\n${record}\ncommit;\n`);
  });
  return [`create schema if not exists "${schema}";${rewrite(CREATE_TABLE)};\n`, ...parts].join("\n");
}

async function pendingOf(db: Database, migrations: readonly Migration[]): Promise<Migration[]> {
  const applied = await appliedIn(db);
  return unapplied(db.schema, migrations, applied);
}

async function appliedIn(db: Database): Promise<AppliedMigration[]> {
  try {
    const table = await db.query(HAS_TABLE);
    return table.length === 0 ? [] : await db.query<AppliedMigration>(SELECT_APPLIED);
  } catch (error) {
    throw asUnavailable(error);
  }
}

/** The migrations that are not applied yet, after checking that those applied are the ones we know. */
function unapplied(schema: string, known: readonly Migration[], applied: readonly AppliedMigration[]): Migration[] {
  for (const { version, name, checksum, compatible } of applied) {
    const ours = known[version - 1];
    if (ours === undefined) {
      if (compatible) continue;
      throw fail("SCHEMA_TOO_NEW", { schema, found: applied.at(-1)?.version ?? version, known: known.length });
    }
    if (ours.checksum !== checksum) throw fail("SCHEMA_DRIFT", { migration: label(version, name), schema });
  }
  const versions = new Set(applied.map(({ version }) => version));
  return known.filter(({ version }) => !versions.has(version));
}

/** Applies one migration, beginning anew when a lock cannot be had at once. False if another process has applied it. */
async function applyPatiently(
  db: Database,
  migration: Migration,
  deadline: number,
  { log, waitMs = WAIT_MS }: MigrateOptions,
): Promise<boolean> {
  const name = label(migration.version, migration.name);
  log?.(`Applying migration ${name}`);
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction((transaction) => apply(transaction, db.schema, migration));
    } catch (error) {
      if (!isRetryable(error)) throw explain(name, error);
      if (Date.now() > deadline) {
        throw fail("MIGRATION_BLOCKED", { migration: name, seconds: Math.round(waitMs / 1000) }, { cause: error });
      }
      // Waiters move apart by chance.
      await delay(RETRY_MS * Math.min(attempt, 10) * (0.5 + Math.random()));
    }
  }
}

async function apply(transaction: Transaction, schema: string, migration: Migration): Promise<boolean> {
  await transaction.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
  await transaction.query(`set local statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
  await transaction.query("set local client_min_messages = warning");
  await transaction.query(LOCK, [`longhaul migrations ${schema}`]);
  // `create schema if not exists` asks for a right that is not needed where the schema exists.
  const exists = await transaction.query(HAS_SCHEMA, [schema]);
  if (exists.length === 0) await transaction.query(`create schema "${schema}"`);
  await transaction.query(CREATE_TABLE);
  const { version, name, checksum, compatible } = migration;
  const applied = await transaction.query<AppliedMigration>(SELECT_APPLIED);
  if (applied.some((other) => other.version === version)) return false;
  const script = { text: schemaRewriter(schema)(migration.sql), query_timeout: STATEMENT_TIMEOUT_MS };
  await transaction.client.query(script);
  await transaction.query(INSERT_APPLIED, [version, name, checksum, compatible]);
  return true;
}

function explain(migration: string, error: unknown): unknown {
  const isOfTheServer = /^[0-9A-Z]{5}$/.test(errorState(error) ?? "");
  if (!isOfTheServer || isConnectionLost(error)) return asUnavailable(error);
  const reason = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
  return fail("MIGRATION_FAILED", { migration, reason }, { cause: error });
}
