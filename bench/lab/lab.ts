// What every measurement works in: one embedded PostgreSQL with fsync on, counters of its statements and its log, fresh databases.
import { type Database, openDatabase } from "../../src/store/database.ts";
import {
  announce,
  type FreshDatabase,
  freshDatabase,
  type RunningPostgres,
  startTestPostgres,
} from "../../test/support/postgres.ts";
import type { Machine } from "./machine.ts";
import { describeMachine } from "./machine.ts";
import { type BackendWal, backendWal } from "./wal.ts";

export interface Counters {
  /** Statements that clients sent to one database, BEGIN and COMMIT included. */
  readonly statements: number;
  /** Bytes of the write-ahead log, of the whole server. */
  readonly walBytes: number;
}

export interface Lab {
  readonly machine: Machine;
  /** True for a short look: smaller sizes, fewer repetitions, figures not kept. */
  readonly quick: boolean;
  /** The full size, or the small one for a quick look. */
  size(full: number, quick: number): number;
  database(options?: { readonly migrated?: boolean }): Promise<FreshDatabase>;
  /** Counters of the database at this URL since the server started. */
  counters(url: string): Promise<Counters>;
  /** What the connections to this database have written into the log. */
  backendWal(url: string): Promise<BackendWal>;
  /** Calls of the statements of one database, most frequent first. */
  statements(url: string): Promise<{ readonly text: string; readonly calls: number }[]>;
  /** Says what is being done, on stderr. */
  say(line: string): void;
}

export interface OpenLab extends Lab {
  close(): Promise<void>;
}

const OF_DATABASE = "toplevel and dbid = (select oid from pg_database where datname = $1)";

/** Starts the server. The user of this process must be able to run the embedded PostgreSQL. */
export async function openLab(quick: boolean): Promise<OpenLab> {
  const server: RunningPostgres = await startTestPostgres({
    shared_preload_libraries: "pg_stat_statements",
    "pg_stat_statements.track": "top",
  });
  announce(server);
  const db: Database = openDatabase({ url: server.url, max: 2, applicationName: "longhaul-bench" });
  await db.query("create extension if not exists pg_stat_statements");
  return {
    machine: await describeMachine(db),
    quick,
    size: (full, small) => (quick ? small : full),
    database: (options = {}) => freshDatabase({ server, ...options }),
    counters: async (url) => {
      const [row] = await db.query<{ statements: number; wal: number }>(
        `select coalesce(sum(calls), 0)::bigint as statements,
           pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint as wal from pg_stat_statements where ${OF_DATABASE}`,
        [databaseOf(url)],
      );
      return { statements: row?.statements ?? 0, walBytes: row?.wal ?? 0 };
    },
    backendWal: (url) => backendWal(db, databaseOf(url)),
    statements: (url) =>
      db.query(
        `select query as text, sum(calls)::bigint as calls from pg_stat_statements where ${OF_DATABASE} group by 1 order by 2 desc`,
        [databaseOf(url)],
      ),
    say: (line) => console.error(`  ${line}`),
    close: async () => {
      await db.end();
      await server.stop();
    },
  };
}

function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}
