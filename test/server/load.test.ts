// The load over HTTP: what operators look at, what tenants may know of it, and the one number that scalers ask for.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LoadReport, ScaleReport } from "../../src/runtime/load-views.ts";
import { serve } from "../../src/server/index.ts";
import { codeOf, type House, openHouse, silent } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

async function get<T>(path: string, url = house.server.url, headers: Record<string, string> = {}): Promise<T> {
  const response = await fetch(url + path, { headers });
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

const load = (): Promise<LoadReport> => get<LoadReport>("/admin/queues");

describe("GET /admin/queues", () => {
  test("says what waits, who serves it and what was done", async () => {
    const { runId } = await house.longhaul.submit("echo", 1);
    await house.longhaul.wait(runId);
    const found = await load();
    expect(found.queues.find(({ queue }) => queue === "default")).toMatchObject({
      build: "default",
      depth: 0,
      held: 0,
      oldestMs: null,
      workers: 1,
      slots: 20,
      alerts: [],
    });
    expect(found).toMatchObject({ tenants: [], gates: [] });
  });

  test("tells where nobody works and which tenants wait", async () => {
    for (let n = 0; n < 3; n++) await house.longhaul.tenant("acme").submit("echo", n, { queue: "lonely", build: "v0" });
    const found = await load();
    const lonely = found.queues.find(({ queue }) => queue === "lonely");
    expect(lonely).toMatchObject({ build: "v0", depth: 3, workers: 0, slots: 0, waitMs: null });
    expect(lonely?.oldestMs).toBeGreaterThanOrEqual(0);
    expect(found.tenants).toMatchObject([{ tenant: "acme", queue: "lonely", depth: 3, inFlight: 0, cap: null }]);
  });

  test("names one tenant where one is asked for, and nobody to who is no operator", async () => {
    const one = await get<LoadReport>("/admin/queues?tenant=acme");
    expect(one.tenants.map(({ tenant }) => tenant)).toEqual(["acme"]);
    expect((await get<LoadReport>("/admin/queues?tenant=nobody")).tenants).toEqual([]);
    const auth = () => ({ tenant: "acme", by: "test" });
    const server = await serve({ longhaul: house.longhaul, port: 0, log: silent, auth });
    try {
      expect((await fetch(`${server.url}/admin/queues`)).status).toBe(403);
      expect((await fetch(`${server.url}/admin/scale`)).status).toBe(403);
    } finally {
      await server.close();
    }
  });
});

describe("GET /admin/scale", () => {
  const ask = (query: string): Promise<ScaleReport> => get<ScaleReport>(`/admin/scale?${query}`);

  test("gives one number and what it follows from", async () => {
    for (let n = 0; n < 50; n++) await house.longhaul.submit("echo", n, { queue: "deep" });
    expect(await ask("queue=deep&slots=10&max=5")).toEqual({
      desiredWorkers: 3,
      queues: ["deep"],
      build: "default",
      depth: 50,
      runnable: 50,
      waking: 0,
      inFlight: 0,
      oldestMs: expect.any(Number),
      workers: 0,
      served: false,
    });
    expect(await ask("queue=deep&slots=10&max=2")).toMatchObject({ desiredWorkers: 2 });
    expect(await ask("queue=deep&queue=default&slots=10")).toMatchObject({ depth: 50, workers: 1, served: true });
    expect(await ask("")).toMatchObject({ queues: null, build: "default" });
  });

  test("a queue that nobody knows is zeros, and served by nobody", async () => {
    expect(await ask("queue=unheard-of&build=v9")).toMatchObject({
      desiredWorkers: 0,
      build: "v9",
      depth: 0,
      inFlight: 0,
      oldestMs: null,
      workers: 0,
      served: false,
    });
    expect(await ask("queue=unheard-of&min=2&max=3")).toMatchObject({ desiredWorkers: 2, served: false });
  });

  test.each([
    ["min=8&max=1", "REQUEST_INVALID"],
    ["max=0", "REQUEST_INVALID"],
    ["max=1000000", "REQUEST_INVALID"],
    ["min=-1", "REQUEST_INVALID"],
    ["slaMs=-5", "REQUEST_INVALID"],
    ["slaMs=0", "REQUEST_INVALID"],
    ["slots=0", "REQUEST_INVALID"],
    ["slots=1.5", "REQUEST_INVALID"],
    ["target=none", "REQUEST_INVALID"],
    ["slaMs=1e99", "REQUEST_INVALID"],
    ["queue=", "KEY_INVALID"],
    ["queue=a%00b", "KEY_INVALID"],
    [`queue=${"x".repeat(513)}`, "KEY_INVALID"],
    ["build=%00", "KEY_INVALID"],
  ])("refuses %s", async (query, code) => {
    const response = await fetch(`${house.server.url}/admin/scale?${query}`);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(await codeOf(response)).toBe(code);
  });
});
