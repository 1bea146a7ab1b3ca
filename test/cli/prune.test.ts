// `longhaul prune` as people and programs call it, and what `longhaul doctor` says about upkeep.
import { afterAll, beforeAll, expect, test } from "vitest";
import { AGENTS_FILE, CONFIG_FILE } from "../support/agents-file.ts";
import { type CliResult, cli, RunningCli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;
let worker: RunningCli;

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/all.ts": AGENTS_FILE });
  worker = new RunningCli(["worker", "--retention", "forever"], { cwd: project.root, env: environment() });
  await worker.event("ready");
});
afterAll(async () => {
  await worker.end();
  project.remove();
  await database.drop();
});

const environment = (): Record<string, string> => ({ DATABASE_URL: database.url });
const longhaul = (...args: string[]): Promise<CliResult> => cli(args, { cwd: project.root, env: environment() });
const hello = (...more: string[]): Promise<CliResult> =>
  longhaul("runs", "submit", "hello", "-i", '{"name":"ada"}', "--wait", ...more);

test("counts what is old enough, of all tenants or of one, and drops it when told", { timeout: 90_000 }, async () => {
  await Promise.all([hello(), hello("--tenant", "acme")]);
  const tree = { trees: 1, runs: 1, entries: 4 };
  expect((await longhaul("prune")).lines()).toEqual([{ event: "pruned", tenant: null, trees: 0, runs: 0, entries: 0 }]);
  const all = { event: "counted", tenant: null, trees: 2, runs: 2, entries: 8 };
  expect((await longhaul("prune", "--older-than", "0 s", "--dry-run")).lines()).toEqual([all]);
  const ofOne = await longhaul("prune", "--older-than", "0 s", "--tenant", "acme");
  expect(ofOne.lines()).toEqual([{ event: "pruned", tenant: "acme", ...tree }]);
  const rest = await longhaul("prune", "--older-than", "0 s");
  expect(rest.lines()).toEqual([{ event: "pruned", tenant: null, ...tree }]);
});

test("everything is only of a tenant that is named, and only when it is meant", { timeout: 90_000 }, async () => {
  const mistakes = [
    ["--everything"],
    ["--everything", "--tenant", "acme"],
    ["--everything", "--tenant", "acme", "--yes", "--dry-run"],
    ["--yes"],
  ];
  const told = await Promise.all(mistakes.map((args) => longhaul("prune", ...args)));
  for (const result of told) expect(result).toMatchObject({ code: 2 });
});

test("everything of a tenant goes when nothing is under way, or when that is to be cancelled", {
  timeout: 90_000,
}, async () => {
  await Promise.all([
    hello("--tenant", "acme"),
    longhaul("runs", "submit", "paid", "--tenant", "acme"),
    longhaul("runs", "submit", "slow", "-i", "60000", "--tenant", "acme"),
  ]);
  const busy = await longhaul("prune", "--tenant", "acme", "--everything", "--yes", "--json");
  expect(busy.code).toBe(1);
  expect(busy.error().code).toBe("TENANT_BUSY");
  const done = await longhaul("prune", "--tenant", "acme", "--everything", "--cancel", "--yes");
  expect(done.code).toBe(0);
  expect(done.lines()[0]).toEqual({ event: "cancelling", tenant: "acme", unfinished: 2 });
  expect(done.lines().at(-1)).toMatchObject({ event: "pruned", tenant: "acme", trees: 3, runs: 3 });
  expect((await longhaul("runs", "list", "--tenant", "acme")).json()).toEqual([]);
});

test("an age that is none is refused, in the command and in the settings", { timeout: 90_000 }, async () => {
  const [unread, short, doctor] = await Promise.all([
    longhaul("prune", "--older-than", "a while", "--json"),
    longhaul("prune", "--retention", "10 s"),
    longhaul("doctor", "--retention", "7 days"),
  ]);
  expect(unread.error().code).toBe("DURATION_INVALID");
  expect(short).toMatchObject({ code: 2 });
  const shown = doctor.json<{ settings: { setting: string }[] }>();
  expect(shown.settings.find(({ setting }) => setting === "retention")).toMatchObject({
    value: "7 days",
    source: "flag",
  });
});

test("doctor tells of dead rows and held snapshots", async () => {
  const { checks } = (await longhaul("doctor")).json<{ checks: { check: string; ok: boolean }[] }>();
  expect(checks).toContainEqual(expect.objectContaining({ check: "oldest snapshot", ok: true }));
  expect(checks).toContainEqual(expect.objectContaining({ check: "dead rows", ok: true }));
});
