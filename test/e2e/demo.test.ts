// `npm run demo` as a user runs it: it ends by itself, its proof holds, it leaves nothing behind; and it admits a lie.
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Tale } from "../../examples/demo/tale.ts";
import type { WitnessLine } from "../../examples/demo/witness.ts";
import { until } from "../support/longhaul.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PATIENCE_MS = 180_000;

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "longhaul-demo-test-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

interface Show {
  readonly child: ChildProcess;
  readonly text: () => string;
  /** Exit code, once everything has been read. */
  readonly ended: Promise<number | null>;
}

function show(...args: string[]): Show {
  // No keys: the offline rules. A database of the user's must not be touched: this one does not exist.
  const { OPENAI_API_KEY: _openai, ANTHROPIC_API_KEY: _anthropic, ...env } = process.env;
  const child = spawn(process.execPath, ["scripts/run.mjs", "demo", "--fast", "--data-dir", dataDir, ...args], {
    cwd: ROOT,
    env: { ...env, DATABASE_URL: "postgres://nobody@127.0.0.1:1/nothing" },
    // A process group of its own, so that a signal reaches all of it, as Ctrl-C in a terminal does.
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  return { child, text: () => text, ended };
}

function tales(text: string): Tale[] {
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Tale);
}

function find<Event extends Tale["event"]>(text: string, event: Event): Extract<Tale, { event: Event }> | undefined {
  return tales(text).find((tale): tale is Extract<Tale, { event: Event }> => tale.event === event);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("it shows two takeovers and a storm of kills, proves what it says, and leaves no process", {
  timeout: PATIENCE_MS,
}, async () => {
  const { text, ended } = show();
  expect(await ended).toBe(0);
  const said = text();
  expect(said.match(/✗ KILL {2}kill -9 worker \w+ \(pid \d+\), in the middle of/g)).toHaveLength(2);
  expect(said.match(/took over in \d+\.\d\d s, replayed \d+ recorded steps? in 1 query/g)).toHaveLength(2);
  expect(said).toMatch(/\[1\] node_modules\/piscina\//);
  expect(said).toMatch(/✓ witness {2}no recorded step ran again: 0 bodies began after their record/);
  expect(said).toMatch(/✓ stream {3}\d+ events over HTTP: the journal's, each once and in order/);
  expect(said).toMatch(/runs finished +60 of 60/);
  expect(said).toMatch(/workers killed +[1-9]/);
  expect(said).toMatch(/begun again after being recorded +0\n/);
  expect(said).toMatch(/All 5 promises kept in/);
  const pids = [...said.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  expect(pids.length).toBeGreaterThan(4);
  expect(pids.filter(isAlive)).toEqual([]);
});

test("a step that runs again after its record is seen by the witness, and fails the demo", {
  timeout: PATIENCE_MS,
}, async () => {
  const { text, ended } = show("--json", "--runs", "12");
  // Somebody runs the step `plan` a second time: the witness is told so, behind the demo's back.
  await until(() => tales(text()).some((tale) => tale.event === "step" && tale.step === "plan"), PATIENCE_MS);
  const file = find(text(), "processes")?.witness ?? "";
  const runId = find(text(), "submitted")?.runId ?? "";
  const lie: WitnessLine = { what: "began", runId, step: "plan#1", pid: process.pid, atMs: Date.now() };
  appendFileSync(file, `${JSON.stringify(lie)}\n`);

  expect(await ended).toBe(1);
  const verdicts = find(text(), "summary")?.verdicts ?? [];
  const broken = verdicts.filter(({ kept }) => !kept).map(({ promise }) => promise);
  expect(broken).toContain("A recorded step never executes again");
  expect(broken).not.toContain("An acknowledged run is never lost");
});

test("Ctrl-C in the middle ends workers, server and database", { timeout: PATIENCE_MS }, async () => {
  const { child, text, ended } = show("--json");
  await until(() => find(text(), "step"), PATIENCE_MS);
  process.kill(-(child.pid ?? 0), "SIGINT");
  expect(await ended).toBe(130);
  const pids = tales(text()).flatMap((tale) => (tale.event === "worker_ready" ? [tale.worker.pid] : []));
  const database = find(text(), "processes")?.database ?? 0;
  expect(pids).toHaveLength(2);
  expect([...pids, database].filter(isAlive)).toEqual([]);
});
