// Workers that share a provider's limits are killed while their calls wait for them and while they are out: nobody goes beyond, and
// every run ends. The provider keeps its own count of true sliding windows, and is the witness.
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { agent, connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { mostIn } from "../gateway/quota-stage.ts";
import { RunningCli } from "../support/cli.ts";
import { startFakeProvider } from "../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../support/fake-provider/handle.ts";
import { until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

const LIMITS = { rpm: 120, concurrent: 20 };
const CONFIG = `
import { generateText } from "ai";
import { agent, defineConfig } from "longhaul";

const ask = agent({
  name: "ask",
  async run(ctx, input) {
    const { text } = await generateText({ model: ctx.model("smart"), prompt: "Number " + input, ...ctx.ai });
    return text;
  },
});

const { PROVIDER_URL: baseUrl, PROVIDER_KEY: apiKey } = process.env;
export default defineConfig({
  agents: [ask],
  gateway: {
    providers: { openai: { api: "chat", baseUrl, apiKey, limits: { "*": ${JSON.stringify(LIMITS)} } } },
    models: { smart: "openai/gpt-5-mini" },
  },
});
`;
const RUNS = 36;
const KILLS = 4;
/** A tenth at once, the rest evenly: what may go in so long, and a few that the provider sees late. */
const WINDOW_MS = 5_000;
const MOST = 12 + (108 / 60) * (WINDOW_MS / 1_000) + 4;
/** For submitting: it never runs here. */
const ask = agent({ name: "ask", run: () => undefined });

let provider: FakeProvider;
let database: FreshDatabase;
let project: TestProject;
let longhaul: LonghaulProcess;
const running: RunningCli[] = [];

beforeEach(async () => {
  provider = await startFakeProvider();
  database = await freshDatabase();
  project = testProject({ "longhaul.config.ts": CONFIG });
  longhaul = await connect({ url: database.url, migrate: false, agents: [ask], worker: false });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.end()));
  await longhaul.close();
  await database.drop();
  await provider.close();
  project.remove();
});

async function startWorker(): Promise<{ readonly cli: RunningCli; readonly workerId: string }> {
  const env = { DATABASE_URL: database.url, PROVIDER_URL: provider.urls.openai, PROVIDER_KEY: provider.key };
  const cli = new RunningCli(["worker"], { cwd: project.root, env });
  running.push(cli);
  const { workerId } = await cli.event("ready");
  return { cli, workerId: String(workerId) };
}

test("kill -9 lets nobody beyond a provider's limits, and loses no run", async () => {
  provider.limit({ "*": LIMITS });
  provider.behave({ latencyMs: 200 });
  const workers = await Promise.all([startWorker(), startWorker()]);
  const handles = await Promise.all(Array.from({ length: RUNS }, (_, n) => longhaul.submit(ask, n)));
  for (let kill = 1; kill <= KILLS; kill++) {
    // While there is something to do for all those that are still to come, and not always at the same point of a call.
    const seen = provider.calls.length;
    await until(() => provider.calls.length > Math.min(seen + 2, RUNS / 2));
    await pause(60 * kill);
    const victim = workers.shift();
    if (victim === undefined) throw new Error("no worker");
    victim.cli.signal("SIGKILL");
    await victim.cli.exit;
    await longhaul.freeWorker(victim.workerId, { canIsolate: true });
    workers.push(await startWorker());
  }
  const texts = await Promise.all(handles.map((handle) => handle.result()));
  expect(texts).toHaveLength(RUNS);
  expect(provider.violations).toEqual([]);
  const went = provider.calls.map(({ startedAtMs }) => ({ atMs: startedAtMs, amount: 1 }));
  expect(mostIn(WINDOW_MS, went)).toBeLessThanOrEqual(MOST);
  // Only what was out when its process died is asked for again.
  const again = provider.calls.filter(({ arrival }) => arrival > 1).length;
  expect(went.length).toBe(RUNS + again);
  expect(again).toBeLessThanOrEqual(KILLS * LIMITS.concurrent);
  await Promise.all(workers.map(({ cli }) => cli.end()));
  expect(await checkInvariants(longhaul.database)).toEqual([]);
}, 180_000);
