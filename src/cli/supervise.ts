// The supervisor: keeps a number of worker processes alive, and hands back at once what a dead one held.
import type { ChildProcess } from "node:child_process";
import type { Longhaul } from "../runtime/api.ts";
import type { Stop } from "./stop.ts";
import type { Teardown } from "./teardown.ts";
import { type WorkerEvent, WorkerProcess } from "./worker-process.ts";

export interface SuperviseOptions {
  readonly processes: number;
  /** Starts a worker that holds its leases under this id. */
  readonly spawn: (workerId: string) => ChildProcess;
  readonly longhaul: Longhaul;
  readonly stop: Stop;
  readonly drainMs: number;
  readonly waitForChange: boolean;
  readonly report: (event: WorkerEvent) => void;
}

/** A worker drains within its own limit; one that does not is killed this much later. */
const DRAIN_GRACE_MS = 5_000;

/** Starts the workers; at the teardown they drain, and the second Ctrl-C kills them. */
export function superviseWorkers(options: SuperviseOptions, down: Teardown): WorkerProcess[] {
  const { processes, spawn, longhaul, stop, drainMs, waitForChange, report } = options;
  const free = (workerId: string): Promise<number> => longhaul.freeWorker(workerId, { canIsolate: true });
  const drainLimitMs = drainMs + DRAIN_GRACE_MS;
  const workers = Array.from({ length: processes }, () => {
    return new WorkerProcess({ spawn, free, report, stop: stop.signal, drainLimitMs, waitForChange });
  });
  const lives = workers.map((worker) => worker.keepAlive());
  down.defer(() => Promise.all(lives));
  stop.onHardStop(() => {
    for (const worker of workers) worker.kill();
  });
  return workers;
}
