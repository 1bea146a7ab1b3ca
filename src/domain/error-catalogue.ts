// Every error code of Longhaul, in alphabetical order: what it means, what to do, and whether trying again can help.
import type { CatalogueEntry } from "./errors.ts";

/** Code → status, message, hint, retryable. `{name}` stands for a parameter of `fail(code, { name })`. */
export const catalogue = {
  DATABASE_UNAVAILABLE: {
    status: 503,
    message: "PostgreSQL cannot be reached: {reason}.",
    hint: "Check that the server runs and that DATABASE_URL is right, then send the request again with the same key.",
    retryable: true,
  },
  DATA_DIR_IN_USE: {
    status: 409,
    message: "The data directory {dataDir} belongs to a running Longhaul process (pid {pid}).",
    hint: "Stop that process, or give this one a data directory of its own.",
    retryable: false,
  },
  EMBEDDED_FAILED: {
    status: 500,
    message: "The embedded PostgreSQL did not start: {reason}.",
    hint: "Read {logFile}; to use a PostgreSQL of your own instead, set DATABASE_URL.",
    retryable: false,
  },
  EMBEDDED_UNSUPPORTED: {
    status: 500,
    message: "There is no embedded PostgreSQL for this system ({platform}): {reason}.",
    hint: "Set DATABASE_URL to a PostgreSQL 14 or newer, or reinstall with optional packages: npm install --include=optional.",
    retryable: false,
  },
  MIGRATION_BLOCKED: {
    status: 503,
    message: "Migration {migration} waited {seconds} s for a lock that other sessions hold.",
    hint: "Look for long transactions in pg_stat_activity, end them, and migrate again; nothing was changed.",
    retryable: true,
  },
  MIGRATION_FAILED: {
    status: 500,
    message: "Migration {migration} failed and was rolled back: {reason}.",
    hint: "The schema is as it was before this migration. Correct the cause, then migrate again.",
    retryable: false,
  },
  MIGRATION_FILES_INVALID: {
    status: 500,
    message: "The folder of migrations {folder} is not usable: {reason}.",
    hint: "Name the files 0001_name.sql, 0002_name.sql and so on, without gaps; if you changed none, reinstall Longhaul.",
    retryable: false,
  },
  SCHEMA_DRIFT: {
    status: 500,
    message: "Migration {migration} differs from the one that was applied to schema {schema}.",
    hint: "An applied migration never changes: restore the file, or use the version of Longhaul that applied it.",
    retryable: false,
  },
  SCHEMA_NAME_INVALID: {
    status: 400,
    message: "{schema} cannot be the name of the schema.",
    hint: "Use a lower-case letter or underscore followed by at most 47 lower-case letters, digits or underscores.",
    retryable: false,
  },
  SCHEMA_TOO_NEW: {
    status: 500,
    message: "Schema {schema} is at version {found}, but this program knows only versions up to {known}.",
    hint: "Upgrade Longhaul on this machine; a newer one has already migrated this database.",
    retryable: false,
  },
  TRANSACTION_ABORTED: {
    status: 500,
    message: "The transaction was rolled back because a statement in it had failed and the failure was ignored.",
    hint: "Let the error of the failed statement reach the caller of transaction().",
    retryable: false,
  },
} as const satisfies Record<string, CatalogueEntry>;
