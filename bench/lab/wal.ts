// The write-ahead log by the connection that wrote it: checkpoints, vacuums and other databases of the server are left out.
import type { Queryable } from "../../src/store/database.ts";

/** Bytes that each connection has written since it was opened. It tells them once a second, and when it falls idle. */
export type BackendWal = ReadonlyMap<string, number>;

/** All connections to this database. Needs PostgreSQL 18. */
export async function backendWal(db: Queryable, database: string): Promise<BackendWal> {
  const rows = await db.query<{ backend: string; bytes: number }>(
    `select a.pid || ' ' || a.backend_start as backend, w.wal_bytes::bigint as bytes
       from pg_stat_activity a cross join lateral pg_stat_get_backend_wal(a.pid) w where a.datname = $1`,
    [database],
  );
  return new Map(rows.map(({ backend, bytes }) => [backend, bytes]));
}

/** Of connections that were closed in between nothing is known any more. */
export function bytesBetween(before: BackendWal, after: BackendWal): number {
  return [...after].reduce((sum, [backend, bytes]) => sum + bytes - (before.get(backend) ?? 0), 0);
}
