// Starting this program anew as a child process: workers under a supervisor, and one run alone in a process of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Project } from "../runtime/project.ts";
import { type Settings, settingSpecs } from "../runtime/settings.ts";
import type { Context } from "./context.ts";
import { SUPERVISED, WORKER_ID } from "./supervision.ts";

/** What a worker process shall be like: the settings of the process that starts it, on this database. */
export interface WorkerSpawn {
  readonly context: Context;
  readonly project: Project;
  readonly databaseUrl: string;
  /** Files with agents that were named on the command line. */
  readonly agents?: readonly string[] | undefined;
  /** Execute this run and no other, then end. */
  readonly onlyRun?: string | undefined;
  /** The id under which it holds its leases, so that whoever started it can free them. */
  readonly workerId?: string | undefined;
}

/**
 * Starts `longhaul worker`. What it prints goes to our standard error, so that our standard output stays data. The channel
 * carries WorkerReady and DrainRequest, and its end tells the child that we are gone.
 */
export function spawnWorker({
  context,
  project,
  databaseUrl,
  agents = [],
  onlyRun,
  workerId,
}: WorkerSpawn): ChildProcess {
  const { cwd, env } = context.options;
  const args = ["worker", ...agents.flatMap((pattern) => ["--agents", pattern])];
  if (project.configFile !== null) args.push("--config", project.configFile);
  if (onlyRun !== undefined) args.push("--only-run", onlyRun);
  return spawn(process.execPath, [...process.execArgv, entry(), ...args], {
    cwd,
    // Through the environment, where no list of processes shows the password.
    env: {
      ...env,
      ...asEnvironment(project.settings),
      [DATABASE_VARIABLE]: databaseUrl,
      [SUPERVISED]: "1",
      ...(workerId && { [WORKER_ID]: workerId }),
    },
    stdio: ["ignore", 2, 2, "ipc"],
  });
}

const DATABASE_VARIABLE = settingSpecs.databaseUrl.env[0] as string;
const INHERITED = [
  "schema",
  "build",
  "slots",
  "queues",
  "drainMs",
  "leaseMs",
  "stallMs",
  "retention",
  "retentionFailed",
  "retentionThreads",
  "logLevel",
] as const;

function asEnvironment(settings: Settings): Record<string, string> {
  const given = INHERITED.filter((name) => settings[name] !== undefined);
  return Object.fromEntries(given.map((name) => [settingSpecs[name].env[0], String(settings[name])]));
}

/** This program, as sources or as built. */
function entry(): string {
  const own = fileURLToPath(import.meta.url);
  return own.replace(/execute(\.[a-z]+)$/, "main$1");
}
