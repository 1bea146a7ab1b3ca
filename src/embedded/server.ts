// The server process: started detached, so that it outlives a killed parent; waited for; shut down.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync, truncateSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fail } from "../domain/errors.ts";
import type { Binaries } from "./binaries.ts";
import { type Cluster, cannotExecute, spawnSettings } from "./cluster.ts";
import { answers, disarmStalePidFile, type Postmaster, runningPostmaster } from "./postmaster.ts";
import { isAlive } from "./process-identity.ts";
import type { RunAs } from "./run-as.ts";

export type Settings = Readonly<Record<string, string | number>>;

/** Safe, and fit for a small machine. Parallel plans would need more of /dev/shm than containers have. */
const SETTINGS: Settings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: 200,
  shared_buffers: "128MB",
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  max_parallel_workers_per_gather: 0,
  jit: "off",
  // A queue makes tens of thousands of dead rows a second: cleaned up once a minute, they are what a claim has to wade through.
  autovacuum_naptime: "10s",
  log_checkpoints: "off",
  timezone: "UTC",
};

/** Another program took the port first, or the last processes of a killed server are still going: worth another try. */
const PASSING = /TCP\/IP sockets|lock file|shared memory|in use/;
const START_ATTEMPTS = 20;
const RETRY_MS = 500;
const POLL_MS = 20;
/** Crash recovery reads the whole log since the last checkpoint. */
const READY_TIMEOUT_MS = 300_000;
const FAST_SHUTDOWN_MS = 30_000;
const IMMEDIATE_SHUTDOWN_MS = 10_000;
const LOG_BYTES_MAX = 10 * 1024 * 1024;

/** Starts the server on the preferred port or else on a free one, and waits until it answers. Throws EMBEDDED_FAILED. */
export async function startServer(
  binaries: Binaries,
  cluster: Cluster,
  runAs: RunAs | undefined,
  preferredPort: number | undefined,
  settings: Settings,
  logFile: string,
): Promise<Postmaster> {
  let port = preferredPort !== undefined && (await isFree(preferredPort)) ? preferredPort : await freePort();
  for (let attempt = 1; ; attempt++) {
    disarmStalePidFile(cluster.dir);
    const child = spawnServer(binaries, cluster, runAs, { ...SETTINGS, ...settings, port }, logFile);
    const postmaster = await untilReady(cluster.dir, child.hasEnded, logFile);
    if (postmaster !== undefined) return postmaster;
    const reason = lastComplaint(logFile);
    if (!PASSING.test(reason) || attempt === START_ATTEMPTS) throw fail("EMBEDDED_FAILED", { reason, logFile });
    await delay(RETRY_MS);
    if (!(await isFree(port))) port = await freePort();
  }
}

/** Waits until the server on this cluster answers. Undefined if `hasEnded` says that it ended first. */
export async function untilReady(
  clusterDir: string,
  hasEnded: () => boolean,
  logFile: string,
): Promise<Postmaster | undefined> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!hasEnded()) {
    const postmaster = runningPostmaster(clusterDir);
    if (postmaster?.status === "ready" && (await answers(postmaster.port))) return postmaster;
    if (Date.now() > deadline) throw fail("EMBEDDED_FAILED", { reason: "it does not answer", logFile });
    await delay(POLL_MS);
  }
  return undefined;
}

/** Fast shutdown: running transactions are rolled back, everything is written. Resolves when the process has ended. */
export async function stopServer(pid: number, binaries: Binaries, clusterDir: string, logFile: string): Promise<void> {
  if (process.platform === "win32") {
    execFileSync(binaries.pgCtl, ["stop", "-m", "fast", "-D", clusterDir], { stdio: "ignore" });
    return;
  }
  if (await endsAfter(pid, "SIGINT", FAST_SHUTDOWN_MS)) return;
  // Immediate: nothing committed is lost, the next start recovers.
  if (await endsAfter(pid, "SIGQUIT", IMMEDIATE_SHUTDOWN_MS)) return;
  throw fail("EMBEDDED_FAILED", { reason: `process ${pid} does not end`, logFile });
}

/** Waits until this server has ended of itself, as one that is shutting down does. */
export async function untilEnded(pid: number, timeoutMs: number = FAST_SHUTDOWN_MS): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

async function endsAfter(pid: number, signal: NodeJS.Signals, timeoutMs: number): Promise<boolean> {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
  return await untilEnded(pid, timeoutMs);
}

interface Child {
  /** True once the process has ended. Throws EMBEDDED_UNSUPPORTED if it could not be started at all. */
  hasEnded(): boolean;
}

function spawnServer(
  binaries: Binaries,
  cluster: Cluster,
  runAs: RunAs | undefined,
  settings: Settings,
  logFile: string,
): Child {
  const log = openLog(logFile);
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = spawn(binaries.postgres, ["-D", cluster.pathForServer, ...args], {
    ...spawnSettings(cluster.dir, runAs),
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  let spawnError: Error | undefined;
  let ended = false;
  child.once("error", (error) => {
    spawnError = error;
  });
  child.once("exit", () => {
    ended = true;
  });
  child.unref();
  return {
    hasEnded: () => {
      if (spawnError !== undefined) throw cannotExecute(spawnError);
      return ended;
    },
  };
}

function openLog(logFile: string): number {
  const log = openSync(logFile, "a", 0o600);
  if (statSync(logFile).size > LOG_BYTES_MAX) truncateSync(logFile);
  return log;
}

/** The last thing the server complained of before it ended. */
function lastComplaint(logFile: string): string {
  const lines = readFileSync(logFile, "utf8").split("\n");
  const complaint =
    lines.findLast((line) => /(FATAL|PANIC|ERROR):/.test(line)) ?? lines.findLast((line) => line !== "");
  return complaint?.replace(/^.*?(FATAL|PANIC|ERROR): +/, "").replace(/\.$/, "") ?? "it ended without a word";
}

function isFree(port: number): Promise<boolean> {
  return listen(port).then(
    () => true,
    () => false,
  );
}

function freePort(): Promise<number> {
  return listen(0);
}

/** Listens for a moment, and gives the port. Rejects if it is taken. */
function listen(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}
