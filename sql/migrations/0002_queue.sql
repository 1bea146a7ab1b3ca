-- Making runs claimable: lanes get their counters, tenants their room back, threads their next run.

-- Makes items claimable. A lane that wakes up starts at the present of the fair-share clock: no credit for idling, no penalty.
create function longhaul.push(items longhaul.item[]) returns void language plpgsql as $$
begin
  if items is null then return; end if;
  perform 1 from longhaul.lanes l where l.lane_id = any(array(select i.lane_id from unnest(items) i)) order by l.lane_id for update;
  insert into longhaul.ready (lane_id, prio, run_id) select i.lane_id, i.prio, i.run_id from unnest(items) i;
  update longhaul.lanes l
     set ready = l.ready + n.n,
         head_at = case when l.ready = 0 then clock_timestamp() else l.head_at end,
         -- ready > 0 and not runnable means parked by a cap: only a freed slot un-parks it
         runnable = case when l.ready = 0 then true else l.runnable end,
         vtime = case when l.ready = 0 then greatest(l.vtime, longhaul.present(l.queue, l.build, l.band)) else l.vtime end
    from (select i.lane_id, count(*)::int n from unnest(items) i group by 1) n
   where l.lane_id = n.lane_id and l.lane_id = any(array(select i.lane_id from unnest(items) i));
end $$;

-- The smallest virtual time among the runnable lanes of a (queue, build, band).
create function longhaul.present(p_queue text, p_build text, p_band smallint) returns bigint language sql stable as $$
  select coalesce((select m.vtime from longhaul.lanes m
                    where m.queue = p_queue and m.build = p_build and m.band = p_band and m.runnable
                    order by m.vtime limit 1), 0)
$$;

-- Gives slots back to tenants and un-parks the lanes of those that were full, then makes items claimable.
-- Freed lanes come with repetition: one per slot.
create function longhaul.release_slots(freed int[], items longhaul.item[]) returns void language plpgsql as $$
declare unpark int[]; locks int[];
begin
  if freed is not null then
    with n as materialized (
      select l.queue, l.tenant_id, count(*)::int n from unnest(freed) f join longhaul.lanes l on l.lane_id = f and l.lane_id = any(freed) group by 1, 2
    ), locked as materialized (
      select t.queue, t.tenant_id, n.n, t.in_flight >= t.cap or t.paused as was_full
        from longhaul.tenants t join n using (queue, tenant_id)
       where t.queue = any(array(select n.queue from n)) and t.tenant_id = any(array(select n.tenant_id from n)) order by 1, 2 for update of t
    ), given as (
      update longhaul.tenants t set in_flight = t.in_flight - k.n from locked k
       where t.queue = k.queue and t.tenant_id = k.tenant_id and t.queue = any(array(select n.queue from n)) and t.tenant_id = any(array(select n.tenant_id from n))
    )
    select array_agg(l.lane_id) into unpark from locked k cross join lateral (
      select x.lane_id from longhaul.lanes x where x.queue = k.queue and x.tenant_id = k.tenant_id offset 0) l where k.was_full;
  end if;
  locks := coalesce(unpark, '{}') || array(select i.lane_id from unnest(items) i);
  if cardinality(locks) > 0 then
    perform 1 from longhaul.lanes l where l.lane_id = any(locks) order by l.lane_id for update;
  end if;
  if unpark is not null then
    update longhaul.lanes l
       set runnable = l.ready > 0, vtime = greatest(l.vtime, longhaul.present(l.queue, l.build, l.band))
     where l.lane_id = any(unpark);
  end if;
  perform longhaul.push(items);
end $$;

-- A finished run leaves its thread; the next in order becomes claimable.
create function longhaul.hand_over(p_thread bigint[], p_run uuid[]) returns longhaul.item[] language plpgsql as $$
declare handed longhaul.item[];
begin
  if p_thread is null then return null; end if;
  perform 1 from longhaul.threads t where t.thread_no = any(p_thread) order by t.thread_no for update;
  with left_by as materialized (
    select t.thread_no from longhaul.threads t join unnest(p_thread, p_run) u(thread_no, run_id)
        on t.thread_no = u.thread_no and t.active_run = u.run_id and t.thread_no = any(p_thread)
  ), next as materialized (
    select b.thread_no, q.tid, q.run_id from left_by b
      left join lateral (select q.ctid as tid, q.run_id from longhaul.thread_queue q where q.thread_no = b.thread_no order by q.seq limit 1) q on true
  ), moved as (
    update longhaul.threads t set active_run = n.run_id, updated_at = clock_timestamp() from next n where t.thread_no = n.thread_no and t.thread_no = any(p_thread)
  ), gone as (
    delete from longhaul.thread_queue q where q.ctid = any(array(select n.tid from next n)) returning q.run_id
  )
  select array_agg((l.lane_id, l.prio, l.run_id)::longhaul.item) into handed from longhaul.live l
   where l.run_id = any(array(select g.run_id from gone g));
  return handed;
end $$;

-- Runs whose time has come enter their thread, or wait in it; those that may start are returned.
create function longhaul.enter_thread(p_thread bigint[], p_seq bigint[], p_run uuid[]) returns uuid[] language plpgsql as $$
declare started uuid[];
begin
  perform 1 from longhaul.threads t where t.thread_no = any(p_thread) order by t.thread_no for update;
  with asked as materialized (
    select u.thread_no, u.seq, u.run_id, row_number() over (partition by u.thread_no order by u.seq) as place
      from unnest(p_thread, p_seq, p_run) u(thread_no, seq, run_id)
  ), won as (
    update longhaul.threads t set active_run = a.run_id, updated_at = clock_timestamp()
      from asked a where a.place = 1 and t.thread_no = a.thread_no and t.thread_no = any(p_thread) and t.active_run is null returning a.run_id
  ), queued as (
    insert into longhaul.thread_queue (thread_no, seq, run_id)
    select a.thread_no, a.seq, a.run_id from asked a where a.run_id not in (select w.run_id from won w)
  )
  select array_agg(w.run_id) into started from won w;
  return started;
end $$;
