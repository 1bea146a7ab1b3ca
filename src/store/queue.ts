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
    `select l.queue, l.tenant_id, l.build, sum(l.ready)::bigint as depth, t.in_flight, t.cap, t.paused,
       (extract(epoch from clock_timestamp() - min(l.head_at) filter (where l.ready > 0)) * 1000)::bigint as oldest_ms,
       (select count(*) from longhaul.workers w where w.build = l.build and l.queue = any(w.queues) and w.state = 'active'
          and w.seen_at > clock_timestamp() - interval '30 seconds') as workers
       from longhaul.lanes l join longhaul.tenants t using (queue, tenant_id)
      group by l.queue, l.tenant_id, l.build, t.in_flight, t.cap, t.paused order by 1, 2, 3`,
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
  readonly cap: number;
  readonly in_flight: number;
  readonly paused: boolean;
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
       d.due_at, h.active_run as thread_active, t.cap, t.in_flight, t.paused, w.host as worker_host, w.pid as worker_pid, w.state as worker_state,
       (select count(*) from longhaul.workers x where x.build = n.build and n.queue = any(x.queues) and x.state = 'active'
          and x.seen_at > clock_timestamp() - interval '30 seconds') as workers
       from longhaul.live l
       join longhaul.lanes n using (lane_id)
       join longhaul.tenants t on t.queue = n.queue and t.tenant_id = n.tenant_id
       left join longhaul.ready y on y.lane_id = l.lane_id and y.prio = l.prio and y.run_id = l.run_id
       left join longhaul.later d on d.run_id = l.run_id
       left join longhaul.threads h on h.thread_no = l.thread_no
       left join longhaul.workers w on w.worker_id = l.worker_id
      where l.run_id = $1`,
    [runId],
  );
  return row ?? null;
}

/** Sets how many runs of a tenant may be in flight on a queue, and un-parks or parks its lanes accordingly. */
export async function setCap(db: Queryable, queue: string, tenant: string, cap: number): Promise<void> {
  await db.query(
    `with changed as (
       insert into longhaul.tenants (queue, tenant_id, cap) values ($1, $2, $3)
       on conflict (queue, tenant_id) do update set cap = excluded.cap returning queue, tenant_id
     )
     update longhaul.lanes l set runnable = l.ready > 0 from changed c where l.queue = c.queue and l.tenant_id = c.tenant_id`,
    [queue, tenant, cap],
  );
}
