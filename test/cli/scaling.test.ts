// `start --workers 1..3` with real processes: more when runs wait, fewer when nothing is to do, alerts on the way; and `longhaul queues`.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { agent, connect } from "../../src/index.ts";
import type { Longhaul } from "../../src/runtime/api.ts";
import { AGENTS_FILE, CONFIG_FILE } from "../support/agents-file.ts";
import { type CliOptions, cli, RunningCli } from "../support/cli.ts";
import { until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;
let longhaul: Longhaul;
const running: RunningCli[] = [];

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/all.ts": AGENTS_FILE });
  // Only its name: what it does is in the project.
  const hello = agent({ name: "hello", run: () => null });
  longhaul = await connect({ url: database.url, agents: [hello], worker: false, migrate: false });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.end()));
});
afterAll(async () => {
  await longhaul.close();
  project.remove();
  await database.drop();
});

const options = (env: Record<string, string> = {}): CliOptions => ({
  cwd: project.root,
  env: { DATABASE_URL: database.url, ...env },
});

function run(args: readonly string[], env: Record<string, string> = {}): RunningCli {
  const one = new RunningCli(args, options(env));
  running.push(one);
  return one;
}

/** An address that keeps what is posted to it. */
async function listener(): Promise<{ url: string; posts: Record<string, unknown>[]; close: () => void }> {
  const posts: Record<string, unknown>[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    posts.push(JSON.parse(body) as Record<string, unknown>);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, posts, close: () => server.close() };
}

describe("start --workers 1..3", () => {
  test("grows with the load, survives a crash, shrinks when idle, loses nothing, and tells what was late", async () => {
    const hook = await listener();
    const env = {
      LONGHAUL_SLOTS: "2",
      LONGHAUL_SLA_MS: "300",
      LONGHAUL_IDLE_MINUTES: "0",
      LONGHAUL_ALERTS_WEBHOOK: hook.url,
    };
    const supervisor = run(["start", "--workers", "1..3", "--port", "0"], env);
    const { url } = await supervisor.event("ready");
    expect(supervisor.events.filter(({ event }) => event === "worker_ready")).toHaveLength(1);
    // Twenty runs of three seconds each on two slots: ten times too slow for one worker.
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) {
      const response = await fetch(`${String(url)}/runs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ assistant_id: "slow", input: 3_000 }),
      });
      ids.push(((await response.json()) as { run_id: string }).run_id);
    }
    const up = await supervisor.event("scaled");
    expect(up).toMatchObject({ from: 1, to: 2, reason: expect.stringMatching(/wait/) });
    await supervisor.event("scaled", ({ to }) => to === 3);
    await until(() => supervisor.events.filter(({ event }) => event === "worker_ready").length >= 3, 60_000);
    const victim = supervisor.events.find(({ event }) => event === "worker_ready");
    process.kill(Number(victim?.pid), "SIGKILL");
    await supervisor.event("worker_died");
    for (const id of ids) expect(await longhaul.wait(id)).toEqual({ status: "succeeded", output: "done" });
    await supervisor.event("scaled", ({ from, to }) => from === 2 && to === 1);
    const sizes = supervisor.events.filter(({ event }) => event === "scaled").map(({ to }) => Number(to));
    expect(Math.max(...sizes)).toBe(3);
    expect(Math.min(...sizes)).toBe(1);
    const died = supervisor.events.filter(({ event }) => event === "worker_died");
    expect(died.map(({ end }) => end)).toEqual(["SIGKILL"]);
    // One that was stopped for want of work had nothing in its hands.
    for (const id of ids) {
      const kinds: string[] = [];
      for await (const { kind } of longhaul.stream(id)) kinds.push(kind);
      expect(kinds.filter((kind) => kind === "lost").length).toBeLessThanOrEqual(1);
    }
    await until(() => hook.posts.some(({ event }) => event === "cleared"), 30_000);
    expect(hook.posts.map(({ event, kind }) => `${event} ${kind}`)).toEqual(["raised late", "cleared late"]);
    expect(hook.posts[0]).toMatchObject({ queue: "default", build: "default", slaMs: 300, text: expect.any(String) });
    supervisor.signal("SIGINT");
    expect(await supervisor.exit).toBe(0);
    hook.close();
  }, 180_000);

  test("from 0: nobody works until there is something to do, also when it is a timer that rings", async () => {
    const supervisor = run(["start", "--workers", "0..2", "--port", "0"], { LONGHAUL_IDLE_MINUTES: "0" });
    await supervisor.event("ready");
    expect(supervisor.events.filter(({ event }) => event === "worker_ready")).toEqual([]);
    const { runId } = await longhaul.submit("hello", { name: "x" }, { delay: 1_000 });
    expect(await longhaul.wait(runId)).toMatchObject({ status: "succeeded" });
    await supervisor.event("scaled", ({ to }) => to === 0);
    expect(supervisor.events.filter(({ event }) => event === "scaled").map(({ from, to }) => [from, to])).toEqual([
      [0, 1],
      [1, 0],
    ]);
  }, 120_000);
});

describe("mistakes", () => {
  test.each(["8..1", "0..0", "1..1000", "0", "-1", "many", "1..", "1.5"])("--workers %s", async (value) => {
    const refused = await cli(["start", `--workers=${value}`, "--json"], options());
    expect([refused.code, refused.error().code]).toEqual([2, "COMMAND_INVALID"]);
    expect(refused.error().message).toContain("a range such as 1..8");
  });

  test("a negative SLA, a webhook that is no address, a range in the environment that is none", async () => {
    const [sla, hook, range] = await Promise.all([
      cli(["start", "--sla-ms=-5", "--json"], options()),
      cli(["start", "--json"], options({ LONGHAUL_ALERTS_WEBHOOK: "ftp://somewhere" })),
      cli(["start", "--json"], options({ LONGHAUL_WORKERS: "8..1" })),
    ]);
    expect([sla.code, sla.error().code]).toEqual([2, "COMMAND_INVALID"]);
    expect([hook.code, hook.error().code]).toEqual([1, "CONFIG_INVALID"]);
    expect([range.code, range.error().code]).toEqual([1, "CONFIG_INVALID"]);
  });
});

describe("queues", () => {
  test("shows queues, and tenants when asked; --watch goes on, one line each", async () => {
    await longhaul.tenant("acme").submit("hello", { name: "x" }, { queue: "lonely", build: "v0" });
    const plain = (await cli(["queues"], options())).json<Record<string, unknown>>();
    expect(plain.queues).toContainEqual(
      expect.objectContaining({ queue: "lonely", build: "v0", depth: 1, workers: 0 }),
    );
    expect(plain.tenants).toBeUndefined();
    const named = (await cli(["queues", "--tenants"], options())).json<Record<string, unknown>>();
    expect(named.tenants).toContainEqual(expect.objectContaining({ tenant: "acme", queue: "lonely", depth: 1 }));
    const watching = run(["queues", "--watch"]);
    await until(() => watching.events.length >= 2, 30_000);
    expect(watching.events[1]).toMatchObject({ queues: expect.any(Array) });
  });
});
