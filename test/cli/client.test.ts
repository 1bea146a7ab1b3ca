// Every command that looks at an installation or moves something in it, as a program would call it: JSON out, codes back.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agent, connect } from "../../src/index.ts";
import { AGENTS_FILE, CONFIG_FILE } from "../support/agents-file.ts";
import { type CliResult, cli, cliCommand, RunningCli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;
let worker: RunningCli;

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({ "longhaul.config.ts": CONFIG_FILE, "agents/all.ts": AGENTS_FILE });
  worker = new RunningCli(["worker"], { cwd: project.root, env: environment() });
  await worker.event("ready");
});
afterAll(async () => {
  await worker.end();
  project.remove();
  await database.drop();
});

const environment = (): Record<string, string> => ({ DATABASE_URL: database.url });

function longhaul(...args: string[]): Promise<CliResult> {
  return cli(args, { cwd: project.root, env: environment() });
}

async function submit(agent: string, ...more: string[]): Promise<string> {
  const result = await longhaul("runs", "submit", agent, ...more);
  expect(result.code).toBe(0);
  return result.json<{ runId: string }>().runId;
}

/** Asks until the run is where it should be. */
async function untilStatus(runId: string, ...statuses: string[]): Promise<void> {
  for (;;) {
    const [row] = await database.db.query<{ status: string }>(
      "select status from longhaul.outcomes where run_id = $1 union all select state from longhaul.live where run_id = $1",
      [runId],
    );
    if (row !== undefined && statuses.includes(row.status)) return;
    await delay(20);
  }
}

describe("runs", () => {
  test("submit --wait prints the result; list, show, watch and why agree on it", async () => {
    const submitted = await longhaul(
      "runs",
      "submit",
      "hello",
      "-i",
      '{"name":"ada"}',
      "--wait",
      "--metadata",
      '{"who":"me"}',
    );
    expect(submitted.code).toBe(0);
    const { runId, result } = submitted.json<{ runId: string; result: unknown }>();
    expect(result).toEqual({ status: "succeeded", output: { greeting: "hello ADA" } });

    const [listed, shown, why, watched] = await Promise.all([
      longhaul(
        "runs",
        "list",
        "--agent",
        "hello",
        "--status",
        "succeeded",
        "--metadata",
        '{"who":"me"}',
        "--limit",
        "1",
      ),
      longhaul("runs", "show", runId),
      longhaul("runs", "why", runId),
      longhaul("runs", "watch", runId),
    ]);
    expect(listed.json()).toMatchObject([{ runId, agent: "hello", status: "succeeded", metadata: { who: "me" } }]);
    expect(shown.json()).toMatchObject({
      runId,
      input: { name: "ada" },
      result,
      steps: [{ key: "loud#1", value: "ADA" }, { kind: "emit" }],
    });
    expect(why.json()).toMatchObject({ runId, code: "finished", sentence: expect.stringContaining("succeeded") });
    const events = watched.lines();
    expect(events.map(({ kind }) => kind)).toEqual(["claimed", "step", "emit", "finished"]);
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(watched.code).toBe(0);

    const rest = await longhaul("runs", "watch", runId, "--after", "2");
    expect(rest.lines()).toEqual(events.slice(2));
  });

  test("submit with a key gives the same run, and reads its input from standard input", async () => {
    const args = ["runs", "submit", "hello", "--input", "-", "--key", randomUUID()];
    const options = { cwd: project.root, env: environment(), input: '{"name":"x"}' };
    const first = (await cli(args, options)).json<{ runId: string; existing: boolean }>();
    const second = (await cli(args, options)).json<{ runId: string; existing: boolean }>();
    expect(first.existing).toBe(false);
    expect(second).toMatchObject({ runId: first.runId, existing: true });
  });

  test("a run that fails: exit code 1, why, retry, fork before a step", async () => {
    const failed = await longhaul("runs", "submit", "fails", "--wait");
    expect(failed.code).toBe(1);
    const { runId, result } = failed.json<{ runId: string; result: unknown }>();
    expect(result).toMatchObject({ status: "failed", failure: { message: "out of order" } });

    const [retried, forked] = await Promise.all([
      longhaul("runs", "retry", runId, "--by", "ada", "--wait"),
      longhaul("runs", "fork", runId, "--before-step", "second#1", "--wait"),
    ]);
    for (const next of [retried, forked]) {
      expect(next.code).toBe(1);
      expect(next.json<{ runId: string }>().runId).not.toBe(runId);
      expect(next.json()).toMatchObject({ result: { status: "failed" } });
    }
    const shown = await longhaul("runs", "show", forked.json<{ runId: string }>().runId);
    expect(shown.json()).toMatchObject({
      forkedFrom: runId,
      steps: [{ key: "first#1", value: "kept" }, { key: "second#1" }],
    });
  });

  test("a waiting run: signal moves it", async () => {
    const runId = await submit("paid");
    await untilStatus(runId, "waiting");
    expect((await longhaul("runs", "why", runId)).json()).toMatchObject({ status: "waiting", code: "signal" });
    const sent = await longhaul("signal", runId, "paid", '{"amount":42}');
    expect(sent.json()).toEqual({ runId, signal: "paid" });
    await untilStatus(runId, "succeeded");
    expect((await longhaul("runs", "show", runId)).json()).toMatchObject({ result: { output: { amount: 42 } } });
    const late = await longhaul("signal", runId, "paid", "--json");
    expect(late.code).toBe(1);
    expect(late.error().code).toBe("RUN_FINISHED");
  });

  test("cancel, twice; watch sees the end", async () => {
    const runId = await submit("paid");
    const watching = longhaul("runs", "watch", runId);
    await untilStatus(runId, "waiting");
    expect((await longhaul("runs", "cancel", runId, "--reason", "not needed")).json()).toEqual({
      runId,
      verdict: "cancelled",
    });
    expect((await longhaul("runs", "cancel", runId)).json()).toEqual({ runId, verdict: "finished" });
    const watched = await watching;
    expect(watched.code).toBe(0);
    expect(watched.lines().at(-1)).toMatchObject({
      kind: "finished",
      data: { status: "cancelled", reason: "not needed" },
    });
  });

  test("watch that is interrupted ends with 130", async () => {
    const runId = await submit("paid");
    const watching = new RunningCli(["runs", "watch", runId], { cwd: project.root, env: environment() });
    await new Promise<void>((resolve) => watching.child.stdout?.once("data", () => resolve()));
    watching.signal("SIGINT");
    expect(await watching.exit).toBe(130);
    await longhaul("runs", "cancel", runId);
  });

  test("another tenant sees none of it", async () => {
    const runId = await submit("hello", "-i", '{"name":"x"}', "--wait");
    const theirs = await longhaul("runs", "list", "--tenant", "other");
    expect(theirs.json()).toEqual([]);
    const shown = await longhaul("runs", "show", runId, "--tenant", "other", "--json");
    expect(shown.code).toBe(1);
    expect(shown.error().code).toBe("RUN_NOT_FOUND");
  });

  test.each([
    ["an unknown agent", ["runs", "submit", "helo"], "AGENT_UNKNOWN", "did you mean hello?"],
    ["an input that does not fit", ["runs", "submit", "hello", "-i", "{}"], "INPUT_INVALID", "name"],
    ["metadata that is no object", ["runs", "submit", "hello", "--metadata", "5"], "COMMAND_INVALID", "--metadata"],
    ["a run that is not there", ["runs", "show", randomUUID()], "RUN_NOT_FOUND", "runs list"],
    ["a run to watch that is not there", ["runs", "watch", randomUUID()], "RUN_NOT_FOUND", "runs list"],
    ["something that is no id", ["runs", "why", "42"], "RUN_NOT_FOUND", "42"],
    ["an approval that is not there", ["approvals", "approve", randomUUID()], "APPROVAL_NOT_FOUND", ""],
  ])("%s is refused", async (_, args, code, said) => {
    const result = await longhaul(...args, "--json");
    expect(result.code).toBe(code === "COMMAND_INVALID" ? 2 : 1);
    expect(result.stdout).toBe("");
    const error = result.error();
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.hint}`).toContain(said);
  });
});

describe("approvals", () => {
  async function asked(): Promise<{ runId: string; approvalId: string }> {
    const runId = await submit("ask");
    await untilStatus(runId, "waiting");
    const listed = (await longhaul("approvals", "list", "--run", runId)).json<
      { approvalId: string; request: unknown }[]
    >();
    expect(listed).toMatchObject([{ name: "publish", status: "pending", request: { draft: "text" } }]);
    return { runId, approvalId: listed[0]?.approvalId ?? "" };
  }

  test("approve with edited arguments", async () => {
    const { runId, approvalId } = await asked();
    const approved = await longhaul(
      "approvals",
      "approve",
      approvalId,
      "--by",
      "ada",
      "--comment",
      "fine",
      "--args",
      '{"draft":"mine"}',
    );
    expect(approved.json()).toMatchObject({ approvalId, status: "approved", resolvedBy: "ada" });
    await untilStatus(runId, "succeeded");
    const shown = await longhaul("runs", "show", runId);
    expect(shown.json()).toMatchObject({
      result: { output: { approved: true, edited: true, args: { draft: "mine" }, by: "ada", comment: "fine" } },
    });
    const late = await longhaul("approvals", "deny", approvalId, "--json");
    expect(late.code).toBe(1);
    expect(late.error()).toMatchObject({ code: "APPROVAL_TAKEN", message: expect.stringContaining("ada") });
  });

  test("deny", async () => {
    const { runId, approvalId } = await asked();
    const denied = await longhaul("approvals", "deny", approvalId);
    expect(denied.json<{ resolvedBy: string }>().resolvedBy).not.toBe("");
    expect(denied.json()).toMatchObject({ status: "denied" });
    await untilStatus(runId, "succeeded");
    expect((await longhaul("approvals", "list", "--status", "denied")).json()).toMatchObject([{ approvalId }]);
  });
});

test("workers and queues", async () => {
  const [workers, queues] = await Promise.all([longhaul("workers"), longhaul("queues")]);
  const ready = worker.events[0];
  expect(workers.json()).toContainEqual(
    expect.objectContaining({ workerId: ready?.workerId, state: "active", pid: ready?.pid }),
  );
  expect(queues.json<{ queues: unknown }>().queues).toContainEqual(
    expect.objectContaining({ queue: "default", build: "default", workers: 1 }),
  );
});

test("workers that have stopped are listed only when they are asked for", async () => {
  const gone = await connect({ url: database.url, agents: [agent({ name: "gone", run: () => 1 })] });
  const stopped = expect.objectContaining({ workerId: gone.workerId, state: "stopped" });
  await gone.close();
  const [workers, all] = await Promise.all([longhaul("workers"), longhaul("workers", "--all")]);
  expect(workers.json()).not.toContainEqual(expect.objectContaining({ workerId: gone.workerId }));
  expect(all.json()).toContainEqual(stopped);
  expect(all.json<unknown[]>()).toHaveLength(workers.json<unknown[]>().length + 1);
});

describe("on a terminal", () => {
  /** `script` gives the program a terminal of its own. */
  async function onTerminal(command: string, env: Record<string, string> = {}): Promise<string> {
    const shell = ["-qec", `stty cols 200; ${cliCommand(command)}`, "/dev/null"];
    const full = { ...process.env, ...environment(), TERM: "xterm", ...env };
    const { stdout } = await promisify(execFile)("script", shell, { cwd: project.root, env: full });
    return stdout.replaceAll("\r\n", "\n");
  }

  test("there are tables with colours, or without; JSON on demand", async () => {
    const runId = await submit("hello", "-i", '{"name":"x"}', "--wait");
    const [colored, plain, json, why] = await Promise.all([
      onTerminal("runs list"),
      onTerminal("runs list", { NO_COLOR: "1" }),
      onTerminal("runs list --json --limit 1"),
      onTerminal(`runs why ${runId}`, { NO_COLOR: "1" }),
    ]);
    expect(colored).toContain("\u001b[32msucceeded\u001b[39m");
    expect(plain).toMatch(/^RUN +AGENT +STATUS +CREATED +TOOK +REASON\n/);
    expect(plain).toMatch(new RegExp(`^${runId}  hello +succeeded `, "m"));
    expect(JSON.parse(json)).toHaveLength(1);
    expect(why).toMatch(/^succeeded It has ended/);
  });

  test("errors say what, and what to do", async () => {
    const failure = await onTerminal("runs submit helo", { NO_COLOR: "1" }).then(
      () => undefined,
      (error: { code: number; stdout: string }) => error,
    );
    expect(failure?.code).toBe(1);
    expect(failure?.stdout).toMatch(
      /^error AGENT_UNKNOWN There is no agent helo here\.\r?\n {2}fix Known agents: .*did you mean hello\?/,
    );
  });
});
