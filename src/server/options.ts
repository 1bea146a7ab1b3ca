// What a server is made of and what it may spend: its options, its limits and their defaults.
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  BODY_BYTES_HARD_MAX,
  BODY_BYTES_MAX,
  BODY_DEPTH_MAX,
  MODEL_BODY_BYTES_MAX,
  STREAM_CLIENT_BUFFER_BYTES_MAX,
  STREAM_CLIENTS_MAX,
  STREAM_CLIENTS_PER_TENANT_MAX,
} from "../domain/limits.ts";
import type { Scope } from "../domain/scopes.ts";
import type { Longhaul } from "../runtime/api.ts";

/** Who sends a request, as authentication found out. Nothing a client writes into a body can change it. */
export interface Caller {
  readonly tenant: string;
  /** Recorded as the author of answers, retries and cancels. */
  readonly by: string;
  /** What the caller may do. Default: everything of the tenant, and no `admin`. */
  readonly scopes?: readonly Scope[] | undefined;
  /** Calls back when the caller may no longer be served, and gives what stops that: open streams are broken off then. */
  readonly onEnd?: ((ended: () => void) => () => void) | undefined;
}

export interface IdentifiedCaller extends Caller {
  readonly scopes: readonly Scope[];
  /** True when nobody was asked: the installation has no keys. */
  readonly isLocal: boolean;
}

/** Says who sends a request, or null for nobody we know (401). */
export type Authenticate = (request: Request) => Caller | null | Promise<Caller | null>;

export interface ServerLimits {
  /** Longest request body. Default 1 MiB, at most 32 MiB. */
  readonly bodyBytesMax: number;
  /** The same of a request to a model, which may hold images. Default and at most 32 MiB. */
  readonly modelBodyBytesMax: number;
  /** Deepest nesting of a request body. Default 100. */
  readonly bodyDepthMax: number;
  /** Event streams and waiting requests open at once in this process, and of one tenant in it. Default 10,000 and 1,000. */
  readonly streamsMax: number;
  readonly streamsPerTenantMax: number;
  /** What is queued for one slow client. Default 1 MiB. */
  readonly streamBufferBytesMax: number;
  /** A client whose full queue has not moved for this long is cut off; it reconnects where it was. Default 15,000. */
  readonly streamStallMs: number;
  /** Silence before a heartbeat. Clients take three missed ones for a dead connection. Default 5,000. */
  readonly heartbeatMs: number;
  /** Sockets of any kind. Default 12,000. */
  readonly connectionsMax: number;
}

/** The part of a logger that the server uses; pino fits. */
export interface ServerLog {
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ServerOptions {
  readonly longhaul: Longhaul;
  /**
   * A function of your own that knows who asks; or `keys`: nobody is served without an API key. Default: as `keys` from the first key
   * on that the installation has had, and until then everybody is the tenant `default`.
   */
  readonly auth?: Authenticate | "keys" | undefined;
  /** Reported by GET /info. Default: this package's. */
  readonly version?: string | undefined;
  readonly limits?: Partial<ServerLimits> | undefined;
  /** Origins of web pages that may use this server, besides its own. Default: every origin on localhost. */
  readonly origins?: readonly string[] | undefined;
  /** Names by which this server may be addressed (`Host`), against DNS rebinding. Default: any. */
  readonly hosts?: readonly string[] | undefined;
  readonly log?: ServerLog | undefined;
}

/** Hono's types: what middleware leaves for the routes, and what Node's adapter hands over. */
export interface ServerEnv {
  Variables: { caller: IdentifiedCaller; requestId: string };
  Bindings: { incoming?: IncomingMessage; outgoing?: ServerResponse };
}

export function resolveLimits(given: Partial<ServerLimits> = {}): ServerLimits {
  const limits: ServerLimits = {
    bodyBytesMax: BODY_BYTES_MAX,
    modelBodyBytesMax: MODEL_BODY_BYTES_MAX,
    bodyDepthMax: BODY_DEPTH_MAX,
    streamsMax: STREAM_CLIENTS_MAX,
    streamsPerTenantMax: STREAM_CLIENTS_PER_TENANT_MAX,
    streamBufferBytesMax: STREAM_CLIENT_BUFFER_BYTES_MAX,
    streamStallMs: 15_000,
    heartbeatMs: 5_000,
    connectionsMax: STREAM_CLIENTS_MAX + 2_000,
    ...given,
  };
  return {
    ...limits,
    bodyBytesMax: Math.min(limits.bodyBytesMax, BODY_BYTES_HARD_MAX),
    modelBodyBytesMax: Math.min(limits.modelBodyBytesMax, MODEL_BODY_BYTES_MAX),
  };
}

/** One JSON line per trouble on the standard error. */
export const stderrLog: ServerLog = {
  error: (fields, message) => writeLine("error", fields, message),
  warn: (fields, message) => writeLine("warn", fields, message),
};

function writeLine(level: string, fields: Readonly<Record<string, unknown>>, message: string): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`);
}
