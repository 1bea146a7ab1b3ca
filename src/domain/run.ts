// What a run is, which states it has, and which moves between them are legal.

export const LIVE_STATES = ["queued", "running", "waiting", "paused"] as const;
export const FINAL_STATES = ["succeeded", "failed", "cancelled"] as const;

export type LiveState = (typeof LIVE_STATES)[number];
export type FinalState = (typeof FINAL_STATES)[number];
export type RunStatus = LiveState | FinalState;

/** The state machine. Budget, time-out and expiry are reasons, not states. */
export const MOVES: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  queued: ["running", "cancelled"],
  running: ["queued", "waiting", "paused", "succeeded", "failed", "cancelled"],
  waiting: ["queued", "cancelled"],
  paused: ["queued", "cancelled"],
  succeeded: [],
  failed: [],
  cancelled: [],
};

export function isFinal(status: RunStatus): status is FinalState {
  return MOVES[status].length === 0;
}

/** A run as everybody outside sees it. Times are ISO 8601 with the database's clock. */
export interface Run {
  readonly runId: string;
  readonly agent: string;
  readonly tenant: string;
  readonly build: string;
  readonly queue: string;
  readonly status: RunStatus;
  /** Why it ended or is paused: `run_timeout`, `quarantined: …`, what the canceller said. */
  readonly reason: string | null;
  readonly threadId: string | null;
  readonly parentId: string | null;
  readonly rootId: string;
  readonly forkedFrom: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly createdAt: string;
  /** Not before this moment, when it was submitted with a delay. */
  readonly runAt: string | null;
  readonly finishedAt: string | null;
  /** Raised at every claim and take-over. */
  readonly epoch: number;
  readonly journalSeq: number;
  readonly workerId: string | null;
  readonly leaseExpiresAt: string | null;
  readonly cancelRequested: boolean;
}

/** How a run ended, with the value it gave or what it failed with. */
export type RunResult =
  | { readonly status: "succeeded"; readonly output: unknown }
  | {
      readonly status: "failed";
      readonly reason: string | null;
      readonly failure: import("./failure.ts").Failure;
      /** What it had so far, where it said so: `ctx.partial`. */
      readonly partial?: unknown;
    }
  | { readonly status: "cancelled"; readonly reason: string | null };
