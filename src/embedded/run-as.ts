// As which user PostgreSQL runs: it refuses to be root, so that root hands it to an unprivileged user.
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fail } from "../domain/errors.ts";

/** The user and group to drop to; undefined when this process is not root and may run PostgreSQL itself. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

/** Users that every common system has, least privileged first; initdb insists on one with an entry in /etc/passwd. */
const CANDIDATES = ["nobody", "postgres", "daemon"];

/** Decides who runs the server: the owner of the existing cluster, or else an unprivileged system user. */
export function chooseRunAs(clusterDir: string, logFile: string): RunAs | undefined {
  const self = process.getuid?.();
  if (self === undefined) return undefined;
  const owner = ownerOf(clusterDir);
  if (self === 0) return owner !== undefined && owner.uid !== 0 ? owner : unprivilegedUser(logFile);
  if (owner !== undefined && owner.uid !== self) {
    const reason = `its data belongs to the user with id ${owner.uid}, and this process runs as ${self}`;
    throw fail("EMBEDDED_FAILED", { reason, logFile });
  }
  return undefined;
}

/** True if the user may enter every folder on the way to this one, and this one itself. */
export function canEnter(runAs: RunAs | undefined, folder: string): boolean {
  if (runAs === undefined) return true;
  for (let path = resolve(folder); ; path = dirname(path)) {
    if (!maySearch(runAs, path)) return false;
    if (path === dirname(path)) return true;
  }
}

/** True if the user may read and execute this file, once in its folder. */
export function canExecute(runAs: RunAs | undefined, file: string): boolean {
  const { mode, uid, gid } = statSync(file);
  const self = runAs ?? { uid: process.getuid?.() ?? uid, gid: process.getgid?.() ?? gid };
  return (mode & permission(self, uid, gid, 0o5)) === permission(self, uid, gid, 0o5);
}

function maySearch(runAs: RunAs, folder: string): boolean {
  const { mode, uid, gid } = statSync(folder);
  return (mode & permission(runAs, uid, gid, 0o1)) !== 0;
}

/** Moves permission bits (read 4, write 2, enter 1) to the class of user that the file sees. */
function permission(user: RunAs, uid: number, gid: number, bits: number): number {
  if (user.uid === uid) return bits << 6;
  return user.gid === gid ? bits << 3 : bits;
}

function ownerOf(folder: string): RunAs | undefined {
  const { uid, gid } = statSync(folder, { throwIfNoEntry: false }) ?? {};
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

function unprivilegedUser(logFile: string): RunAs {
  const entries = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const name of CANDIDATES) {
    const entry = entries.find(([user]) => user === name);
    if (entry?.[2] !== undefined && entry[3] !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  const reason = `PostgreSQL refuses to run as root, and this system has none of the users ${CANDIDATES.join(", ")}`;
  throw fail("EMBEDDED_FAILED", { reason, logFile });
}
