// The documents as the agent reaches them: one pool per process on the worker's own database, and an index that is there.
import { fileURLToPath } from "node:url";
import pg from "pg";
import { openCorpus } from "./corpus.ts";
import { buildIndex } from "./search-index.ts";

/** The folder whose pages are read: this project, and everything that it has installed. */
export const LIBRARY = fileURLToPath(new URL("../..", import.meta.url));

let opened: pg.Pool | undefined;
let indexed: Promise<number> | undefined;

/** The database that the worker was started on: `longhaul start` and the demo hand its address down in this variable. */
export function documents(): pg.Pool {
  opened ??= openDocuments(process.env.LONGHAUL_DATABASE_URL ?? process.env.DATABASE_URL);
  return opened;
}

/** @throws Error without an address */
export function openDocuments(url: string | undefined): pg.Pool {
  if (!url) throw new Error("No database: set LONGHAUL_DATABASE_URL, or run this agent with `longhaul start`.");
  const pool = new pg.Pool({ connectionString: url, max: 4, allowExitOnIdle: true });
  // A connection that breaks while idle has already left the pool.
  pool.on("error", () => undefined);
  return pool;
}

/** Answers how many passages can be searched; builds the index if it is not there or its pages have changed. */
export function ensureIndex(): Promise<number> {
  indexed ??= build().catch((error: unknown) => {
    indexed = undefined;
    throw error;
  });
  return indexed;
}

async function build(): Promise<number> {
  const { passages } = await buildIndex(documents(), await openCorpus(LIBRARY));
  return passages;
}
