// Finding the embedded PostgreSQL that runs on a data directory, without starting, owning or stopping it.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { SUPERUSER } from "./cluster.ts";
import { runningPostmaster } from "./postmaster.ts";

export interface FoundPostgres {
  /** For DATABASE_URL; holds the password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
}

/** The server that is ready on this data directory now, or undefined. */
export function findEmbedded(dataDir: string): FoundPostgres | undefined {
  const folder = resolve(dataDir);
  const passwordFile = join(folder, "postgres.password");
  const running = runningPostmaster(join(folder, "postgres"));
  if (running?.status !== "ready" || !existsSync(passwordFile)) return undefined;
  const password = encodeURIComponent(readFileSync(passwordFile, "utf8").trim());
  const { port, pid } = running;
  return { url: `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/postgres`, port, pid };
}
