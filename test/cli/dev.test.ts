// longhaul dev on an embedded database: what changes in the files runs, what is broken does not, and clients find it all.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findEmbedded } from "../../src/embedded/find.ts";
import { AGENTS_FILE, CONFIG_FILE } from "../support/agents-file.ts";
import { type CliResult, cli, RunningCli } from "../support/cli.ts";
import { type TestProject, testProject } from "../support/project.ts";

let project: TestProject;
let dev: RunningCli;

beforeAll(async () => {
  project = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/all.ts": AGENTS_FILE });
  expect((await longhaul("runs", "list", "--json")).error().code).toBe("INSTALLATION_NOT_RUNNING");
  expect(existsSync(join(project.root, ".longhaul"))).toBe(false);
  dev = new RunningCli(["dev"], { cwd: project.root });
  await dev.event("ready");
}, 120_000);
afterAll(async () => {
  await dev.end();
  project.remove();
});

function longhaul(...args: string[]): Promise<CliResult> {
  return cli(args, { cwd: project.root });
}

async function greeting(agent: string): Promise<unknown> {
  const result = await longhaul("runs", "submit", agent, "-i", '{"name":"ada"}', "--wait");
  return result.json<{ result: { output?: unknown } }>().result.output;
}

async function overHttp(agent: string): Promise<unknown> {
  const { url } = await dev.event("ready");
  const answer = await fetch(`${url}/runs/wait`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ assistant_id: agent, input: { name: "ada" } }),
  });
  return await answer.json();
}

test("a change runs, an error does not, and the next change heals", async () => {
  // In the very moment it is ready: nothing may be missed.
  project.write("agents/all.ts", AGENTS_FILE.replace('"hello "', '"good morning "'));
  expect(await dev.event("reloaded")).toMatchObject({ files: ["agents/all.ts"] });
  await dev.event("worker_ready", () => true, 1);
  expect(await greeting("hello")).toEqual({ greeting: "good morning ADA" });

  project.write("agents/all.ts", `${AGENTS_FILE}\nexport const = 5;`);
  expect(await dev.event("reload_failed")).toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining("agents/all.ts"),
  });
  expect(await overHttp("hello")).toEqual({ greeting: "good morning ADA" });

  project.write(
    "agents/more.ts",
    'import { agent } from "longhaul"; export const more = agent({ name: "more", run: () => "new" });',
  );
  project.write("agents/all.ts", AGENTS_FILE);
  expect(await dev.event("reloaded", ({ agents }) => (agents as string[]).includes("more"))).toBeDefined();
  await dev.event("worker_ready", ({ agents }) => (agents as string[]).includes("more"));
  expect(await overHttp("more")).toBe("new");
  expect(await overHttp("hello")).toEqual({ greeting: "hello ADA" });
}, 90_000);

test("doctor finds everything well, and says where settings come from", async () => {
  const result = await longhaul("doctor", "--slots", "7");
  expect(result.code).toBe(0);
  const found = result.json<{ settings: { setting: string }[] }>();
  expect(found).toMatchObject({
    well: true,
    problem: null,
    configFile: join(project.root, "longhaul.config.ts"),
    invariants: { broken: [] },
  });
  expect(found.settings.filter(({ setting }) => ["port", "slots", "schema"].includes(setting))).toEqual([
    { setting: "schema", value: "longhaul", source: "default", from: null },
    { setting: "port", value: 0, source: "file", from: "server.port" },
    { setting: "slots", value: 7, source: "flag", from: "--slots" },
  ]);
});

test("Ctrl-C stops the embedded database too; the next start has its runs", async () => {
  const dataDir = join(project.root, ".longhaul");
  expect(findEmbedded(dataDir)).toBeDefined();
  dev.signal("SIGINT");
  expect(await dev.exit).toBe(0);
  expect(dev.events.at(-1)).toEqual({ event: "stopped" });
  expect(findEmbedded(dataDir)).toBeUndefined();
  dev = new RunningCli(["start"], { cwd: project.root });
  await dev.event("ready");
  expect((await longhaul("runs", "list", "--agent", "more")).json()).toHaveLength(1);
}, 60_000);
