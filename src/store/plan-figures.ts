// What this installation has done lately, as the planner needs it: how many runs, when, how long, with how many steps and waits.
import type { Queryable } from "./database.ts";

export interface PlanFigures {
  /** Hours from the first run of the window, or its beginning, until now. */
  readonly observed_hours: number;
  /** Runs of all tenants that came in, children included: each takes a slot. */
  readonly runs: number;
  readonly tenants: number;
  /** Runs per hour in the busiest hour of the day (UTC), averaged over the days. */
  readonly busiest_per_hour: number;
  /** Ended runs that the figures below are of: the newest, at most 2,000. */
  readonly ended: number;
  readonly active_ms_mean: number;
  readonly active_ms_p95: number;
  readonly steps_per_run: number;
  /** Part of the runs that waited, and how long each of those did in all. */
  readonly waiting_share: number;
  readonly wait_ms_mean: number;
}

/** The first run id of the window: ids carry their time, so that the primary key finds the newest without reading the rest. */
const SINCE = `select s.at, (substr(s.hex, 1, 8) || '-' || substr(s.hex, 9, 4) || '-0000-0000-000000000000')::uuid as first_id
  from (select w.at, lpad(to_hex((extract(epoch from w.at) * 1000)::bigint), 12, '0') as hex
          from (select clock_timestamp() - $1 * interval '1 hour' as at) w) s`;

const ARRIVALS = `with since as materialized (${SINCE}), hours as materialized (
  select date_trunc('hour', r.created_at) as hour, count(*) as runs, min(r.created_at) as first_at
    from longhaul.runs r where r.run_id >= (select s.first_id from since s) and r.created_at >= (select s.at from since s) group by 1
), observed as materialized (
  select extract(epoch from clock_timestamp() - min(h.first_at))::float8 / 3600 as span from hours h
), clock as materialized (
  select g.hour, coalesce(h.runs, 0) as runs
    from generate_series((select min(h.hour) from hours h), date_trunc('hour', clock_timestamp()), interval '1 hour') g(hour)
    left join hours h using (hour)
), busiest as (
  select avg(c.runs) as per_hour from clock c group by extract(hour from c.hour at time zone 'UTC') order by 1 desc limit 1
)
select coalesce((select o.span from observed o), 0)::float8 as observed_hours,
       coalesce((select sum(h.runs) from hours h), 0)::bigint as runs,
       coalesce((select b.per_hour from busiest b), 0)::float8 as busiest_per_hour,
       (select count(distinct r.tenant_id) from longhaul.runs r
         where r.run_id >= (select s.first_id from since s) and r.created_at >= (select s.at from since s))::int as tenants`;

/** A run waits from the entry that let it go (2) to the one that took it up again (1). */
const RUNS = `with since as materialized (${SINCE}), sample as materialized (
  select o.run_id, o.active_ms from longhaul.outcomes o
   where o.run_id >= (select s.first_id from since s) and o.finished_at >= (select s.at from since s) and o.status in ('succeeded', 'failed')
   order by o.run_id desc limit 2000
), steps as materialized (
  select j.run_id, count(*) filter (where j.kind = 10) as steps from longhaul.journal j join sample s using (run_id) group by 1
), waits as materialized (
  select m.run_id, sum(extract(epoch from m.next_at - m.at)) * 1000 as ms from (
    select j.run_id, j.kind, j.at, lead(j.at) over (partition by j.run_id order by j.seq) as next_at
      from longhaul.journal j join sample s using (run_id) where j.kind in (1, 2)
  ) m where m.kind = 2 and m.next_at is not null group by 1
)
select count(*)::int as ended,
       coalesce(avg(s.active_ms), 0)::float8 as active_ms_mean,
       coalesce(percentile_cont(0.95) within group (order by s.active_ms), 0)::float8 as active_ms_p95,
       coalesce(avg(coalesce(t.steps, 0)), 0)::float8 as steps_per_run,
       coalesce(avg((w.run_id is not null)::int), 0)::float8 as waiting_share,
       coalesce(avg(w.ms), 0)::float8 as wait_ms_mean
  from sample s left join steps t using (run_id) left join waits w using (run_id)`;

/** All tenants together: it is for whoever runs the installation. Reads the runs of the last `hours` hours. */
export async function readPlanFigures(db: Queryable, hours: number): Promise<PlanFigures> {
  const [[arrivals], [runs]] = await Promise.all([
    db.query<PlanFigures>(ARRIVALS, [hours]),
    db.query<PlanFigures>(RUNS, [hours]),
  ]);
  return { ...arrivals, ...runs } as PlanFigures;
}
