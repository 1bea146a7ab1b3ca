// What a data directory says about the server that runs on it: its pid, its port, and whether it answers.
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { isAlive } from "./process-identity.ts";

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  /** As PostgreSQL writes it: "starting", "ready", "stopping", "standby". */
  readonly status: string;
}

/** Line numbers of postmaster.pid, from 0; the file grows while the server starts. */
const LINE = { pid: 0, port: 3, status: 7 };
/** A pid that no system gives out, so that PostgreSQL sees at once that it is gone. */
const NOBODYS_PID = 2 ** 22 - 1;
const ANSWER_TIMEOUT_MS = 2_000;

/** The server that runs on this cluster directory now, or undefined. */
export function runningPostmaster(clusterDir: string): Postmaster | undefined {
  const lines = readPidFile(clusterDir);
  const pid = Number(lines?.[LINE.pid]);
  if (lines === undefined || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (!isAlive(pid) || !isPostgresOn(pid, clusterDir)) return undefined;
  return { pid, port: Number(lines[LINE.port]), status: (lines[LINE.status] ?? "starting").trim() };
}

/**
 * Makes a left-over postmaster.pid harmless when its pid now belongs to a stranger, as happens in containers, where
 * the same small pids come again. Only the pid is changed: PostgreSQL still checks that no old backend is left.
 */
export function disarmStalePidFile(clusterDir: string): void {
  const lines = readPidFile(clusterDir);
  if (lines === undefined || runningPostmaster(clusterDir) !== undefined || !isTaken(Number(lines[LINE.pid]))) return;
  writeFileSync(join(clusterDir, "postmaster.pid"), [NOBODYS_PID, ...lines.slice(1)].join("\n"));
}

/** True if a PostgreSQL answers on this port of this machine. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => settle(false));
    socket.once("error", () => settle(false));
    socket.once("close", () => settle(false));
    // An SSLRequest: PostgreSQL, and hardly anything else, answers with the one letter N or S.
    socket.once("connect", () => socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])));
    socket.once("data", (answer: Buffer) => settle(answer.length === 1 && "NS".includes(answer.toString("latin1"))));
  });
}

function readPidFile(clusterDir: string): string[] | undefined {
  try {
    return readFileSync(join(clusterDir, "postmaster.pid"), "utf8").split("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** A server's working directory is its data directory; where the system does not show that, its name must do. */
function isPostgresOn(pid: number, clusterDir: string): boolean {
  try {
    if (process.platform === "linux") return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(clusterDir);
    if (process.platform === "win32") return true;
    return /postgres/.test(execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" }));
  } catch {
    return false;
  }
}

/** Unlike isAlive this counts zombies, as PostgreSQL itself does when it looks at the pid. */
function isTaken(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
