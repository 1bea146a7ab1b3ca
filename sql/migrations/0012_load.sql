-- How much there is to do: what waits and since when, who serves it, how many workers that asks for. Read from turns and lanes, which are
-- few, and never by counting ready runs. All ages are told by this database's clock.

-- What the workers of one (queue, build) did in one minute, and how long runs had been ready when they were claimed: counts per bucket,
-- whose bounds are in src/domain/waits.ts. Workers hand their increments over every ten seconds, and only if there are any.
create table longhaul.queue_minutes (
  minute   timestamptz not null,
  queue    text not null,
  build    text not null,
  started  int not null default 0,
  finished int not null default 0,
  waits    int[] not null,
  primary key (minute, queue, build)
) with (fillfactor = 50);

-- What is wrong with a queue, and since when: somebody has been told, and will be told when it is well again.
create table longhaul.alerts (
  queue     text not null,
  build     text not null,
  kind      text not null constraint alert_kind_is_known check (kind in ('late', 'unserved')),
  sla_ms    bigint not null,
  raised_at timestamptz not null default clock_timestamp(),
  primary key (queue, build, kind)
);

-- Adds what a worker counted since it last said so. Beside each queue: its counts, and its waits as the text of an array.
create function longhaul.count_traffic(p_build text, p_queue text[], p_started int[], p_finished int[], p_waits text[]) returns void language sql as $$
  insert into longhaul.queue_minutes as m (minute, queue, build, started, finished, waits)
  select date_trunc('minute', clock_timestamp()), u.queue, p_build, u.started, u.finished, u.waits::int[]
    from unnest(p_queue, p_started, p_finished, p_waits) u(queue, started, finished, waits) order by u.queue
  on conflict (minute, queue, build) do update
     set started = m.started + excluded.started, finished = m.finished + excluded.finished,
         waits = array(select coalesce(x.a, 0) + coalesce(x.b, 0) from unnest(m.waits, excluded.waits) with ordinality x(a, b, place) order by x.place)
$$;

create function longhaul.ms_since(p_then timestamptz, p_now timestamptz) returns bigint language sql immutable as $$
  select case when p_then is not null then greatest(extract(epoch from p_now - p_then) * 1000, 0)::bigint end
$$;

-- The totals of each (queue, build) with ready runs or with workers; null asks for all. open: ready runs that neither a parked turn nor a
-- shut lane holds back. The ages, of open runs and of those held back, are what lanes know of their heads: not less than the true ones.
create function longhaul.totals(p_queues text[], p_build text) returns table (
  queue text, build text, depth bigint, open bigint, oldest_ms bigint, held_ms bigint, workers bigint, slots bigint
) language plpgsql stable set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare present timestamptz := clock_timestamp();
begin
return query
with waiting as materialized (
  select t.queue, t.build, sum(l.ready)::bigint as depth, sum(l.ready) filter (where l.open and t.runnable)::bigint as open,
         min(l.head_at) filter (where l.open and t.runnable) as oldest, min(l.head_at) filter (where not (l.open and t.runnable)) as held
    from longhaul.lanes l join longhaul.turns t using (turn_id)
   where l.ready > 0 and (p_queues is null or t.queue = any(p_queues)) and (p_build is null or t.build = p_build) group by 1, 2
), serving as materialized (
  select q.queue, w.build, count(*) as n, sum(w.slots)::bigint as slots from longhaul.workers w cross join unnest(w.queues) q(queue)
   where w.state = 'active' and w.seen_at > present - interval '30 seconds'
     and (p_queues is null or q.queue = any(p_queues)) and (p_build is null or w.build = p_build) group by 1, 2
)
select queue, build, coalesce(w.depth, 0), coalesce(w.open, 0), longhaul.ms_since(w.oldest, present), longhaul.ms_since(w.held, present),
       coalesce(s.n, 0), coalesce(s.slots, 0)
  from waiting w full join serving s using (queue, build) order by 1, 2;
end $$;

-- What runs at this moment. As many index look-ups as there are runs in flight.
create function longhaul.in_flight(p_queues text[], p_build text) returns table (queue text, build text, running bigint) language sql stable as $$
  select t.queue, t.build, count(*) from longhaul.live v join longhaul.lanes l using (lane_id) join longhaul.turns t using (turn_id)
   where v.state = 'running' and (p_queues is null or t.queue = any(p_queues)) and (p_build is null or t.build = p_build) group by 1, 2
$$;

-- Runs that only a worker's tick makes ready, now or in the next seconds: where no worker is left, somebody must be called for them. When
-- a thousand timers are due, some are taken to be anybody's.
create function longhaul.waking(p_queues text[], p_build text) returns bigint language plpgsql stable as $$
declare soon uuid[]; n bigint;
begin
  soon := array(select d.run_id from longhaul.later d where d.due_at <= clock_timestamp() + interval '15 seconds' order by d.due_at limit 1000);
  select count(*) into n from (
    select l.lane_id from longhaul.live l where l.run_id = any(soon)
    union all select l.lane_id from longhaul.live l where l.isolate and l.state = 'queued') x
    join longhaul.lanes l using (lane_id) join longhaul.turns t using (turn_id)
   where (p_queues is null or t.queue = any(p_queues)) and (p_build is null or t.build = p_build);
  return n + (cardinality(soon) = 1000)::int + (
    select count(*) from (select 1 from longhaul.intake i
     where (p_queues is null or i.queue = any(p_queues)) and (p_build is null or i.build = p_build) limit 1000) x);
end $$;

-- Of some queues together: how many runs would start at once if there were workers without end, at most, and how long the first of them
-- has waited. Within each turn no more than its tenant's room, within each agent's gate no more than its own. A lane that was never empty
-- knows since when its head is ready only by the run that it gave last: the fifty lanes that seem oldest are asked for theirs.
create function longhaul.pressure(p_queues text[], p_build text, out runnable bigint, out oldest_ms bigint)
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
declare present timestamptz := clock_timestamp(); oldest timestamptz;
begin
with turn as materialized (
  select t.turn_id, greatest(n.cap - n.in_flight, 0) as room from longhaul.turns t join longhaul.tenants n using (tenant_id)
   where t.runnable and t.ready > 0 and not n.paused and (p_queues is null or t.queue = any(p_queues)) and (p_build is null or t.build = p_build)
), lane as materialized (
  select k.turn_id, k.room, l.lane_id, l.head_at, l.agent_gate, a.cap - a.in_flight as agent_room,
         greatest(least(l.ready, k.room, a.cap - a.in_flight, g.cap - g.in_flight), 0) as can
    from turn k join longhaul.lanes l using (turn_id)
    left join longhaul.gates a on a.gate_id = l.agent_gate left join longhaul.gates g on g.gate_id = l.key_gate
   where l.ready > 0 and l.open
), front as materialized (
  select x.lane_id, (select r.at from longhaul.ready r where r.lane_id = x.lane_id order by r.prio, r.run_id limit 1) as at
    from (select l.lane_id from lane l where l.can > 0 order by l.head_at limit 50) x
)
select coalesce((select sum(least(x.can, x.room)) from (
           select sum(l.can) as can, min(l.room) as room from lane l where l.agent_gate is null group by l.turn_id
           union all select sum(l.can), min(l.agent_room) from lane l where l.agent_gate is not null group by l.agent_gate) x), 0),
       (select min(coalesce(f.at, l.head_at)) from lane l left join front f using (lane_id) where l.can > 0)
  into runnable, oldest;
oldest_ms := longhaul.ms_since(oldest, present);
end $$;

-- How many workers of p_slots slots that asks for (the same as workersWanted in src/domain/workers-wanted.ts): one for every p_target runs
-- per slot that wait, not fewer than hold what is in flight; while the oldest waits longer than it should, a quarter more than there are.
create function longhaul.workers_wanted(
  p_depth bigint, p_in_flight bigint, p_oldest_ms bigint, p_workers bigint, p_min int, p_max int, p_slots int, p_target int, p_sla_ms bigint
) returns int language sql immutable as $$
  select least(greatest(
           (p_depth + p_target::bigint * p_slots - 1) / (p_target::bigint * p_slots), (p_in_flight + p_slots - 1) / p_slots,
           case when p_depth > 0 and p_oldest_ms > p_sla_ms then p_workers + greatest((p_workers + 3) / 4, 1) else 0 end,
           p_min), p_max)::int
$$;

-- The same with all that it follows from. What caps and gates hold back is looked at only where it could matter.
create function longhaul.scale(
  p_queues text[], p_build text, p_min int, p_max int, p_slots int, p_sla_ms bigint, p_target int,
  out desired int, out depth bigint, out runnable bigint, out waking bigint, out in_flight bigint, out oldest_ms bigint, out workers bigint
) language plpgsql stable as $$
begin
  if p_min < 0 or p_max < p_min or p_slots < 1 or p_sla_ms < 1 or p_target < 1 or num_nulls(p_min, p_max, p_slots, p_sla_ms, p_target) > 0 then
    raise exception 'no scale from % to % workers of % slots, with % runs per slot and % ms', p_min, p_max, p_slots, p_target, p_sla_ms
      using errcode = 'invalid_parameter_value', hint = 'Give 0 <= min <= max, and slots, sla_ms and target of at least 1.';
  end if;
  select coalesce(sum(t.depth), 0), coalesce(sum(t.open), 0), max(t.oldest_ms) into depth, runnable, oldest_ms from longhaul.totals(p_queues, p_build) t;
  select coalesce(sum(f.running), 0) into in_flight from longhaul.in_flight(p_queues, p_build) f;
  select count(*) into workers from longhaul.workers w
   where w.state = 'active' and w.seen_at > clock_timestamp() - interval '30 seconds'
     and (p_queues is null or w.queues && p_queues) and (p_build is null or w.build = p_build);
  waking := longhaul.waking(p_queues, p_build);
  desired := longhaul.workers_wanted(runnable + waking, in_flight, oldest_ms, workers, p_min, p_max, p_slots, p_target, p_sla_ms);
  if runnable > 0 and desired > p_min then
    select p.runnable, p.oldest_ms into runnable, oldest_ms from longhaul.pressure(p_queues, p_build) p;
    desired := longhaul.workers_wanted(runnable + waking, in_flight, oldest_ms, workers, p_min, p_max, p_slots, p_target, p_sla_ms);
  end if;
end $$;

-- For scalers that ask by SQL: one number. It runs as its owner, so that a scaler's user needs USAGE on the schema and nothing else.
create function longhaul.desired_workers(
  queues text[], build text, min int default 0, max int default 10, slots int default 64, sla_ms bigint default 5000, target int default 2
) returns int language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select s.desired from longhaul.scale(queues, build, min, max, slots, sla_ms, target) s);
end $$;

-- Tells what became late, or has nobody who serves it, and what is well again: each once, whoever asks. Well is less than half of what was late.
create function longhaul.watch(p_sla_ms bigint) returns table (
  queue text, build text, kind text, raised boolean, depth bigint, oldest_ms bigint, workers bigint, sla_ms bigint, raised_at timestamptz
) language plpgsql as $$
#variable_conflict use_column
declare found_load record; was record; age bigint; seen jsonb := '{}';
begin
  for found_load in select * from longhaul.totals(null, null) loop
    seen := seen || jsonb_build_object(jsonb_build_array(found_load.queue, found_load.build)::text, to_jsonb(found_load));
    age := greatest(found_load.oldest_ms, found_load.held_ms);
    if found_load.workers = 0 and age > p_sla_ms then
      return query insert into longhaul.alerts as a (queue, build, kind, sla_ms) values (found_load.queue, found_load.build, 'unserved', p_sla_ms)
        on conflict do nothing returning a.queue, a.build, a.kind, true, found_load.depth, age, found_load.workers, a.sla_ms, a.raised_at;
    elsif found_load.workers > 0 and found_load.oldest_ms > p_sla_ms
      and not exists (select from longhaul.alerts a where a.queue = found_load.queue and a.build = found_load.build and a.kind = 'late') then
      select p.oldest_ms into age from longhaul.pressure(array[found_load.queue], found_load.build) p;
      if age > p_sla_ms then
        return query insert into longhaul.alerts as a (queue, build, kind, sla_ms) values (found_load.queue, found_load.build, 'late', p_sla_ms)
          on conflict do nothing returning a.queue, a.build, a.kind, true, found_load.depth, age, found_load.workers, a.sla_ms, a.raised_at;
      end if;
    end if;
  end loop;
  for was in select a.*, seen -> jsonb_build_array(a.queue, a.build)::text as load from longhaul.alerts a loop
    age := (was.load ->> 'oldest_ms')::bigint;
    if was.kind = 'unserved' then
      continue when coalesce((was.load ->> 'depth')::bigint, 0) > 0 and (was.load ->> 'workers')::bigint = 0;
    elsif age > was.sla_ms / 2 then
      select p.oldest_ms into age from longhaul.pressure(array[was.queue], was.build) p;
      continue when age > was.sla_ms / 2;
    end if;
    return query delete from longhaul.alerts a where a.queue = was.queue and a.build = was.build and a.kind = was.kind
      returning a.queue, a.build, a.kind, false, coalesce((was.load ->> 'depth')::bigint, 0), age, coalesce((was.load ->> 'workers')::bigint, 0), a.sla_ms, a.raised_at;
  end loop;
end $$;
