// The application on a port: where it listens, how long it waits for slow clients, and how it goes.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { fail } from "../domain/errors.ts";
import { createApp } from "./app.ts";
import { isLocalName } from "./guard.ts";
import { resolveLimits, type ServerOptions } from "./options.ts";

export interface ServeOptions extends ServerOptions {
  /** Default 2024; 0 lets the system choose. */
  readonly port?: number | undefined;
  /** Default 127.0.0.1: only programs on this machine. */
  readonly host?: string | undefined;
  /** Listen beyond this machine although no key was ever made here: something in front of the server knows who asks. */
  readonly allowPublic?: boolean | undefined;
}

export interface RunningServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Breaks streams off so that clients come back, lets other requests finish for up to 5 s, and stops listening. */
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 5_000;

/** A client gets this long to send its headers, and its whole request; an idle connection is closed after the last. */
const TIMEOUTS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16 * 1024,
} as const;

/** @throws PORT_IN_USE, LISTEN_FAILED, PUBLIC_WITHOUT_AUTH, DATABASE_UNAVAILABLE */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const { host = "127.0.0.1", port = 2024 } = options;
  const local = isLocalName(host);
  const auth = local || options.allowPublic === true ? options.auth : await publicAuth(options, host);
  const hosts = options.hosts ?? (local ? ["localhost", "127.0.0.1", "[::1]", urlHost(host)] : undefined);
  const { app, streams } = createApp({ ...options, auth, hosts });
  const server = createAdaptorServer({
    fetch: app.fetch,
    hostname: host,
    // The process is the user's: its Request and Response stay what they are.
    overrideGlobalObjects: false,
    serverOptions: { ...TIMEOUTS },
  }) as Server;
  server.maxConnections = resolveLimits(options.limits).connectionsMax;
  const bound = await listen(server, host, port);
  return {
    url: `http://${urlHost(host)}:${bound.port}`,
    host,
    port: bound.port,
    close: async () => {
      streams.closeAll();
      await closed(server);
    },
  };
}

/** Beyond this machine nobody is served whom nobody knows: whoever starts with keys never goes without. */
async function publicAuth({ auth, longhaul }: ServeOptions, host: string): Promise<ServeOptions["auth"]> {
  if (auth !== undefined) return auth;
  if (await longhaul.keys.required()) return "keys";
  throw fail("PUBLIC_WITHOUT_AUTH", { host });
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const inUse = error.code === "EADDRINUSE";
      reject(
        inUse
          ? fail("PORT_IN_USE", { host, port }, { cause: error })
          : fail("LISTEN_FAILED", { host, port, reason: error.message }, { cause: error }),
      );
    });
    server.listen(port, host, () => resolve(server.address() as AddressInfo));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const patience = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(patience);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function urlHost(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
