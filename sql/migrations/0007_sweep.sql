-- What time does: leases lapse, timers fire, committed intakes enter, the cancelling of a tree goes one level down.

-- Takes runs from workers that let their leases lapse, with the next epoch. A loss counts as a crash only for a run that appended
-- nothing since its claim; after p_crashes_max of them the run is tried alone, and only a loss there pauses it. Where nobody can
-- try runs alone, those that were lost together come back at different moments, and the one that is lost all by itself is paused.
create function longhaul.sweep(p_limit int, p_crashes_max int, p_can_isolate boolean)
returns table (run_id uuid, worker_id uuid, became text) language plpgsql as $$
#variable_conflict use_column
declare lost longhaul.live[]; stopped uuid[]; apart uuid[]; items longhaul.item[];
begin
  select array_agg(x) into lost from (
    select l.* from longhaul.live l where l.state = 'running' and l.expires_at < clock_timestamp()
     order by l.run_id desc limit p_limit for update skip locked) x;
  if lost is null then return; end if;
  select array_agg(x.run_id) into stopped from unnest(lost) x where x.cancel is not null;
  select array_agg(x.run_id) into apart from unnest(lost) x
   where not p_can_isolate and x.cancel is null and not x.isolate and x.journal_seq = x.claim_seq and x.crashes + 1 >= p_crashes_max
     and exists (select 1 from unnest(lost) y where y.worker_id = x.worker_id and y.run_id <> x.run_id and y.journal_seq = y.claim_seq);
  update longhaul.live l
     set epoch = l.epoch + 1, journal_seq = l.journal_seq + 1, worker_id = null, expires_at = null, claimed_at = null, agent_gate = null, key_gate = null, crashes = v.crashes,
         state = case when v.paused then 'paused' else 'queued' end,
         isolate = not v.paused and p_can_isolate and v.crashes >= p_crashes_max,
         pause_reason = case when v.paused then 'quarantined: the process that ran it died ' || v.crashes || ' times without progress' end,
         active_ms = l.active_ms + greatest(0, extract(epoch from (l.expires_at - l.claimed_at)) * 1000)::bigint
    from (select x.run_id, case when x.journal_seq > x.claim_seq then 0 else x.crashes + 1 end as crashes,
                 x.journal_seq = x.claim_seq
                 and (x.isolate or (not p_can_isolate and x.crashes >= p_crashes_max and (apart is null or x.run_id <> all(apart)))) as paused
            from unnest(lost) x) v
   where l.run_id = v.run_id and l.run_id = any(array(select x.run_id from unnest(lost) x)) and (stopped is null or l.run_id <> all(stopped));
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  select x.run_id, x.journal_seq + 1, x.epoch + 1, 4, '{"worker":"' || x.worker_id || '"}' from unnest(lost) x
   where stopped is null or x.run_id <> all(stopped);
  if stopped is not null then
    update longhaul.live l set state = 'queued', worker_id = null, expires_at = null, agent_gate = null, key_gate = null where l.run_id = any(stopped);
    items := longhaul.end_idle(stopped, 'cancelled', null);
  end if;
  insert into longhaul.later (run_id, due_at)
  -- far enough apart for a process to start and end between two of them
  select l.run_id, clock_timestamp() + random() * least(l.crashes * cardinality(apart), 300) * interval '1 second'
    from longhaul.live l where l.run_id = any(apart);
  items := items || array(
    select (l.lane_id, l.prio, l.run_id)::longhaul.item from longhaul.live l
     where l.run_id = any(array(select x.run_id from unnest(lost) x)) and l.state = 'queued' and not l.isolate
       and (apart is null or l.run_id <> all(apart)));
  perform longhaul.release_slots(
    array(select x.lane_id from unnest(lost) x), longhaul.gates_of(lost, array(select x.run_id from unnest(lost) x)),
    array(select x.lane_id from unnest(lost) x where x.run_id = any(stopped)), items);
  -- what they did not use goes back; the calls they had under way stay covered, whoever goes on with them finds them
  perform longhaul.leave_accounts(array(select x.run_id from unnest(lost) x), stopped);
  return query
    select x.run_id, x.worker_id, case when l.run_id is null then 'cancelled' when l.isolate then 'isolated' else l.state end
      from unnest(lost) x left join longhaul.live l on l.run_id = x.run_id and l.run_id = any(array(select y.run_id from unnest(lost) y));
end $$;

-- A supervisor that saw its worker die frees its runs at once instead of waiting for the leases to lapse.
create function longhaul.free_worker(p_worker uuid) returns int language plpgsql as $$
declare n int;
begin
  update longhaul.workers w set state = 'lost' where w.worker_id = p_worker and w.state <> 'stopped';
  with held as materialized (
    select l.run_id from longhaul.live l where l.worker_id = p_worker and l.state = 'running' order by l.run_id desc for update
  )
  update longhaul.live l set expires_at = clock_timestamp() - interval '1 millisecond' from held h where l.run_id = h.run_id and l.run_id = any(array(select x.run_id from held x));
  get diagnostics n = row_count;
  return n;
end $$;

-- Delayed runs, retries and timers whose time has come. The live row is locked first, as everywhere.
create function longhaul.promote(p_limit int) returns int language plpgsql as $$
-- a value, not a call: only then does the index on due_at stop at the first that is not due
declare present timestamptz := clock_timestamp(); due uuid[]; woken uuid[]; entering uuid[]; starts uuid[]; items longhaul.item[];
begin
  select array_agg(x.run_id) into due from (
    select l.run_id from longhaul.live l
     where l.run_id = any(array(select d.run_id from longhaul.later d where d.due_at <= present order by d.due_at limit p_limit))
     order by l.run_id desc for update skip locked) x;
  if due is null then return 0; end if;
  with gone as (
    delete from longhaul.later d where d.run_id = any(due) and d.due_at <= present returning d.run_id
  ) select array_agg(g.run_id) into woken from gone g;
  if woken is null then return 0; end if;
  delete from longhaul.waits w where w.run_id = any(woken);
  update longhaul.live l set state = 'queued', need = 0 where l.run_id = any(woken) and l.state = 'waiting';
  -- a run that never started enters its thread only now; one that did start has never left it
  select array_agg(l.run_id) into entering from longhaul.live l where l.run_id = any(woken) and l.thread_no is not null and l.epoch = 0;
  if entering is not null then
    select longhaul.enter_thread(array_agg(l.thread_no), array_agg(r.thread_seq), array_agg(l.run_id)) into starts
      from longhaul.live l join longhaul.runs r using (run_id) where l.run_id = any(entering) and r.run_id = any(entering);
  end if;
  items := array(
    select (l.lane_id, l.prio, l.run_id)::longhaul.item from longhaul.live l
     where l.run_id = any(woken) and l.state = 'queued' and not l.isolate
       and (entering is null or l.run_id <> all(entering) or l.run_id = any(starts)));
  perform longhaul.push(items);
  return cardinality(woken);
end $$;

-- Ends runs that nobody has started in time. One that was started in time, and came back since, goes on.
create function longhaul.expire(p_limit int) returns int language plpgsql as $$
declare present timestamptz := clock_timestamp(); due uuid[]; late uuid[];
begin
  due := array(select x.run_id from longhaul.expiries x where x.start_by <= present order by x.start_by limit p_limit);
  if cardinality(due) = 0 then return 0; end if;
  select array_agg(x.run_id) into late from (
    select l.run_id from longhaul.live l where l.run_id = any(due) and l.state = 'queued' and l.epoch = 0 order by l.run_id desc for update skip locked) x;
  if late is not null then perform longhaul.end_unheld(late, 'cancelled', 'expired'); end if;
  delete from longhaul.expiries x where x.run_id = any(due)
     and not exists (select from longhaul.live l where l.run_id = x.run_id and l.state = 'queued' and l.epoch = 0);
  return coalesce(cardinality(late), 0);
end $$;

-- Children of ended parents that are still to be cancelled: the caller cancels each in a transaction of its own.
create function longhaul.cascade_children(p_limit int) returns uuid[] language plpgsql as $$
begin
  delete from longhaul.cancel_cascade c
   where not exists (select 1 from longhaul.live l where l.parent_id = c.parent_id and l.cancel is null);
  return array(select l.run_id from longhaul.cancel_cascade c join longhaul.live l on l.parent_id = c.parent_id and l.cancel is null limit p_limit);
end $$;

-- Some of the runs that this worker may try alone: those that claim_isolated will not refuse, in an order of the worker's own, so
-- that several workers do not try the same.
create function longhaul.suspects(p_worker uuid, p_queues text[], p_build text) returns uuid[] language sql stable as $$
  select array(
    select l.run_id from longhaul.live l join longhaul.lanes n using (lane_id) join longhaul.turns t using (turn_id)
      join longhaul.tenants o on o.tenant_id = t.tenant_id
     where l.isolate and l.state = 'queued' and t.queue = any(p_queues) and t.build = p_build and not o.paused and o.in_flight < o.cap
       and not exists (select from longhaul.gates g where g.gate_id in (n.agent_gate, n.key_gate) and g.in_flight >= g.cap)
     order by hashtextextended(l.run_id::text || p_worker, 0) limit 8);
$$;

-- Does one of the things that time does, the first that is due, or nothing: an idle process needs no other statement.
-- did: 'promoted', 'taken', 'expired', 'swept' (call again at once) or null. runnable: there is something this worker may claim. next_ms: until
-- the next timer of anybody rings.
create function longhaul.tick(p_worker uuid, p_queues text[], p_build text, p_limit int, p_crashes_max int, p_can_isolate boolean)
returns table (did text, runnable boolean, isolated uuid[], children uuid[], next_ms int) language plpgsql set plan_cache_mode = force_generic_plan as $$
declare did text;
begin
  update longhaul.workers w set seen_at = clock_timestamp() where w.worker_id = p_worker and w.seen_at < clock_timestamp() - interval '5 seconds';
  if longhaul.promote(p_limit) > 0 then did := 'promoted';
  elsif exists (select 1 from longhaul.intake) then
    if longhaul.take_intake(p_limit) > 0 then did := 'taken'; end if;
  elsif longhaul.expire(p_limit) > 0 then did := 'expired';
  elsif exists (select 1 from longhaul.live l where l.state = 'running' and l.expires_at < clock_timestamp()) then
    if (select count(*) from longhaul.sweep(p_limit, p_crashes_max, p_can_isolate)) > 0 then did := 'swept'; end if;
  end if;
  if did is null then perform longhaul.reopen_gates(); end if;
  return query select did,
    exists (select 1 from longhaul.turns t where t.runnable and t.queue = any(p_queues) and t.build = p_build),
    case when p_can_isolate then longhaul.suspects(p_worker, p_queues, p_build) else '{}' end,
    case when exists (select 1 from longhaul.cancel_cascade) then longhaul.cascade_children(100) else '{}' end,
    (select least(extract(epoch from min(d.due_at) - clock_timestamp()) * 1000, 3600000)::int from longhaul.later d having min(d.due_at) is not null);
end $$;
