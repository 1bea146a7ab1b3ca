// The command that examines an installation: settings and where they come from, the database, the schema, the invariants.
import * as limits from "../domain/limits.ts";
import type { Project } from "../runtime/project.ts";
import { redactUrl } from "../runtime/resolve-settings.ts";
import { type SettingName, settingNames, settingSpecs } from "../runtime/settings.ts";
import type { Database } from "../store/database.ts";
import type { Violation } from "../store/invariants.ts";
import type { PreflightCheck } from "../store/preflight.ts";
import type { Context } from "./context.ts";
import type { QueueReport } from "./examine-queue.ts";
import { runningDatabase } from "./installation.ts";
import { type ErrorReport, errorReport } from "./report-error.ts";
import { type Version, version } from "./version.ts";

export interface SettingReport {
  readonly setting: SettingName;
  readonly value: unknown;
  readonly source: "flag" | "env" | "file" | "default";
  /** The flag, the variable, or the place in the file. */
  readonly from: string | null;
}

export interface SchemaReport {
  readonly schema: string;
  /** Null: the schema is not there, or cannot be judged. */
  readonly version: number | null;
  /** What this program knows. */
  readonly known: number;
  readonly pending: readonly string[];
}

export interface InvariantsReport {
  /** How many were asked for, in one snapshot. */
  readonly asked: number;
  /** Those that do not hold, with rows that break them. */
  readonly broken: readonly Violation[];
}

export interface Examination {
  /** False when a check of level `error` failed, an invariant is broken, or the database cannot be used. */
  readonly well: boolean;
  readonly version: Version;
  readonly configFile: string | null;
  readonly settings: readonly SettingReport[];
  /** Why the database could not be examined, if it could not. */
  readonly problem: ErrorReport | null;
  readonly checks: readonly PreflightCheck[];
  readonly schema: SchemaReport | null;
  /** Null: not asked, for want of a database whose schema is up to date. */
  readonly invariants: InvariantsReport | null;
  /** Null as for the invariants. */
  readonly queue: QueueReport | null;
  readonly limits: Readonly<Record<string, number>>;
}

type DatabasePart = Pick<Examination, "checks" | "schema" | "invariants" | "queue" | "problem">;

const NOTHING: DatabasePart = { checks: [], schema: null, invariants: null, queue: null, problem: null };

/** Changes nothing and starts nothing. @throws CONFIG_NOT_FOUND, CONFIG_INVALID */
export async function examine(_input: object, context: Context): Promise<Examination> {
  const project = await context.project();
  const database = await examineDatabase(project);
  const broken = database.checks.some(({ ok, level }) => !ok && level === "error");
  const violated = (database.invariants?.broken.length ?? 0) > 0;
  return {
    well: database.problem === null && !broken && !violated,
    version: version(),
    configFile: project.configFile,
    settings: settingsOf(project),
    ...database,
    limits: { ...limits },
  };
}

/** Each setting with its origin; passwords are hidden. */
export function settingsOf({ settings, origins }: Project): SettingReport[] {
  return settingNames.map((setting) => {
    const raw = settings[setting];
    const hidden = typeof raw === "string" && settingSpecs[setting].secret === true;
    const { source, name } = origins[setting];
    return { setting, value: hidden ? redacted(setting, raw) : (raw ?? null), source, from: name };
  });
}

/** The address of a webhook often is its password. */
function redacted(setting: SettingName, url: string): string {
  return setting === "alertsWebhook" ? `${new URL(url).origin}/***` : redactUrl(url);
}

async function examineDatabase(project: Project): Promise<DatabasePart> {
  const { openDatabase } = await import("../store/database.ts");
  let db: Database | undefined;
  let found = NOTHING;
  try {
    const { url } = await runningDatabase(project);
    db = openDatabase({
      url,
      schema: project.settings.schema,
      max: 1,
      applicationName: "longhaul doctor",
      statementTimeoutMs: 60_000,
    });
    const { preflight } = await import("../store/preflight.ts");
    found = { ...found, checks: await preflight(db) };
    const schema = await examineSchema(db);
    found = { ...found, schema };
    const { upkeep } = await import("../store/upkeep.ts");
    found = { ...found, checks: [...found.checks, ...(await upkeep(db))] };
    if (schema.version !== schema.known) return found;
    const { examineQueue } = await import("./examine-queue.ts");
    found = { ...found, queue: await examineQueue(db, project.settings.unfinishedMax) };
    return { ...found, invariants: await examineInvariants(db) };
  } catch (error) {
    return { ...found, problem: errorReport(error) };
  } finally {
    await db?.end();
  }
}

async function examineSchema(db: Database): Promise<SchemaReport> {
  const { pendingMigrations } = await import("../store/migrate.ts");
  const { label, readMigrations } = await import("../store/migration-files.ts");
  const known = readMigrations().length;
  const pending = await pendingMigrations(db);
  const version = pending.length === known ? null : known - pending.length;
  return {
    schema: db.schema,
    version,
    known,
    pending: pending.map((migration) => label(migration.version, migration.name)),
  };
}

async function examineInvariants(db: Database): Promise<InvariantsReport> {
  const { checkInvariants, readInvariants } = await import("../store/invariants.ts");
  return { asked: readInvariants().length, broken: await checkInvariants(db) };
}
