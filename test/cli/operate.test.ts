// The commands on plans, tenants and dead letters, as a program would call them.
import { afterAll, beforeAll, expect, test } from "vitest";
import { AGENTS_FILE } from "../support/agents-file.ts";
import { type CliResult, cli, RunningCli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

const config = (plans: string): string => `
import { defineConfig } from "longhaul";
export default defineConfig({ agents: "./agents", server: { port: 0 }, plans: ${plans} });
`;

let database: FreshDatabase;
let project: TestProject;
let worker: RunningCli;

beforeAll(async () => {
  database = await freshDatabase();
  const plans =
    '{ free: { concurrency: 2, weight: 1, band: "background", unfinishedMax: 1000, submitsPerMinute: 600 }, pro: 20 }';
  project = testProject({ "longhaul.config.ts": config(plans), "agents/all.ts": AGENTS_FILE });
  worker = new RunningCli(["worker"], { cwd: project.root, env: { DATABASE_URL: database.url } });
  await worker.event("ready");
});
afterAll(async () => {
  await worker.end();
  project.remove();
  await database.drop();
});

function longhaul(...args: string[]): Promise<CliResult> {
  return cli(args, { cwd: project.root, env: { DATABASE_URL: database.url } });
}

test("a worker that starts has written the plans of the config file; they can be changed and deleted", async () => {
  const limits = { concurrency: 2, weight: 1, band: "background", unfinishedMax: 1_000, submitsPerMinute: 600 };
  expect((await longhaul("plans", "list")).json()).toMatchObject([
    { plan: "default" },
    { plan: "free", tenants: 0, ...limits },
    { plan: "pro", concurrency: 20 },
  ]);
  expect((await longhaul("plans", "set", "pro", "--concurrency", "3", "--band", "interactive")).json()).toEqual({
    plan: "pro",
    concurrency: 3,
    weight: 1,
    band: "interactive",
    unfinishedMax: null,
    submitsPerMinute: null,
    tenants: 0,
    budget: null,
  });
  const [deleted, twice, fixed, zero] = await Promise.all([
    longhaul("plans", "delete", "free"),
    longhaul("plans", "delete", "nobody", "--json"),
    longhaul("plans", "delete", "default", "--json"),
    longhaul("plans", "set", "pro", "--weight", "0", "--json"),
  ]);
  expect(deleted.json()).toEqual({ plan: "free", tenants: 0 });
  expect([twice.error().code, fixed.error().code]).toEqual(["PLAN_UNKNOWN", "PLAN_FIXED"]);
  expect([zero.code, zero.error().code]).toEqual([2, "COMMAND_INVALID"]);
});

test("a tenant is put on a plan, paused, shown and resumed", async () => {
  expect((await longhaul("tenants", "set-plan", "*", "pro")).json()).toMatchObject({ tenant: "*", plan: "pro" });
  expect((await longhaul("tenants", "pause", "*")).json()).toMatchObject({ paused: true });
  const [shown, listed, nobody] = await Promise.all([
    longhaul("tenants", "show", "*"),
    longhaul("tenants", "list", "--paused"),
    longhaul("tenants", "show", "nobody", "--json"),
  ]);
  expect(shown.json()).toMatchObject({ tenant: "*", paused: true, inFlight: 0, unfinished: 0, ready: 0 });
  expect(listed.json()).toEqual([shown.json()]);
  expect(nobody.error().code).toBe("TENANT_NOT_FOUND");
  expect((await longhaul("tenants", "resume", "*")).json()).toMatchObject({ paused: false });
});

test("dead letters are listed, retried, edited and discarded, one by one and by what they have in common", async () => {
  const died: string[] = [];
  for (let i = 0; i < 3; i++)
    died.push((await longhaul("runs", "submit", "fails", "--wait")).json<{ runId: string }>().runId);
  const [first = "", second = "", third = ""] = died;
  const list = async (): Promise<string[]> =>
    (await longhaul("dead", "list", "--agent", "fails", "--since", "1 hour"))
      .json<{ runId: string }[]>()
      .map((one) => one.runId);
  expect(await list()).toEqual([third, second, first]);
  const [retried, again] = [await longhaul("dead", "retry", first), await longhaul("dead", "retry", first)];
  expect(retried.lines()).toMatchObject([
    { runId: first, did: "retried" },
    { did: "done", dealtWith: 1, failed: 0 },
  ]);
  expect(again.lines()[0]).toEqual(retried.lines()[0]);
  const edited = await longhaul("dead", "edit", second, "--input", '{"other":1}');
  expect(edited.json()).toMatchObject({ runId: expect.not.stringMatching(second), existing: false });
  const [unclear, both, none] = await Promise.all([
    longhaul("dead", "discard", "--json"),
    longhaul("dead", "discard", third, "--all", "--json"),
    longhaul("dead", "discard", second, "--json"),
  ]);
  expect([unclear.code, both.code, none.code]).toEqual([2, 2, 1]);
  expect(none.error().code).toBe("DEAD_LETTER_NOT_FOUND");
  // The two new runs fail in their turn.
  await expect.poll(list, { timeout: 20_000 }).toHaveLength(3);
  const gone = await longhaul("dead", "discard", "--code", "Error", "--limit", "2");
  expect(gone.lines()).toMatchObject([{ did: "discarded" }, { did: "discarded" }, { did: "done", dealtWith: 2 }]);
  expect((await longhaul("dead", "discard", "--all")).lines().at(-1)).toMatchObject({ dealtWith: 1 });
  expect(await list()).toEqual([]);
}, 120_000);

test("a plan that cannot be is refused with its place, before anything starts", async () => {
  const broken = testProject({ "longhaul.config.ts": config("{ free: { weight: 0 } }") });
  try {
    const result = await cli(["worker", "--json"], { cwd: broken.root, env: { DATABASE_URL: database.url } });
    expect(result.error()).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(`plans.free.weight in ${broken.root}`),
      hint: "Make it a whole number from 1 to 1,000, or leave it out.",
    });
  } finally {
    broken.remove();
  }
});
