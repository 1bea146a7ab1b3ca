// The cluster: PostgreSQL's own data directory, made once by initdb with a random password.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fail } from "../domain/errors.ts";
import type { Binaries } from "./binaries.ts";
import { canEnter, type RunAs } from "./run-as.ts";

export const SUPERUSER = "longhaul";

export interface Cluster {
  /** The cluster directory, `<dataDir>/postgres`. */
  readonly dir: string;
  /** How the server's own process names that directory. */
  readonly pathForServer: string;
  readonly password: string;
}

/**
 * Where a server started in its data directory finds it, even if its user may not enter the folders above, such as
 * /root: Linux follows this link without looking at the way there.
 */
const OWN_WORKING_DIRECTORY = "/proc/self/cwd";

/** Opens the cluster of this data directory, and makes it first if there is none. Throws EMBEDDED_FAILED. */
export async function openCluster(
  dataDir: string,
  binaries: Binaries,
  runAs: RunAs | undefined,
  logFile: string,
  log: ((message: string) => void) | undefined,
): Promise<Cluster> {
  const dir = join(dataDir, "postgres");
  const pathForServer = namePath(dataDir, dir, runAs, logFile);
  const passwordFile = join(dataDir, "postgres.password");
  if (existsSync(join(dir, "PG_VERSION"))) {
    return { dir, pathForServer, password: readPassword(passwordFile, logFile) };
  }
  log?.(`Making a PostgreSQL cluster in ${dir}`);
  const password = randomBytes(24).toString("base64url");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  // A process that dies in initdb leaves a half-made cluster: so it is made under another name.
  const draft = `${dir}.draft`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  if (runAs !== undefined) chownSync(draft, runAs.uid, runAs.gid);
  const draftForServer = pathForServer === dir ? draft : pathForServer;
  await initdb(binaries, draft, draftForServer, password, runAs, logFile);
  renameSync(draft, dir);
  return { dir, pathForServer, password };
}

/** What every process of PostgreSQL gets: no variables of ours, and the right user. */
export function spawnSettings(cwd: string, runAs: RunAs | undefined): object {
  const { PATH, SystemRoot, TEMP } = process.env;
  return { cwd, env: { PATH, SystemRoot, TEMP, LC_ALL: "C" }, ...runAs };
}

async function initdb(
  binaries: Binaries,
  dir: string,
  dirForServer: string,
  password: string,
  runAs: RunAs | undefined,
  logFile: string,
): Promise<void> {
  const scratch = mkdtempSync(join(canEnter(runAs, tmpdir()) ? tmpdir() : "/tmp", "longhaul-initdb-"));
  const passwordFile = join(scratch, "password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (runAs !== undefined) for (const path of [scratch, passwordFile]) chownSync(path, runAs.uid, runAs.gid);
  const flags = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"];
  const args = ["-D", dirForServer, "-U", SUPERUSER, `--pwfile=${passwordFile}`, ...flags];
  try {
    await promisify(execFile)(binaries.initdb, args, spawnSettings(dir, runAs));
  } catch (cause) {
    throw initdbFailure(cause, logFile);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function initdbFailure(cause: unknown, logFile: string): Error {
  const { code, stderr } = cause as { code?: unknown; stderr?: string };
  if (code === "ENOENT" || code === "ENOEXEC") return cannotExecute(cause);
  writeFileSync(logFile, stderr ?? "", { flag: "a", mode: 0o600 });
  const lastLine = stderr?.trim().split("\n").at(-1) ?? String(cause);
  return fail("EMBEDDED_FAILED", { reason: `initdb said "${lastLine}"`, logFile }, { cause });
}

/** The file is there, and yet the system cannot run it: another C library or processor than it was built for. */
export function cannotExecute(cause: unknown): Error {
  const platform = `${process.platform}-${process.arch}`;
  const reason = "its binaries cannot run here; they need the GNU C library, which Alpine Linux, for one, lacks";
  return fail("EMBEDDED_UNSUPPORTED", { platform, reason }, { cause });
}

function namePath(dataDir: string, dir: string, runAs: RunAs | undefined, logFile: string): string {
  if (canEnter(runAs, dataDir)) return dir;
  if (process.platform === "linux") return OWN_WORKING_DIRECTORY;
  const reason = `PostgreSQL refuses to run as root, and its user (id ${runAs?.uid}) may not enter ${dataDir}`;
  throw fail("EMBEDDED_FAILED", { reason, logFile });
}

function readPassword(file: string, logFile: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw fail("EMBEDDED_FAILED", { reason: `its password in ${file} cannot be read`, logFile }, { cause });
  }
}
