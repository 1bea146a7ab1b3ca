// The heartbeat's statement and the file its thread runs.
import type { Database } from "./database.ts";

export interface HeartbeatRow {
  readonly run_id: string;
  readonly held: boolean;
  readonly cancel: string | null;
  readonly inbox_seq: number | null;
}

const HEARTBEAT = "select * from longhaul.heartbeat($1, $2, $3::uuid[], $4::int[])";

/** What the thread needs to know about the database. */
export function heartbeatData(db: Database): { url: string; statement: string } {
  return { url: db.pool.options.connectionString ?? "", statement: db.rewrite(HEARTBEAT) };
}

export const HEARTBEAT_THREAD = new URL("./heartbeat-thread.mjs", import.meta.url);
