// Every route says which scope it needs, lets nobody through without it, and the reference says the same.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCOPES, type Scope } from "../../src/domain/scopes.ts";
import { ACCESS } from "../../src/server/access.ts";
import { createServer, type RunningServer, serve } from "../../src/server/index.ts";
import { type House, openHouse, post } from "./harness.ts";

let house: House;
let server: RunningServer;
beforeAll(async () => {
  house = await openHouse();
  // Who asks may do what the header says.
  const auth = (request: Request) => ({
    tenant: "acme",
    by: "ann",
    scopes: (request.headers.get("x-scopes") ?? "").split(",") as Scope[],
  });
  server = await serve({ longhaul: house.longhaul, port: 0, auth });
});
afterAll(async () => {
  await server.close();
  await house.close();
});

const ID = "0199f3a0-7c1e-7000-8000-000000000000";

function call(route: string, scopes: readonly Scope[], init: RequestInit = {}): Promise<Response> {
  const [method = "", path = ""] = route.split(" ");
  const url = server.url + path.replace(/:\w+/g, ID);
  return fetch(url, { method, ...init, headers: { "x-scopes": scopes.join(","), ...init.headers } });
}

/** The same in both shapes: ours, and OpenAI's. */
function errorIn(body: Record<string, unknown>): { code: string; message: string } {
  const { error } = body as { error?: { message: string; longhaul?: { code: string } } };
  return error?.longhaul === undefined
    ? (body as unknown as { code: string; message: string })
    : { code: error.longhaul.code, message: error.message };
}

test("every route declares its scope, and nothing else does", () => {
  const served = createServer({ longhaul: house.longhaul }).routes.filter(({ method }) => method !== "ALL");
  const names = [...new Set(served.map(({ method, path }) => `${method} ${path}`))];
  expect(names.sort()).toEqual(Object.keys(ACCESS).sort());
});

test("docs/reference/http.md names the scope of every route", () => {
  const page = readFileSync("docs/reference/http.md", "utf8");
  const written = [...page.matchAll(/^\| `([A-Z]+ \/\S*)` \| (none|`(\S+)`) \|/gm)].map(([, route, none, scope]) => [
    route,
    scope ?? (none === "none" ? "open" : ""),
  ]);
  expect(Object.fromEntries(written)).toEqual(ACCESS);
});

test("nobody needs a scope to ask how the server is, and for nothing else", () => {
  const open = Object.keys(ACCESS).filter((route) => ACCESS[route] === "open");
  expect(open.sort()).toEqual(["GET /healthz", "GET /info", "GET /ok", "GET /readyz"]);
});

describe("without its scope a route is closed, whatever else the caller may do", () => {
  test.each(Object.entries(ACCESS).filter(([, access]) => access !== "open"))("%s needs %s", async (route, access) => {
    const others = SCOPES.filter((scope) => scope !== access && !(route.includes(" /admin/") && scope === "admin"));
    for (const scopes of [others, []]) {
      const refused = await call(route, scopes);
      const body = errorIn((await refused.json()) as Record<string, unknown>);
      expect([refused.status, body.code]).toEqual([403, "SCOPE_MISSING"]);
      expect(body.message).toContain(access);
    }
    const allowed = await call(route, [access as Scope]);
    expect(allowed.status).not.toBe(403);
    await allowed.text();
    if (!route.includes(" /admin/")) return;
    const operator = await call(route, ["admin"]);
    expect(operator.status).not.toBe(403);
    await operator.text();
  });

  test("HEAD is GET", async () => {
    expect((await call("HEAD /runs", ["runs:write"])).status).toBe(403);
    expect((await call("HEAD /runs", ["runs:read"])).status).toBe(200);
  });

  test("what is no route is not there", async () => {
    for (const route of ["GET /nowhere", "PUT /runs", "GET /admin", "GET //admin/keys", "GET /admin/keys/"])
      expect([route, (await call(route, SCOPES)).status]).toEqual([route, 404]);
  });
});

describe("a request that does more than its route", () => {
  test("answering a question with command.resume needs approvals", async () => {
    const body = JSON.stringify({ assistant_id: "asker", command: { resume: "x" } });
    for (const path of ["runs", "runs/stream", "runs/wait"]) {
      const route = `POST /threads/:threadId/${path}`;
      expect((await call(route, ["runs:read", "runs:write"], { body })).status).toBe(403);
      expect((await call(route, ["runs:write", "approvals"], { body })).status).toBe(404);
    }
  });

  test("cancelling a run by leaving its stream needs runs:write", async () => {
    const { run_id: runId } = (await (
      await post(server, "/runs", { assistant_id: "echo" }, { "x-scopes": "runs:write" })
    ).json()) as { run_id: string };
    for (const path of ["stream", "join"]) {
      const route = `GET /runs/${runId}/${path}?cancel_on_disconnect=1`;
      expect((await call(route, ["runs:read"])).status).toBe(403);
      const allowed = await call(route, ["runs:read", "runs:write"]);
      expect(allowed.status).toBe(200);
      await allowed.text();
    }
  });

  test("meaning another tenant needs admin", async () => {
    const { runId } = await house.longhaul.tenant("globex").submit("echo", 1);
    for (const path of [`/admin/runs/${runId}`, `/admin/runs/${runId}/why`, "/admin/runs", "/admin/approvals"]) {
      const named = `GET ${path}?tenant=globex`;
      expect([path, (await call(named, ["runs:read", "runs:write", "approvals"])).status]).toEqual([path, 403]);
      expect([path, (await call(named, ["admin"])).status]).toEqual([path, 200]);
    }
    expect((await call(`GET /admin/runs/${runId}`, ["admin"])).status).toBe(404);
    expect((await call(`GET /admin/runs?tenant=acme`, ["runs:read"])).status).toBe(200);
    // Only below /admin: everywhere else a request is of its own tenant.
    expect((await call(`GET /runs/${runId}?tenant=globex`, SCOPES)).status).toBe(404);
  });
});

test("a caller of whom nothing is said may do everything of the tenant, and no more", async () => {
  const plain = await serve({ longhaul: house.longhaul, port: 0, auth: () => ({ tenant: "acme", by: "ann" }) });
  const status = async (path: string) => (await fetch(plain.url + path)).status;
  expect([await status("/runs"), await status("/admin/approvals"), await status("/admin/workers")]).toEqual([
    200, 200, 403,
  ]);
  await plain.close();
});
