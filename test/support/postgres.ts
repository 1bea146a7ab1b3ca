// Real PostgreSQL for tests, benchmarks and crash runs: one embedded server, and databases cloned from a migrated template.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbedded } from "../../src/embedded/index.ts";
import { type Database, type DatabaseOptions, openDatabase } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";

export interface PostgresServer {
  /** Address of the maintenance database; its user may create databases. */
  readonly url: string;
  /** Why the template could not be migrated; empty when it could. */
  readonly templateError: string;
}

export interface RunningPostgres extends PostgresServer {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface FreshDatabase {
  readonly url: string;
  readonly db: Database;
  /** Closes `db` and drops the database, whoever is connected to it. */
  drop(): Promise<void>;
}

export interface FreshDatabaseOptions extends Omit<DatabaseOptions, "url"> {
  /** The server; default: the one of this test run, or of the environment variable LONGHAUL_TEST_POSTGRES. */
  readonly server?: PostgresServer;
  /** False for an empty database without the schema; default true. */
  readonly migrated?: boolean;
}

const TEMPLATE = "longhaul_template";
const FOLDER_PREFIX = "longhaul-test-";
/** How the global set-up hands the server to the processes that run the test files. */
const ENVIRONMENT_VARIABLE = "LONGHAUL_TEST_POSTGRES";

/** Starts a server in a temporary folder and migrates the template. Servers of test runs that were killed are removed. */
export async function startTestPostgres(settings: Record<string, string | number> = {}): Promise<RunningPostgres> {
  await removeAbandoned();
  const dataDir = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  const embedded = await startEmbedded({ dataDir, settings });
  const templateError = await prepareTemplate(embedded.url);
  return {
    url: embedded.url,
    pid: embedded.pid,
    templateError,
    stop: async () => {
      await embedded.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** The same on a server of yours (any supported version): its user must be allowed to create databases. */
export async function useTestPostgres(url: string): Promise<PostgresServer> {
  return { url, templateError: await prepareTemplate(url) };
}

/** Makes this server the default one of freshDatabase, in this process and in those it starts. */
export function announce({ url, templateError }: PostgresServer): void {
  process.env[ENVIRONMENT_VARIABLE] = JSON.stringify({ url, templateError });
}

/** A database of one's own: a clone of the migrated template (some 60 ms), or an empty one. */
export async function freshDatabase(options: FreshDatabaseOptions = {}): Promise<FreshDatabase> {
  const { server = announced(), migrated = true, ...rest } = options;
  if (migrated && server.templateError !== "") throw new Error(`The migrations fail: ${server.templateError}`);
  const name = `t_${process.pid}_${process.hrtime.bigint().toString(36)}`;
  await onServer(server.url, `create database ${name} template ${migrated ? TEMPLATE : "template0"}`);
  const url = databaseUrl(server.url, name);
  const db = openDatabase({ applicationName: "longhaul-test", ...rest, url });
  return {
    url,
    db,
    drop: async () => {
      await db.end();
      await onServer(server.url, `drop database if exists ${name} with (force)`);
    },
  };
}

/** The server's address with another database in it. */
export function databaseUrl(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
}

function announced(): PostgresServer {
  const text = process.env[ENVIRONMENT_VARIABLE];
  if (text === undefined) throw new Error("No test server: call startTestPostgres() and announce() first");
  return JSON.parse(text) as PostgresServer;
}

async function prepareTemplate(url: string): Promise<string> {
  await onServer(url, `create database ${TEMPLATE} template template0`);
  const db = openDatabase({ url: databaseUrl(url, TEMPLATE), max: 1 });
  try {
    await migrate(db);
    return "";
  } catch (error) {
    // Not thrown here: tests that need no schema must run while a migration is being written.
    return error instanceof Error ? error.message : String(error);
  } finally {
    await db.end();
  }
}

async function onServer(url: string, statement: string): Promise<void> {
  const db = openDatabase({ url, max: 1, statementTimeoutMs: 60_000 });
  try {
    await db.query(statement);
  } finally {
    await db.end();
  }
}

/** A killed test run leaves its server running; the folder's name tells whose it was. */
async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(new RegExp(`^${FOLDER_PREFIX}(\\d+)-`).exec(name)?.[1]);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const dataDir = join(tmpdir(), name);
    try {
      const left = await startEmbedded({ dataDir, ifRunning: "fail" });
      await left.stop();
      rmSync(dataDir, { recursive: true, force: true });
    } catch {
      // Another run is removing it, or it is another user's.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
