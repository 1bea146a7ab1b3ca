--! compatible
-- A lane remembers its front: none of its ready runs is before that, by priority and then by id. Claims begin there, so that they do not read what earlier
-- ones have taken and an old snapshot keeps from being cleaned up: minutes after somebody began to dump the database, that was all that a claim did.
--
-- Whoever puts a run before the front moves it there. A claim moves it on when it has taken all that it picked, and when nobody touched the lane between its
-- snapshot and its lock: what came in that moment it does not see. With a floor of 0, as every worker sends now and then, it looks in front of it too.

alter table longhaul.lanes add column front uuid not null default '00000000-0000-0000-0000-000000000000';
-- until now the priority of a lane was that of the last run it gave
update longhaul.lanes l set prio = (select min(r.prio) from longhaul.ready r where r.lane_id = l.lane_id)
 where l.ready > 0 and l.prio > (select min(r.prio) from longhaul.ready r where r.lane_id = l.lane_id);

create or replace function longhaul.push(items longhaul.item[])
 returns void
 language plpgsql
as $$
declare lane int[]; turn int[]; changed int;
begin
  if items is null or cardinality(items) = 0 then return; end if;
  lane := array(select distinct i.lane_id from unnest(items) i);
  turn := array(select l.turn_id from longhaul.lanes l where l.lane_id = any(lane));
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for no key update;
  insert into longhaul.ready (lane_id, prio, run_id) select i.lane_id, i.prio, i.run_id from unnest(items) i;
  with added as materialized (
    select i.lane_id, count(*)::int as n, min(i.prio) as prio, (array_agg(i.run_id order by i.prio, i.run_id))[1] as front from unnest(items) i group by 1
  ), was as materialized (   -- an empty lane opens; one with runs that is shut stays so: only a freed slot opens it
    select l.lane_id, l.turn_id, l.ready = 0 as empty, a.n, a.prio, a.front from longhaul.lanes l join added a using (lane_id) where l.lane_id = any(lane)
  ), filled as (
    update longhaul.lanes l
       set ready = l.ready + w.n, open = w.empty or l.open, prio = case when w.empty then w.prio else least(l.prio, w.prio) end,
           front = case when w.empty or w.prio < l.prio then w.front when w.prio = l.prio then least(l.front, w.front) else l.front end,
           head_at = case when w.empty then clock_timestamp() else l.head_at end
      from was w where l.lane_id = w.lane_id and l.lane_id = any(lane) returning l.lane_id
  ), told as (
    update longhaul.turns t
       set ready = t.ready + c.n, lanes = t.lanes + c.opened,
           -- open lanes and not runnable means parked by the tenant's cap: only a freed slot un-parks it
           runnable = t.runnable or (t.lanes = 0 and c.opened > 0),
           vtime = case when t.lanes = 0 then greatest(t.vtime, longhaul.present(t.queue, t.build, t.band)) else t.vtime end
      from (select w.turn_id, sum(w.n)::int as n, count(*) filter (where w.empty)::int as opened from was w group by 1) c
     where t.turn_id = c.turn_id and t.turn_id = any(turn)
  )
  select count(*) into changed from filled;
  -- a lane that was idle for long may be cleared away between a look at it and its lock: then the whole statement is tried again
  if changed < cardinality(lane) then raise exception 'a lane has just been cleared away' using errcode = 'serialization_failure'; end if;
end $$;

create or replace function longhaul.claim(p_worker uuid, p_lease_ms integer, p_queue text, p_builds text[], p_bands smallint[], p_floors bigint[], p_k integer, p_turns integer)
 returns table(run_id uuid, epoch integer, journal_seq integer, inbox_seq integer, crashes smallint, active_ms bigint, cancel text, now_at timestamptz, tenant_id text, agent text, build text, queue text, thread_id uuid, thread_no bigint, parent_id uuid, root_id uuid, depth smallint, input text, input_blob text, options jsonb, metadata jsonb, created_at timestamptz, ready_at timestamptz, band smallint, vtime bigint, budget_id uuid, wall_at timestamptz, wall_ms bigint, wall_budget uuid, counts_usd boolean, counts_steps boolean)
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $$
#variable_conflict use_column
begin
return query
with cand as materialized (   -- 1. turns, the least served first; one index descent per (build, band)
  select t.turn_id, t.tenant_id, t.band, t.vtime, p.place, p.floor from unnest(p_builds, p_bands, p_floors) with ordinality p(build, band, floor, place)
   cross join lateral (
     select x.turn_id, x.tenant_id, x.band, x.vtime from longhaul.turns x
      where x.queue = p_queue and x.build = p.build and x.band = p.band and x.runnable and x.vtime >= p.floor
      order by x.vtime limit p_turns for no key update skip locked) t
   limit p_turns
), quota as materialized (    -- 2. their tenants' room, strict under the row lock
  select t.tenant_id, t.weight, case when t.paused then 0 else greatest(t.cap - t.in_flight, 0) end as room
    from longhaul.tenants t where t.tenant_id = any(array(select c.tenant_id from cand c)) for update skip locked
), per as materialized (
  -- twice a turn's part of the batch: what others leave, those who are behind may take
  select c.turn_id, c.tenant_id, c.band, c.vtime, c.place as rank, c.floor, q.room, 1000000 / q.weight as stride,
         least(q.room, p_k, ceil(2.0 * p_k * q.weight / sum(q.weight) over (partition by c.place))::int) as share
    from cand c join quota q using (tenant_id)
), hidden as materialized (   -- turns as far back that others hold at this moment: nobody is to get far ahead of them because of that
  select t.rank, min(t.vtime) filter (where t.turn_id <> all(array(select f.turn_id from per f))) + p_k * 1000000 / count(*) as until
    from (
      select x.turn_id, x.vtime, p.place as rank from unnest(p_builds, p_bands, p_floors) with ordinality p(build, band, floor, place)
       cross join lateral (
         select t.turn_id, t.vtime from longhaul.turns t
          where t.queue = p_queue and t.build = p.build and t.band = p.band and t.runnable and t.vtime >= p.floor order by t.vtime limit p_turns) x) t
   group by t.rank
), open as materialized (     -- 3. their open lanes, the most urgent and then the least recently served first
  select p.turn_id, p.tenant_id, p.band, p.rank, p.vtime, p.stride, p.share, p.room, l.* from per p cross join lateral (
    select x.lane_id, x.agent_gate, x.key_gate, x.place, x.ctid as tid, case when p.floor <> 0 then x.prio else -32768 end as front_prio,
           case when p.floor <> 0 then x.front else '00000000-0000-0000-0000-000000000000' end as front
      from longhaul.lanes x where x.turn_id = p.turn_id and x.open
     order by x.prio, x.place limit p.share for no key update) l
), gate as materialized (     -- 4. the room in the gates of those lanes; a gate in somebody's hands has none this time
  select g.gate_id, greatest(g.cap - g.in_flight, 0) as room from longhaul.gates g
   where g.gate_id = any(array(select o.agent_gate from open o union select o.key_gate from open o)) for no key update skip locked
), wide as materialized (
  select o.*, case when o.agent_gate is null then p_k else coalesce(a.room, 0) end as agent_room,
         case when o.key_gate is null then p_k else coalesce(k.room, 0) end as key_room,
         (o.agent_gate is null or a.gate_id is not null) and (o.key_gate is null or k.gate_id is not null) as known,
         (select x.ctid from longhaul.lanes x where x.lane_id = o.lane_id) = o.tid as untouched   -- as the snapshot has it, and as it was locked
    from open o left join gate a on a.gate_id = o.agent_gate left join gate k on k.gate_id = o.key_gate
), pick as materialized (     -- 5. the first runs of each lane, band by band and turn by turn, within every limit
  select y.* from (
    select w.lane_id, w.turn_id, w.tenant_id, w.band, w.rank, w.vtime, w.stride, w.agent_gate, w.key_gate, w.share, w.room, w.agent_room, w.key_room, r.prio, r.run_id, r.at, r.tid,
           row_number() over (partition by w.turn_id order by r.prio, r.nth, w.place, r.run_id) as in_turn,
           row_number() over (partition by w.tenant_id order by r.prio, r.nth, w.place, r.run_id) as in_tenant,
           row_number() over (partition by w.agent_gate order by r.prio, r.nth, w.place, r.run_id) as in_agent,
           row_number() over (partition by w.key_gate order by r.prio, r.nth, w.place, r.run_id) as in_key
      from wide w cross join lateral (
        select x.prio, x.run_id, x.at, x.ctid as tid, row_number() over (order by x.prio, x.run_id) as nth from longhaul.ready x
         where x.lane_id = w.lane_id and (x.prio, x.run_id) >= (w.front_prio, w.front) order by x.prio, x.run_id limit least(w.share, w.agent_room, w.key_room)) r
  ) y where y.in_turn <= y.share and y.in_tenant <= y.room
        and (y.agent_gate is null or y.in_agent <= y.agent_room) and (y.key_gate is null or y.in_key <= y.key_room)
        and y.vtime + y.in_turn * y.stride <= coalesce((select h.until from hidden h where h.rank = y.rank), 9223372036854775807)
   order by y.rank, y.vtime + y.in_turn * y.stride limit p_k   -- start-time fair queueing (Goyal, Vin, Cheng 1996)
), held as materialized (     -- 6. their live rows; one that somebody is cancelling this moment is left to them, one that came too late to the tick
  select l.run_id from longhaul.live l
   where l.run_id = any(array(select p.run_id from pick p)) and l.state = 'queued'
     and (l.epoch > 0 or l.run_id <> all(array(
       select x.run_id from longhaul.expiries x where x.run_id = any(array(select p.run_id from pick p)) and x.start_by <= clock_timestamp())))
   for update skip locked
), del as (
  delete from longhaul.ready r where r.ctid = any(array(select p.tid from pick p join held h using (run_id)))
  returning r.run_id, r.lane_id, r.prio, r.at
), mine as (
  update longhaul.live l
     set state = 'running', worker_id = p_worker, epoch = l.epoch + 1, journal_seq = l.journal_seq + 1, claim_seq = l.journal_seq + 1,
         claimed_at = clock_timestamp(), expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond', need = 0,
         agent_gate = case when (select count(*) from gate) > 0 then (select p.agent_gate from pick p where p.run_id = l.run_id) end,
         key_gate = case when (select count(*) from gate) > 0 then (select p.key_gate from pick p where p.run_id = l.run_id) end
   where l.run_id = any(array(select d.run_id from del d)) returning l.*
), noted as (
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  select m.run_id, m.journal_seq, m.epoch, 1, '{"worker":"' || p_worker || '"}' from mine m
), served as materialized (   -- what each lane gave, and what that leaves of the room it shares
  select w.lane_id, w.turn_id, w.tenant_id, w.agent_gate, w.key_gate, w.known, count(d.run_id)::int as n, max(d.prio) as prio, max(d.at) as at,
         case when w.untouched and count(d.run_id) = count(p.run_id) then (array_agg(d.run_id order by d.prio desc, d.run_id desc))[1] end as front,
         w.agent_room - sum(count(d.run_id)) over (partition by w.agent_gate) as agent_left,
         w.key_room - sum(count(d.run_id)) over (partition by w.key_gate) as key_left
    from wide w left join pick p using (lane_id) left join del d on d.run_id = p.run_id
   group by w.lane_id, w.turn_id, w.tenant_id, w.agent_gate, w.key_gate, w.known, w.agent_room, w.key_room, w.untouched
), counted as materialized (
  select p.turn_id, p.tenant_id, p.room, p.vtime, p.stride, coalesce(sum(s.n), 0)::int as n, sum(sum(s.n)) over (partition by p.tenant_id)::int as tn
    from per p left join served s using (turn_id) group by p.turn_id, p.tenant_id, p.room, p.vtime, p.stride
), left_over as (
  update longhaul.lanes l
     set ready = l.ready - s.n, prio = case when s.front is null then l.prio else s.prio end, head_at = coalesce(s.at, l.head_at), front = coalesce(s.front, l.front), place = case when s.n > 0 then c.vtime + s.n else l.place end,
         open = l.ready > s.n and (not s.known or ((s.agent_gate is null or s.agent_left > 0) and (s.key_gate is null or s.key_left > 0)))
    from served s join counted c using (turn_id) where l.lane_id = s.lane_id and l.lane_id = any(array(select x.lane_id from open x))
  returning l.turn_id, l.open
), moved as (
  update longhaul.turns t
     set ready = t.ready - c.n, lanes = t.lanes - c.closed, -- one that had nothing to give when its chance came pays for the look
         vtime = t.vtime + case when c.n = 0 and c.chance then 1 else c.n end * c.stride,
         runnable = t.lanes > c.closed and c.room > c.tn
    from (select k.turn_id, k.n, k.room, coalesce(k.tn, 0) as tn, k.stride, (select count(*) from pick) < p_k and not exists (select from hidden h where h.until is not null) as chance,
                 count(o.turn_id) filter (where not o.open)::int as closed
            from counted k left join left_over o using (turn_id) group by k.turn_id, k.n, k.room, k.tn, k.stride) c
   where t.turn_id = c.turn_id and t.turn_id = any(array(select x.turn_id from cand x))
), taken as (
  update longhaul.tenants t set in_flight = t.in_flight + c.tn
    from (select distinct k.tenant_id, k.tn from counted k where k.tn > 0) c
   where t.tenant_id = c.tenant_id and t.tenant_id = any(array(select x.tenant_id from cand x))
), passed as (
  update longhaul.gates g set in_flight = g.in_flight + c.n
    from (select x.gate_id, count(*)::int as n from mine m cross join lateral (values (m.agent_gate), (m.key_gate)) x(gate_id)
           where x.gate_id is not null group by 1) c
   where g.gate_id = c.gate_id and g.gate_id = any(array(select x.gate_id from gate x))
), asked as materialized (
  select * from longhaul.runs r where r.run_id = any(array(select d.run_id from del d))
)
select m.run_id, m.epoch, m.journal_seq, m.inbox_seq, m.crashes, m.active_ms, m.cancel, clock_timestamp(),
       r.tenant_id, r.agent, r.build, r.queue, r.thread_id, m.thread_no, r.parent_id, r.root_id, r.depth,
       r.input, r.input_blob, r.options, r.metadata, r.created_at, p.at, p.band, p.vtime,
       r.budget_id, w.wall_at, w.wall_ms, w.wall_budget, coalesce(w.counts_usd, false), coalesce(w.counts_steps, false)
  from mine m join asked r using (run_id) join pick p using (run_id)
  left join lateral (select x.* from longhaul.terms(r.budget_id) x where r.budget_id is not null) w on true;
end $$;
