// Plans and tenants over HTTP, under any name that a path can carry.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf, type House, openHouse } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

function call(method: string, path: string, body?: unknown): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(house.server.url + path, { method, ...(body === undefined ? {} : { body: text }) });
}

async function answer(method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await call(method, path, body);
  const value: unknown = await response.json();
  expect([response.status, value]).toEqual([200, value]);
  return value;
}

test("a plan is made, replaced, read and deleted", async () => {
  const free = { concurrency: 2, band: "background", unfinishedMax: 1_000, submitsPerMinute: 600 };
  expect(await answer("PUT", "/admin/plans/free", free)).toEqual({
    plan: "free",
    weight: 1,
    tenants: 0,
    budget: null,
    ...free,
  });
  expect(await answer("PUT", "/admin/plans/pro", 20)).toMatchObject({ plan: "pro", concurrency: 20 });
  expect(await answer("PUT", "/admin/plans/free", { concurrency: 1 })).toMatchObject({ concurrency: 1, band: null });
  expect(await answer("GET", "/admin/plans")).toMatchObject([{ plan: "default" }, { plan: "free" }, { plan: "pro" }]);
  expect(await answer("GET", "/admin/plans/pro")).toMatchObject({ concurrency: 20 });
  expect(await answer("PUT", "/admin/tenants/acme", { plan: "free" })).toMatchObject({ tenant: "acme", cap: 1 });
  expect(await answer("DELETE", "/admin/plans/free")).toEqual({ plan: "free", tenants: 1 });
  expect(await answer("GET", "/admin/tenants/acme")).toMatchObject({ plan: "default", cap: null });
});

test("a tenant is paused and resumed, and found among the others", async () => {
  await answer("PUT", "/admin/plans/two", 2);
  expect(await answer("PUT", "/admin/tenants/bee", { plan: "two", paused: true })).toMatchObject({
    tenant: "bee",
    plan: "two",
    cap: 2,
    paused: true,
    inFlight: 0,
    unfinished: 0,
    ready: 0,
  });
  expect(await answer("GET", "/admin/tenants?paused=true")).toMatchObject([{ tenant: "bee" }]);
  expect(await answer("PUT", "/admin/tenants/bee", { paused: false })).toMatchObject({ paused: false, plan: "two" });
  expect(await answer("GET", "/admin/tenants?plan=two&limit=1")).toMatchObject([{ tenant: "bee" }]);
  expect(await answer("GET", "/admin/tenants?plan=two&after=bee")).toEqual([]);
});

test.each(["*", ":", "a/b", "%", "%2F", "__proto__", "?x=1#y", "ü 😀", "runs"])(
  "%j is a name like others",
  async (name) => {
    const part = encodeURIComponent(name);
    expect(await answer("PUT", `/admin/plans/${part}`, 3)).toMatchObject({ plan: name, concurrency: 3 });
    expect(await answer("PUT", `/admin/tenants/${part}`, { plan: name })).toMatchObject({ tenant: name, plan: name });
    expect(await answer("GET", `/admin/tenants/${part}`)).toMatchObject({ tenant: name, cap: 3 });
    expect(await answer("DELETE", `/admin/plans/${part}`)).toEqual({ plan: name, tenants: 1 });
  },
);

describe("refused", () => {
  const table: [string, string, unknown, number, string][] = [
    ["PUT", "/admin/plans/p", { weight: 0 }, 422, "PLAN_INVALID"],
    ["PUT", "/admin/plans/p", { concurrency: -1 }, 422, "PLAN_INVALID"],
    ["PUT", "/admin/plans/p", "[]", 422, "PLAN_INVALID"],
    ["PUT", "/admin/plans/p", "null", 422, "PLAN_INVALID"],
    ["PUT", "/admin/plans/p", "{", 400, "BODY_INVALID"],
    ["PUT", "/admin/plans/%00", "{}", 400, "KEY_INVALID"],
    ["PUT", `/admin/plans/${"p".repeat(513)}`, "{}", 400, "KEY_INVALID"],
    ["GET", "/admin/plans/nobody", undefined, 404, "PLAN_UNKNOWN"],
    ["DELETE", "/admin/plans/nobody", undefined, 404, "PLAN_UNKNOWN"],
    ["DELETE", "/admin/plans/default", undefined, 409, "PLAN_FIXED"],
    ["GET", "/admin/tenants/nobody", undefined, 404, "TENANT_NOT_FOUND"],
    ["PUT", "/admin/tenants/nobody", { paused: true }, 404, "TENANT_NOT_FOUND"],
    ["PUT", "/admin/tenants/acme", { plan: "nobody" }, 404, "PLAN_UNKNOWN"],
    ["PUT", "/admin/tenants/acme", {}, 422, "REQUEST_INVALID"],
    ["PUT", "/admin/tenants/acme", { paused: "yes" }, 422, "REQUEST_INVALID"],
    ["GET", "/admin/tenants?limit=0", undefined, 422, "REQUEST_INVALID"],
    ["GET", "/admin/tenants?limit=1001", undefined, 422, "REQUEST_INVALID"],
    ["GET", "/admin/tenants?paused=maybe", undefined, 422, "REQUEST_INVALID"],
    ["GET", "/admin/tenants?after=%00", undefined, 400, "KEY_INVALID"],
    ["GET", `/admin/tenants/${"t".repeat(65_536)}`, undefined, 431, ""],
  ];
  test.each(table)("%s %.40s %j: %i %s", async (method, path, body, status, code) => {
    const response = await call(method, path, body);
    expect(response.status).toBe(status);
    if (code !== "") expect(await codeOf(response)).toBe(code);
  });
});
