// The load as the outside sees it: queues, tenants, gates, and how many workers it asks for. All ages are the database's.

/** One queue of one build. */
export interface QueueLoad {
  readonly queue: string;
  readonly build: string;
  /** Runs that are ready. */
  readonly depth: number;
  /** Of them those that wait for a slot of their tenant, their agent or their key. */
  readonly held: number;
  /** For how long the first of those that are not held has been ready, at most; null when there is none. */
  readonly oldestMs: number | null;
  /** The same of those that are held. */
  readonly heldMs: number | null;
  readonly inFlight: number;
  /** Workers that serve it, and their slots together. */
  readonly workers: number;
  readonly slots: number;
  /** Tenants that are at their cap, or paused, while runs of theirs are ready. */
  readonly parkedTenants: number;
  /** Over the last five minutes. */
  readonly startedPerMinute: number;
  readonly finishedPerMinute: number;
  /** From ready to claimed, over the last five minutes; null when nothing was claimed. */
  readonly waitMs: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
  /** What is wrong now, as whoever watches found it (`longhaul start` and `server`). */
  readonly alerts: readonly { readonly kind: AlertKind; readonly slaMs: number; readonly since: string }[];
}

/** `late`: the oldest run waits longer than it should. `unserved`: runs wait, and no worker serves them. */
export type AlertKind = "late" | "unserved";

export interface TenantLoad {
  readonly tenant: string;
  readonly queue: string;
  readonly build: string;
  readonly depth: number;
  /** Of the tenant, in all queues. */
  readonly inFlight: number;
  /** Null: no limit. */
  readonly cap: number | null;
  readonly paused: boolean;
  /** Nothing of it starts here before a slot of its own is free. */
  readonly parked: boolean;
  readonly oldestMs: number | null;
}

/** A limit that is reached, with runs that wait before it. */
export interface GateLoad {
  readonly agent: string;
  /** Null for the limit of an agent; else whose concurrency key it is. */
  readonly tenant: string | null;
  readonly key: string | null;
  readonly cap: number;
  readonly inFlight: number;
  readonly waiting: number;
}

export interface LoadReport {
  /** Every queue and build with ready runs or with workers. */
  readonly queues: readonly QueueLoad[];
  /** The twenty with most ready runs. */
  readonly tenants: readonly TenantLoad[];
  /** The twenty with most runs before them. */
  readonly gates: readonly GateLoad[];
  /** Runs that failed for good and that nobody has dealt with; counted no further than 10,000. */
  readonly deadLetters: number;
}

export interface ScaleOptions {
  /** What the workers serve. Default: all queues. */
  readonly queues?: readonly string[];
  /** Default: the build of this connection. */
  readonly build?: string;
  /** Default 0 and 10. */
  readonly min?: number;
  readonly max?: number;
  /** Slots of one worker. Default 64. */
  readonly slots?: number;
  /** How long the oldest run may wait. Default 5,000. */
  readonly slaMs?: number;
  /** Runs that may wait for each slot. Default 2. */
  readonly target?: number;
}

export interface ScaleReport {
  readonly desiredWorkers: number;
  /** Null: all. */
  readonly queues: readonly string[] | null;
  readonly build: string;
  /** Runs that are ready; of them those that would start if there were workers without end. */
  readonly depth: number;
  readonly runnable: number;
  /** Runs that are not ready, and become so only where a worker is: timers that ring within seconds, submits of transactions. */
  readonly waking: number;
  readonly inFlight: number;
  readonly oldestMs: number | null;
  readonly workers: number;
  /** False: no worker serves any of it. */
  readonly served: boolean;
}

/** Something became wrong, or is well again. */
export interface LoadAlert {
  readonly event: "raised" | "cleared";
  readonly kind: AlertKind;
  readonly queue: string;
  readonly build: string;
  readonly depth: number;
  readonly oldestMs: number | null;
  readonly workers: number;
  readonly slaMs: number;
  readonly since: string;
}
