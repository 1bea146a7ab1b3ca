// Who owns the embedded server of a data directory: the one process that may stop it.
import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isLive, type ProcessIdentity, thisProcess } from "./process-identity.ts";

export interface Owner extends ProcessIdentity {
  /** Tells apart two owners within one process. */
  readonly token: string;
  /** The port of the server; used again at the next start if it is free, so that addresses stay valid. */
  readonly port: number;
}

const fileOf = (dataDir: string): string => join(dataDir, "postgres.owner.json");

/** The owner written down last, who may be dead, or undefined. */
export function lastOwner(dataDir: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(dataDir), "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

/** The owner, if the process is alive and has not given the server up. */
export function liveOwner(dataDir: string): Owner | undefined {
  const owner = lastOwner(dataDir);
  return owner !== undefined && owner.token !== "" && isLive(owner) ? owner : undefined;
}

/** Writes this process down as the owner of the server on this port. Call under the start lock. */
export function takeOwnership(dataDir: string, port: number): Owner {
  const owner = { ...thisProcess(), token: randomUUID(), port };
  write(dataDir, owner);
  return owner;
}

/** Gives ownership up, keeping the port for the next start. False if another process has taken over meanwhile. */
export function releaseOwnership(dataDir: string, owner: Owner): boolean {
  if (!isOwner(dataDir, owner)) return false;
  write(dataDir, { ...owner, token: "" });
  return true;
}

/** True while this owner is the one written down. */
export function isOwner(dataDir: string, owner: Owner): boolean {
  return lastOwner(dataDir)?.token === owner.token;
}

function write(dataDir: string, owner: Owner): void {
  const draft = `${fileOf(dataDir)}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(owner), { mode: 0o600 });
  try {
    renameSync(draft, fileOf(dataDir));
  } finally {
    rmSync(draft, { force: true });
  }
}
