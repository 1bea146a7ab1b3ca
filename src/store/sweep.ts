// Statements for what time does, and for the register of workers.
import type { Queryable } from "./database.ts";

export interface TickRequest {
  readonly workerId: string;
  readonly queues: readonly string[];
  readonly build: string;
  readonly limit: number;
  readonly crashesMax: number;
  readonly canIsolate: boolean;
}

export interface Tick {
  readonly did: "promoted" | "taken" | "expired" | "swept" | null;
  readonly runnable: boolean;
  readonly isolated: readonly string[];
  /** Children of ended parents, still to be cancelled one by one. */
  readonly children: readonly string[];
  /** Until the next timer rings, at most an hour; null when there is none. */
  readonly next_ms: number | null;
}

/** Does one thing that is due, and says whether there is something to claim: all that an idle process asks. */
export async function tick(db: Queryable, request: TickRequest): Promise<Tick> {
  const [row] = await db.query<Tick>(
    "select * from longhaul.tick($1, $2::text[], $3, $4, $5, $6)",
    [request.workerId, request.queues, request.build, request.limit, request.crashesMax, request.canIsolate],
    "lh_tick",
  );
  if (row === undefined) throw new Error("tick gave no row");
  return row;
}

/** Takes runs whose leases have lapsed from their workers, now. */
export function sweep(
  db: Queryable,
  limit: number,
  crashesMax: number,
  canIsolate: boolean,
): Promise<{ run_id: string; worker_id: string; became: string }[]> {
  return db.query("select * from longhaul.sweep($1, $2, $3)", [limit, crashesMax, canIsolate]);
}

/** A run that this worker tries alone has got on: as soon as it is let go, anybody may claim it. */
export async function clearSuspicion(db: Queryable, workerId: string, runId: string): Promise<void> {
  await db.query(
    "update longhaul.live set isolate = false where run_id = $1 and worker_id = $2 and isolate and journal_seq > claim_seq",
    [runId, workerId],
  );
}

/** Lets the leases of a worker lapse at once, because its supervisor saw it die. Answers how many. */
export async function freeWorker(db: Queryable, workerId: string): Promise<number> {
  const [row] = await db.query<{ free_worker: number }>("select longhaul.free_worker($1)", [workerId]);
  return row?.free_worker ?? 0;
}

export interface WorkerRow {
  readonly worker_id: string;
  readonly pid: number;
  readonly slots: number;
  readonly host: string;
  readonly build: string;
  readonly queues: readonly string[];
  readonly agents: readonly string[];
  readonly version: string;
}

export async function registerWorker(db: Queryable, worker: WorkerRow): Promise<void> {
  await db.query(
    `insert into longhaul.workers (worker_id, pid, slots, host, build, queues, agents, version)
     values ($1, $2, $3, $4, $5, $6::text[], $7::text[], $8) on conflict (worker_id) do update set seen_at = clock_timestamp(), state = 'active'`,
    [
      worker.worker_id,
      worker.pid,
      worker.slots,
      worker.host,
      worker.build,
      worker.queues,
      worker.agents,
      worker.version,
    ],
  );
}

export async function setWorkerState(db: Queryable, workerId: string, state: "draining" | "stopped"): Promise<void> {
  await db.query("update longhaul.workers set state = $2, seen_at = clock_timestamp() where worker_id = $1", [
    workerId,
    state,
  ]);
}

/** The database's clock, at some moment between question and answer. */
export async function readClock(db: Queryable): Promise<Date> {
  const [row] = await db.query<{ now: Date }>("select clock_timestamp() as now", [], "lh_clock");
  return row?.now ?? new Date();
}
