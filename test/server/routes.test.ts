// The page of the HTTP reference and the routes that are served name each other, both ways.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type LonghaulProcess } from "../../src/runtime/connect.ts";
import { createServer } from "../../src/server/index.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let database: FreshDatabase;
let longhaul: LonghaulProcess;
beforeAll(async () => {
  database = await freshDatabase();
  longhaul = await connect({ url: database.url, worker: false });
});
afterAll(async () => {
  await longhaul.close();
  await database.drop();
});

test("docs/reference/http.md lists every route, and no other", () => {
  const served = createServer({ longhaul }).routes.filter(({ method }) => method !== "ALL");
  const names = [...new Set(served.map(({ method, path }) => `${method} ${path}`))];
  const page = readFileSync("docs/reference/http.md", "utf8");
  const written = [...page.matchAll(/^\| `([A-Z]+ \/\S*)` \|/gm)].map(([, route]) => route);
  expect(names.length).toBeGreaterThan(30);
  expect([...written].sort()).toEqual([...names].sort());
});

test("the application answers without a socket, for whoever mounts it elsewhere", async () => {
  const app = createServer({ longhaul });
  const info = await app.request("/info");
  expect(await info.json()).toMatchObject({ name: "longhaul" });
  const none = await app.request("/runs/wait", { method: "POST", body: '{"assistant_id":"nobody"}' });
  expect([none.status, ((await none.json()) as { hint: string }).hint]).toEqual([
    404,
    expect.stringContaining("Known agents: none"),
  ]);
});
