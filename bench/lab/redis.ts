// A Redis of the measurement's own, where one is installed; it writes its log as it is told.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, listens } from "./port.ts";
import { until } from "./until.ts";

export interface Redis {
  readonly url: string;
  stop(): Promise<void>;
}

/** The version of the redis-server on the PATH; null when there is none. */
export function redisVersion(): string | null {
  const { stdout, status } = spawnSync("redis-server", ["--version"], { encoding: "utf8" });
  return status === 0 ? (/v=(\S+)/.exec(stdout)?.[1] ?? "unknown") : null;
}

/** @param fsync When its append-only file goes to the disk: before each answer, or every second. */
export async function startRedis(fsync: "always" | "everysec"): Promise<Redis> {
  const folder = mkdtempSync(join(tmpdir(), "longhaul-bench-redis-"));
  const port = await freePort();
  const options = { port, bind: "127.0.0.1", dir: folder, save: "", appendonly: "yes", appendfsync: fsync };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const server = spawn("redis-server", [...args, "--maxmemory-policy", "noeviction"], { stdio: "ignore" });
  await until("Redis", 10_000, () => listens(port));
  return { url: `redis://127.0.0.1:${port}`, stop: () => stop(server, folder) };
}

async function stop(server: ChildProcess, folder: string): Promise<void> {
  const exit = once(server, "exit");
  server.kill();
  await exit;
  rmSync(folder, { recursive: true, force: true });
}
