-- Taking runs in. One statement per batch, safe to repeat: a run id or an idempotency key that is already there wins.

-- Answers one row per asked run: the run that now stands for it, whether it was there before, and a refusal if there is one
-- ('busy': the thread has an active run and the caller asked to be refused then).
create function longhaul.submit(
  p_run uuid[], p_root uuid[], p_parent uuid[], p_parent_key text[], p_depth smallint[], p_detached boolean[], p_forked uuid[],
  p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_priority smallint[],
  p_thread uuid[], p_reject_busy boolean[], p_idempotency text[], p_request_hash text[],
  p_input text[], p_input_blob text[], p_options text[], p_metadata text[], p_run_at timestamptz[]
) returns table (asked_id uuid, run_id uuid, existing boolean, same_request boolean, refused text) language plpgsql set enable_nestloop = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare busy uuid[]; added uuid[]; starts uuid[]; items longhaul.item[]; entering uuid[];
begin
  insert into longhaul.tenants (queue, tenant_id)
  select distinct u.q, u.t from unnest(p_queue, p_tenant) u(q, t)
   where (u.q, u.t) not in (select x.queue, x.tenant_id from longhaul.tenants x where x.queue = any(p_queue) and x.tenant_id = any(p_tenant)) order by 1, 2
  on conflict do nothing;
  insert into longhaul.lanes (queue, tenant_id, build, band)
  select distinct u.q, u.t, u.b, u.n from unnest(p_queue, p_tenant, p_build, p_band) u(q, t, b, n)
   where (u.q, u.t, u.b, u.n) not in (
     select x.queue, x.tenant_id, x.build, x.band from longhaul.lanes x where x.queue = any(p_queue) and x.tenant_id = any(p_tenant)) order by 1, 2, 3, 4
  on conflict do nothing;

  if exists (select 1 from unnest(p_thread) t where t is not null) then
    insert into longhaul.threads (tenant_id, thread_id)
    select distinct u.t, u.th from unnest(p_tenant, p_thread) u(t, th) where u.th is not null order by 1, 2
    on conflict do nothing;
    perform 1 from longhaul.threads t join (select distinct u.t, u.th from unnest(p_tenant, p_thread) u(t, th)) u
        on t.tenant_id = u.t and t.thread_id = u.th and t.tenant_id = any(p_tenant) and t.thread_id = any(p_thread) order by t.thread_no for update of t;
    select array_agg(u.r) into busy from unnest(p_run, p_tenant, p_thread, p_reject_busy, p_idempotency) u(r, tn, th, rj, ik)
      join longhaul.threads t on t.tenant_id = u.tn and t.thread_id = u.th and t.tenant_id = any(p_tenant) and t.thread_id = any(p_thread)
     where u.rj and not exists (select 1 from longhaul.runs x where (x.tenant_id = u.tn and x.idempotency_key = u.ik) or x.run_id = u.r)
       and (t.active_run is not null
            -- or somebody comes before it in this very batch
            or exists (select 1 from unnest(p_run, p_tenant, p_thread, p_idempotency, p_run_at) e(r, tn, th, ik, ra)
                        where e.tn = u.tn and e.th = u.th and e.r < u.r and (e.ik is null or e.ik is distinct from u.ik)
                          and (e.ra is null or e.ra <= clock_timestamp())));
  end if;

  with asked as materialized (
    select u.*, l.lane_id as lane, t.thread_no, t.next_seq - 1 + row_number() over (partition by t.thread_no order by u.run) as seq
      from unnest(p_run, p_root, p_parent, p_parent_key, p_depth, p_detached, p_forked, p_tenant, p_agent, p_build, p_queue, p_band,
                  p_priority, p_thread, p_idempotency, p_request_hash, p_input, p_input_blob, p_options, p_metadata, p_run_at)
           u(run, root, parent, parent_key, depth, detached, forked, tenant, agent, build, queue, band,
             priority, thread, idempotency, request_hash, input, input_blob, options, metadata, run_at)
      join longhaul.lanes l on l.queue = u.queue and l.tenant_id = u.tenant and l.build = u.build and l.band = u.band
                           and l.queue = any(p_queue) and l.tenant_id = any(p_tenant)
      left join longhaul.threads t on t.tenant_id = u.tenant and t.thread_id = u.thread and t.tenant_id = any(p_tenant) and t.thread_id = any(p_thread)
     where busy is null or u.run <> all(busy)
  ), kept as (
    insert into longhaul.runs (run_id, root_id, parent_id, parent_key, depth, detached, forked_from, tenant_id, agent, build, queue, priority,
                               thread_id, thread_seq, lane_id, idempotency_key, request_hash, input, input_blob, options, metadata, run_at)
    select a.run, a.root, a.parent, a.parent_key, a.depth, a.detached, a.forked, a.tenant, a.agent, a.build, a.queue, a.priority,
           a.thread, case when a.thread is null then null else a.seq end, a.lane, a.idempotency, a.request_hash, a.input, a.input_blob,
           a.options::jsonb, a.metadata::jsonb, a.run_at
      from asked a on conflict do nothing returning runs.run_id
  ), born as (
    insert into longhaul.live (run_id, parent_id, thread_no, lane_id, prio, state)
    select a.run, a.parent, a.thread_no, a.lane, a.priority, 'queued' from asked a join kept k on k.run_id = a.run
  ), counted as (
    update longhaul.threads t set next_seq = t.next_seq + n.n, agent = n.agent, updated_at = clock_timestamp()
      from (select a.thread_no, count(*) n, max(a.agent) agent from asked a join kept k on k.run_id = a.run where a.thread_no is not null group by 1) n
     where t.thread_no = n.thread_no and t.thread_no = any(array(select a.thread_no from asked a))
  ), delayed as (
    insert into longhaul.later (run_id, due_at)
    select a.run, a.run_at from asked a join kept k on k.run_id = a.run where a.run_at > clock_timestamp() returning later.run_id
  )
  select array_agg(k.run_id), array_agg((a.lane, a.priority, a.run)::longhaul.item) filter (where a.thread is null and d.run_id is null),
         array_agg(a.run) filter (where a.thread is not null and d.run_id is null)
    into added, items, entering
    from kept k join asked a on a.run = k.run_id left join delayed d on d.run_id = k.run_id;

  if entering is not null then
    select longhaul.enter_thread(array_agg(v.thread_no), array_agg(r.thread_seq), array_agg(r.run_id)) into starts
      from longhaul.runs r join longhaul.live v using (run_id) where r.run_id = any(entering) and v.run_id = any(entering);
    if starts is not null then
      items := items || array(select (v.lane_id, v.prio, v.run_id)::longhaul.item from longhaul.live v where v.run_id = any(starts));
    end if;
  end if;
  perform longhaul.push(items);

  return query
    select u.r, coalesce(x.run_id, u.r), added is null or u.r <> all(added), x.request_hash is not distinct from u.h,
           case when busy is not null and u.r = any(busy) then 'busy' end
      from unnest(p_run, p_tenant, p_idempotency, p_request_hash) u(r, tn, ik, h)
      left join lateral (
        select y.run_id, y.request_hash from longhaul.runs y
         where y.run_id = case when u.ik is null then u.r
                               else (select z.run_id from longhaul.runs z where z.tenant_id = u.tn and z.idempotency_key = u.ik) end offset 0) x on true;
end $$;

-- Moves committed transactional submits into the queue. The rows go in the same transaction: nothing is lost or doubled.
create function longhaul.take_intake(p_limit int) returns int language plpgsql as $$
declare taken longhaul.intake[];
begin
  with gone as (
    delete from longhaul.intake i using (
      select x.run_id from longhaul.intake x order by x.run_id limit p_limit for update skip locked) y
     where i.run_id = y.run_id returning i.*
  ) select array_agg(g::longhaul.intake order by g.run_id) into taken from gone g;
  if taken is null then return 0; end if;
  -- a statement of its own: a planner leaves out a join whose result nobody reads, and the runs with it
  perform longhaul.submit(
    array(select t.run_id from unnest(taken) t), array(select t.run_id from unnest(taken) t), array(select null::uuid from unnest(taken) t),
    array(select null::text from unnest(taken) t), array(select 0::smallint from unnest(taken) t), array(select false from unnest(taken) t),
    array(select null::uuid from unnest(taken) t), array(select t.tenant_id from unnest(taken) t), array(select t.agent from unnest(taken) t),
    array(select t.build from unnest(taken) t), array(select t.queue from unnest(taken) t), array(select t.band from unnest(taken) t),
    array(select t.priority from unnest(taken) t), array(select t.thread_id from unnest(taken) t), array(select false from unnest(taken) t),
    array(select null::text from unnest(taken) t), array(select null::text from unnest(taken) t), array(select t.input from unnest(taken) t),
    array(select t.input_blob from unnest(taken) t), array(select t.options::text from unnest(taken) t),
    array(select t.metadata::text from unnest(taken) t), array(select t.run_at from unnest(taken) t));
  return cardinality(taken);
end $$;
