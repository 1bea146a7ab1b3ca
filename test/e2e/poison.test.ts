// Runs that kill, exhaust or block whatever process runs them: they are found out and set aside, and nobody else is harmed.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { cli, RunningCli } from "../support/cli.ts";
import { until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

const AGENTS = `
import { appendFileSync, existsSync } from "node:fs";
import { agent, defineConfig } from "longhaul";

const tell = (file, line) => appendFileSync(file, line + "\\n");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Well behaved: six short steps, each told to the witness. */
const steady = agent({
  name: "steady",
  async run(ctx) {
    for (let i = 1; i <= 6; i++) {
      await ctx.step("work", async () => {
        tell("witness.txt", ctx.runId + " " + i);
        await pause(100);
      });
    }
    return "done";
  },
});

/** Kills its process in the way its input says, until a file says that it is mended. */
const poison = agent({
  name: "poison",
  run: (ctx, how) =>
    ctx.step("drink", async () => {
      tell("deaths-" + how + ".txt", String(process.pid));
      if (existsSync("mended-" + how)) return "mended";
      if (how === "exit") process.exit(1);
      if (how === "throw") setTimeout(() => { throw new Error("thrown in a timer"); });
      if (how === "memory") for (const kept = []; ; ) kept.push(new Array(100_000).fill(kept.length));
      if (how === "loop") for (;;);
      await pause(600_000);
    }),
});

/** Lets go of a promise that will be rejected. */
const careless = agent({
  name: "careless",
  async run(ctx) {
    void Promise.reject(new Error("nobody awaits me"));
    await ctx.step("go on", () => pause(50));
    return "done";
  },
});

export default defineConfig({ agents: [steady, poison, careless], server: { port: 0 } });
`;

let database: FreshDatabase;
let project: TestProject;
let longhaul: LonghaulProcess;
const running: RunningCli[] = [];

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({ "longhaul.config.ts": AGENTS });
  longhaul = await connect({ url: database.url, migrate: false });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.end()));
  expect(await checkInvariants(longhaul.database)).toEqual([]);
});
afterAll(async () => {
  await longhaul.close();
  project.remove();
  await database.drop();
});

const options = (env: Record<string, string> = {}) => ({
  cwd: project.root,
  env: { DATABASE_URL: database.url, ...env },
});

function start(env: Record<string, string> = {}): RunningCli {
  const one = new RunningCli(["start"], options(env));
  running.push(one);
  return one;
}

/** Through the server: this process does not have the agents. */
async function submit(url: unknown, agent: string, input: unknown = null): Promise<string> {
  const response = await fetch(`${String(url)}/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ assistant_id: agent, input }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { run_id: string }).run_id;
}

const linesOf = (file: string): string[] => readFileSync(join(project.root, file), "utf8").trim().split("\n");

function quarantined(runId: string): Promise<string> {
  return until(async () => {
    const run = await longhaul.get(runId);
    return run?.status === "paused" && (run.reason ?? "");
  }, 60_000);
}

/** Three processes died of it: two workers, and the one in which it was tried alone. */
function expectTriedAlone(how: string, supervisor: RunningCli): void {
  const pids = linesOf(`deaths-${how}.txt`);
  expect(new Set(pids).size).toBe(3);
  const workers = supervisor.events.filter(({ event }) => event === "worker_ready").map(({ pid }) => String(pid));
  expect(pids.map((pid) => workers.includes(pid))).toEqual([true, true, false]);
}

describe("a run that ends its process in its first step", () => {
  test("is tried alone and paused; its 20 neighbours finish; why says so; retry releases it", async () => {
    const supervisor = start();
    const { url } = await supervisor.event("ready");
    const neighbours = await Promise.all(Array.from({ length: 20 }, () => submit(url, "steady")));
    const runId = await submit(url, "poison", "exit");
    const results = await Promise.all(neighbours.map((neighbour) => longhaul.wait(neighbour)));
    expect(results.every(({ status }) => status === "succeeded")).toBe(true);
    expect(await quarantined(runId)).toMatch(/^quarantined: the process that ran it died \d times without progress$/);
    expectTriedAlone("exit", supervisor);

    // A body starts again only when its process died before the record: at most once per death of a worker.
    const deaths = supervisor.events.filter(({ event }) => event === "worker_died").length;
    const starts = count(linesOf("witness.txt"));
    expect(starts.size).toBe(20 * 6);
    expect(Math.max(...starts.values())).toBeLessThanOrEqual(1 + deaths);

    const why = await cli(["runs", "why", runId], options());
    expect(why.json()).toMatchObject({ code: "paused", commands: [`longhaul runs retry ${runId}`, expect.anything()] });
    expect(why.json<{ sentence: string }>().sentence).toContain(
      "It is paused: quarantined: the process that ran it died",
    );

    project.write("mended-exit", "");
    expect((await cli(["runs", "retry", runId], options())).code).toBe(0);
    expect(await longhaul.wait(runId)).toEqual({ status: "succeeded", output: "mended" });
  }, 60_000);
});

test("a poisonous run that waits in the queue does not keep an installation from starting", async () => {
  const server = new RunningCli(["server"], options());
  running.push(server);
  const { url } = await server.event("ready");
  const runId = await submit(url, "poison", "throw");
  const neighbour = await submit(url, "steady");
  await server.end();

  const supervisor = start();
  await supervisor.event("ready");
  expect(await longhaul.wait(neighbour)).toMatchObject({ status: "succeeded" });
  expect(await quarantined(runId)).toContain("quarantined");
  expectTriedAlone("throw", supervisor);
  // An exception in a timer is nobody's: it ends the process with a word about it.
  const deaths = supervisor.events.filter(({ event }) => event === "worker_died");
  expect(deaths.map(({ end }) => end)).toEqual(["exit code 1", "exit code 1"]);
  expect(supervisor.stderr).toContain("an exception that nobody caught ends the process");
  expect(supervisor.stderr).toContain("thrown in a timer");
}, 60_000);

test.each([
  ["memory", { NODE_OPTIONS: "--max-old-space-size=96" }, /^(SIGABRT|exit code 134)$/, "heap out of memory"],
  ["loop", { LONGHAUL_STALL_MS: "1500" }, /^SIGKILL$/, "the event loop was blocked for 1500 ms"],
])(
  "a run that needs without end: %s",
  async (how, env, end, says) => {
    const supervisor = start(env);
    const { url } = await supervisor.event("ready");
    const neighbour = await submit(url, "steady");
    const runId = await submit(url, "poison", how);
    expect(await quarantined(runId)).toContain("quarantined");
    expect(await longhaul.wait(neighbour)).toMatchObject({ status: "succeeded" });
    expectTriedAlone(how, supervisor);
    const deaths = supervisor.events.filter(({ event }) => event === "worker_died");
    for (const death of deaths) expect(death.end).toMatch(end);
    expect(supervisor.stderr).toContain(says);
  },
  60_000,
);

test("a promise that nobody awaits costs a line in the log, and neither its run nor a neighbour", async () => {
  const supervisor = start();
  const { url } = await supervisor.event("ready");
  const runIds = await Promise.all(["steady", "careless", "steady"].map((agent) => submit(url, agent)));
  for (const runId of runIds) expect(await longhaul.wait(runId)).toEqual({ status: "succeeded", output: "done" });
  expect(supervisor.events.filter(({ event }) => event === "worker_died")).toEqual([]);
  const lines = supervisor.stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toContainEqual(
    expect.objectContaining({
      level: "error",
      message: "a promise that nobody awaited was rejected: the process goes on",
      error: expect.objectContaining({ message: "nobody awaits me" }),
    }),
  );
}, 60_000);

function count(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}
