// Which process is meant by a pid that was written down earlier, since pids are used again.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** When the process started, in the system's own notation; null where the system does not say. */
  readonly startedAt: string | null;
}

/** The identity of this process. */
export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, startedAt: processStart(process.pid) };
}

/** True if the process written down still runs: the pid is taken, by a process that started at the same moment. */
export function isLive(identity: ProcessIdentity): boolean {
  return isAlive(identity.pid) && (identity.startedAt === null || processStart(identity.pid) === identity.startedAt);
}

/** True if a process with this pid runs; one that ended and waits for its parent (a zombie) does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return linuxStat(pid)?.[0] !== "Z";
}

function processStart(pid: number): string | null {
  if (process.platform === "linux") return linuxStat(pid)?.[19] ?? null;
  if (process.platform === "win32") return null;
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || null;
  } catch {
    return null;
  }
}

/** The fields of /proc/pid/stat from the state on; the name before them may hold spaces and parentheses. */
function linuxStat(pid: number): string[] | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
