// PostgreSQL is killed and started again under a server and a worker, while clients submit, runs execute and streams are read.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../src/embedded/index.ts";
import { connect } from "../../src/index.ts";
import type { Database } from "../../src/store/database.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { RunningCli } from "../support/cli.ts";
import { until } from "../support/longhaul.ts";
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
        await new Promise((resolve) => setTimeout(resolve, 100));
        return i;
      });
    }
    return sum;
  },
});

export default defineConfig({ agents: [steady], server: { port: 0 } });
`;
const SUM = (STEPS * (STEPS + 1)) / 2;

let dataDir: string;
let database: EmbeddedPostgres;
let project: TestProject;
const running: RunningCli[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "longhaul-outage-"));
  database = await startEmbedded({ dataDir });
  project = testProject({ "longhaul.config.ts": AGENTS });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.end()));
  await database.stop();
  project.remove();
  rmSync(dataDir, { recursive: true, force: true });
});

function run(args: readonly string[], env: Record<string, string>): RunningCli {
  const one = new RunningCli(args, { cwd: project.root, env: { DATABASE_URL: database.url, ...env } });
  running.push(one);
  return one;
}

interface Refusal {
  readonly code: string;
  readonly retryAfter: string | null;
}

/** A client that submits one run after the other, each until it is acknowledged. */
class Submitter {
  readonly acknowledged = new Map<string, string>();
  readonly refusals: Refusal[] = [];
  readonly #url: string;
  readonly #name: string;

  constructor(url: string, name: string) {
    this.#url = url;
    this.#name = name;
  }

  async submit(until: AbortSignal): Promise<void> {
    for (let n = 1; !until.aborted; n++) {
      await this.#one(`${this.#name}-${n}`);
      await delay(200);
    }
  }

  async #one(key: string): Promise<void> {
    for (;;) {
      const response = await fetch(`${this.#url}/runs`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify({ assistant_id: "steady", input: null }),
      });
      const body = (await response.json()) as { run_id: string; code: string };
      if (response.status === 200) {
        this.acknowledged.set(key, body.run_id);
        return;
      }
      expect(response.status).toBe(503);
      this.refusals.push({ code: body.code, retryAfter: response.headers.get("retry-after") });
      await delay(100);
    }
  }
}

/** Reads a run's journal over HTTP to its end, coming back with what it saw last whenever it is cut off or refused. */
async function readEvents(url: string, runId: string): Promise<{ ids: number[]; kinds: string[] }> {
  const ids: number[] = [];
  const kinds: string[] = [];
  while (kinds.at(-1) !== "finished") {
    try {
      const headers = ids.length === 0 ? {} : { "last-event-id": String(ids.at(-1)) };
      const response = await fetch(`${url}/runs/${runId}/events`, { headers });
      if (!response.ok) {
        expect(response.status).toBe(503);
        await delay(100);
        continue;
      }
      let text = "";
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        const frames = text.split("\n\n");
        text = frames.pop() ?? "";
        for (const frame of frames) {
          const id = /^id: (\d+)$/m.exec(frame)?.[1];
          if (id === undefined) continue;
          ids.push(Number(id));
          kinds.push(/^event: (.*)$/m.exec(frame)?.[1] ?? "");
        }
      }
    } catch (error) {
      // Cut off in the middle: fetch says so with a TypeError.
      if (!(error instanceof TypeError)) throw error;
    }
  }
  return { ids, kinds };
}

test.each([
  ["shorter than the lease: the worker goes on where it was", "60000", false],
  ["longer than the lease: every run is taken over", "1000", true],
])("an outage %s", { timeout: 90_000 }, async (_, leaseMs, takenOver) => {
  const server = run(["server"], {});
  const worker = run(["worker"], { LONGHAUL_LEASE_MS: leaseMs });
  const [{ url: address }] = await Promise.all([server.event("ready"), worker.event("ready")]);
  const url = String(address);
  const enough = new AbortController();
  const clients = ["a", "b", "c"].map((name) => new Submitter(url, name));
  const submitting = clients.map((client) => client.submit(enough.signal));
  const first = await until(() => clients[0]?.acknowledged.get("a-1"));
  const events = readEvents(url, first);
  await until(() => starts().length > 2 * STEPS);

  process.kill(database.pid, "SIGQUIT");
  await until(() => clients.every(({ refusals }) => refusals.length > 1));
  const refused = await fetch(`${url}/readyz`);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  if (takenOver) await delay(Number(leaseMs));
  database = await startEmbedded({ dataDir });

  // By itself: neither server nor worker is touched.
  const before = clients.map(({ acknowledged }) => acknowledged.size);
  await until(() => clients.every(({ acknowledged }, i) => acknowledged.size > (before[i] ?? 0) + 1), 30_000);
  enough.abort();
  await Promise.all(submitting);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  for (const refusal of clients.flatMap(({ refusals }) => refusals))
    expect(refusal).toEqual({ code: "DATABASE_UNAVAILABLE", retryAfter: "1" });

  const longhaul = await connect({ url: database.url, migrate: false });
  try {
    const runIds = clients.flatMap(({ acknowledged }) => [...acknowledged.values()]);
    for (const runId of runIds) expect(await longhaul.wait(runId)).toEqual({ status: "succeeded", output: SUM });
    // Every key is one run, however often it was sent.
    expect(await longhaul.database.query("select count(*)::int as runs from longhaul.runs")).toEqual([
      { runs: runIds.length },
    ]);
    const { ids, kinds } = await events;
    expect(ids).toEqual(ids.map((_, i) => i + 1));
    expect(kinds.filter((kind) => kind === "step")).toHaveLength(STEPS);
    await expectNoneAgain(longhaul.database);
    // One ear each for the server, the worker and this process, whatever was tried meanwhile.
    const EARS = "select 1 from pg_stat_activity where application_name = 'longhaul listen'";
    await until(async () => (await longhaul.database.query(EARS)).length === 3);
    const lost = await longhaul.database.query("select 1 from longhaul.journal where kind = $1", [KIND.lost]);
    expect(lost.length > 0).toBe(takenOver);
    expect(await checkInvariants(longhaul.database)).toEqual([]);
  } finally {
    await longhaul.close();
  }
  server.signal("SIGTERM");
  worker.signal("SIGTERM");
  expect(await Promise.all([server.exit, worker.exit])).toEqual([0, 0]);
});

function starts(): { step: string; atMs: number }[] {
  try {
    const lines = readFileSync(join(project.root, "witness.txt"), "utf8").trim().split("\n");
    return lines.map((line) => ({ step: line.replace(/ \d+$/, ""), atMs: Number(line.split(" ").at(-1)) }));
  } catch {
    return [];
  }
}

/** No body starts once its outcome is recorded. */
async function expectNoneAgain(db: Database): Promise<void> {
  const rows = await db.query<{ step: string; at: Date }>(
    "select run_id || ' ' || key as step, at from longhaul.journal where kind = $1",
    [KIND.step],
  );
  const recordedMs = new Map(rows.map(({ step, at }) => [step, at.getTime()]));
  expect(starts().filter(({ step, atMs }) => atMs > (recordedMs.get(step) ?? 0) + 1)).toEqual([]);
}
