// Processes come and go under load: drained for a deploy, killed under a supervisor, killed together with it.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type EntryKind, KIND } from "../../src/domain/entry.ts";
import { agent, connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { RunningCli } from "../support/cli.ts";
import { until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

const STEPS = 10;
const AGENTS = `
import { appendFileSync } from "node:fs";
import { agent, defineConfig } from "longhaul";

const steady = agent({
  name: "steady",
  async run(ctx) {
    let sum = 0;
    for (let i = 1; i <= ${STEPS}; i++) {
      sum += await ctx.step("work", async () => {
        appendFileSync("witness.txt", ctx.runId + " work#" + i + " " + Date.now() + "\\n");
        await new Promise((resolve) => setTimeout(resolve, 300));
        return i;
      });
    }
    return sum;
  },
});

export default defineConfig({ agents: [steady], server: { port: 0 } });
`;
const DONE = { status: "succeeded", output: (STEPS * (STEPS + 1)) / 2 };
/** For submitting: it never runs here. */
const steady = agent({ name: "steady", run: () => undefined });

let project: TestProject;
const running: RunningCli[] = [];

beforeEach(() => {
  project = testProject({ "longhaul.config.ts": AGENTS });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.end()));
  project.remove();
});

function run(args: readonly string[], env: Record<string, string>): RunningCli {
  const one = new RunningCli(args, { cwd: project.root, env });
  running.push(one);
  return one;
}

async function submit(longhaul: LonghaulProcess, count: number): Promise<string[]> {
  const handles = await Promise.all(Array.from({ length: count }, () => longhaul.submit(steady, null)));
  return handles.map(({ runId }) => runId);
}

/** Resolves when every run has recorded at least one step. */
function untilUnderWay(longhaul: LonghaulProcess, runIds: readonly string[]): Promise<true> {
  return until(async () => {
    const rows = await longhaul.database.query(
      "select distinct run_id from longhaul.journal where kind = $1 and run_id = any($2::uuid[])",
      [KIND.step, runIds],
    );
    return rows.length === runIds.length;
  });
}

interface Line {
  readonly run_id: string;
  readonly seq: number;
  readonly kind: EntryKind;
  readonly key: string | null;
  readonly body: Readonly<Record<string, unknown>>;
  readonly at: Date;
}

async function journals(longhaul: LonghaulProcess): Promise<Line[]> {
  const rows = await longhaul.database.query<Omit<Line, "kind" | "body"> & { kind: number; body: string }>(
    "select run_id, seq, kind, key, body, at from longhaul.journal order by run_id, seq",
  );
  const names = new Map(Object.entries(KIND).map(([name, number]) => [number as number, name as EntryKind]));
  return rows.map((row) => ({ ...row, kind: names.get(row.kind) as EntryKind, body: JSON.parse(row.body ?? "{}") }));
}

/** Each start of a body, as the process that ran it told the witness. */
function starts(): { step: string; atMs: number }[] {
  const lines = readFileSync(join(project.root, "witness.txt"), "utf8").trim().split("\n");
  return lines.map((line) => ({ step: line.replace(/ \d+$/, ""), atMs: Number(line.split(" ").at(-1)) }));
}

function expectNoneAgain(lines: readonly Line[]): void {
  const steps = lines.filter(({ kind }) => kind === "step");
  const recordedMs = new Map(steps.map(({ run_id, key, at }) => [`${run_id} ${key}`, at.getTime()]));
  expect(starts().filter(({ step, atMs }) => atMs > (recordedMs.get(step) ?? 0) + 1)).toEqual([]);
}

describe("on a database of its own", () => {
  let database: FreshDatabase;
  let longhaul: LonghaulProcess;

  beforeEach(async () => {
    database = await freshDatabase();
    longhaul = await connect({ url: database.url, migrate: false, agents: [steady], worker: false });
  });
  afterEach(async () => {
    await Promise.all(running.map((one) => one.end()));
    expect(await checkInvariants(longhaul.database)).toEqual([]);
    await longhaul.close();
    await database.drop();
  });

  test("SIGTERM under load: every run is handed over between two steps, and no step runs twice", async () => {
    const env = { DATABASE_URL: database.url };
    const old = run(["worker"], env);
    const { workerId: oldId } = await old.event("ready");
    const runIds = await submit(longhaul, 20);
    await untilUnderWay(longhaul, runIds);
    old.signal("SIGTERM");
    await old.event("draining");
    // Comes while the old one drains: not for it.
    const late = await submit(longhaul, 5);
    expect(await old.exit).toBe(0);

    const crashes = "select crashes from longhaul.live where crashes > 0 or isolate";
    expect(await longhaul.database.query(crashes)).toEqual([]);
    const fresh = run(["worker"], env);
    const { workerId: freshId } = await fresh.event("ready");
    for (const runId of [...runIds, ...late]) expect(await longhaul.wait(runId)).toEqual(DONE);

    const lines = await journals(longhaul);
    expect(lines.filter(({ kind }) => kind === "lost" || kind === "attempt")).toEqual([]);
    const claims = (runId: string) =>
      lines.filter((line) => line.run_id === runId && line.kind === "claimed").map(({ body }) => body.worker);
    for (const runId of runIds) expect(claims(runId)).toEqual([oldId, freshId]);
    for (const runId of late) expect(claims(runId)).toEqual([freshId]);
    const moves = lines.filter(({ kind }) => kind === "released").map(({ body }) => body.move);
    expect(moves).toEqual(runIds.map(() => "yield"));
    expect(starts()).toHaveLength(25 * STEPS);
    expectNoneAgain(lines);
  }, 60_000);

  test("kill -9 of a worker under a supervisor: its runs go on elsewhere long before their leases end", async () => {
    // So long that a run which had to wait for it would fail this test.
    const env = { DATABASE_URL: database.url, LONGHAUL_LEASE_MS: "600000" };
    const supervisor = run(["start", "--workers", "2"], env);
    await supervisor.event("ready");
    const runIds = await submit(longhaul, 20);
    await untilUnderWay(longhaul, runIds);
    const { pid, workerId } = await supervisor.event("worker_ready");
    process.kill(Number(pid), "SIGKILL");
    const { freedRuns } = await supervisor.event("worker_died");
    for (const runId of runIds) expect(await longhaul.wait(runId)).toEqual(DONE);

    const lines = await journals(longhaul);
    const lost = lines.filter(({ kind }) => kind === "lost");
    expect(lost.map(({ body }) => body.worker)).toEqual(lost.map(() => workerId));
    expect(lost).toHaveLength(Number(freedRuns));
    expect(starts().length).toBeLessThanOrEqual(20 * STEPS + lost.length);
    expectNoneAgain(lines);
  }, 60_000);
});

test("kill -9 of everything but the embedded database: the next start takes that over, and all runs finish", async () => {
  const env = { LONGHAUL_LEASE_MS: "1500" };
  const first = run(["start"], env);
  const { url, embedded } = await first.event("ready");
  const { pid: workerPid } = await first.event("worker_ready");
  const runIds = await Promise.all(Array.from({ length: 10 }, () => post(String(url))));
  await until(() => existsSync(join(project.root, "witness.txt")) && starts().length > 15);
  first.signal("SIGKILL");
  process.kill(Number(workerPid), "SIGKILL");
  await first.exit;

  const second = run(["start"], env);
  const ready = await second.event("ready");
  expect(ready.embedded).toBe(embedded);
  expect(second.stderr).toContain("Taking over the PostgreSQL that an ended process left running");
  const results = await Promise.all(runIds.map((id) => fetch(`${String(ready.url)}/runs/${id}/join`)));
  for (const result of results) expect(await result.json()).toBe(DONE.output);
  const postmaster = join(String(embedded), "postgres", "postmaster.pid");
  expect(existsSync(postmaster)).toBe(true);
  second.signal("SIGTERM");
  expect(await second.exit).toBe(0);
  expect(existsSync(postmaster)).toBe(false);

  // Looked at by a third one, since only a running installation has a database.
  const third = run(["start"], env);
  await third.event("ready");
  const longhaul = await connect({ dataDir: join(project.root, ".longhaul"), migrate: false });
  try {
    const lines = await journals(longhaul);
    expect(lines.filter(({ kind }) => kind === "finished")).toHaveLength(10);
    expectNoneAgain(lines);
    expect(await checkInvariants(longhaul.database)).toEqual([]);
  } finally {
    await longhaul.close();
  }
}, 60_000);

async function post(url: string): Promise<string> {
  const body = JSON.stringify({ assistant_id: "steady", input: null });
  const response = await fetch(`${url}/runs`, { method: "POST", body });
  expect(response.status).toBe(200);
  return ((await response.json()) as { run_id: string }).run_id;
}
