-- Claiming. Locks a few lanes in fair-share order, then their tenants, then the runs; waits for nobody.
-- A function, so that its plan is kept per connection even behind a transaction pooler.

create function longhaul.claim(
  p_worker uuid, p_lease_ms int, p_queue text, p_builds text[], p_bands smallint[], p_k int, p_lanes int, p_floor bigint
) returns table (
  run_id uuid, epoch int, journal_seq int, inbox_seq int, crashes smallint, active_ms bigint, cancel text, now_at timestamptz,
  tenant_id text, agent text, build text, queue text, thread_id uuid, thread_no bigint, parent_id uuid, root_id uuid, depth smallint,
  input text, input_blob text, options jsonb, metadata jsonb, created_at timestamptz
) language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
return query
with cand as materialized (   -- 1. lanes, the least served first; one index descent per (build, band)
  select l.lane_id, l.tenant_id from unnest(p_builds, p_bands) p(build, band)
   cross join lateral (
     select x.lane_id, x.tenant_id from longhaul.lanes x
      where x.queue = p_queue and x.build = p.build and x.band = p.band and x.runnable and x.vtime >= p_floor
      order by x.vtime limit p_lanes for update skip locked) l
   limit p_lanes
), quota as materialized (    -- 2. their tenants' room, strict under the row lock
  select t.tenant_id, t.weight, case when t.paused then 0 else greatest(t.cap - t.in_flight, 0) end as room
    from longhaul.tenants t where t.queue = p_queue and t.tenant_id = any(array(select c.tenant_id from cand c)) for update skip locked
), per as materialized (
  select c.lane_id, c.tenant_id, q.room, q.weight, ceil(p_k::float8 / (select count(*) from cand))::int as share
    from cand c join quota q using (tenant_id)
), pick as materialized (     -- 3. the first runs of each lane, within its share and its tenant's room
  select y.lane_id, y.tenant_id, y.prio, y.run_id, y.tid from (
    select p.tenant_id, p.room, r.lane_id, r.prio, r.run_id, r.tid, row_number() over (partition by p.tenant_id order by r.prio, r.run_id) as place
      from per p cross join lateral (
        select x.lane_id, x.prio, x.run_id, x.ctid as tid from longhaul.ready x where x.lane_id = p.lane_id order by x.prio, x.run_id limit least(p.share, p.room)) r
  ) y where y.place <= y.room limit p_k
), held as materialized (     -- 4. their live rows; a run that somebody is cancelling this moment is left to them
  select l.run_id from longhaul.live l where l.run_id = any(array(select p.run_id from pick p)) and l.state = 'queued' for update skip locked
), del as (
  delete from longhaul.ready r using pick p join held h using (run_id)
   where r.ctid = p.tid and r.ctid = any(array(select x.tid from pick x)) returning r.run_id, r.lane_id
), mine as (
  update longhaul.live l
     set state = 'running', worker_id = p_worker, epoch = l.epoch + 1, journal_seq = l.journal_seq + 1, claim_seq = l.journal_seq + 1,
         claimed_at = clock_timestamp(), expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond', need = 0
    from del d where l.run_id = d.run_id and l.run_id = any(array(select p.run_id from pick p)) returning l.*
), noted as (
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  select m.run_id, m.journal_seq, m.epoch, 1, '{"worker":"' || p_worker || '"}' from mine m
), counted as materialized (
  select p.lane_id, p.tenant_id, p.room, p.weight, count(d.run_id)::int as n, sum(count(d.run_id)) over (partition by p.tenant_id)::int as tn
    from per p left join del d using (lane_id) group by p.lane_id, p.tenant_id, p.room, p.weight
), moved as (
  update longhaul.lanes l
     set ready = l.ready - c.n, vtime = l.vtime + greatest(c.n, 1) * (1000000 / c.weight), head_at = clock_timestamp(),
         runnable = l.ready - c.n > 0 and c.room - c.tn > 0
    from counted c where l.lane_id = c.lane_id and l.lane_id = any(array(select x.lane_id from cand x))
), taken as (
  update longhaul.tenants t set in_flight = t.in_flight + c.tn
    from (select distinct k.tenant_id, k.tn from counted k where k.tn > 0) c
   where t.queue = p_queue and t.tenant_id = c.tenant_id and t.tenant_id = any(array(select x.tenant_id from cand x))
)
select m.run_id, m.epoch, m.journal_seq, m.inbox_seq, m.crashes, m.active_ms, m.cancel, clock_timestamp(),
       r.tenant_id, r.agent, r.build, r.queue, r.thread_id, m.thread_no, r.parent_id, r.root_id, r.depth,
       r.input, r.input_blob, r.options, r.metadata, r.created_at
  from mine m join longhaul.runs r on r.run_id = m.run_id and r.run_id = any(array(select p.run_id from pick p));
end $$;

-- Claims one isolated run by its id, for a process that will run nothing else.
create function longhaul.claim_isolated(p_worker uuid, p_lease_ms int, p_run uuid) returns boolean language plpgsql as $$
declare l longhaul.live;
begin
  select * into l from longhaul.live x where x.run_id = p_run and x.isolate and x.state = 'queued' for update skip locked;
  if not found then return false; end if;
  update longhaul.tenants t set in_flight = t.in_flight + 1 from longhaul.lanes n
   where n.lane_id = l.lane_id and t.queue = n.queue and t.tenant_id = n.tenant_id and t.in_flight < t.cap and not t.paused;
  if not found then return false; end if;
  update longhaul.live x
     set state = 'running', worker_id = p_worker, epoch = x.epoch + 1, journal_seq = x.journal_seq + 1, claim_seq = x.journal_seq + 1,
         claimed_at = clock_timestamp(), expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond', need = 0
   where x.run_id = p_run;
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  values (p_run, l.journal_seq + 1, l.epoch + 1, 1, '{"worker":"' || p_worker || '","isolated":true}');
  return true;
end $$;
