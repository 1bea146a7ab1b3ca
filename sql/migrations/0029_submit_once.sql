--! compatible
-- A batch asks for its lanes once each, not once a run: most batches are for one lane or a few, and each look walks through what an old snapshot keeps from
-- being cleaned up. Nor does it read back the runs that it has just stored.

create or replace function longhaul.find_lanes(p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_key text[])
returns int[] language plpgsql as $$
begin
  return (
    with asked as materialized (
      select u.tenant, u.agent, u.build, u.queue, coalesce(u.band, -1) as wish, u.key, u.place
        from unnest(p_tenant, p_agent, p_build, p_queue, p_band, p_key) with ordinality u(tenant, agent, build, queue, band, key, place)
    ), found as materialized (
      select a.*, (
        select l.lane_id from longhaul.lanes l where l.agent = a.agent and l.key = a.key and l.turn_id = (
          select t.turn_id from longhaul.turns t where t.queue = a.queue and t.tenant_id = a.tenant and t.build = a.build and t.band = coalesce((
            select n.band from longhaul.tenants n where n.tenant_id = a.tenant), nullif(a.wish, -1), 1))) as lane_id
        from (select distinct tenant, agent, build, queue, wish, key from asked) a
    )
    select array_agg(f.lane_id order by a.place) from asked a left join found f using (tenant, agent, build, queue, wish, key));
end $$;

create or replace function longhaul.submit(p_run uuid[], p_root uuid[], p_parent uuid[], p_parent_key text[], p_depth smallint[], p_detached boolean[], p_forked uuid[], p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_key text[], p_priority smallint[], p_thread uuid[], p_reject_busy boolean[], p_idempotency text[], p_request_hash text[], p_input text[], p_input_blob text[], p_options text[], p_metadata text[], p_run_at timestamptz[], p_start_by timestamptz[], p_declared text[], p_above uuid[], p_judge boolean)
 returns table(asked_id uuid, run_id uuid, existing boolean, same_request boolean, refused text, retry_ms integer)
 language plpgsql
 set enable_nestloop to 'off'
 set plan_cache_mode to 'force_generic_plan'
as $$
#variable_conflict use_column
declare lane int[]; busy uuid[]; away uuid[]; away_why text[]; away_ms int[]; added uuid[]; starts uuid[]; items longhaul.item[]; entering uuid[];
begin
  -- whoever forgets a tenant (purge_rows) keeps submits out meanwhile, also those that find everything there
  lock table longhaul.tenants in row exclusive mode;
  lane := longhaul.lanes_for(p_tenant, p_agent, p_build, p_queue, p_band, p_key);

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

  if p_judge and exists (
    select from longhaul.tenants t where t.tenant_id = any(p_tenant) and (t.unfinished_max < 2147483647 or t.submits_per_minute is not null)) then
    select array_agg(w.run_id), array_agg(w.refused), array_agg(w.retry_ms) into away, away_why, away_ms
      from longhaul.turn_away(p_run, p_parent, p_tenant, p_idempotency) w;
  end if;

  with asked as materialized (
    select u.*, n.budget_id as tenants_budget, t.thread_no, t.next_seq - 1 + row_number() over (partition by t.thread_no order by u.run) as seq
      from unnest(p_run, p_root, p_parent, p_parent_key, p_depth, p_detached, p_forked, p_tenant, p_agent, p_build, p_queue, lane, p_key,
                  p_priority, p_thread, p_idempotency, p_request_hash, p_input, p_input_blob, p_options, p_metadata, p_run_at, p_start_by, p_declared, p_above)
           u(run, root, parent, parent_key, depth, detached, forked, tenant, agent, build, queue, lane, key,
             priority, thread, idempotency, request_hash, input, input_blob, options, metadata, run_at, start_by, declared, above)
      left join longhaul.tenants n on n.tenant_id = u.tenant and n.tenant_id = any(p_tenant)
      left join longhaul.threads t on t.tenant_id = u.tenant and t.thread_id = u.thread and t.tenant_id = any(p_tenant) and t.thread_id = any(p_thread)
     where (busy is null or u.run <> all(busy)) and (away is null or u.run <> all(away))
  ), kept as (
    insert into longhaul.runs (run_id, root_id, parent_id, parent_key, depth, detached, forked_from, tenant_id, agent, build, queue, priority,
                               thread_id, thread_seq, lane_id, concurrency_key, idempotency_key, request_hash, input, input_blob, options, metadata, run_at, budget_id)
    select a.run, a.root, a.parent, a.parent_key, a.depth, a.detached, a.forked, a.tenant, a.agent, a.build, a.queue, a.priority,
           a.thread, case when a.thread is null then null else a.seq end, a.lane, a.key, a.idempotency, a.request_hash, a.input, a.input_blob,
           a.options::jsonb, a.metadata::jsonb, a.run_at,
           case when a.declared is null then coalesce(a.above, a.tenants_budget) else a.run end
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
  ), expiring as (
    insert into longhaul.expiries (run_id, start_by)
    select a.run, a.start_by from asked a join kept k on k.run_id = a.run where a.start_by is not null
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
  if added is not null then
    perform 1 from longhaul.tenants t where t.tenant_id = any(p_tenant) order by t.tenant_id for update;
    update longhaul.tenants t set unfinished = t.unfinished + n.n
      from (select u.tn, count(*)::int as n from unnest(p_run, p_tenant) u(r, tn) join unnest(added) k(r) using (r) group by 1) n
     where t.tenant_id = n.tn and t.tenant_id = any(p_tenant);
  end if;
  if cardinality(added) > coalesce(cardinality(items), 0) then
    -- runs that enter their lanes later hold them now, so that nobody clears them away
    perform 1 from longhaul.lanes l where l.lane_id = any(lane) order by l.lane_id for key share;
    if (select count(*) from longhaul.lanes l where l.lane_id = any(lane)) < (select count(distinct x) from unnest(lane) x) then
      raise exception 'a lane has just been cleared away' using errcode = 'serialization_failure';
    end if;
  end if;
  perform longhaul.push(items);
  if added is not null and exists (select from unnest(p_declared) d where d is not null) then
    perform longhaul.declare_budgets(array_agg(u.r), array_agg(u.tn), array_agg(u.a), array_agg(u.d))
       from unnest(p_run, p_tenant, p_above, p_declared) u(r, tn, a, d) where u.r = any(added);
  end if;

  -- what was asked for and is not new is looked up; the rest is known
  return query
    select u.r, coalesce(x.run_id, u.r), k.run_id is null, k.run_id is not null or x.request_hash is not distinct from u.h,
           case when busy is not null and u.r = any(busy) then 'busy' when away is not null then away_why[array_position(away, u.r)] end,
           case when away is not null then away_ms[array_position(away, u.r)] end
      from unnest(p_run, p_tenant, p_idempotency, p_request_hash) u(r, tn, ik, h)
      left join unnest(added) k(run_id) on k.run_id = u.r
      left join lateral (
        select y.run_id, y.request_hash from longhaul.runs y
         where k.run_id is null
           and y.run_id = case when u.ik is null then u.r
                               else (select z.run_id from longhaul.runs z where z.tenant_id = u.tn and z.idempotency_key = u.ik) end offset 0) x on true;
end $$;
