// `runs watch` while a step writes: people see its words as they come, programs only when they ask.
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommands } from "../../src/cli/commands-runs.ts";
import { Context } from "../../src/cli/context.ts";
import { render } from "../../src/cli/render.ts";
import { agent, connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { CONFIG_FILE } from "../support/agents-file.ts";
import { cli, RunningCli } from "../support/cli.ts";
import { type Gate, gate, until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;
let longhaul: LonghaulProcess;
const doors = new Map<string, Gate>();

const teller = agent({
  name: "teller",
  async run(ctx) {
    await ctx.step("tell", async ({ stream }) => {
      stream.write("Once upon\n");
      stream.write("a \u001b[31mtime");
      await doors.get(ctx.runId)?.opened;
    });
    await ctx.step("again", ({ stream }) => stream.write("The end."));
  },
});

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/none.ts": "export {};" });
  longhaul = await connect({ url: database.url, agents: [teller] });
});
afterAll(async () => {
  await longhaul.close();
  project.remove();
  await database.drop();
});

async function start(): Promise<{ runId: string; open: () => void }> {
  const runId = crypto.randomUUID();
  const door = gate();
  doors.set(runId, door);
  await longhaul.submit(teller, null, { runId });
  return { runId, open: door.open };
}

test("on a terminal they stand between the events, one line each and nothing that steers it", async () => {
  const { runId, open } = await start();
  const watch = runCommands.find(({ path }) => path === "runs watch");
  if (watch === undefined) throw new Error("no such command");
  const env = { DATABASE_URL: database.url };
  const context = new Context({ cwd: project.root, env, flags: {}, configFile: undefined, forPeople: true });
  let shown = "";
  const write = async (text: string): Promise<void> => {
    shown += text;
  };
  const output = { json: false, terminal: true, color: false, columns: 80, write };
  const done = render(watch, await watch.run({ run: runId }, context), output);
  await until(() => shown.includes("time"));
  expect(shown.split("\n").slice(1)).toEqual(["tell#1: Once upon", "a \\x1b[31mtime"]);
  open();
  await done;
  context.stop.release();
  const lines = shown.split("\n");
  expect(lines[3]).toMatch(/^\d\d:\d\d:\d\d +2 message tell#1/);
  expect(lines.at(-2)).toMatch(/ finished /);
});

test("a program gets them with --tokens, as lines of their own", async () => {
  const { runId, open } = await start();
  const watching = new RunningCli(["runs", "watch", runId, "--tokens"], {
    cwd: project.root,
    env: { DATABASE_URL: database.url },
  });
  const { events } = watching;
  await until(() => events.some(({ kind }) => kind === "tokens"));
  open();
  expect(await watching.exit).toBe(0);
  expect(events.filter(({ kind }) => kind !== "tokens").map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(events.find(({ kind }) => kind === "tokens")).toMatchObject({ ephemeral: true, seq: null, reset: true });
  const without = await cli(["runs", "watch", runId], { cwd: project.root, env: { DATABASE_URL: database.url } });
  expect(without.lines().map(({ kind }) => kind)).not.toContain("tokens");
});
