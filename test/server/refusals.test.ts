// Bad requests, each with its status and its code; and that none of them leaves a trace.
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf, type House, openHouse, post } from "./harness.ts";

let house: House;
let threadId: string;
beforeAll(async () => {
  house = await openHouse();
  threadId = (await house.client.threads.create()).thread_id;
});
afterAll(() => house.close());

const NOBODY = "00000000-0000-4000-8000-000000000000";
const run = (body: Record<string, unknown>): string => JSON.stringify({ assistant_id: "echo", ...body });
const nested = (depth: number): string =>
  `{"assistant_id":"echo","input":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;

/** Method, path (T: a thread, N: an unknown id), body, status, code, and words that the message must have. */
const table: [string, string, string | null, number, string, string?][] = [
  ["POST", "/threads/T/runs", "{", 400, "BODY_INVALID", "line 1, column 2"],
  ["POST", "/threads/T/runs", '{"assistant_id": "echo",\n "input": nope}', 400, "BODY_INVALID", "line 2, column 11"],
  ["POST", "/threads/T/runs", '{"assistant_id":"echo"} trailing', 400, "BODY_INVALID"],
  ["POST", "/threads/T/runs", nested(101), 400, "BODY_TOO_DEEP"],
  ["POST", "/threads/T/runs", "[".repeat(5_000), 400, "BODY_TOO_DEEP"],
  ["POST", "/threads/T/runs", `{"input":"${"x".repeat(1024 * 1024)}"}`, 413, "BODY_TOO_LARGE"],
  ["POST", "/threads/T/runs", "", 422, "REQUEST_INVALID", "assistant_id"],
  ["POST", "/threads/T/runs", "[]", 422, "REQUEST_INVALID", "the body"],
  ["POST", "/threads/T/runs", "null", 422, "REQUEST_INVALID"],
  ["POST", "/threads/T/runs", '{"assistant_id":5}', 422, "REQUEST_INVALID", "assistant_id"],
  ["POST", "/threads/T/runs", run({ metadata: "x" }), 422, "REQUEST_INVALID", "metadata"],
  ["POST", "/threads/T/runs", run({ metadata: { a: "\u0000" } }), 422, "REQUEST_INVALID", "metadata"],
  ["POST", "/threads/T/runs", '{"assistant_id":"echo","metadata":{"a":"\\ud800"}}', 422, "REQUEST_INVALID", "metadata"],
  ["POST", "/threads/T/runs", run({ metadata: { a: "x".repeat(20_000) } }), 422, "REQUEST_INVALID", "metadata"],
  ["POST", "/threads/T/runs", run({ config: [] }), 422, "REQUEST_INVALID", "config"],
  ["POST", "/threads/T/runs", run({ config: { configurable: { a: "\u0000" } } }), 422, "REQUEST_INVALID", "config"],
  ["POST", "/threads/T/runs", run({ stream_mode: "everything" }), 422, "REQUEST_INVALID", "stream_mode"],
  ["POST", "/threads/T/runs", run({ stream_mode: [] }), 422, "REQUEST_INVALID", "stream_mode"],
  ["POST", "/threads/T/runs", run({ multitask_strategy: "panic" }), 422, "REQUEST_INVALID", "multitask_strategy"],
  ["POST", "/threads/T/runs", run({ multitask_strategy: "rollback" }), 422, "NOT_SUPPORTED", "rollback"],
  ["POST", "/threads/T/runs", run({ after_seconds: -1 }), 422, "REQUEST_INVALID", "after_seconds"],
  ["POST", "/threads/T/runs", run({ after_seconds: 1e300 }), 422, "REQUEST_INVALID", "after_seconds"],
  ["POST", "/threads/T/runs", run({ after_seconds: "soon" }), 422, "REQUEST_INVALID", "after_seconds"],
  ["POST", "/threads/T/runs", run({ on_disconnect: "explode" }), 422, "REQUEST_INVALID", "on_disconnect"],
  ["POST", "/threads/T/runs", run({ webhook: "http://example.com" }), 422, "NOT_SUPPORTED", "webhook"],
  ["POST", "/threads/T/runs", run({ interrupt_before: "*" }), 422, "NOT_SUPPORTED", "interrupt_before"],
  ["POST", "/threads/T/runs", run({ checkpoint: { checkpoint_id: "x" } }), 422, "NOT_SUPPORTED", "checkpoint"],
  ["POST", "/threads/T/runs", run({ command: { goto: "x" } }), 422, "NOT_SUPPORTED", "command.goto"],
  ["POST", "/threads/T/runs", run({ assistant_id: "ecko" }), 404, "AGENT_UNKNOWN"],
  ["POST", "/threads/T/runs", run({ assistant_id: NOBODY }), 404, "AGENT_UNKNOWN"],
  ["POST", "/threads/T/runs/stream", run({ assistant_id: "../../etc" }), 404, "AGENT_UNKNOWN"],
  ["POST", "/threads/T/runs/wait", run({ assistant_id: "strict", input: { question: 5 } }), 422, "INPUT_INVALID"],
  ["POST", "/threads/N/runs", run({}), 404, "THREAD_NOT_FOUND"],
  ["POST", "/threads/not-a-uuid/runs", run({}), 422, "REQUEST_INVALID", "threadId"],
  ["POST", "/threads", '{"thread_id":"x"}', 422, "REQUEST_INVALID", "thread_id"],
  ["POST", "/threads", '{"supersteps":[{}]}', 422, "NOT_SUPPORTED"],
  ["GET", "/threads/N", null, 404, "THREAD_NOT_FOUND"],
  ["GET", "/threads/N/state", null, 404, "THREAD_NOT_FOUND"],
  ["GET", "/threads/N/runs", null, 404, "THREAD_NOT_FOUND"],
  ["GET", "/threads/T/runs?limit=0", null, 422, "REQUEST_INVALID", "limit"],
  ["GET", "/threads/T/runs?limit=201", null, 422, "REQUEST_INVALID", "limit"],
  ["GET", "/threads/T/runs?status=odd", null, 422, "REQUEST_INVALID", "status"],
  ["GET", "/threads/T/runs/N", null, 404, "RUN_NOT_FOUND"],
  ["GET", "/threads/T/runs/xyz", null, 422, "REQUEST_INVALID", "runId"],
  ["GET", "/threads/T/runs/N/stream", null, 404, "RUN_NOT_FOUND"],
  ["GET", "/threads/T/runs/N/join", null, 404, "RUN_NOT_FOUND"],
  ["POST", "/threads/T/runs/N/cancel", null, 404, "RUN_NOT_FOUND"],
  ["GET", "/runs/N", null, 404, "RUN_NOT_FOUND"],
  ["GET", "/runs/N/events", null, 404, "RUN_NOT_FOUND"],
  ["GET", "/runs/%00", null, 422, "REQUEST_INVALID"],
  ["GET", "/assistants/nobody", null, 404, "AGENT_UNKNOWN"],
  ["POST", "/assistants/search", '{"limit":0}', 422, "REQUEST_INVALID", "limit"],
  ["GET", "/admin/runs/N", null, 404, "RUN_NOT_FOUND"],
  ["GET", "/admin/runs/N/why", null, 404, "RUN_NOT_FOUND"],
  ["POST", "/admin/runs/N/retry", null, 404, "RUN_NOT_FOUND"],
  ["POST", "/admin/runs/N/fork", "{}", 404, "RUN_NOT_FOUND"],
  ["POST", "/admin/runs/N/signal", '{"name":"x"}', 404, "RUN_NOT_FOUND"],
  ["POST", "/admin/runs/N/signal", "{}", 422, "REQUEST_INVALID", "name"],
  ["POST", "/admin/runs/N/cancel", "{}", 404, "RUN_NOT_FOUND"],
  ["POST", "/admin/approvals/N/approve", "{}", 404, "APPROVAL_NOT_FOUND"],
  ["POST", "/admin/approvals/N/deny", "{}", 404, "APPROVAL_NOT_FOUND"],
  ["POST", "/admin/approvals/x/deny", "{}", 422, "REQUEST_INVALID"],
  ["GET", "/admin/approvals?status=odd", null, 422, "REQUEST_INVALID", "status"],
  ["GET", "/nothing/here", null, 404, "ROUTE_NOT_FOUND"],
  ["DELETE", "/threads/T", null, 404, "ROUTE_NOT_FOUND"],
];

describe("a bad request", () => {
  test.each(table)("%s %s %.60j gives %i %s", async (method, path, body, status, code, words = "") => {
    const url = house.server.url + path.replace("/T", `/${threadId}`).replace("/N", `/${NOBODY}`);
    const response = await fetch(url, { method, ...(body === null ? {} : { body }) });
    const answer = (await response.json()) as Record<string, unknown>;
    expect([response.status, answer.code]).toEqual([status, code]);
    expect(answer).toMatchObject({
      error: expect.any(String),
      message: expect.stringContaining(words),
      hint: expect.any(String),
      detail: answer.message,
      requestId: response.headers.get("x-request-id"),
    });
    expect(JSON.stringify(answer)).not.toMatch(/\.ts:\d|node_modules|select |\bat .*\(/);
  });

  test("names what was probably meant", async () => {
    const response = await post(house.server, "/runs", { assistant_id: "ecko" });
    expect(await response.json()).toMatchObject({
      hint: expect.stringContaining("did you mean echo?"),
      details: { didYouMean: "echo" },
    });
  });

  test("lists every path that is wrong", async () => {
    const response = await post(house.server, "/runs", { assistant_id: 1, config: 2, command: 3 });
    const { details } = (await response.json()) as { details: { issues: { path: string }[] } };
    expect(details.issues.map(({ path }) => path).sort()).toEqual(["assistant_id", "command", "config"]);
  });

  test("at the limit is none: 100 levels, and a body of exactly 1 MiB", async () => {
    const deep = await fetch(`${house.server.url}/runs/wait`, { method: "POST", body: nested(100) });
    expect(deep.status).toBe(200);
    const frame = run({ input: "" });
    const wide = run({ input: "x".repeat(1024 * 1024 - frame.length) });
    expect(Buffer.byteLength(wide)).toBe(1024 * 1024);
    const large = await fetch(`${house.server.url}/runs`, { method: "POST", body: wide });
    expect(large.status).toBe(200);
  });
});

describe("a body", () => {
  test("is read as JSON whatever its type is called", async () => {
    for (const type of ["text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded"]) {
      const response = await post(
        house.server,
        "/runs/wait",
        { assistant_id: "echo", input: 1 },
        { "content-type": type },
      );
      expect(await response.json()).toEqual({ echo: 1 });
    }
  });

  test("that is compressed, or not UTF-8, is refused", async () => {
    const zipped = await post(house.server, "/runs", {}, { "content-encoding": "gzip" });
    expect([zipped.status, await codeOf(zipped)]).toEqual([415, "BODY_ENCODED"]);
    const broken = await fetch(`${house.server.url}/runs`, {
      method: "POST",
      body: new Uint8Array([0x7b, 0xff, 0x7d]),
    });
    expect([broken.status, await codeOf(broken)]).toEqual([400, "BODY_INVALID"]);
  });

  test("that never ends is cut at the limit, also without a length", async () => {
    let sent = 0;
    const status = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(`${house.server.url}/runs`, { method: "POST" }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
        request.destroy();
      });
      request.on("error", reject);
      const chunk = Buffer.alloc(64 * 1024, " ");
      const more = (): void => {
        if (request.destroyed || sent > 64 * 1024 * 1024) return;
        sent += chunk.byteLength;
        request.write(chunk, () => setImmediate(more));
      };
      more();
    });
    expect(status).toBe(413);
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  test("cannot reach prototypes, and its odd keys stay ordinary ones", async () => {
    const input =
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":{"__proto__":{"polluted":1}}}';
    const body = `{"assistant_id":"echo","input":${input},"metadata":{"__proto__":{"polluted":1}},"__proto__":{"input":1}}`;
    const response = await fetch(`${house.server.url}/runs/wait`, { method: "POST", body });
    expect(await response.text()).toBe(`{"echo":${input}}`);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test("keeps every text as it is", async () => {
    const texts = ["\u0000", "\ud800", "a\r\nevent: x\n\n", "𝄞 ☃", "</script>", "*:%00", "\u2028"];
    const response = await post(house.server, "/runs/wait", { assistant_id: "echo", input: texts });
    expect(await response.json()).toEqual({ echo: texts });
  });
});

describe("cursors", () => {
  test.each(["abc", "1.5", "-2", "99999999999", "1e3", "999999"])("that are none (%s) are refused", async (cursor) => {
    const made = (await (await post(house.server, "/runs", { assistant_id: "echo" })).json()) as { run_id: string };
    for (const path of ["stream", "events"]) {
      const response = await fetch(`${house.server.url}/runs/${made.run_id}/${path}`, {
        headers: { "last-event-id": cursor },
      });
      expect([response.status, await codeOf(response)]).toEqual([422, "REQUEST_INVALID"]);
    }
  });
});

describe("ids", () => {
  test("of a run on another thread are unknown ones", async () => {
    const other = (await house.client.threads.create()).thread_id;
    const made = await house.client.runs.create(other, "echo");
    for (const path of ["", "/stream", "/join"]) {
      const response = await fetch(`${house.server.url}/threads/${threadId}/runs/${made.run_id}${path}`);
      expect([response.status, await codeOf(response)]).toEqual([404, "RUN_NOT_FOUND"]);
    }
  });

  test("may be written in capitals", async () => {
    const response = await fetch(`${house.server.url}/threads/${threadId.toUpperCase()}`);
    expect(await response.json()).toMatchObject({ thread_id: threadId });
  });
});

describe("idempotency keys", () => {
  test("make a repeated POST the same run, and another request with the key an error", async () => {
    const headers = { "idempotency-key": "order-1" };
    const ids = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const response = await post(house.server, "/runs", { assistant_id: "echo", input: 1 }, headers);
        return ((await response.json()) as { run_id: string }).run_id;
      }),
    );
    expect(new Set(ids).size).toBe(1);
    const other = await post(house.server, "/runs", { assistant_id: "echo", input: 2 }, headers);
    expect([other.status, await codeOf(other)]).toEqual([422, "IDEMPOTENCY_MISMATCH"]);
  });
});
