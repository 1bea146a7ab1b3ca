// The supervisor: keeps worker processes alive, and hands back at once what a dead one held.
import type { ChildProcess } from "node:child_process";
import type { Longhaul } from "../runtime/api.ts";
import type { Stop } from "./stop.ts";
import type { Teardown } from "./teardown.ts";
import { WorkerPool } from "./worker-pool.ts";
import type { WorkerEvent } from "./worker-process.ts";

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
export function superviseWorkers(options: SuperviseOptions, down: Teardown): WorkerPool {
  const { processes, spawn, longhaul, stop, drainMs, waitForChange, report } = options;
  const free = (workerId: string): Promise<number> => longhaul.freeWorker(workerId, { canIsolate: true });
  const drainLimitMs = drainMs + DRAIN_GRACE_MS;
  const pool = new WorkerPool({ spawn, free, report, stop: stop.signal, drainLimitMs, waitForChange });
  for (let n = 0; n < processes; n++) pool.add();
  down.defer(() => pool.ended());
  stop.onHardStop(() => pool.kill());
  return pool;
}
