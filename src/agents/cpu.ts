// `ctx.cpu`: an exported function of a module, run in a pool of threads, so that computing does not stall the event loop.
import { availableParallelism } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Piscina } from "piscina";

let pool: Promise<Piscina> | undefined;

/** The pool is made at first use and lives as long as the process; its threads end when idle. */
async function threads(): Promise<Piscina> {
  pool ??= import("piscina").then(
    ({ Piscina }) =>
      new Piscina({
        filename: fileURLToPath(new URL("./cpu-thread.mjs", import.meta.url)),
        minThreads: 0,
        maxThreads: Math.max(1, availableParallelism() - 1),
        idleTimeout: 30_000,
        // Threads load plain JavaScript and, through a loader of their own, TypeScript: nothing of this process's flags is needed.
        execArgv: [],
      }),
  );
  return pool;
}

export async function runOnThread<T>(
  module: string | URL,
  name: string,
  input: unknown,
  signal: AbortSignal,
): Promise<T> {
  const url = module instanceof URL ? module.href : module.startsWith("file:") ? module : pathToFileURL(module).href;
  return (await threads()).run({ url, name, input }, { signal }) as Promise<T>;
}

/** Ends the threads, for a process that wants to exit by itself. */
export async function closeThreads(): Promise<void> {
  const open = pool;
  pool = undefined;
  if (open !== undefined) await (await open).destroy();
}
