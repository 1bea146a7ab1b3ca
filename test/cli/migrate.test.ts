// migrate and doctor on databases in every condition: empty, behind, foreign, broken, away.
import { afterAll, afterEach, expect, test } from "vitest";
import { type CliResult, cli } from "../support/cli.ts";
import { type FreshDatabase, type FreshDatabaseOptions, freshDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";

const project = testProject();
const databases: FreshDatabase[] = [];
afterEach(async () => {
  await Promise.all(databases.splice(0).map((database) => database.drop()));
});
afterAll(() => project.remove());

async function database(options: FreshDatabaseOptions): Promise<FreshDatabase> {
  const made = await freshDatabase(options);
  databases.push(made);
  return made;
}

function longhaul(url: string, ...args: string[]): Promise<CliResult> {
  return cli([...args, "--database-url", url], { cwd: project.root });
}

test("an empty database: status, refusals of others, migrate, status", async () => {
  const { url, db } = await database({ migrated: false });
  const before = await longhaul(url, "migrate", "--status");
  const { pending } = before.json<{ applied: unknown[]; pending: unknown[] }>();
  expect(before.json()).toMatchObject({ schema: "longhaul", applied: [] });
  expect(pending.length).toBeGreaterThan(0);

  const [listed, examined] = await Promise.all([longhaul(url, "runs", "list", "--json"), longhaul(url, "doctor")]);
  expect([listed.code, listed.error().code]).toEqual([1, "SCHEMA_NOT_READY"]);
  expect(listed.error().hint).toContain("longhaul migrate");
  expect(examined.json()).toMatchObject({ schema: { version: null }, invariants: null });
  expect(await db.query("select 1 from pg_namespace where nspname = 'longhaul'")).toEqual([]);

  expect((await longhaul(url, "migrate")).json()).toEqual({ schema: "longhaul", applied: pending, pending: [] });
  expect((await longhaul(url, "migrate")).json()).toEqual({ schema: "longhaul", applied: [], pending: [] });
  expect((await longhaul(url, "runs", "list")).json()).toEqual([]);
  const healthy = await longhaul(url, "doctor");
  expect(healthy.code).toBe(0);
  expect(healthy.json()).toMatchObject({
    well: true,
    schema: { version: pending.length, known: pending.length, pending: [] },
  });
});

test("--sql prints what makes the same schema by hand, also in another schema", async () => {
  const { url, db } = await database({ migrated: false });
  const script = await longhaul(url, "migrate", "--sql", "--schema", "elsewhere");
  expect(script.code).toBe(0);
  expect(script.stdout).not.toMatch(/\blonghaul\./);
  await db.query(script.stdout);
  expect((await longhaul(url, "migrate", "--status", "--schema", "elsewhere")).json()).toMatchObject({ pending: [] });
  expect((await longhaul(url, "queues", "--schema", "elsewhere")).json()).toMatchObject({ queues: [] });
  expect((await longhaul(url, "migrate", "--sql", "--json")).json<string>()).toContain("create table longhaul.");
});

test("a schema from a newer version is refused", async () => {
  const { url, db } = await database({});
  await db.query(
    "insert into longhaul.schema_migrations (version, name, checksum, compatible) values (9999, 'future', 'x', false)",
  );
  const [migrated, examined] = await Promise.all([longhaul(url, "migrate", "--json"), longhaul(url, "doctor")]);
  expect([migrated.code, migrated.error().code]).toEqual([1, "SCHEMA_TOO_NEW"]);
  expect(examined.code).toBe(1);
  expect(examined.json()).toMatchObject({ well: false, problem: { code: "SCHEMA_TOO_NEW" } });
});

test("doctor names a broken invariant, and the row that breaks it", async () => {
  const { url, db } = await database({});
  await db.query(
    "insert into longhaul.outcomes (run_id, epoch, entries, tenant_id, status) values (gen_random_uuid(), 1, 1, 'x', 'succeeded')",
  );
  const examined = await longhaul(url, "doctor");
  expect(examined.code).toBe(1);
  expect(examined.json()).toMatchObject({
    well: false,
    invariants: {
      broken: expect.arrayContaining([expect.objectContaining({ invariant: "I2", name: "no-phantom-run" })]),
    },
  });
});

test("no database there: the command says so, doctor reports it", async () => {
  const url = "postgres://me:secret@127.0.0.1:1/x";
  const [listed, migrated, examined] = await Promise.all([
    longhaul(url, "runs", "list", "--json"),
    longhaul(url, "migrate", "--json"),
    longhaul(url, "doctor"),
  ]);
  for (const result of [listed, migrated]) {
    expect(result.code).toBe(1);
    expect(result.error()).toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  }
  expect(examined.code).toBe(1);
  expect(examined.json()).toMatchObject({
    well: false,
    problem: { code: "DATABASE_UNAVAILABLE" },
    checks: [],
    schema: null,
  });
  expect(examined.stdout).toContain("postgres://me:***@127.0.0.1:1/x");
  for (const result of [listed, migrated, examined]) expect(result.stdout + result.stderr).not.toContain("secret");
});

test("--sql and --status exclude each other", async () => {
  const result = await longhaul("postgres://x", "migrate", "--sql", "--status", "--json");
  expect([result.code, result.error().code]).toEqual([2, "COMMAND_INVALID"]);
});

test("version", async () => {
  const [asData, asText] = await Promise.all([
    cli(["version"], { cwd: project.root }),
    cli(["--version"], { cwd: project.root }),
  ]);
  expect(asData.json()).toEqual({
    longhaul: asText.stdout.trim(),
    node: process.versions.node,
    platform: expect.any(String),
  });
});
