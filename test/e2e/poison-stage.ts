// A stage for runs that harm whatever process runs them: an installation on a database of its own, and agents that kill in many ways.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { type CliOptions, RunningCli } from "../support/cli.ts";
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

export interface PoisonStage {
  readonly longhaul: LonghaulProcess;
  readonly project: TestProject;
  readonly options: CliOptions;
  /** Starts `longhaul start`, or another command; ended after the test. */
  start(env?: Record<string, string>, command?: string): RunningCli;
  /** What agents wrote into a file of the project. */
  linesOf(file: string): string[];
  /** Resolves with the reason when the run is paused. */
  quarantined(runId: string): Promise<string>;
  /** Three processes died of it: two workers, and the one in which it was tried alone. */
  expectTriedAlone(how: string, supervisor: RunningCli): void;
}

/** Registers the hooks of the file. */
export function usePoisonStage(): PoisonStage {
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
  const linesOf = (file: string): string[] => readFileSync(join(project.root, file), "utf8").trim().split("\n");
  return {
    get longhaul() {
      return longhaul;
    },
    get project() {
      return project;
    },
    get options() {
      return options();
    },
    start: (env, command = "start") => {
      const one = new RunningCli([command], options(env));
      running.push(one);
      return one;
    },
    linesOf,
    quarantined: (runId) =>
      until(async () => {
        const run = await longhaul.get(runId);
        return run?.status === "paused" && (run.reason ?? "");
      }, 60_000),
    expectTriedAlone: (how, supervisor) => {
      const pids = linesOf(`deaths-${how}.txt`);
      expect(new Set(pids).size).toBe(3);
      const workers = supervisor.events.filter(({ event }) => event === "worker_ready").map(({ pid }) => String(pid));
      expect(pids.map((pid) => workers.includes(pid))).toEqual([true, true, false]);
    },
  };
}

/** Through the server: a test's process does not have the agents. */
export async function submit(url: unknown, agent: string, input: unknown = null): Promise<string> {
  const response = await fetch(`${String(url)}/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ assistant_id: agent, input }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { run_id: string }).run_id;
}

export function deathsOf(supervisor: RunningCli): unknown[] {
  return supervisor.events.filter(({ event }) => event === "worker_died").map(({ end }) => end);
}
