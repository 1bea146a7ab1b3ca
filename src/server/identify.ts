// Who sends a request: the holder of a key, whoever the program's own function says, or on a server without keys the local user.
import type { MiddlewareHandler } from "hono";
import { fail } from "../domain/errors.ts";
import { SCOPES, TENANT_SCOPES } from "../domain/scopes.ts";
import type { Longhaul } from "../runtime/api.ts";
import type { IdentifiedCaller, ServerEnv, ServerOptions } from "./options.ts";
import type { Ctx } from "./request.ts";

/** An installation without keys has one user: whoever reaches it. */
const LOCAL: IdentifiedCaller = { tenant: "default", by: "local", scopes: SCOPES, isLocal: true };

/** @throws UNAUTHENTICATED, API_KEY_UNKNOWN, API_KEY_REVOKED, API_KEY_EXPIRED; DATABASE_UNAVAILABLE when nobody can tell */
export function identify(longhaul: Pick<Longhaul, "keys">, auth: ServerOptions["auth"]): MiddlewareHandler<ServerEnv> {
  const callerOf = async (c: Ctx): Promise<IdentifiedCaller> => {
    if (typeof auth === "function") {
      const caller = await auth(c.req.raw);
      if (caller === null) throw fail("UNAUTHENTICATED");
      return { ...caller, scopes: caller.scopes ?? TENANT_SCOPES, isLocal: false };
    }
    const { keys } = longhaul;
    if (auth !== "keys" && !(await keys.required())) return LOCAL;
    const token = tokenOf(c);
    if (token === null) throw fail("UNAUTHENTICATED");
    const { keyId, ...holder } = await keys.holder(token);
    return { isLocal: false, onEnd: (ended) => keys.watch(keyId, ended), ...holder };
  };
  return async (c, next) => {
    c.set("caller", await callerOf(c));
    await next();
  };
}

/** LangGraph's clients send `x-api-key`, of themselves also a key of another service: then the other header may still have ours. */
function tokenOf(c: Ctx): string | null {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "") ?? [];
  const given = [c.req.header("x-api-key"), bearer].filter((token) => token !== undefined && token !== "");
  return given.find((token) => token?.startsWith("lh_")) ?? given[0] ?? null;
}
