// The migrations as files: numbered, in order, each with a checksum.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail } from "../domain/errors.ts";

export interface Migration {
  readonly version: number;
  readonly name: string;
  /** As in the file, with the literal schema prefix `longhaul.`. */
  readonly sql: string;
  /** SHA-256 of the file, line ends normalised. */
  readonly checksum: string;
  /** True if programs that do not know this migration may go on working: its header says `--! compatible`. */
  readonly compatible: boolean;
}

/** Where the package keeps its migrations; the same way from src/store and from dist/store. */
export const MIGRATIONS_FOLDER = fileURLToPath(new URL("../../sql/migrations", import.meta.url));

const FILE_NAME = /^(\d{4})_([a-z0-9_]+)\.sql$/;

/** All migrations of a folder in order. Throws MIGRATION_FILES_INVALID: missing folder, odd name, gap, same number twice. */
export function readMigrations(folder: string = MIGRATIONS_FOLDER): Migration[] {
  const migrations = listFolder(folder)
    .filter((file) => file.endsWith(".sql"))
    .sort()
    .map((file) => readMigration(folder, file));
  migrations.forEach(({ version, name }, index) => {
    if (version === index + 1) return;
    throw fail("MIGRATION_FILES_INVALID", { folder, reason: `${label(version, name)} should be number ${index + 1}` });
  });
  return migrations;
}

/** "0003_waits" */
export function label(version: number, name: string): string {
  return `${String(version).padStart(4, "0")}_${name}`;
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    throw fail("MIGRATION_FILES_INVALID", { folder, reason: "it cannot be read" }, { cause });
  }
}

function readMigration(folder: string, file: string): Migration {
  const [, digits, name] = FILE_NAME.exec(file) ?? [];
  if (digits === undefined || name === undefined) {
    throw fail("MIGRATION_FILES_INVALID", { folder, reason: `${file} is not named like 0001_name.sql` });
  }
  const sql = readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n");
  const checksum = createHash("sha256").update(sql).digest("hex");
  return { version: Number(digits), name, sql, checksum, compatible: /^--! compatible$/m.test(sql) };
}
