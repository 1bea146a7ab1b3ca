// Leaving a connection behind: a server that no longer answers does not close its side, and must not keep this process alive.
import { Socket } from "node:net";
import type pg from "pg";

/** The process may end although this connection is not closed yet. What was sent on it is with the system already. */
export function leaveBehind(client: pg.Client): void {
  const { stream } = client.connection;
  if (stream instanceof Socket) stream.unref();
}
