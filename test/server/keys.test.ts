// Keys over HTTP: who is let in, from when on, and until when; and keys that are made and ended there.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/runtime/connect.ts";
import type { NewKey } from "../../src/runtime/keys-api.ts";
import { createServer, serve } from "../../src/server/index.ts";
import { agents } from "./agents.ts";
import { clientOf, codeOf, collect, type House, openHouse, post, silent, until } from "./harness.ts";
import { databaseProxy, raw } from "./sockets.ts";

let house: House;
let operator: NewKey;
let acme: NewKey;
beforeAll(async () => {
  house = await openHouse();
  operator = await house.longhaul.keys.create({ tenant: "ops", name: "ops", scopes: ["admin", "write"] });
  acme = await house.longhaul.keys.create({ tenant: "acme", name: "ci" });
  await until(async () => (await fetch(`${house.server.url}/runs`)).status === 401);
});
afterAll(() => house.close());

const header = (token: string): Record<string, string> => ({ "x-api-key": token });

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(house.server.url + path, { headers });
}

describe("a client", () => {
  test("with a key is its tenant, by either header", async () => {
    const made = await post(house.server, "/runs/wait", { assistant_id: "echo", input: 1 }, header(acme.token));
    expect(await made.json()).toEqual({ echo: 1 });
    for (const headers of [
      header(acme.token),
      { authorization: `Bearer ${acme.token}` },
      { authorization: `bearer  ${acme.token}` },
      { "x-api-key": "lsv2_of_another_service", authorization: `Bearer ${acme.token}` },
    ]) {
      const runs = (await (await get("/runs", headers)).json()) as unknown[];
      expect(runs).toHaveLength(1);
    }
    expect(await (await get("/runs", header(operator.token))).json()).toEqual([]);
  });

  test("is LangGraph's own, with its key", async () => {
    const client = clientOf(house.server, acme.token);
    const thread = await client.threads.create();
    const parts = await collect(client.runs.stream(thread.thread_id, "echo", { input: { a: 1 } }));
    expect(parts.at(-1)?.data).toEqual({ echo: { a: 1 } });
    await expect(clientOf(house.server).threads.create()).rejects.toThrow(/401/);
  });

  test.each<[string, () => Record<string, string>, string]>([
    ["no key", () => ({}), "UNAUTHENTICATED"],
    ["an empty key", () => header(""), "UNAUTHENTICATED"],
    ["another way to say who it is", () => ({ authorization: "Basic YTpi" }), "UNAUTHENTICATED"],
    ["Bearer and nothing", () => ({ authorization: "Bearer " }), "UNAUTHENTICATED"],
    ["something", () => header("let me in"), "API_KEY_UNKNOWN"],
    ["a key that is cut", () => header(acme.token.slice(0, -1)), "API_KEY_UNKNOWN"],
    ["8 KiB", () => header(`lh_${"x".repeat(8_192)}`), "API_KEY_UNKNOWN"],
    ["bytes", () => header("lh_\u00ff\u00fe"), "API_KEY_UNKNOWN"],
    ["the key in the wrong letters", () => header(acme.token.toLowerCase()), "API_KEY_UNKNOWN"],
  ])("with %s is sent away, and told what to do", async (_, headers, code) => {
    const refused = await get("/runs", headers());
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="longhaul"');
    expect(await refused.json()).toMatchObject({ code, hint: expect.stringContaining("longhaul keys") });
  });

  test("with a header twice, even with the same key, is sent away", async () => {
    const twice = { host: "localhost", "x-api-key": [acme.token, acme.token] };
    const answer = await raw(house.server.port, "/runs", twice);
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([401, "API_KEY_UNKNOWN"]);
  });

  test("with a megabyte is refused by the socket, and by an application without one", async () => {
    const token = `lh_${"x".repeat(1_048_576)}`;
    const answer = await raw(house.server.port, "/runs", { host: "localhost", "x-api-key": token }).catch(() => null);
    expect(answer?.status ?? 431).toBe(431);
    const mounted = await createServer({ longhaul: house.longhaul }).request("/runs", { headers: header(token) });
    expect([mounted.status, await codeOf(mounted)]).toEqual([401, "API_KEY_UNKNOWN"]);
  });

  test("is told nothing of a key but by its holder", async () => {
    const body = await (await get("/runs", header(`${acme.token.slice(0, -1)}x`))).text();
    expect(body).not.toContain(acme.keyId);
  });

  test("needs none to ask how the server is", async () => {
    for (const path of ["/ok", "/healthz", "/readyz", "/info"]) expect((await get(path)).status).toBe(200);
    // What is not there is not told to everybody.
    expect((await get("/nowhere")).status).toBe(401);
    expect((await get("/nowhere", header(acme.token))).status).toBe(404);
  });
});

describe("the first key", () => {
  test("is asked for from within a second on; before it everybody is the tenant default", async () => {
    const open = await openHouse();
    expect((await post(open.server, "/runs/wait", { assistant_id: "echo" }, header("lsv2_whatever"))).status).toBe(200);
    expect(await open.longhaul.list()).toHaveLength(1);
    for (const [method, path] of [
      ["POST", "/admin/keys"],
      ["GET", "/admin/keys"],
      ["DELETE", "/admin/keys/Q7v0bC2xYz1"],
      ["POST", "/admin/keys/Q7v0bC2xYz1/rotate"],
    ] as const) {
      const refused = await fetch(open.server.url + path, {
        method,
        ...(method === "POST" ? { body: '{"tenant":"x"}' } : {}),
      });
      expect([path, refused.status]).toEqual([path, 401]);
    }
    const other = await connect({ url: open.database.url, worker: false });
    const made = await other.keys.create({ tenant: "default" });
    await until(async () => (await fetch(`${open.server.url}/runs`)).status === 401);
    await other.keys.revoke(made.keyId);
    await until(async () => (await fetch(`${open.server.url}/runs`, { headers: header(made.token) })).status === 401);
    expect((await fetch(`${open.server.url}/runs`)).status).toBe(401);
    await other.close();
    await open.close();
  });

  test("may be asked for before there is one", async () => {
    const strict = await openHouse({ auth: "keys" });
    expect((await fetch(`${strict.server.url}/runs`)).status).toBe(401);
    const made = await strict.longhaul.keys.create({ tenant: "acme" });
    expect((await fetch(`${strict.server.url}/runs`, { headers: header(made.token) })).status).toBe(200);
    await strict.close();
  });

  test("opens the way to other machines", async () => {
    const open = await openHouse();
    const refused = serve({ longhaul: open.longhaul, port: 0, host: "0.0.0.0" });
    await expect(refused).rejects.toMatchObject({
      code: "PUBLIC_WITHOUT_AUTH",
      hint: expect.stringContaining("longhaul keys create --tenant acme"),
    });
    const made = await open.longhaul.keys.create({ tenant: "acme" });
    await until(() => open.longhaul.keys.required());
    const server = await serve({ longhaul: open.longhaul, port: 0, host: "0.0.0.0" });
    const asked = { host: "longhaul.example" };
    expect((await raw(server.port, "/runs", asked)).status).toBe(401);
    expect((await raw(server.port, "/runs", { ...asked, ...header(made.token) })).status).toBe(200);
    await server.close();
    await open.close();
  });
});

describe("a key that ends", () => {
  test("by revocation opens nothing on any server, and breaks off what is open", async () => {
    const other = await serve({ longhaul: house.longhaul, port: 0, log: silent });
    const key = await house.longhaul.keys.create({ tenant: "gone" });
    const { runId } = await house.longhaul.tenant("gone").submit("sleeper");
    const stream = await get(`/runs/${runId}/events`, header(key.token));
    const waiting = await fetch(`${other.url}/runs/${runId}/join?cancel_on_disconnect=1`, {
      headers: header(key.token),
    });
    expect([stream.status, waiting.status]).toEqual([200, 200]);
    const ended = [stream, waiting].map((response) => response.text().catch((error: unknown) => error));
    await house.longhaul.keys.revoke(key.keyId);
    for (const server of [house.server, other]) {
      const refused = await until(async () => {
        const response = await fetch(`${server.url}/runs`, { headers: header(key.token) });
        return response.status === 401 && response;
      });
      expect(await codeOf(refused)).toBe("API_KEY_REVOKED");
    }
    for (const end of await Promise.all(ended)) expect(end).toBeInstanceOf(Error);
    // It was the server that broke off, so nobody meant to cancel.
    expect(["running", "waiting"]).toContain((await house.longhaul.tenant("gone").get(runId))?.status);
    await other.close();
  });

  test("by time too", async () => {
    const key = await house.longhaul.keys.create({ tenant: "brief", expires: 1_500 });
    const { runId } = await house.longhaul.tenant("brief").submit("sleeper");
    const stream = await get(`/runs/${runId}/events`, header(key.token));
    expect(stream.status).toBe(200);
    await expect(stream.text()).rejects.toThrow();
    expect(await codeOf(await get("/runs", header(key.token)))).toBe("API_KEY_EXPIRED");
  });
});

describe("without the database", () => {
  test("nobody is let in: neither with a key, nor where there was none", async () => {
    for (const withKey of [true, false]) {
      const place = await openHouse();
      const key = withKey ? await place.longhaul.keys.create({ tenant: "acme" }) : null;
      const proxy = await databaseProxy(place.database.url);
      const away = await connect({ url: proxy.url, agents, worker: false });
      const server = await serve({ longhaul: away, port: 0, log: silent });
      const headers = key === null ? {} : header(key.token);
      const search = () => fetch(`${server.url}/assistants/search`, { method: "POST", body: "{}", headers });
      expect((await search()).status).toBe(200);
      proxy.cut();
      const refused = await until(async () => {
        const response = await search();
        return response.status !== 200 && response;
      });
      expect([refused.status, await codeOf(refused)]).toEqual([503, "DATABASE_UNAVAILABLE"]);
      expect(
        (await fetch(`${server.url}/assistants/search`, { method: "POST", body: "{}", headers: header(acme.token) }))
          .status,
      ).toBe(503);
      proxy.mend();
      await until(async () => (await search()).status === 200);
      await server.close();
      await away.close();
      await proxy.close();
      await place.close();
    }
  }, 60_000);
});

describe("an operator", () => {
  const send = (method: string, path: string, body?: unknown) =>
    fetch(house.server.url + path, {
      method,
      headers: header(operator.token),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  test("makes, lists, rotates and revokes keys", async () => {
    const response = await send("POST", "/admin/keys", {
      tenant: "globex",
      name: "web",
      scopes: ["read"],
      expires: "1 day",
    });
    expect([response.status, response.headers.get("cache-control")]).toEqual([200, "no-store"]);
    const made = (await response.json()) as NewKey;
    expect(made).toMatchObject({
      tenant: "globex",
      name: "web",
      scopes: ["runs:read"],
      createdBy: `ops (${operator.keyId})`,
    });
    expect((await get("/runs", header(made.token))).status).toBe(200);
    expect((await post(house.server, "/runs", { assistant_id: "echo" }, header(made.token))).status).toBe(403);

    const listed = await (await send("GET", "/admin/keys?tenant=globex")).text();
    expect(JSON.parse(listed)).toMatchObject([{ keyId: made.keyId, state: "active" }]);
    expect(listed).not.toContain(made.token);
    const all = (await (await send("GET", "/admin/keys?limit=200")).json()) as { tenant: string }[];
    expect(all.map(({ tenant }) => tenant)).toEqual(expect.arrayContaining(["ops", "acme", "globex"]));

    const next = (await (await send("POST", `/admin/keys/${made.keyId}/rotate`, { grace: "1 hour" })).json()) as NewKey;
    expect((await get("/runs", header(next.token))).status).toBe(200);
    expect((await get("/runs", header(made.token))).status).toBe(200);
    for (let twice = 0; twice < 2; twice++) {
      const revoked = await send("DELETE", `/admin/keys/${next.keyId}`);
      expect(await revoked.json()).toMatchObject({ keyId: next.keyId, state: "revoked" });
    }
    const again = await send("POST", `/admin/keys/${next.keyId}/rotate`, {});
    expect([again.status, await codeOf(again)]).toEqual([409, "API_KEY_ENDED"]);
  });

  test.each<[unknown, number, string]>([
    [{}, 422, "REQUEST_INVALID"],
    [{ tenant: "" }, 400, "KEY_INVALID"],
    [{ tenant: "x".repeat(65_536) }, 400, "KEY_INVALID"],
    [{ tenant: "a\u0000" }, 400, "KEY_INVALID"],
    [{ tenant: "a", scopes: ["*"] }, 422, "SCOPE_UNKNOWN"],
    [{ tenant: "a", scopes: [] }, 422, "SCOPE_UNKNOWN"],
    [{ tenant: "a", scope: ["read"] }, 422, "REQUEST_INVALID"],
    [{ tenant: "a", expires: "2020-01-01" }, 422, "EXPIRY_INVALID"],
    [{ tenant: "a", expires: "whenever" }, 400, "DURATION_INVALID"],
    [{ tenant: "a", expires: -1 }, 400, "DURATION_INVALID"],
    [{ tenant: "a", plan: "gold" }, 404, "PLAN_UNKNOWN"],
    [{ tenant: "a", by: "the king" }, 422, "REQUEST_INVALID"],
  ])("is refused a key of %.60j", async (body, status, code) => {
    const refused = await send("POST", "/admin/keys", body);
    expect([refused.status, await codeOf(refused)]).toEqual([status, code]);
  });

  test.each(["Q7v0bC2xYz1", "nope", "%00", "x".repeat(5_000)])("finds no key %.20s", async (key) => {
    for (const [method, path] of [
      ["DELETE", `/admin/keys/${key}`],
      ["POST", `/admin/keys/${key}/rotate`],
    ] as const) {
      const refused = await send(method, path);
      expect([refused.status, await codeOf(refused)]).toEqual([404, "API_KEY_NOT_FOUND"]);
    }
  });
});
