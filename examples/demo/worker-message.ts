// What the demo and its worker processes know of each other.

/** What a worker tells the demo. */
export type WorkerMessage =
  | { readonly type: "ready"; readonly workerId: string }
  /** One query has read the journals of these runs, which another process had begun, for a replay. */
  | { readonly type: "replay"; readonly runIds: readonly string[]; readonly steps: number }
  /** A run whose process died twice is tried alone in a process of its own. */
  | { readonly type: "isolated"; readonly runId: string };

/** Runs that one worker executes at once. */
export const SLOTS = 100;

/** Variable with the process id of the demo. */
export const DEMO_PID = "LONGHAUL_DEMO_PID";
