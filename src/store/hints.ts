// The doorbell: a coalesced NOTIFY in a transaction of its own, never inside one that moves data (its commit lock is database-wide).
import pg from "pg";
import type { Database, Queryable } from "./database.ts";
import { leaveBehind } from "./farewell.ts";

/** Rings. The commit does not wait for the disk: a lost hint costs latency, never a run. */
export async function ring(db: Queryable, channel: string, payload: string): Promise<void> {
  await db.query(
    "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)",
    [channel, payload],
    "lh_ring",
  );
}

export interface Listener {
  close(): void;
}

/**
 * Listens on a connection of its own. `onDown` is called once when it is lost; the caller polls then, and tries again later.
 *
 * @throws what the driver throws when it cannot listen; nothing of the attempt is left, and `onDown` is not called.
 */
export async function listen(
  db: Database,
  channel: string,
  onHint: (payload: string) => void,
  onDown: () => void,
): Promise<Listener> {
  const client = new pg.Client({
    connectionString: db.pool.options.connectionString,
    application_name: "longhaul listen",
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  });
  // Until it listens the caller hears of a failure from us, and must not hear of it twice.
  let down = true;
  const drop = (): void => {
    if (down) return;
    down = true;
    onDown();
  };
  client.on("error", drop);
  client.on("end", drop);
  client.on("notification", (message) => onHint(message.payload ?? ""));
  const close = (): void => {
    down = true;
    void client.end().catch(() => undefined);
    leaveBehind(client);
  };
  try {
    await client.connect();
    await client.query(`listen ${pg.escapeIdentifier(channel)}`);
  } catch (error) {
    close();
    throw error;
  }
  down = false;
  return { close };
}
