// API keys from the command line: the first one before anything runs, and every later one.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { layOut } from "../../src/cli/layout.ts";
import { viewKeys, viewNewKey } from "../../src/cli/view-keys.ts";
import type { KeyView, NewKey } from "../../src/runtime/keys-api.ts";
import { AGENTS_FILE, CONFIG_FILE } from "../support/agents-file.ts";
import { type CliResult, cli, RunningCli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;
beforeAll(async () => {
  // Without even a schema: nothing of Longhaul ever ran there.
  database = await freshDatabase({ migrated: false });
  project = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/all.ts": AGENTS_FILE });
});
afterAll(async () => {
  project.remove();
  await database.drop();
});

const env = () => ({ DATABASE_URL: database.url });

function longhaul(...args: string[]): Promise<CliResult> {
  return cli(args, { cwd: project.root, env: env() });
}

async function created(...args: string[]): Promise<NewKey> {
  const result = await longhaul("keys", "create", ...args);
  expect([result.code, result.stderr]).toEqual([0, expect.not.stringContaining("error")]);
  return result.json<NewKey>();
}

test("a server goes public with the first key, and not before", async () => {
  const args = ["server", "--host", "0.0.0.0", "--port", "0"];
  const refused = await longhaul(...args, "--json");
  expect([refused.code, refused.error().code]).toEqual([1, "PUBLIC_WITHOUT_AUTH"]);
  expect(refused.error().hint).toContain("longhaul keys create --tenant acme");

  const key = await created("--tenant", "acme", "--name", "ci");
  expect(key).toMatchObject({ tenant: "acme", name: "ci", scopes: ["runs:read", "runs:write", "approvals", "models"] });
  const server = new RunningCli(args, { cwd: project.root, env: env() });
  const { url } = await server.event("ready");
  const at = `${String(url).replace("0.0.0.0", "127.0.0.1")}/runs`;
  expect((await fetch(at)).status).toBe(401);
  expect((await fetch(at, { headers: { "x-api-key": key.token } })).status).toBe(200);

  await longhaul("keys", "revoke", key.keyId);
  for (;;) if ((await fetch(at, { headers: { "x-api-key": key.token } })).status === 401) break;
  await server.end();
  expect(server.stderr).not.toContain(key.token);
}, 60_000);

test("keys are listed without their secrets, rotated, and revoked twice", async () => {
  const key = await created("--tenant", "globex", "--scopes", "read,admin", "--expires", "90 days", "--by", "ann");
  expect(key).toMatchObject({ scopes: ["runs:read", "admin"], createdBy: "ann" });
  const rotated = (await longhaul("keys", "rotate", key.prefix, "--grace", "1 day")).json<NewKey>();
  expect(rotated).toMatchObject({ tenant: "globex", scopes: key.scopes });

  const listed = await longhaul("keys", "list", "--tenant", "globex");
  for (const { token } of [key, rotated]) expect(listed.stdout).not.toContain(token.slice(-20));
  expect(listed.json()).toMatchObject([
    { keyId: rotated.keyId, state: "active", replacedBy: null },
    { keyId: key.keyId, state: "active", replacedBy: rotated.keyId },
  ]);
  const tenants = (await longhaul("keys", "list")).json<KeyView[]>().map(({ tenant }) => tenant);
  expect(new Set(tenants).size).toBeGreaterThan(1);

  const first = (await longhaul("keys", "revoke", rotated.keyId, "--by", "ann")).json();
  expect(first).toMatchObject({ state: "revoked", revokedBy: "ann" });
  expect((await longhaul("keys", "revoke", rotated.token, "--by", "bob")).json()).toEqual(first);
  const late = await longhaul("keys", "rotate", rotated.keyId, "--json");
  expect([late.code, late.error().code]).toEqual([1, "API_KEY_ENDED"]);
}, 60_000);

describe("what cannot be", () => {
  test.each([
    ["a scope that is none", ["create", "--scopes", "runs:raed"], "SCOPE_UNKNOWN", "runs:read"],
    ["a day that was", ["create", "--expires", "2020-01-01"], "EXPIRY_INVALID", "2020-01-01"],
    ["a time that is none", ["create", "--expires", "soon"], "DURATION_INVALID", "90 s"],
    ["a plan that is none", ["create", "--plan", "gold"], "PLAN_UNKNOWN", "gold"],
    ["no tenant", ["create", "--tenant", ""], "COMMAND_INVALID", "tenant"],
    ["a key that is not there", ["revoke", "Q7v0bC2xYz1"], "API_KEY_NOT_FOUND", "Q7v0bC2xYz1"],
    ["something that is no key", ["rotate", "42"], "API_KEY_NOT_FOUND", "keys list"],
  ])("%s is refused", async (_, args, code, said) => {
    const result = await longhaul("keys", ...args, "--json");
    expect(result.code).toBe(code === "COMMAND_INVALID" ? 2 : 1);
    expect(result.stdout).toBe("");
    const { message, hint } = result.error();
    expect(result.error().code).toBe(code);
    expect(`${message} ${hint}`).toContain(said);
  });
});

test("the first key can be made while no embedded database runs", async () => {
  const own = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/all.ts": AGENTS_FILE });
  try {
    const made = await cli(["keys", "create", "--tenant", "ünïcødé 北京"], { cwd: own.root });
    expect([made.code, made.stderr]).toEqual([0, expect.any(String)]);
    const listed = await cli(["keys", "list"], { cwd: own.root });
    expect(listed.json()).toMatchObject([{ keyId: made.json<NewKey>().keyId, tenant: "ünïcødé 北京" }]);
  } finally {
    own.remove();
  }
}, 120_000);

test("on a terminal the key stands alone on its line, and a list has none", async () => {
  const key = await created("--tenant", "acme", "--name", "a\u001b[31m");
  const paper = { columns: 200, color: false };
  const shown = layOut(viewNewKey(key), paper);
  expect(shown.split("\n")).toContain(key.token);
  expect(shown).not.toContain("\u001b");
  const { token, ...view } = key;
  const list = layOut(viewKeys([view]), paper);
  expect(list).toMatch(new RegExp(`^KEY +TENANT +NAME +SCOPES +STATE +MADE +USED +EXPIRES\n${key.prefix} +acme `));
  expect(list).not.toContain(token.slice(-20));
  expect(layOut(viewKeys([]), paper)).toContain("longhaul keys create");
});
