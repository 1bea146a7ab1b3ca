// The pool: as many connections as it may have, none that keeps a process alive, and errors that reach whoever reads.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { classify } from "../../src/gateway/classify.ts";
import { closePools, pooledFetch } from "../../src/gateway/http.ts";

const open: (() => void)[] = [];

afterEach(async () => {
  await closePools();
  for (const close of open.splice(0)) close();
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const sockets = new Set<unknown>();
  const server = createServer((request, response) => void answer(request, response)).on("connection", (socket) =>
    sockets.add(socket),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(() => server.close().closeAllConnections());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

async function failed(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => expect.unreachable("it did not fail"),
    (error: unknown) => error,
  );
}

describe("pooledFetch", () => {
  test("sends and receives what fetch would", async () => {
    const { url } = await serve(async (request, response) => {
      const sent = (await request.toArray()).join("");
      response.writeHead(201, { "content-type": "application/json", "set-cookie": ["a=1", "b=2"] });
      response.end(
        JSON.stringify({
          method: request.method,
          sent,
          key: request.headers.authorization,
          encoding: request.headers["accept-encoding"],
        }),
      );
    });
    const headers = { authorization: "Bearer x", "content-type": "application/json" };
    const response = await pooledFetch(4)(`${url}/v1?x=1`, { method: "POST", headers, body: "grüße" });
    expect([response.status, response.ok, response.headers.getSetCookie()]).toEqual([201, true, ["a=1", "b=2"]]);
    expect(await response.json()).toEqual({ method: "POST", sent: "grüße", key: "Bearer x", encoding: "identity" });
    const bytes = await pooledFetch(4)(new URL(url), {
      method: "PUT",
      headers: new Headers(headers),
      body: new TextEncoder().encode("raw"),
    });
    expect(await bytes.json()).toMatchObject({ method: "PUT", sent: "raw", key: "Bearer x" });
  });

  test("answers without a body have none", async () => {
    const { url } = await serve((_, response) => response.writeHead(204).end());
    const response = await pooledFetch(4)(url);
    expect([response.status, response.body]).toEqual([204, null]);
  });

  test("has as many connections as it may, and uses them again", async () => {
    const { url, sockets } = await serve((_, response) => void setTimeout(() => response.end("ok"), 10));
    const fetch = pooledFetch(3);
    const bodies = await Promise.all(Array.from({ length: 12 }, async () => (await fetch(url)).text()));
    expect(bodies).toEqual(Array.from({ length: 12 }, () => "ok"));
    expect(sockets.size).toBe(3);
  });

  test("hands on chunks as they come, and stops the provider when nobody reads on", async () => {
    let closed = false;
    const { url } = await serve((_, response) => {
      response.on("close", () => {
        closed = true;
      });
      response.writeHead(200, { "content-type": "text/event-stream" }).write("data: one\n\n");
    });
    const reader = ((await pooledFetch(4)(url)).body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: one\n\n");
    await reader.cancel();
    await expect.poll(() => closed).toBe(true);
  });

  test("an abort ends the wait for headers and the reading of a body, with the signal's own reason", async () => {
    const { url } = await serve((request, response) => {
      if (request.url === "/hang") return;
      response.writeHead(200).write("half");
    });
    for (const path of ["/hang", "/half"]) {
      const controller = new AbortController();
      const asked = pooledFetch(4)(`${url}${path}`, { signal: controller.signal }).then((response) => response.text());
      setTimeout(() => controller.abort(new Error("enough")), 30);
      expect(await failed(asked)).toMatchObject({ message: "enough" });
    }
  });

  test("what breaks is told as what it is", async () => {
    const { url } = await serve((request, response) => {
      if (request.url === "/before") return request.socket.destroy();
      response.writeHead(200, { "content-length": "100" }).write("half");
      setTimeout(() => request.socket.destroy(), 10);
    });
    const fetch = pooledFetch(4);
    const kind = async (act: Promise<unknown>, began = false) => classify(await failed(act), { nowMs: 0, began })?.kind;
    expect(await kind(fetch(`${url}/before`))).toBe("transient");
    expect(
      await kind(
        fetch(`${url}/after`).then((response) => response.text()),
        true,
      ),
    ).toBe("truncated_stream");
    expect(await kind(fetch("http://127.0.0.1:1"))).toBe("transient");
    expect(await kind(fetch("http://nowhere.invalid"))).toBe("transient");
  });

  test("a body that breaks while nobody reads it harms nobody", async () => {
    const { url } = await serve((request, response) => {
      response.writeHead(200, { "content-length": "100000000" }).write("half");
      setTimeout(() => request.socket.destroy(), 10);
    });
    const response = await pooledFetch(4)(url);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await failed(response.text())).toBeInstanceOf(Error);
  });

  test("idle connections do not keep a process alive", async () => {
    const { url } = await serve((_, response) => response.end("ok"));
    const program = `
      const { pooledFetch } = await import(${JSON.stringify(new URL("../../src/gateway/http.ts", import.meta.url).href)});
      console.log(await (await pooledFetch(8)(${JSON.stringify(url)})).text());`;
    const child = spawn(
      process.execPath,
      ["--import", import.meta.resolve("tsx"), "--input-type=module", "-e", program],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const output = (await child.stdout.toArray()).join("");
    const endedMs = performance.now();
    await once(child, "exit");
    expect(output.trim()).toBe("ok");
    // The server keeps idle connections open for 5 s, the pool for 30: it ended before either.
    expect(performance.now() - endedMs).toBeLessThan(3_000);
  });
});
