// What every request passes first: its number, the host it asks for, the page it comes from, whether the server is going.
import { randomUUID } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { fail } from "../domain/errors.ts";
import type { ServerEnv } from "./options.ts";
import type { Ctx } from "./request.ts";
import type { Streams } from "./streams.ts";

type Guard = MiddlewareHandler<ServerEnv>;

const EXPOSED = [
  "Content-Location, Location, X-Pagination-Total, X-Pagination-Next, X-Request-Id, Retry-After",
  "X-Longhaul-Model, X-Longhaul-Attempts, X-Longhaul-Cache, X-Longhaul-Cost-Usd",
].join(", ");
const METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Every answer carries the request's number, the client's own if it sent a plain one. */
export const numberRequest: Guard = async (c, next) => {
  const given = c.req.header("x-request-id") ?? "";
  const requestId = /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
  c.set("requestId", requestId);
  c.header("x-request-id", requestId);
  c.header("x-content-type-options", "nosniff");
  await next();
};

/** A server that is going lets nothing new begin. */
export function refuseWhenClosing(streams: Streams): Guard {
  return async (c, next) => {
    if (!streams.closing) return next();
    c.header("connection", "close");
    throw fail("SERVER_CLOSING");
  };
}

/** A page can point a name of its own at our address (DNS rebinding): only names we know are served. */
export function checkHost(hosts: readonly string[] | undefined): Guard {
  return async (c, next) => {
    const name = hostName(c.req.header("host") ?? "");
    if (hosts !== undefined && !hosts.includes(name)) throw fail("HOST_FORBIDDEN", { host: name });
    await next();
  };
}

function hostName(host: string): string {
  return host.replace(/:\d+$/, "").toLowerCase();
}

/**
 * Pages of allowed origins may read our answers. Of the others no request that changes anything is carried out, since a browser
 * sends plain POSTs without asking first.
 */
export function checkOrigin(origins: readonly string[] | undefined): Guard {
  return async (c, next) => {
    const origin = c.req.header("origin");
    if (origin === undefined) return next();
    c.header("vary", "Origin");
    const allowed = isAllowed(origin, c.req.header("host") ?? "", origins);
    if (!allowed && (!SAFE_METHODS.has(c.req.method) || isPreflight(c)))
      throw fail("ORIGIN_FORBIDDEN", { origin: origin.slice(0, 200) });
    if (!allowed) return next();
    c.header("access-control-allow-origin", origin);
    c.header("access-control-expose-headers", EXPOSED);
    if (!isPreflight(c)) return next();
    c.header("access-control-allow-methods", METHODS);
    c.header("access-control-allow-headers", c.req.header("access-control-request-headers") ?? "content-type");
    c.header("access-control-max-age", "600");
    return c.body(null, 204);
  };
}

function isPreflight(c: Ctx): boolean {
  return c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined;
}

function isAllowed(origin: string, host: string, origins: readonly string[] | undefined): boolean {
  if (!URL.canParse(origin)) return false;
  const { host: originHost, hostname } = new URL(origin);
  if (originHost === host.toLowerCase()) return true;
  return origins === undefined ? isLocalName(hostname) : origins.includes("*") || origins.includes(origin);
}

/** `localhost` and everything below it, 127.0.0.0/8 and ::1. */
export function isLocalName(name: string): boolean {
  return /^(?:(?:[\w-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(name);
}
