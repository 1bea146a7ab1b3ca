// What is wrong before anything runs: each program says it with a code and a way out, ends with 1, and leaves nothing behind.
import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AGENTS_FILE, CONFIG_FILE } from "../support/agents-file.ts";
import { type CliResult, cli, RunningCli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/all.ts": AGENTS_FILE });
});
afterAll(async () => {
  project.remove();
  await database.drop();
});

/** Runs a command that must fail, and checks what all such failures have in common. */
async function failure(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<ReturnType<CliResult["error"]>> {
  const result = await cli([...args, "--json"], { cwd: project.root, env });
  expect([result.code, result.stdout]).toEqual([1, ""]);
  const error = result.error();
  expect(error.hint).not.toBe("");
  expect(error.code).not.toBe("UNEXPECTED");
  return error;
}

function spoiled(spoil: (url: URL) => void): string {
  const url = new URL(database.url);
  spoil(url);
  return url.href;
}

describe("a database that cannot be used", () => {
  const all = ["start", "server", "worker", "runs list"];
  test.each([
    ["is down", all, () => "postgres://nobody@127.0.0.1:1/none", "DATABASE_UNAVAILABLE", "ECONNREFUSED"],
    ["has no known host", ["start"], () => "postgres://nowhere.invalid/x", "DATABASE_UNAVAILABLE", "nowhere.invalid"],
    ["has another password", all, () => spoiled((url) => (url.password = "bad")), "DATABASE_REFUSED", "password"],
    ["is not on its server", ["start"], () => spoiled((url) => (url.pathname = "/none")), "DATABASE_REFUSED", '"none"'],
    ["is no URL", ["start"], () => "localhost:5432", "CONFIG_INVALID", "DATABASE_URL"],
    ["is of another kind", ["worker"], () => "mysql://localhost/x", "CONFIG_INVALID", "DATABASE_URL"],
  ])("that %s", async (_, commands, url, code, says) => {
    const DATABASE_URL = url();
    const errors = await Promise.all(commands.map((command) => failure(command.split(" "), { DATABASE_URL })));
    for (const error of errors) {
      expect(error.code).toBe(code);
      expect(error.message).toContain(says);
      expect(JSON.stringify(error)).not.toContain(":bad@");
    }
  });

  test("for people: what, why and the way out in two lines, without a stack", async () => {
    const DATABASE_URL = spoiled((url) => (url.password = "bad"));
    const { code, stderr } = await cli(["start"], { cwd: project.root, env: { DATABASE_URL } });
    expect(code).toBe(1);
    expect(stderr.trim().split("\n")).toEqual([
      expect.stringMatching(
        /^error DATABASE_REFUSED PostgreSQL refuses the connection: password authentication failed/,
      ),
      expect.stringMatching(/^ {2}fix Check user, password, database/),
    ]);
  });
});

test("a schema of a newer version is left alone", async () => {
  const fresh = await freshDatabase();
  await fresh.db.query(
    "insert into longhaul.schema_migrations (version, name, checksum, compatible) values (999, 'future', 'x', false)",
  );
  const env = { DATABASE_URL: fresh.url };
  const errors = await Promise.all([["start"], ["worker"], ["migrate"]].map((command) => failure(command, env)));
  expect(errors.map(({ code }) => code)).toEqual(Array(3).fill("SCHEMA_TOO_NEW"));
  expect(await fresh.db.query("select 1 from longhaul.workers")).toEqual([]);
  await fresh.drop();
});

test("a port in use is named, and no worker is left behind", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const port = String((taken.address() as { port: number }).port);
  const env = { DATABASE_URL: database.url };
  const errors = await Promise.all([failure(["start", "--port", port], env), failure(["server", "--port", port], env)]);
  taken.close();
  for (const error of errors) {
    expect(error.code).toBe("PORT_IN_USE");
    expect(error.message).toContain(port);
  }
  expect(await database.db.query("select 1 from longhaul.workers where state <> 'stopped'")).toEqual([]);
});

describe("a data directory", () => {
  test("of another installation that runs is refused, and that one goes on; a client uses it", async () => {
    const first = new RunningCli(["start", "--data-dir", "data"], { cwd: project.root });
    try {
      const { url } = await first.event("ready");
      const error = await failure(["start", "--data-dir", "data"]);
      expect(error.code).toBe("DATA_DIR_IN_USE");
      expect(error.message).toContain(`pid ${first.child.pid}`);
      const submitted = await cli(["runs", "submit", "hello", "-i", '{"name":"x"}', "--wait", "--data-dir", "data"], {
        cwd: project.root,
      });
      expect(submitted.code).toBe(0);
      expect((await fetch(`${url}/readyz`)).status).toBe(200);
    } finally {
      await first.end();
    }
  });

  test.each([
    ["a file", "package.json/data"],
    ["where there can be no folder", "/proc/nothing/data"],
  ])("that is %s is refused", async (_, folder) => {
    const error = await failure(["start", "--data-dir", folder]);
    expect(error.code).toBe("DATA_DIR_UNUSABLE");
    expect(error.message).toContain(folder);
  });
});
