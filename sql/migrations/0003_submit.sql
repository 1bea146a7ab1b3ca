-- Taking runs in. One statement per batch, safe to repeat: a run id or an idempotency key that is already there wins.

-- The lanes for runs that are about to come in, one per asked run and in their order, made where missing. A tenant's plan may say
-- the band; else the run's agent does.
create function longhaul.lanes_for(p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_key text[])
returns int[] language plpgsql as $$
declare found int[]; added text[];
begin
  found := longhaul.find_lanes(p_tenant, p_agent, p_build, p_queue, p_band, p_key);
  if array_position(found, null) is null then return found; end if;
  with new as (
    insert into longhaul.tenants (tenant_id, cap, weight, band, unfinished_max, submits_per_minute)
    select distinct u.t, coalesce(p.concurrency, 2147483647), p.weight, p.band, coalesce(p.unfinished_max, 2147483647), p.submits_per_minute
      from unnest(p_tenant) u(t) cross join longhaul.plans p
     where p.plan = 'default' and u.t <> all(array(select x.tenant_id from longhaul.tenants x where x.tenant_id = any(p_tenant))) order by 1
    on conflict do nothing returning tenant_id
  ) select array_agg(n.tenant_id) into added from new n;
  -- nobody else can have locked the budgets that are made here
  if added is not null then perform longhaul.budget_tenants(added, p.budget) from longhaul.plans p where p.plan = 'default' and p.budget is not null; end if;
  insert into longhaul.agents (agent) select distinct u.a from unnest(p_agent) u(a)
   where not exists (select from longhaul.agents x where x.agent = u.a) order by 1 on conflict do nothing;
  -- whoever changes an agent's limits waits for the lanes that are made by the old ones
  perform 1 from longhaul.agents a where a.agent = any(p_agent) order by a.agent for share;
  insert into longhaul.gates (agent, tenant_id, key, cap)
  select distinct g.* from unnest(p_tenant, p_agent, p_key) u(tenant, agent, key) join longhaul.agents a using (agent)
   cross join lateral (
     select a.agent, '', '', a.concurrency where a.concurrency is not null
     union all select a.agent, u.tenant, u.key, coalesce(a.per_key, 1) where a.per_key is not null or u.key <> '') g
   order by 1, 2, 3 on conflict do nothing;
  perform 1 from longhaul.gates g where g.gate_id = any(array(
    select x.gate_id from longhaul.gates x where x.agent = any(p_agent) and x.tenant_id = any(p_tenant) and x.key = any(p_key))) order by g.gate_id for key share;
  insert into longhaul.turns (queue, tenant_id, build, band)
  select distinct u.queue, u.tenant, u.build, coalesce(t.band, u.band, 1::smallint)
    from unnest(p_queue, p_tenant, p_build, p_band) u(queue, tenant, build, band)
    join longhaul.tenants t on t.tenant_id = u.tenant and t.tenant_id = any(p_tenant)
   order by 1, 2, 3, 4 on conflict do nothing;
  perform 1 from longhaul.turns t where t.turn_id = any(array(
    select x.turn_id from longhaul.turns x where x.tenant_id = any(p_tenant) and x.queue = any(p_queue))) order by t.turn_id for key share;
  insert into longhaul.lanes (turn_id, tenant_id, agent, key, agent_gate, key_gate)
  select distinct t.turn_id, u.tenant, u.agent, u.key, a.gate_id, k.gate_id
    from unnest(p_tenant, p_agent, p_build, p_queue, p_band, p_key) u(tenant, agent, build, queue, band, key)
    join longhaul.tenants n on n.tenant_id = u.tenant and n.tenant_id = any(p_tenant)
    join longhaul.turns t on t.queue = u.queue and t.tenant_id = u.tenant and t.build = u.build and t.band = coalesce(n.band, u.band, 1)
                         and t.queue = any(p_queue) and t.tenant_id = any(p_tenant)
    join longhaul.agents g on g.agent = u.agent
    left join longhaul.gates a on a.agent = u.agent and a.tenant_id = '' and a.key = '' and g.concurrency is not null and a.agent = any(p_agent)
    left join longhaul.gates k on k.agent = u.agent and k.tenant_id = u.tenant and k.key = u.key and (g.per_key is not null or u.key <> '')
                              and k.agent = any(p_agent) and k.tenant_id = any(p_tenant) and k.key = any(p_key)
   order by 1, 3, 4 on conflict do nothing;
  found := longhaul.find_lanes(p_tenant, p_agent, p_build, p_queue, p_band, p_key);
  -- a turn that was cleared away in this very moment is missing, a gate fails the constraint keyed_lane_has_gate
  if array_position(found, null) is not null then raise exception 'a turn has just been cleared away' using errcode = 'serialization_failure'; end if;
  return found;
end $$;

create function longhaul.find_lanes(p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_key text[])
returns int[] language plpgsql as $$
begin
  return (
    select array_agg((
        select l.lane_id from longhaul.lanes l where l.agent = u.agent and l.key = u.key and l.turn_id = (
          select t.turn_id from longhaul.turns t where t.queue = u.queue and t.tenant_id = u.tenant and t.build = u.build and t.band = coalesce((
            select n.band from longhaul.tenants n where n.tenant_id = u.tenant), u.band, 1))) order by u.place)
      from unnest(p_tenant, p_agent, p_build, p_queue, p_band, p_key) with ordinality u(tenant, agent, build, queue, band, key, place));
end $$;

-- Who of the asked may come in, by what their tenants' plans allow. Runs that are there already, and children, are not asked.
-- The tenants' rows are locked. Answers those turned away.
create function longhaul.turn_away(p_run uuid[], p_parent uuid[], p_tenant text[], p_idempotency text[])
returns table (run_id uuid, refused text, retry_ms int) language plpgsql as $$
#variable_conflict use_column
declare present timestamptz;
begin
  perform 1 from longhaul.tenants t where t.tenant_id = any(p_tenant) order by t.tenant_id for update;
  present := clock_timestamp();
  return query
  with asked as materialized (
    select u.run, u.tenant, row_number() over (partition by u.tenant order by u.place)::int as n
      from unnest(p_run, p_parent, p_tenant, p_idempotency) with ordinality u(run, parent, tenant, idempotency, place)
     where u.parent is null and not exists (select from longhaul.runs x where x.run_id = u.run)
       and not exists (select from longhaul.runs x where x.tenant_id = u.tenant and x.idempotency_key = u.idempotency)
  ), judged as materialized (   -- a minute's worth may come at once, then one by one (GCRA)
    select a.run, t.tenant_id, t.unfinished + a.n > t.unfinished_max as is_full, t.submits_per_minute as rate, greatest(t.rate_at, present) as full_at,
           extract(epoch from greatest(t.rate_at, present) - present) * 1000 + (a.n::float8 / t.submits_per_minute - 1) * 60000 as early_ms
      from asked a join longhaul.tenants t on t.tenant_id = a.tenant and t.tenant_id = any(p_tenant)
  ), spent as (
    update longhaul.tenants t set rate_at = c.full_at + c.n * interval '60 seconds' / c.rate
      from (select j.tenant_id, j.full_at, j.rate, count(*) as n from judged j where not j.is_full and j.early_ms <= 0 group by 1, 2, 3) c
     where t.tenant_id = c.tenant_id and t.tenant_id = any(p_tenant)
  )
  select j.run, case when j.is_full then 'full' else 'rate' end, case when j.is_full then 5000 else ceil(j.early_ms)::int end
    from judged j where j.is_full or j.early_ms > 0;
end $$;

-- Answers one row per asked run: the run that now stands for it, whether it was there before, and a refusal if there is one: 'busy'
-- (the thread has an active run and the caller asked to be refused then), 'full' or 'rate' (its tenant's plan; only where p_judge).
create function longhaul.submit(
  p_run uuid[], p_root uuid[], p_parent uuid[], p_parent_key text[], p_depth smallint[], p_detached boolean[], p_forked uuid[],
  p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_key text[], p_priority smallint[],
  p_thread uuid[], p_reject_busy boolean[], p_idempotency text[], p_request_hash text[],
  p_input text[], p_input_blob text[], p_options text[], p_metadata text[], p_run_at timestamptz[], p_start_by timestamptz[],
  p_declared text[], p_above uuid[], p_judge boolean
) returns table (asked_id uuid, run_id uuid, existing boolean, same_request boolean, refused text, retry_ms int)
language plpgsql set enable_nestloop = off set plan_cache_mode = force_generic_plan as $$
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
      from (select u.tn, count(*)::int as n from unnest(p_run, p_tenant) u(r, tn) where u.r = any(added) group by 1) n
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

  return query
    select u.r, coalesce(x.run_id, u.r), added is null or u.r <> all(added), x.request_hash is not distinct from u.h,
           case when busy is not null and u.r = any(busy) then 'busy' when away is not null then away_why[array_position(away, u.r)] end,
           case when away is not null then away_ms[array_position(away, u.r)] end
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
    array(select t.key from unnest(taken) t), array(select t.priority from unnest(taken) t), array(select t.thread_id from unnest(taken) t),
    array(select false from unnest(taken) t), array(select null::text from unnest(taken) t), array(select null::text from unnest(taken) t),
    array(select t.input from unnest(taken) t), array(select t.input_blob from unnest(taken) t), array(select t.options::text from unnest(taken) t),
    array(select t.metadata::text from unnest(taken) t), array(select t.run_at from unnest(taken) t), array(select t.start_by from unnest(taken) t),
    array(select t.budget from unnest(taken) t), array(select null::uuid from unnest(taken) t),
    -- it was acknowledged with its transaction: too late to turn it away
    false);
  return cardinality(taken);
end $$;
