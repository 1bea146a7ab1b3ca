// One process at a time may look at a data directory and decide to start, adopt or stop its server.
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fail } from "../domain/errors.ts";
import { isLive, type ProcessIdentity, thisProcess } from "./process-identity.ts";

/** Longer than a first start with initdb takes on a slow disk. */
const WAIT_MS = 120_000;
const POLL_MS = 25;
/** Breaking a dead holder's lock takes microseconds; a breaker older than this died in doing so. */
const BREAKER_STALE_MS = 10_000;

/** Runs `work` while holding the lock of this data directory. Throws DATA_DIR_IN_USE if it is not free in two minutes. */
export async function withStartLock<Result>(dataDir: string, work: () => Promise<Result>): Promise<Result> {
  const file = join(dataDir, "start.lock");
  const deadline = Date.now() + WAIT_MS;
  while (!tryCreate(file)) {
    const holder = readHolder(file);
    if (holder !== undefined && !isLive(holder)) breakLock(file);
    if (Date.now() > deadline) throw fail("DATA_DIR_IN_USE", { dataDir, pid: holder?.pid ?? "unknown" });
    await delay(POLL_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function tryCreate(file: string): boolean {
  try {
    writeFileSync(file, JSON.stringify(thisProcess()), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Undefined while the lock is being written or has just gone. A file that stays empty belongs to a dead process. */
function readHolder(file: string): ProcessIdentity | undefined {
  try {
    const text = readFileSync(file, "utf8");
    if (text !== "") return JSON.parse(text) as ProcessIdentity;
    return olderThan(file, BREAKER_STALE_MS) ? { pid: -1, startedAt: null } : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the lock of a dead process; itself guarded, lest two waiters remove each other's fresh locks. */
function breakLock(file: string): void {
  const breaker = `${file}.breaker`;
  if (!tryCreate(breaker)) {
    if (olderThan(breaker, BREAKER_STALE_MS)) rmSync(breaker, { force: true });
    return;
  }
  const holder = readHolder(file);
  if (holder !== undefined && !isLive(holder)) rmSync(file, { force: true });
  rmSync(breaker, { force: true });
}

function olderThan(file: string, ageMs: number): boolean {
  try {
    return Date.now() - statSync(file).mtimeMs > ageMs;
  } catch {
    return false;
  }
}
