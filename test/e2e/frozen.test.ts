// PostgreSQL stops answering without closing a connection, as behind a cut cable: requests are refused, and processes still end.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type EmbeddedPostgres, startEmbedded } from "../../src/embedded/index.ts";
import { connect } from "../../src/index.ts";
import { RunningCli } from "../support/cli.ts";
import { until } from "../support/longhaul.ts";
import { type TestProject, testProject } from "../support/project.ts";

const AGENTS = `
import { agent, defineConfig } from "longhaul";

const endless = agent({
  name: "endless",
  async run(ctx) {
    for (;;) await ctx.step("work", () => new Promise((resolve) => setTimeout(resolve, 50)));
  },
});

export default defineConfig({ agents: [endless], server: { port: 0 } });
`;

let dataDir: string;
let database: EmbeddedPostgres;
let project: TestProject;
let frozen: number[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "longhaul-frozen-"));
  database = await startEmbedded({ dataDir });
  project = testProject({ "longhaul.config.ts": AGENTS });
});
afterEach(async () => {
  thaw();
  await database.stop();
  project.remove();
  rmSync(dataDir, { recursive: true, force: true });
});

/** The server and all its backends. */
function freeze(): void {
  const backends = execFileSync("pgrep", ["-P", String(database.pid)], { encoding: "utf8" });
  frozen = [database.pid, ...backends.trim().split("\n").map(Number)];
  for (const pid of frozen) process.kill(pid, "SIGSTOP");
}

function thaw(): void {
  for (const pid of frozen.splice(0)) process.kill(pid, "SIGCONT");
}

test("requests get 503, SIGTERM ends server and worker, and the run goes on afterwards", {
  timeout: 90_000,
}, async () => {
  const options = { cwd: project.root, env: { DATABASE_URL: database.url, LONGHAUL_DRAIN_MS: "1000" } };
  const server = new RunningCli(["server"], options);
  const worker = new RunningCli(["worker"], options);
  try {
    const [{ url }] = await Promise.all([server.event("ready"), worker.event("ready")]);
    const post = () =>
      fetch(`${String(url)}/runs`, { method: "POST", body: JSON.stringify({ assistant_id: "endless" }) });
    const { run_id: runId } = (await (await post()).json()) as { run_id: string };
    const observer = await connect({ url: database.url, migrate: false });
    await until(async () => ((await observer.get(runId))?.journalSeq ?? 0) > 5);
    await observer.close();

    freeze();
    const refused = await post();
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    server.signal("SIGTERM");
    worker.signal("SIGTERM");
    expect(await Promise.all([server.exit, worker.exit])).toEqual([0, 0]);
  } finally {
    thaw();
    await Promise.all([server.end(), worker.end()]);
  }

  const second = new RunningCli(["worker"], options);
  const observer = await connect({ url: database.url, migrate: false });
  try {
    const { runId, journalSeq } = (await observer.list({ limit: 1 }))[0] as { runId: string; journalSeq: number };
    await until(async () => ((await observer.get(runId))?.journalSeq ?? 0) > journalSeq + 5, 40_000);
  } finally {
    await observer.close();
    await second.end();
  }
});
