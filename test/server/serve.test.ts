// The server as a process of a machine: ports, hosts, pages, identities, slow clients, its database gone, its end.
import { connect as connectSocket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/runtime/connect.ts";
import { serve } from "../../src/server/index.ts";
import { agents, gate } from "./agents.ts";
import {
  codeOf,
  collect,
  type House,
  openHouse,
  post,
  readAll,
  readUntil,
  silent,
  until,
  withoutHeartbeats,
} from "./harness.ts";
import { databaseProxy, raw } from "./sockets.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

describe("listening", () => {
  test("a taken port is a coded error with the way out", async () => {
    const refused = serve({ longhaul: house.longhaul, port: house.server.port });
    await expect(refused).rejects.toMatchObject({ code: "PORT_IN_USE", hint: expect.stringContaining("--port") });
  });

  test("an address of somebody else is one too", async () => {
    const refused = serve({ longhaul: house.longhaul, port: 0, host: "192.0.2.1", allowPublic: true });
    await expect(refused).rejects.toMatchObject({ code: "LISTEN_FAILED" });
  });

  test("beyond this machine needs somebody who asks for identities", async () => {
    const refused = serve({ longhaul: house.longhaul, port: 0, host: "0.0.0.0" });
    await expect(refused).rejects.toMatchObject({ code: "PUBLIC_WITHOUT_AUTH" });
    const open = await serve({ longhaul: house.longhaul, port: 0, host: "0.0.0.0", allowPublic: true });
    expect((await raw(open.port, "/ok", { host: "longhaul.example" })).status).toBe(200);
    await open.close();
  });

  test("shows nothing of what it is made of", async () => {
    const response = await fetch(`${house.server.url}/ok`);
    expect(response.headers.get("x-powered-by")).toBeNull();
    expect(response.headers.get("server")).toBeNull();
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  });
});

describe("pages in a browser", () => {
  test.each(["evil.example", "evil.example:2024", "127.0.0.1.evil.example", "localhost.evil.example:80"])(
    "cannot rebind a name (%s) to this machine",
    async (host) => {
      const answer = await raw(house.server.port, "/ok", { host });
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.body)).toMatchObject({ code: "HOST_FORBIDDEN" });
    },
  );

  test.each(["https://evil.example", "null", "http://localhost.evil.example", "not an origin"])(
    "of %s change nothing and read nothing",
    async (origin) => {
      const before = (await house.longhaul.list({ limit: 200 })).length;
      const sent = await post(
        house.server,
        "/runs",
        { assistant_id: "echo" },
        { origin, "content-type": "text/plain" },
      );
      expect([sent.status, await codeOf(sent)]).toEqual([403, "ORIGIN_FORBIDDEN"]);
      const read = await fetch(`${house.server.url}/info`, { headers: { origin } });
      expect(read.headers.get("access-control-allow-origin")).toBeNull();
      const asked = await raw(
        house.server.port,
        "/runs",
        { origin, "access-control-request-method": "POST" },
        "OPTIONS",
      );
      expect(asked.status).toBe(403);
      expect((await house.longhaul.list({ limit: 200 })).length).toBe(before);
    },
  );

  test.each(["http://localhost:3000", "http://127.0.0.1:5173", "https://app.localhost"])(
    "of %s may do both",
    async (origin) => {
      const headers = {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-api-key",
      };
      const asked = await raw(house.server.port, "/runs", headers, "OPTIONS");
      expect(asked.status).toBe(204);
      expect(asked.headers).toMatchObject({
        "access-control-allow-origin": origin,
        "access-control-allow-headers": "content-type,x-api-key",
        vary: "Origin",
      });
      const sent = await post(house.server, "/runs/wait", { assistant_id: "echo" }, { origin });
      expect(sent.headers.get("access-control-allow-origin")).toBe(origin);
      const exposed = sent.headers.get("access-control-expose-headers");
      for (const name of ["Content-Location", "Location", "X-Pagination-Total", "X-Pagination-Next"])
        expect(exposed).toContain(name);
      await sent.text();
      const wrong = await post(house.server, "/runs", {}, { origin });
      expect([wrong.status, wrong.headers.get("access-control-allow-origin")]).toEqual([422, origin]);
    },
  );

  test("of origins named in the options may, and then no others", async () => {
    const server = await serve({ longhaul: house.longhaul, port: 0, origins: ["https://chat.example"] });
    const named = await post(server, "/runs", { assistant_id: "echo" }, { origin: "https://chat.example" });
    expect(named.status).toBe(200);
    const other = await post(server, "/runs", { assistant_id: "echo" }, { origin: "http://localhost:3000" });
    expect(other.status).toBe(403);
    await server.close();
  });
});

describe("identities", () => {
  test("decide the tenant: another tenant's runs are unknown ones", async () => {
    const callers: Record<string, { tenant: string; by: string }> = {
      a: { tenant: "tenant-a", by: "ann" },
      b: { tenant: "tenant-b", by: "bob" },
    };
    const server = await serve({
      longhaul: house.longhaul,
      port: 0,
      auth: (request) => callers[request.headers.get("x-api-key") ?? ""] ?? null,
    });
    const nobody = await post(server, "/runs", { assistant_id: "echo" });
    expect([nobody.status, await codeOf(nobody)]).toEqual([401, "UNAUTHENTICATED"]);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    const made = (await (
      await post(server, "/runs", { assistant_id: "publisher", input: 1 }, { "x-api-key": "a" })
    ).json()) as { run_id: string };
    await until(async () => (await house.longhaul.tenant("tenant-a").get(made.run_id))?.status === "waiting");
    const [asked] = await house.longhaul.tenant("tenant-a").approvals({ runId: made.run_id });
    const approve = `/admin/approvals/${asked?.approvalId ?? ""}/approve`;
    const paths = ["", "/stream", "/join", "/events"].map((path) => `/runs/${made.run_id}${path}`);
    paths.push(`/admin/runs/${made.run_id}`, `/admin/runs/${made.run_id}/why`);
    for (const path of paths) {
      const response = await fetch(server.url + path, { headers: { "x-api-key": "b" } });
      expect([path, response.status]).toEqual([path, 404]);
    }
    const foreign = await post(server, approve, {}, { "x-api-key": "b" });
    expect(foreign.status).toBe(404);
    const own = await post(server, approve, {}, { "x-api-key": "a" });
    expect(await own.json()).toMatchObject({ resolvedBy: "ann" });
    const list = await fetch(`${server.url}/runs`, { headers: { "x-api-key": "b" } });
    expect(await list.json()).toEqual([]);
    await server.close();
  });
});

describe("clients", () => {
  test("that leave cancel their run if they said so, and only then", async () => {
    const leave = async (onDisconnect: string): Promise<string> => {
      const body = JSON.stringify({
        assistant_id: "stepper",
        input: { steps: 2, gate: `leave-${onDisconnect}`, gates: [1] },
        stream_mode: "updates",
        on_disconnect: onDisconnect,
      });
      const { frames } = await readUntil(`${house.server.url}/runs/stream`, (seen) => seen.length === 2, {
        method: "POST",
        body,
      });
      return String((frames[0]?.data as { run_id?: string } | undefined)?.run_id);
    };
    const [cancelled, kept] = [await leave("cancel"), await leave("continue")];
    const run = await until(async () => {
      const found = await house.longhaul.get(cancelled);
      return found?.status === "cancelled" ? found : null;
    });
    expect(run.reason).toContain("disconnected");
    expect((await house.longhaul.get(kept))?.status).toBe("running");
    gate("leave-continue:1").open();
    expect(await house.longhaul.wait(kept)).toMatchObject({ status: "succeeded" });
  });

  test("that leave while they wait cancel it too", async () => {
    const abort = new AbortController();
    const waiting = fetch(`${house.server.url}/runs/wait`, {
      method: "POST",
      body: JSON.stringify({ assistant_id: "sleeper", on_disconnect: "cancel" }),
      signal: abort.signal,
    }).then((response) => response.text());
    const run = await until(
      async () => (await house.longhaul.list({ agent: "sleeper", status: "waiting", limit: 1 }))[0],
    );
    abort.abort();
    await expect(waiting).rejects.toThrow();
    await until(async () => (await house.longhaul.get(run.runId))?.status === "cancelled");
  });

  test("keep their run when it is the server that goes", async () => {
    const server = await serve({ longhaul: house.longhaul, port: 0, log: silent });
    const body = JSON.stringify({
      assistant_id: "stepper",
      input: { steps: 1, gate: "server-goes", gates: [0] },
      on_disconnect: "cancel",
    });
    const reading = readUntil(`${server.url}/runs/stream`, () => false, { method: "POST", body }).catch(
      (error: unknown) => error,
    );
    const run = await until(
      async () => (await house.longhaul.list({ agent: "stepper", status: "running", limit: 1 }))[0],
    );
    await server.close();
    expect(await reading).toBeInstanceOf(Error);
    gate("server-goes:0").open();
    expect(await house.longhaul.wait(run.runId)).toMatchObject({ status: "succeeded" });
  });

  test("beyond the limit are told to come later; those that go make room", async () => {
    const server = await serve({ longhaul: house.longhaul, port: 0, limits: { streamsPerTenantMax: 1 } });
    const { runId } = await house.longhaul.submit("sleeper");
    const abort = new AbortController();
    const first = await fetch(`${server.url}/runs/${runId}/stream`, { signal: abort.signal });
    expect(first.status).toBe(200);
    const second = await fetch(`${server.url}/runs/${runId}/stream`);
    expect([second.status, second.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(await second.json()).toMatchObject({ code: "STREAM_LIMIT" });
    expect((await fetch(`${server.url}/runs/${runId}/stream`, { method: "HEAD" })).status).toBe(200);
    abort.abort();
    await until(async () => {
      const again = await fetch(`${server.url}/runs/${runId}/stream`);
      await again.body?.cancel();
      return again.status === 200;
    });
    await house.longhaul.cancel(runId);
    await server.close();
  });

  test("that stop reading are cut off with a bounded queue, and find everything when they come back", async () => {
    const limits = { streamBufferBytesMax: 64 * 1024, heartbeatMs: 50, streamStallMs: 200 };
    const server = await serve({ longhaul: house.longhaul, port: 0, limits, log: silent });
    const { runId } = await house.longhaul.submit("chatter", { entries: 400, bytes: 60_000 });
    await house.longhaul.wait(runId);
    const socket = connectSocket(server.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.pause();
    socket.write(`GET /runs/${runId}/stream?stream_mode=updates HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const open = async (): Promise<number> => {
      const answer = (await (await fetch(`${server.url}/readyz`)).json()) as { streams: number };
      return answer.streams;
    };
    await until(async () => (await open()) === 1);
    await until(async () => (await open()) === 0);
    let received = 0;
    socket.on("data", (chunk) => {
      received += chunk.byteLength;
    });
    socket.resume();
    await until(async () => socket.destroyed);
    expect(received).toBeLessThan(400 * 60_000);
    const whole = await collect(house.client.runs.joinStream(null, runId, { streamMode: "updates" }));
    expect(whole).toHaveLength(401);
    await server.close();
  }, 60_000);
});

describe("without its database", () => {
  test("answers 503 and when to try again; streams pause and go on without a gap", async () => {
    const proxy = await databaseProxy(house.database.url);
    const away = await connect({ url: proxy.url, agents, worker: false });
    const server = await serve({ longhaul: away, port: 0, log: silent });
    const input = { steps: 3, gate: "outage", gates: [1] };
    const { runId } = await house.longhaul.submit("stepper", input);
    const stream = await fetch(`${server.url}/runs/${runId}/stream?stream_mode=updates`);
    let read = "";
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of stream.body ?? []) read += decoder.decode(chunk as Uint8Array, { stream: true });
      return withoutHeartbeats(read);
    })();
    // Now it only waits for what comes next.
    await until(async () => read.includes("id: 2\n"));
    proxy.cut();
    const refused = await until(async () => {
      const response = await post(server, "/runs", { assistant_id: "echo" });
      return response.status === 503 ? response : null;
    });
    expect(refused.headers.get("retry-after")).toBe("1");
    const body = await refused.text();
    expect(JSON.parse(body)).toMatchObject({ code: "DATABASE_UNAVAILABLE", retryable: true });
    expect(body).not.toMatch(/127\.0\.0\.1|ECONN|postgres:/);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    gate("outage:1").open();
    await house.longhaul.wait(runId);
    proxy.mend();
    expect(await reading).toBe(await readAll(`${house.server.url}/runs/${runId}/stream?stream_mode=updates`));
    await until(async () => (await fetch(`${server.url}/readyz`)).status === 200);
    await server.close();
    await away.close();
    await proxy.close();
  });
});

describe("limits of the socket", () => {
  test("headers that are too long are refused", async () => {
    expect((await raw(house.server.port, "/ok", { "x-long": "x".repeat(17 * 1024) })).status).toBe(431);
  });

  test("connections beyond the limit are refused, and those within it are served", async () => {
    const server = await serve({ longhaul: house.longhaul, port: 0, limits: { connectionsMax: 2 } });
    const sockets = [0, 1].map(() => connectSocket(server.port, "127.0.0.1"));
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.on("connect", resolve))));
    await until(async () => {
      const refused = await raw(server.port, "/ok", {}).then(
        () => false,
        () => true,
      );
      return refused;
    });
    for (const socket of sockets) socket.destroy();
    await until(async () => (await raw(server.port, "/ok", {}).catch(() => null))?.status === 200);
    await server.close();
  });
});
