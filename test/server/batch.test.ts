// LangGraph's batch: runs at their places, errors at theirs, and one error when all are refused alike.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/index.ts";
import { serve } from "../../src/server/index.ts";
import { agents } from "./agents.ts";
import { codeOf, type House, openHouse, post, silent } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse({ auth: (request) => ({ tenant: request.headers.get("x-tenant") ?? "default", by: "ann" }) });
});
afterAll(() => house.close());

type Item = Record<string, unknown>;
const batch = (items: unknown, headers: Record<string, string> = {}) =>
  post(house.server, "/runs/batch", items, headers);
const read = async (response: Response): Promise<Item[]> => (await response.json()) as Item[];

test("LangGraph's client gets its runs, in order", async () => {
  const runs = await house.client.runs.createBatch([
    { assistantId: "echo", input: { n: 1 }, metadata: { m: 1 } },
    { assistantId: "echo", input: { n: 2 }, config: { tags: ["t"] }, afterSeconds: 3_600 },
  ]);
  expect(runs).toMatchObject([{ metadata: { m: 1 } }, { status: "pending", kwargs: { config: { tags: ["t"] } } }]);
  const [first, second] = runs as unknown as { run_id: string; thread_id: string }[];
  expect(first?.thread_id).toBe(first?.run_id);
  expect(await house.longhaul.wait(first?.run_id ?? "")).toMatchObject({ output: { echo: { n: 1 } } });
  expect((await house.longhaul.get(second?.run_id ?? ""))?.runAt).not.toBeNull();
});

test("what is refused stands at its place, and the others run", async () => {
  const response = await batch([
    { assistant_id: "echo", input: 1 },
    { assistant_id: "nobody" },
    { assistant_id: "strict", input: { question: 5 } },
    { assistant_id: "echo", webhook: "http://example.com" },
    { assistant_id: "asker", command: { resume: 1 } },
    { assistant_id: "echo", concurrency_key: "" },
    { assistant_id: "echo", input: 2, concurrency_key: "__proto__", priority: 5, start_within_seconds: 600 },
  ]);
  expect(response.status).toBe(207);
  const answers = await read(response);
  expect(answers.map((answer) => answer.code ?? null)).toEqual([
    ...[null, "AGENT_UNKNOWN", "INPUT_INVALID", "NOT_SUPPORTED", "REQUEST_INVALID", "KEY_INVALID", null],
  ]);
  expect(answers[1]).toMatchObject({ error: "Not Found", detail: expect.any(String), hint: expect.any(String) });
  for (const answer of [answers[0], answers[6]])
    expect(await house.longhaul.wait(String(answer?.run_id))).toMatchObject({ status: "succeeded" });
});

test("a repeat with the same key makes no second run", async () => {
  const items = [1, 2, 3].map((input) => ({ assistant_id: "echo", input }));
  const [one, two] = await Promise.all([
    batch(items, { "idempotency-key": "b" }),
    batch(items, { "idempotency-key": "b" }),
  ]);
  const ids = (runs: Item[]) => runs.map((run) => run.run_id);
  expect(ids(await read(one))).toEqual(ids(await read(two)));
  expect(one.status).toBe(200);
});

test("a plan refuses some (207) or all (429), and says when to come back", async () => {
  await house.longhaul.plans.set("two", { unfinishedMax: 2, concurrency: 0 });
  await house.longhaul.tenants.setPlan("small", "two");
  const items = [1, 2, 3].map((input) => ({ assistant_id: "echo", input }));
  const some = await batch(items, { "x-tenant": "small" });
  expect([some.status, some.headers.get("retry-after")]).toEqual([207, "5"]);
  expect((await read(some)).map((answer) => answer.code ?? null)).toEqual([null, null, "TENANT_FULL"]);
  const none = await batch(items, { "x-tenant": "small" });
  expect([none.status, none.headers.get("retry-after"), await codeOf(none)]).toEqual([429, "5", "TENANT_FULL"]);
  await house.longhaul.plans.set("slow", { submitsPerMinute: 1, concurrency: 0 });
  await house.longhaul.tenants.setPlan("slow", "slow");
  expect((await batch(items.slice(1), { "x-tenant": "slow" })).status).toBe(207);
  const late = await batch(items, { "x-tenant": "slow" });
  expect([late.status, await codeOf(late)]).toEqual([429, "SUBMIT_RATE"]);
  expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(60);
});

test("no body chooses a tenant, a band or a queue", async () => {
  const forged = { tenant: "victim", tenant_id: "victim", band: "interactive", queue: "vip", build: "x", runId: 1 };
  const [run] = await read(await batch([{ assistant_id: "sleeper", ...forged }], { "x-tenant": "eve" }));
  const stored = await house.database.db.query(
    `select r.tenant_id, r.queue, r.build, t.band from longhaul.runs r join longhaul.lanes using (lane_id) join longhaul.turns t using (turn_id)
      where r.run_id = $1`,
    [run?.run_id],
  );
  expect(stored).toEqual([{ tenant_id: "eve", queue: "default", build: "default", band: 1 }]);
});

describe("refused as a whole", () => {
  test.each([
    ["{}", 422, "REQUEST_INVALID"],
    ["[]", 422, "REQUEST_INVALID"],
    ["[null]", 422, "REQUEST_INVALID"],
    ['[{"assistant_id":"echo"},{"assistant_id":"echo","priority":32768}]', 422, "REQUEST_INVALID"],
    ['[{"assistant_id":"echo","priority":-1}]', 422, "REQUEST_INVALID"],
    ['[{"assistant_id":"echo","priority":0.5}]', 422, "REQUEST_INVALID"],
    ['[{"assistant_id":"echo","start_within_seconds":-1}]', 422, "REQUEST_INVALID"],
    ['[{"assistant_id":"echo","concurrency_key":"\\ud800"}]', 400, "KEY_INVALID"],
    ['[{"assistant_id":"echo","concurrency_key":"\\u0000"}]', 400, "KEY_INVALID"],
    [`[{"assistant_id":"echo","concurrency_key":"${"k".repeat(65_536)}"}]`, 400, "KEY_INVALID"],
    ['[{"assistant_id":"nobody"},{"assistant_id":"no one"}]', 404, "AGENT_UNKNOWN"],
    [JSON.stringify(Array.from({ length: 1_001 }, () => ({ assistant_id: "echo" }))), 413, "BATCH_TOO_LARGE"],
    [JSON.stringify([{ assistant_id: "echo", input: "x".repeat(1024 * 1024) }]), 413, "BODY_TOO_LARGE"],
  ])("%.60s: %i %s", async (body, status, code) => {
    const count = async () => (await house.database.db.query("select count(*) as n from longhaul.runs"))[0];
    const before = await count();
    const response = await fetch(`${house.server.url}/runs/batch`, { method: "POST", body });
    expect([response.status, await codeOf(response)]).toEqual([status, code]);
    expect(await count()).toEqual(before);
  });
});

test("a full installation answers 503 with Retry-After to one and to many, and says so when asked how it is", async () => {
  const longhaul = await connect({ url: house.database.url, agents, worker: false, limits: { unfinishedMax: 0 } });
  const server = await serve({ longhaul, port: 0, log: silent });
  try {
    for (const [path, body] of [
      ["/runs", { assistant_id: "echo" }],
      ["/runs/wait", { assistant_id: "echo" }],
      ["/runs/batch", [{ assistant_id: "echo" }, { assistant_id: "echo" }]],
    ] as const) {
      const response = await post(server, path, body);
      expect([response.status, response.headers.get("retry-after"), await codeOf(response)]).toEqual([
        503,
        "5",
        "SYSTEM_FULL",
      ]);
    }
    const ready = await fetch(`${server.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { ready: true, streams: 0, accepts: false, code: "SYSTEM_FULL" },
    ]);
  } finally {
    await server.close();
    await longhaul.close();
  }
});

test("runs that are alike are one for as long as each says", async () => {
  const item = { assistant_id: "echo", input: { alike: true }, dedupe_seconds: 60 };
  const runs = await read(await batch([item, item, { ...item, dedupe_seconds: 0 }, { ...item, input: 1 }]));
  expect(runs[1]?.run_id).toBe(runs[0]?.run_id);
  expect(new Set(runs.map((run) => run.run_id)).size).toBe(3);
  const single = (body: Item) => post(house.server, "/runs", body).then((response) => response.json() as Promise<Item>);
  expect((await single(item)).run_id).toBe(runs[0]?.run_id);
  expect((await single({ ...item, config: { tags: ["other"] } })).run_id).not.toBe(runs[0]?.run_id);
  const refused = await post(house.server, "/runs", { ...item, dedupe_seconds: -1 });
  expect(refused.status).toBe(422);
});
