// Workers in processes of their own, which a test can kill.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { ConnectOptions, WorkerSettings } from "../../src/index.ts";
import { built } from "./built.ts";

export interface WorkerProcess {
  readonly process: ChildProcess;
  readonly workerId: string;
  /** Resolves with the code or the signal with which it ended. */
  readonly ended: Promise<string>;
  kill(signal?: NodeJS.Signals): Promise<string>;
}

export interface WorkerProcessOptions {
  readonly url: string;
  readonly build: string;
  /** The module that exports `agents`. */
  readonly module: URL;
  readonly settings?: WorkerSettings;
  /** Plain data. */
  readonly gateway?: ConnectOptions["gateway"];
}

const PROGRAM = built(new URL("worker-program.ts", import.meta.url));

/** Starts the process; what it does before it says its id can be waited for by other means. */
export function spawnWorker({ url, build, module, settings = {}, gateway }: WorkerProcessOptions): ChildProcess {
  const facts = {
    url,
    build,
    module: built(module),
    settings: { slots: 20, tickMs: 50, ...settings },
    gateway,
  };
  return spawn(process.execPath, [PROGRAM, JSON.stringify(facts)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}

/** Starts the process and waits until it is at work. */
export async function startWorker(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const child = spawnWorker(options);
  const ended = once(child, "exit").then(([code, signal]) => String(signal ?? code));
  const workerId = await firstLine(child);
  return {
    process: child,
    workerId,
    ended,
    kill: (signal = "SIGKILL") => {
      child.kill(signal);
      return ended;
    },
  };
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("no output");
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error("the worker ended before it was at work");
}
