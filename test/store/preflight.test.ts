// The start-up checks against a good server, and against the same with its guards off.
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../src/store/database.ts";
import { type PreflightCheck, preflight } from "../../src/store/preflight.ts";
import { startPooler } from "../support/pooler.ts";
import { type FreshDatabase, freshDatabase, startTestPostgres } from "../support/postgres.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase({ migrated: false });
});
afterAll(() => fresh.drop());

function named(checks: PreflightCheck[], name: string): PreflightCheck | undefined {
  return checks.find(({ check }) => check === name);
}

test("the embedded server passes them all (I6)", async () => {
  const checks = await preflight(fresh.db);
  expect(checks.map(({ check, ok, hint }) => ({ check, ok, hint }))).toEqual(
    [
      "fsync",
      "full_page_writes",
      "synchronous_commit",
      "server version",
      "primary server",
      "encoding",
      "lock_timeout",
      "clock skew",
    ].map((check) => ({ check, ok: true, hint: "" })),
  );
});

test("a server that may lose acknowledged runs is found out (I4, I6)", async () => {
  const careless = await startTestPostgres({ fsync: "off", full_page_writes: "off", synchronous_commit: "off" });
  const db = openDatabase({ url: careless.url });
  const checks = await preflight(db);
  for (const name of ["fsync", "full_page_writes", "synchronous_commit"]) {
    expect(named(checks, name)).toMatchObject({ ok: false, level: "error", value: "off" });
    expect(named(checks, name)?.hint).toContain(`Set ${name} = on`);
  }
  await db.end();
  await careless.stop();
});

test("limits that a pooler dropped are found out", async () => {
  const pooler = await startPooler(fresh.url);
  const db = openDatabase({ url: pooler.url, max: 1 });
  expect(named(await preflight(db), "lock_timeout")).toMatchObject({ ok: false, level: "warning", value: "0" });
  await db.end();
  await pooler.close();
});

test("a clock that differs by more than two seconds is found out", async () => {
  const realNow = Date.now;
  try {
    Date.now = () => realNow() - 60_000;
    const skew = named(await preflight(fresh.db), "clock skew");
    expect(skew).toMatchObject({ ok: false, level: "warning" });
    expect(Number.parseInt(skew?.value ?? "0", 10)).toBeGreaterThan(50_000);
  } finally {
    Date.now = realNow;
  }
});
