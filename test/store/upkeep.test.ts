// What slows the queue down is found and named, with the way to end it.
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PreflightCheck } from "../../src/store/preflight.ts";
import { upkeep } from "../../src/store/upkeep.ts";
import { until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

async function check(name: string, holderSeconds?: number): Promise<PreflightCheck> {
  const found = (await upkeep(fresh.db, holderSeconds)).find((one) => one.check === name);
  if (found === undefined) throw new Error(`no check ${name}`);
  return found;
}

test("a quiet database is well, and says so", async () => {
  expect((await upkeep(fresh.db)).map(({ check, ok, level, hint }) => ({ check, ok, level, hint }))).toEqual([
    { check: "autovacuum", ok: true, level: "warning", hint: "" },
    { check: "dead rows", ok: true, level: "warning", hint: "" },
    { check: "oldest snapshot", ok: true, level: "warning", hint: "" },
  ]);
});

test("a session that holds an old snapshot is named, with its pid and the way to end it", async () => {
  const client = new pg.Client({ connectionString: fresh.url, application_name: "night report" });
  await client.connect();
  await client.query("begin isolation level repeatable read");
  const { rows } = await client.query("select pg_backend_pid() as pid");
  expect(await check("oldest snapshot")).toMatchObject({ ok: true, value: expect.stringContaining("night report") });
  const old = await check("oldest snapshot", 0);
  expect(old).toMatchObject({ ok: false, level: "warning" });
  expect(old.value).toMatch(new RegExp(`session night report \\(idle in transaction\\), pid ${rows[0].pid}, since `));
  expect(old.hint).toContain(`pg_terminate_backend(${rows[0].pid})`);
  await client.end();
});

test("dead rows of a hot table that nobody can remove are reported", async () => {
  const holder = new pg.Client({ connectionString: fresh.url });
  await holder.connect();
  await holder.query("begin isolation level repeatable read");
  await holder.query("select 1 from longhaul.later");
  await fresh.db.query(
    "insert into longhaul.later select gen_random_uuid(), 'infinity' from generate_series(1, 60000)",
  );
  await fresh.db.query("delete from longhaul.later");
  const dead = await until(async () => {
    const found = await check("dead rows");
    return !found.ok && found;
  });
  expect(dead.value).toMatch(/^later: \d+, 0 alive, \d+ MB$/);
  expect(dead.hint).toContain("vacuum longhaul.later");
  await holder.end();
});
