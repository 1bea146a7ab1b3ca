// Statements that say how the queues and the workers are doing: small tables only, whatever the number of runs.
import type { Queryable } from "./database.ts";

export interface QueueRow {
  readonly queue: string;
  readonly tenant_id: string;
  readonly build: string;
  readonly depth: number;
  readonly in_flight: number;
  readonly cap: number;
  readonly paused: boolean;
  readonly oldest_ms: number | null;
  readonly workers: number;
}

export function readQueues(db: Queryable): Promise<QueueRow[]> {
  return db.query<QueueRow>(
    `select t.queue, t.tenant_id, t.build, sum(t.ready)::bigint as depth, n.in_flight, n.cap, n.paused,
       (select (extract(epoch from clock_timestamp() - min(l.head_at)) * 1000)::bigint
          from longhaul.lanes l where l.turn_id = any(array_agg(t.turn_id)) and l.ready > 0) as oldest_ms,
       (select count(*) from longhaul.workers w where w.build = t.build and t.queue = any(w.queues) and w.state = 'active'
          and w.seen_at > clock_timestamp() - interval '30 seconds') as workers
       from longhaul.turns t join longhaul.tenants n using (tenant_id)
      group by t.queue, t.tenant_id, t.build, n.in_flight, n.cap, n.paused order by 1, 2, 3`,
  );
}

/** Where runs are ready and no worker has been heard of for half a minute: of all tenants, by queue and build. */
export function readUnserved(
  db: Queryable,
): Promise<{ queue: string; build: string; waiting: number; oldest_ms: number }[]> {
  return db.query(
    `select t.queue, t.build, sum(l.ready)::bigint as waiting,
       (extract(epoch from clock_timestamp() - min(l.head_at)) * 1000)::bigint as oldest_ms
       from longhaul.turns t join longhaul.lanes l using (turn_id)
      where l.ready > 0 and not exists (
        select from longhaul.workers w where w.build = t.build and t.queue = any(w.queues) and w.state = 'active'
           and w.seen_at > clock_timestamp() - interval '30 seconds')
      group by 1, 2 order by 1, 2`,
  );
}

export interface WorkerStateRow {
  readonly worker_id: string;
  readonly host: string;
  readonly pid: number;
  readonly build: string;
  readonly queues: string[];
  readonly agents: string[];
  readonly slots: number;
  readonly running: number;
  readonly state: "active" | "draining" | "stopped" | "lost";
  readonly started_at: Date;
  readonly seen_at: Date;
  readonly version: string;
}

/** A worker that has said nothing for half a minute and never said goodbye counts as lost. */
export function readWorkers(db: Queryable): Promise<WorkerStateRow[]> {
  return db.query<WorkerStateRow>(
    `select w.worker_id, w.host, w.pid, w.build, w.queues, w.agents, w.slots, w.started_at, w.seen_at, w.version,
       case when w.state in ('active', 'draining') and w.seen_at < clock_timestamp() - interval '30 seconds' then 'lost' else w.state end as state,
       (select count(*) from longhaul.live l where l.worker_id = w.worker_id and l.state = 'running') as running
       from longhaul.workers w order by w.started_at`,
  );
}

/** Everything that can hold one unfinished run back, in one row. */
export interface Holdup {
  readonly state: string;
  readonly in_ready: boolean;
  readonly ahead: number;
  readonly due_at: Date | null;
  readonly now_at: Date;
  readonly thread_active: string | null;
  /** Since when it has been ready; null where it is not. */
  readonly ready_at: Date | null;
  readonly plan: string;
  readonly cap: number;
  readonly in_flight: number;
  readonly paused: boolean;
  /** The limits of its agent and of its concurrency key; null where there is none. */
  readonly agent_cap: number | null;
  readonly agent_in_flight: number | null;
  readonly key: string;
  readonly key_cap: number | null;
  readonly key_in_flight: number | null;
  readonly start_by: Date | null;
  readonly workers: number;
  readonly isolate: boolean;
  readonly crashes: number;
  readonly expires_at: Date | null;
  readonly worker_id: string | null;
  readonly worker_host: string | null;
  readonly worker_pid: number | null;
  readonly worker_state: string | null;
}

export async function readHoldup(db: Queryable, runId: string): Promise<Holdup | null> {
  const [row] = await db.query<Holdup>(
    `select l.state, y.run_id is not null as in_ready, l.isolate, l.crashes, l.expires_at, l.worker_id, clock_timestamp() as now_at,
       (select count(*) from (select 1 from longhaul.ready z where z.lane_id = l.lane_id and (z.prio, z.run_id) < (l.prio, l.run_id) limit 1000) q) as ahead,
       y.at as ready_at, d.due_at, h.active_run as thread_active, t.plan, t.cap, t.in_flight, t.paused, a.cap as agent_cap, a.in_flight as agent_in_flight,
       n.key, k.cap as key_cap, k.in_flight as key_in_flight, e.start_by, w.host as worker_host, w.pid as worker_pid, w.state as worker_state,
       (select count(*) from longhaul.workers x where x.build = u.build and u.queue = any(x.queues) and x.state = 'active'
          and x.seen_at > clock_timestamp() - interval '30 seconds') as workers
       from longhaul.live l
       join longhaul.lanes n using (lane_id)
       join longhaul.turns u using (turn_id)
       join longhaul.tenants t on t.tenant_id = n.tenant_id
       left join longhaul.gates a on a.gate_id = n.agent_gate
       left join longhaul.gates k on k.gate_id = n.key_gate
       left join longhaul.expiries e on e.run_id = l.run_id
       left join longhaul.ready y on y.lane_id = l.lane_id and y.prio = l.prio and y.run_id = l.run_id
       left join longhaul.later d on d.run_id = l.run_id
       left join longhaul.threads h on h.thread_no = l.thread_no
       left join longhaul.workers w on w.worker_id = l.worker_id
      where l.run_id = $1`,
    [runId],
  );
  return row ?? null;
}
