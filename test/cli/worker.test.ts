// A worker process: it drains when it is told to, ends at once when told twice, and survives no harm it should not.
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/index.ts";
import type { Longhaul } from "../../src/runtime/api.ts";
import { AGENTS_FILE, CONFIG_FILE } from "../support/agents-file.ts";
import { type CliOptions, cli, RunningCli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;
let longhaul: Longhaul;
const running: RunningCli[] = [];

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/all.ts": AGENTS_FILE });
  longhaul = await connect({ url: database.url, migrate: false });
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

/** Submits through the command line: this process does not know the agents. */
async function submit(agent: string, input: unknown): Promise<string> {
  const result = await cli(["runs", "submit", agent, "-i", JSON.stringify(input)], options());
  return result.json<{ runId: string }>().runId;
}

async function untilRecorded(runId: string, key: string): Promise<void> {
  for await (const event of longhaul.stream(runId)) if (event.key === key) return;
}

describe("SIGTERM", () => {
  test("lets a step in flight end, hands the run over, and ends with 0; another worker goes on", async () => {
    const first = run(["worker"]);
    await first.event("ready");
    const runId = await submit("slow", 1_000);
    await untilRecorded(runId, "started#1");
    first.signal("SIGTERM");
    expect(await first.exit).toBe(0);
    expect(first.events.map(({ event }) => event)).toEqual(["ready", "draining", "stopped"]);
    const detail = await longhaul.inspect(runId);
    expect(detail?.status).not.toBe("running");
    expect(detail?.steps.map(({ key }) => key)).toContain("long#1");
    const second = run(["worker"]);
    await second.event("ready");
    expect(await longhaul.wait(runId)).toEqual({ status: "succeeded", output: "done" });
  });

  test("twice ends it at once", async () => {
    const worker = run(["worker"]);
    await worker.event("ready");
    const runId = await submit("slow", 600_000);
    await untilRecorded(runId, "started#1");
    worker.signal("SIGTERM");
    await worker.event("draining");
    // The same request often comes twice in one moment; only a later one is another.
    while (worker.child.exitCode === null && worker.child.signalCode === null) {
      worker.signal("SIGTERM");
      await delay(100);
    }
    expect(await worker.exit).toBe(143);
    await longhaul.cancel(runId);
  });
});

test("a run that kills every process that runs it is tried alone, then paused; its neighbours finish", async () => {
  const file = join(project.root, "kills.txt");
  const supervisor = run(["start", "--port", "0"], { LONGHAUL_LEASE_MS: "1000" });
  await supervisor.event("ready");
  const neighbour = await submit("slow", 1_500);
  const runId = await submit("killer", file);
  expect(await longhaul.wait(neighbour)).toEqual({ status: "succeeded", output: "done" });
  while ((await longhaul.get(runId))?.status !== "paused") await delay(50);
  expect((await longhaul.get(runId))?.reason).toContain("quarantined");
  const pids = readFileSync(file, "utf8").trim().split("\n");
  expect(new Set(pids).size).toBe(3);
  const deaths = supervisor.events.filter(({ event }) => event === "worker_died");
  expect(deaths.map(({ end }) => end)).toEqual(["exit code 0", "exit code 0"]);
  expect(deaths.map(({ pid }) => String(pid))).toEqual(pids.slice(0, 2));
  await longhaul.cancel(runId);
}, 60_000);

describe("start", () => {
  test("--workers 2: a worker that dies is replaced, and its run goes on at once", async () => {
    const supervisor = run(["start", "--workers", "2", "--port", "0"]);
    await supervisor.event("ready");
    expect(supervisor.events.filter(({ event }) => event === "worker_ready")).toHaveLength(2);
    const runId = await submit("slow", 2_000);
    await untilRecorded(runId, "started#1");
    const workerId = (await longhaul.get(runId))?.workerId;
    const { pid } = await supervisor.event("worker_ready", (event) => event.workerId === workerId);
    process.kill(Number(pid), "SIGKILL");
    expect(await supervisor.event("worker_died")).toMatchObject({ pid, workerId, end: "SIGKILL", freedRuns: 1 });
    await supervisor.event("worker_ready", () => true, 2);
    expect(await longhaul.wait(runId)).toEqual({ status: "succeeded", output: "done" });
    const kinds: string[] = [];
    for await (const { kind } of longhaul.stream(runId)) kinds.push(kind);
    expect(kinds.filter((kind) => kind === "lost")).toHaveLength(1);
    supervisor.signal("SIGINT");
    expect(await supervisor.exit).toBe(0);
    expect(supervisor.events.filter(({ event }) => event === "worker_stopped")).toHaveLength(2);
  });

  test("when the supervisor is killed its worker drains and ends", async () => {
    const supervisor = run(["start", "--port", "0"]);
    const { pid } = await supervisor.event("worker_ready");
    await supervisor.event("ready");
    supervisor.signal("SIGKILL");
    await supervisor.exit;
    while (isAlive(Number(pid))) await delay(50);
    const workers = await longhaul.workers();
    expect(workers.find((worker) => worker.pid === Number(pid))?.state).toBe("stopped");
  });

  test("a port that is taken, agents that cannot be loaded, no agents at all: one error, nothing left behind", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const port = String((taken.address() as { port: number }).port);
    const [inUse, broken, none] = await Promise.all([
      cli(["start", "--port", port, "--json"], options()),
      cli(["start", "--agents", "longhaul.config.ts", "--json"], options()),
      cli(["worker", "--json"], { ...options(), cwd: "/" }),
    ]);
    taken.close();
    expect([inUse.code, inUse.error().code]).toEqual([1, "PORT_IN_USE"]);
    expect([broken.code, broken.error().code]).toEqual([1, "CONFIG_INVALID"]);
    expect([none.code, none.error().code]).toEqual([1, "CONFIG_NOT_FOUND"]);
    expect([inUse.stdout, broken.stdout, none.stdout]).toEqual(["", "", ""]);
  });

  test("a worker that cannot start ends it with WORKER_NOT_STARTED", async () => {
    // Loads in the supervisor, and fails where it has a supervisor.
    project.write(
      "half/agent.ts",
      `${AGENTS_FILE}\nif (process.env.LONGHAUL_SUPERVISED) throw new Error("only here");`,
    );
    const result = await cli(["start", "--agents", "half/agent.ts", "--port", "0"], options());
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("only here");
    expect(result.stderr).toContain("WORKER_NOT_STARTED");
  });
});

describe("server", () => {
  test("serves, executes nothing, and checks inputs before they are stored", async () => {
    const server = run(["server"]);
    const { url } = await server.event("ready");
    const post = (body: object) =>
      fetch(`${url}/runs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const refused = await post({ assistant_id: "hello", input: { nobody: 1 } });
    expect(refused.status).toBe(422);
    const accepted = await post({ assistant_id: "hello", input: { name: "x" } });
    expect(accepted.status).toBeLessThan(300);
    const { run_id: runId } = (await accepted.json()) as { run_id: string };
    expect((await longhaul.get(runId))?.status).toBe("queued");
    expect((await longhaul.workers()).some((worker) => worker.pid === server.child.pid)).toBe(false);
    server.signal("SIGTERM");
    expect(await server.exit).toBe(0);
    await longhaul.cancel(runId);
  });

  test("does not listen beyond this machine unless told to", async () => {
    const refused = await cli(["server", "--host", "0.0.0.0", "--json"], options());
    expect([refused.code, refused.error().code]).toEqual([1, "PUBLIC_WITHOUT_AUTH"]);
    const server = run(["server", "--host", "0.0.0.0", "--allow-public"]);
    const { url } = await server.event("ready");
    const { port } = new URL(String(url));
    expect((await fetch(`http://127.0.0.1:${port}/ok`)).status).toBe(200);
  });
});

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}
