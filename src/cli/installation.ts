// The installation a command talks to: a database that is named, the embedded one that runs, or one started for the purpose.

import { fail } from "../domain/errors.ts";
import type { Logger } from "../engine/worker-options.ts";
import type { Tenant } from "../runtime/api.ts";
import type { LonghaulProcess } from "../runtime/connect.ts";
import type { Project } from "../runtime/project.ts";
import { errorState } from "../store/driver-errors.ts";
import type { Context } from "./context.ts";

/** A database to use, and how to let go of it. */
export interface DatabaseHandle {
  readonly url: string;
  /** Null for a database that is named. */
  readonly embeddedIn: string | null;
  /** Stops the embedded database if this process owns it. */
  stop(): Promise<void>;
}

/** The database for a program that only looks: it starts nothing. @throws INSTALLATION_NOT_RUNNING */
export async function runningDatabase({ settings }: Project): Promise<DatabaseHandle> {
  if (settings.databaseUrl !== undefined) return named(settings.databaseUrl);
  const { findEmbedded } = await import("../embedded/find.ts");
  const found = findEmbedded(settings.dataDir);
  if (found === undefined) throw fail("INSTALLATION_NOT_RUNNING", { dataDir: settings.dataDir });
  return { url: found.url, embeddedIn: settings.dataDir, stop: () => Promise.resolve() };
}

/**
 * The database for one process among others. An embedded one is started, or shared if it runs already.
 *
 * @throws DATA_DIR_UNUSABLE, EMBEDDED_UNSUPPORTED, EMBEDDED_FAILED
 */
export async function sharedDatabase({ settings }: Project, log: Logger): Promise<DatabaseHandle> {
  if (settings.databaseUrl !== undefined) return named(settings.databaseUrl);
  const { startEmbedded } = await import("../embedded/index.ts");
  const embedded = await startEmbedded({ dataDir: settings.dataDir, log: (message) => log("info", message) });
  return { url: embedded.url, embeddedIn: settings.dataDir, stop: () => embedded.stop() };
}

/**
 * The database for a whole installation, whose only owner this process is: a second installation on the same data would lose its
 * database with the first. An embedded one is kept alive; one whose owner was killed is taken over.
 *
 * @throws DATA_DIR_IN_USE, DATA_DIR_UNUSABLE, EMBEDDED_UNSUPPORTED, EMBEDDED_FAILED
 */
export async function ownDatabase({ settings }: Project, log: Logger): Promise<DatabaseHandle> {
  if (settings.databaseUrl !== undefined) return named(settings.databaseUrl);
  const { KeptDatabase } = await import("./kept-database.ts");
  const { dataDir } = settings;
  const embedded = await KeptDatabase.start(
    { dataDir, ifRunning: "fail", log: (message) => log("info", message) },
    log,
  );
  return { url: embedded.url, embeddedIn: settings.dataDir, stop: () => embedded.stop() };
}

function named(url: string): DatabaseHandle {
  return { url, embeddedIn: null, stop: () => Promise.resolve() };
}

export interface OpenInstallation {
  readonly longhaul: LonghaulProcess;
  readonly tenant: Tenant;
  readonly project: Project;
  close(): Promise<void>;
}

/** Connects as a client: no worker. Close it. @throws INSTALLATION_NOT_RUNNING, DATABASE_UNAVAILABLE, CONFIG_INVALID */
export async function openInstallation(context: Context): Promise<OpenInstallation> {
  const project = await context.project();
  const { schema, build, tenant, unfinishedMax } = project.settings;
  const { url } = await runningDatabase(project);
  const { connect } = await import("../runtime/connect.ts");
  // A program that only looks must not change the schema under those who work.
  const longhaul = await connect({
    url,
    schema,
    build,
    limits: { unfinishedMax },
    worker: false,
    migrate: false,
    log: await context.log(project),
  });
  return { longhaul, tenant: longhaul.tenant(tenant), project, close: () => longhaul.close() };
}

/** Connects as a client for the length of `work`. @throws beside what `work` throws: SCHEMA_NOT_READY */
export async function withInstallation<Result>(
  context: Context,
  work: (tenant: Tenant, installation: OpenInstallation) => Promise<Result>,
): Promise<Result> {
  const installation = await openInstallation(context);
  try {
    return await work(installation.tenant, installation);
  } catch (error) {
    throw asNotReady(error, installation.project.settings.schema);
  } finally {
    await installation.close();
  }
}

/** Schema, table, column or function that is not there. */
const MISSING_STATES = new Set(["3F000", "42P01", "42703", "42883"]);

/** What a database says that was never migrated, or not far enough. */
export function asNotReady(error: unknown, schema: string): unknown {
  if (!MISSING_STATES.has(errorState(error) ?? "")) return error;
  return fail(
    "SCHEMA_NOT_READY",
    { schema, reason: error instanceof Error ? error.message : String(error) },
    { cause: error },
  );
}
