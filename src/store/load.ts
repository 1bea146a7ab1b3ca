// Statements that say how much there is to do, whatever the number of runs: they read turns, lanes and what is in flight.
import type { Queryable } from "./database.ts";

/** Of one queue and build. */
export interface TotalsRow {
  readonly queue: string;
  readonly build: string;
  readonly depth: number;
  /** Of them those that no parked turn and no shut lane holds back. */
  readonly open: number;
  readonly oldest_ms: number | null;
  readonly held_ms: number | null;
  readonly workers: number;
  readonly slots: number;
}

/** Null for all queues, or builds. */
export function readTotals(
  db: Queryable,
  queues: readonly string[] | null = null,
  build: string | null = null,
): Promise<TotalsRow[]> {
  return db.query<TotalsRow>("select * from longhaul.totals($1::text[], $2)", [queues, build], "lh_totals");
}

export function readInFlight(
  db: Queryable,
): Promise<{ readonly queue: string; readonly build: string; readonly running: number }[]> {
  return db.query("select * from longhaul.in_flight(null, null)");
}

/** Turns whose tenants are at their caps or paused. */
export function readParked(
  db: Queryable,
): Promise<{ readonly queue: string; readonly build: string; readonly parked: number }[]> {
  return db.query(
    "select queue, build, count(*) as parked from longhaul.turns where ready > 0 and not runnable group by 1, 2",
  );
}

export interface TenantLoadRow {
  readonly tenant_id: string;
  readonly queue: string;
  readonly build: string;
  readonly depth: number;
  readonly in_flight: number;
  readonly cap: number;
  readonly paused: boolean;
  readonly parked: boolean;
  readonly oldest_ms: number | null;
}

/** Those with most ready runs, at most twenty; or of one tenant alone. */
export function readTopTenants(db: Queryable, tenant: string | null): Promise<TenantLoadRow[]> {
  return db.query<TenantLoadRow>(
    `select t.tenant_id, t.queue, t.build, sum(t.ready)::bigint as depth, n.in_flight, n.cap, n.paused, not bool_or(t.runnable) as parked,
       longhaul.ms_since((select min(l.head_at) from longhaul.lanes l where l.turn_id = any(array_agg(t.turn_id)) and l.ready > 0), clock_timestamp()) as oldest_ms
       from (select distinct x.queue, x.tenant_id, x.build from (
              select y.queue, y.tenant_id, y.build from longhaul.turns y where y.ready > 0 and ($1::text is null or y.tenant_id = $1)
               order by y.ready desc limit 60) x) m
       join longhaul.turns t using (queue, tenant_id, build) join longhaul.tenants n using (tenant_id)
      where t.ready > 0 group by t.tenant_id, t.queue, t.build, n.in_flight, n.cap, n.paused order by 4 desc, 1, 2, 3 limit 20`,
    [tenant],
  );
}

export interface GateRow {
  readonly agent: string;
  /** Empty for the limit of an agent. */
  readonly tenant_id: string;
  readonly key: string;
  readonly cap: number;
  readonly in_flight: number;
  readonly waiting: number;
}

/** Gates without room before which runs wait, at most twenty; or those of one tenant alone. Found by what runs, since there may be a million keys. */
export function readFullGates(db: Queryable, tenant: string | null): Promise<GateRow[]> {
  return db.query<GateRow>(
    `with used as (
       select distinct x.gate_id from longhaul.live v cross join lateral (values (v.agent_gate), (v.key_gate)) x(gate_id)
        where v.state = 'running' and x.gate_id is not null
       union select g.gate_id from longhaul.gates g where g.tenant_id = '' and g.cap = 0
     )
     select * from (
       select g.agent, g.tenant_id, g.key, g.cap, g.in_flight, case when g.tenant_id = ''
              then (select sum(l.ready) from longhaul.lanes l where l.agent = g.agent and l.agent_gate = g.gate_id)
              else (select sum(l.ready) from longhaul.lanes l where l.key_gate = g.gate_id) end::bigint as waiting
         from used u join longhaul.gates g using (gate_id) where g.in_flight >= g.cap and ($1::text is null or g.tenant_id = $1)) f
      where waiting > 0 order by waiting desc, 1, 2, 3 limit 20`,
    [tenant],
  );
}

/** Counts no further than ten thousand. */
export async function countDeadLetters(db: Queryable, tenant: string | null): Promise<number> {
  const [row] = await db.query<{ n: number }>(
    "select count(*) as n from (select 1 from longhaul.dead_letters d where $1::text is null or d.tenant_id = $1 limit 10000) x",
    [tenant],
  );
  return row?.n ?? 0;
}

export interface AlertRow {
  readonly queue: string;
  readonly build: string;
  readonly kind: "late" | "unserved";
  readonly sla_ms: number;
  readonly raised_at: Date;
}

/** What is wrong at this moment, as it was found by `watchLoad`. */
export function readAlerts(db: Queryable): Promise<AlertRow[]> {
  return db.query<AlertRow>("select * from longhaul.alerts order by raised_at");
}

export interface AlertChange extends AlertRow {
  /** False: it is well again. */
  readonly raised: boolean;
  readonly depth: number;
  readonly oldest_ms: number | null;
  readonly workers: number;
}

/** Finds what became late, or has nobody who serves it, and what is well again. Each change is told to one caller only. */
export function watchLoad(db: Queryable, slaMs: number): Promise<AlertChange[]> {
  return db.query<AlertChange>("select * from longhaul.watch($1)", [slaMs], "lh_watch");
}

export interface ScaleRequest {
  readonly queues: readonly string[] | null;
  readonly build: string | null;
  readonly min: number;
  readonly max: number;
  readonly slots: number;
  readonly slaMs: number;
  readonly target: number;
}

export interface ScaleRow {
  readonly desired: number;
  readonly depth: number;
  readonly runnable: number;
  readonly waking: number;
  readonly in_flight: number;
  readonly oldest_ms: number | null;
  readonly workers: number;
}

export async function readScale(db: Queryable, request: ScaleRequest): Promise<ScaleRow> {
  const { queues, build, min, max, slots, slaMs, target } = request;
  const [row] = await db.query<ScaleRow>(
    "select * from longhaul.scale($1::text[], $2, $3, $4, $5, $6, $7)",
    [queues, build, min, max, slots, slaMs, target],
    "lh_scale",
  );
  if (row === undefined) throw new Error("scale gave no row");
  return row;
}
