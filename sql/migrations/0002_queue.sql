-- Making runs claimable: lanes and turns get their counters, tenants and gates their room back, threads their next run.

-- Makes items claimable. A turn that wakes up starts at the present of the fair-share clock: no credit for idling, no penalty.
create function longhaul.push(items longhaul.item[]) returns void language plpgsql as $$
declare lane int[]; turn int[]; changed int;
begin
  if items is null or cardinality(items) = 0 then return; end if;
  lane := array(select distinct i.lane_id from unnest(items) i);
  turn := array(select l.turn_id from longhaul.lanes l where l.lane_id = any(lane));
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for no key update;
  insert into longhaul.ready (lane_id, prio, run_id) select i.lane_id, i.prio, i.run_id from unnest(items) i;
  with added as materialized (
    select i.lane_id, count(*)::int as n, min(i.prio) as prio from unnest(items) i group by 1
  ), was as materialized (   -- an empty lane opens; one with runs that is shut stays so: only a freed slot opens it
    select l.lane_id, l.turn_id, l.ready = 0 as empty, a.n, a.prio from longhaul.lanes l join added a using (lane_id) where l.lane_id = any(lane)
  ), filled as (
    update longhaul.lanes l
       set ready = l.ready + w.n, open = w.empty or l.open, prio = case when w.empty then w.prio else least(l.prio, w.prio) end,
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

-- The smallest virtual time among the runnable turns of a (queue, build, band).
create function longhaul.present(p_queue text, p_build text, p_band smallint) returns bigint language sql stable as $$
  select coalesce((select m.vtime from longhaul.turns m
                    where m.queue = p_queue and m.build = p_build and m.band = p_band and m.runnable
                    order by m.vtime limit 1), 0)
$$;

-- Gives slots back and counts ends, then makes items claimable. Lanes of freed slots and of ended runs come with repetition, one per
-- run; so do the gates through which freed runs had passed. Whatever was full offers its runs again.
create function longhaul.release_slots(freed int[], freed_gates int[], ended int[], items longhaul.item[]) returns void language plpgsql as $$
declare parked int[]; shut int[];
begin
  parked := longhaul.free_tenants(freed, ended);
  shut := longhaul.free_gates(freed_gates);
  if parked is not null or shut is not null then
    perform longhaul.offer(parked, shut, array(select i.lane_id from unnest(items) i));
  end if;
  perform longhaul.push(items);
end $$;

-- Counts down what tenants use. Answers the turns of those that were full.
create function longhaul.free_tenants(freed int[], ended int[]) returns int[] language plpgsql as $$
declare parked int[];
begin
  if coalesce(cardinality(freed), 0) + coalesce(cardinality(ended), 0) = 0 then return null; end if;
  with n as materialized (
    select l.tenant_id, sum(x.slots)::int as slots, sum(x.ends)::int as ends
      from (select f as lane_id, 1 as slots, 0 as ends from unnest(freed) f union all select e, 0, 1 from unnest(ended) e) x
      join longhaul.lanes l on l.lane_id = x.lane_id and l.lane_id = any(freed || ended) group by 1
  ), locked as materialized (
    select t.tenant_id, n.slots, n.ends, n.slots > 0 and (t.in_flight >= t.cap or t.paused) as was_full
      from longhaul.tenants t join n using (tenant_id)
     where t.tenant_id = any(array(select n.tenant_id from n)) order by 1 for update of t
  ), given as (
    update longhaul.tenants t set in_flight = t.in_flight - k.slots, unfinished = t.unfinished - k.ends from locked k
     where t.tenant_id = k.tenant_id and t.tenant_id = any(array(select n.tenant_id from n))
  )
  select array_agg(t.turn_id) into parked from locked k cross join lateral (
    select x.turn_id from longhaul.turns x where x.tenant_id = k.tenant_id offset 0) t where k.was_full;
  return parked;
end $$;

-- Counts down what gates let through. Answers lanes that may open because of it: all of a key's, and of an agent's, which may be
-- thousands, some more than there are slots, the least recently served first.
create function longhaul.free_gates(freed_gates int[]) returns int[] language plpgsql as $$
declare full_gate int[]; full_n int[];
begin
  if coalesce(cardinality(freed_gates), 0) = 0 then return null; end if;
  with n as materialized (select g as gate_id, count(*)::int as n from unnest(freed_gates) g group by 1),
  locked as materialized (
    select g.gate_id, n.n, g.in_flight >= g.cap as was_full from longhaul.gates g join n using (gate_id)
     where g.gate_id = any(freed_gates) order by 1 for no key update of g
  ), given as (
    update longhaul.gates g set in_flight = g.in_flight - k.n from locked k where g.gate_id = k.gate_id and g.gate_id = any(freed_gates)
  )
  select array_agg(k.gate_id), array_agg(k.n) into full_gate, full_n from locked k where k.was_full;
  if full_gate is null then return null; end if;
  -- a statement of its own: it sees the lanes that were shut by the claims whose locks we waited for
  return longhaul.shut_by(full_gate, full_n);
end $$;

-- Lanes with ready runs that one of the gates had shut and that nothing else holds back.
create function longhaul.shut_by(p_gate int[], p_n int[]) returns int[] language sql stable as $$
  select array_agg(l.lane_id) from unnest(p_gate, p_n) g(gate_id, n) cross join lateral (
    select x.lane_id from longhaul.lanes x where x.key_gate = g.gate_id and x.ready > 0 and not x.open
    union all
    (select x.lane_id from longhaul.lanes x
      where x.agent_gate = g.gate_id and x.ready > 0 and not x.open
        and (select t.runnable or t.lanes = 0 from longhaul.turns t where t.turn_id = x.turn_id)
        and coalesce((select k.in_flight < k.cap from longhaul.gates k where k.gate_id = x.key_gate), true)
      order by x.place limit g.n + 4)) l
$$;

-- Opens lanes and un-parks turns. Whatever it offers in vain, the next claim takes back. All turns are locked in one sorted pass,
-- those of further lanes, which the caller fills afterwards, with them.
create function longhaul.offer(parked int[], shut int[], further int[]) returns void language plpgsql as $$
declare turn int[];
begin
  turn := array(select l.turn_id from longhaul.lanes l where l.lane_id = any(shut));
  perform 1 from longhaul.turns t
    where t.turn_id = any(parked || turn || array(select l.turn_id from longhaul.lanes l where l.lane_id = any(further))) order by t.turn_id for no key update;
  if shut is not null then
    with opened as (
      update longhaul.lanes l set open = true where l.lane_id = any(shut) and l.ready > 0 and not l.open returning l.turn_id
    )
    update longhaul.turns t set lanes = t.lanes + c.n from (select o.turn_id, count(*)::int as n from opened o group by 1) c
     where t.turn_id = c.turn_id and t.turn_id = any(turn);
  end if;
  update longhaul.turns t set runnable = true, vtime = greatest(t.vtime, longhaul.present(t.queue, t.build, t.band))
   where t.turn_id = any(parked || turn) and t.lanes > 0 and not t.runnable;
end $$;

-- Takes runs that nobody holds out of the ready index.
create function longhaul.unready(p_run uuid[]) returns void language plpgsql as $$
declare turn int[];
begin
  turn := array(select n.turn_id from longhaul.lanes n where n.lane_id = any(array(select l.lane_id from longhaul.live l where l.run_id = any(p_run))));
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for no key update;
  with gone as (
    delete from longhaul.ready r where r.ctid = any(array(
      select y.ctid from longhaul.live l cross join lateral (
        select x.ctid from longhaul.ready x where x.lane_id = l.lane_id and x.prio = l.prio and x.run_id = l.run_id offset 0) y
       where l.run_id = any(p_run))) returning r.lane_id
  ), was as materialized (
    select l.lane_id, l.turn_id, c.n, l.open and l.ready = c.n as closes
      from longhaul.lanes l join (select g.lane_id, count(*)::int as n from gone g group by 1) c using (lane_id)
     where l.lane_id = any(array(select g.lane_id from gone g))
  ), emptied as (
    update longhaul.lanes l set ready = l.ready - w.n, open = l.open and not w.closes from was w
     where l.lane_id = w.lane_id and l.lane_id = any(array(select x.lane_id from was x))
  )
  update longhaul.turns t set ready = t.ready - c.n, lanes = t.lanes - c.closed, runnable = t.runnable and t.lanes > c.closed
    from (select w.turn_id, sum(w.n)::int as n, count(*) filter (where w.closes)::int as closed from was w group by 1) c
   where t.turn_id = c.turn_id and t.turn_id = any(turn);
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
