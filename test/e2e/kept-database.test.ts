// The embedded database of a running installation is killed: it is started again, and everything goes on by itself.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { RunningCli } from "../support/cli.ts";
import { until } from "../support/longhaul.ts";
import { testProject } from "../support/project.ts";

const AGENTS = `
import { appendFileSync } from "node:fs";
import { agent, defineConfig } from "longhaul";

const steady = agent({
  name: "steady",
  async run(ctx) {
    let sum = 0;
    for (let i = 1; i <= 10; i++) {
      sum += await ctx.step("work", async () => {
        appendFileSync("witness.txt", ctx.runId + " " + i + "\\n");
        await new Promise((resolve) => setTimeout(resolve, 100));
        return i;
      });
    }
    return sum;
  },
});

export default defineConfig({ agents: [steady], server: { port: 0 } });
`;

test("kill -9 of PostgreSQL under longhaul start", { timeout: 60_000 }, async () => {
  const project = testProject({ "longhaul.config.ts": AGENTS });
  const env = { LONGHAUL_LEASE_MS: "60000" };
  const installation = new RunningCli(["start"], { cwd: project.root, env });
  try {
    const { url, embedded } = await installation.event("ready");
    const pidFile = join(String(embedded), "postgres", "postmaster.pid");
    const serverPid = (): number => Number(readFileSync(pidFile, "utf8").split("\n")[0]);
    const starts = (): string[] => {
      const file = join(project.root, "witness.txt");
      return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
    };
    const runIds = await Promise.all(Array.from({ length: 5 }, () => submit(url)));
    await until(() => starts().length > 10);
    const killed = serverPid();
    process.kill(killed, "SIGKILL");

    await until(async () => (await fetch(`${String(url)}/readyz`)).status === 200 && serverPid() !== killed, 30_000);
    runIds.push(await submit(url));
    const results = await Promise.all(runIds.map((runId) => fetch(`${String(url)}/runs/${runId}/join`)));
    for (const result of results) expect(await result.json()).toBe(55);
    // The worker lived and kept its leases, so every body ran once, also those that ended while nothing could be recorded.
    expect(starts()).toHaveLength(6 * 10);
    expect(installation.stderr).toContain("PostgreSQL has ended and is started again");
    installation.signal("SIGTERM");
    expect(await installation.exit).toBe(0);
    expect(existsSync(pidFile)).toBe(false);
  } finally {
    await installation.end();
    project.remove();
  }
});

async function submit(url: unknown): Promise<string> {
  const body = JSON.stringify({ assistant_id: "steady", input: null });
  const response = await fetch(`${String(url)}/runs`, { method: "POST", body });
  expect(response.status).toBe(200);
  return ((await response.json()) as { run_id: string }).run_id;
}
