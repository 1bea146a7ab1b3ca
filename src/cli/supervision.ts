// What a supervisor and its worker process tell each other.

/** What a worker tells the process that started it. */
export interface WorkerReady {
  readonly type: "ready";
  readonly workerId: string;
  readonly agents: readonly string[];
}

/** What a supervisor tells its worker. */
export interface DrainRequest {
  readonly type: "drain";
}

/** Environment variable: the id under which the worker in this process holds its leases. */
export const WORKER_ID = "LONGHAUL_WORKER_ID";

/** Variable that tells a worker that it has a supervisor, which answers for Ctrl-C. */
export const SUPERVISED = "LONGHAUL_SUPERVISED";

export function isWorkerReady(message: unknown): message is WorkerReady {
  return typeof message === "object" && message !== null && "type" in message && message.type === "ready";
}

export function isDrainRequest(message: unknown): message is DrainRequest {
  return typeof message === "object" && message !== null && "type" in message && message.type === "drain";
}
