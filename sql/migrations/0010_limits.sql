-- Limits and how they change: plans, tenants, agents. A change takes effect at once, in both directions: a lowered cap lets what runs
-- end, a raised one offers what it had parked. And what keeps the counters true, should anybody ever meddle with them.

-- Writes a plan and what follows from it into its tenants. Answers whether it was there before.
create function longhaul.set_plan(
  p_plan text, p_concurrency int, p_weight int, p_band smallint, p_unfinished_max int, p_submits_per_minute int, p_budget jsonb
) returns boolean language plpgsql as $$
declare existed boolean;
begin
  perform 1 from longhaul.plans p where p.plan = p_plan for update;
  existed := found;
  insert into longhaul.plans (plan, concurrency, weight, band, unfinished_max, submits_per_minute, budget)
  values (p_plan, p_concurrency, p_weight, p_band, p_unfinished_max, p_submits_per_minute, p_budget)
  on conflict (plan) do update set concurrency = excluded.concurrency, weight = excluded.weight, band = excluded.band,
                                   unfinished_max = excluded.unfinished_max, submits_per_minute = excluded.submits_per_minute,
                                   budget = excluded.budget;
  perform longhaul.follow_plan(array(select t.tenant_id from longhaul.tenants t where t.plan = p_plan), p_plan);
  return existed;
end $$;

-- Deletes a plan; its tenants are on the plan 'default' from now on. Answers how many, or null for a plan that is not there.
create function longhaul.delete_plan(p_plan text) returns int language plpgsql as $$
declare left_over text[];
begin
  delete from longhaul.plans p where p.plan = p_plan and p_plan <> 'default';
  if not found then return null; end if;
  left_over := array(select t.tenant_id from longhaul.tenants t where t.plan = p_plan);
  perform longhaul.follow_plan(left_over, 'default');
  return cardinality(left_over);
end $$;

-- Puts a tenant, known or not, on a plan. False: there is no such plan.
create function longhaul.set_tenant_plan(p_tenant text, p_plan text) returns boolean language plpgsql as $$
begin
  perform 1 from longhaul.plans p where p.plan = p_plan for share;
  if not found then return false; end if;
  insert into longhaul.tenants (tenant_id) values (p_tenant) on conflict do nothing;
  perform longhaul.follow_plan(array[p_tenant], p_plan);
  return true;
end $$;

create function longhaul.follow_plan(p_tenant text[], p_plan text) returns void language plpgsql as $$
begin
  perform 1 from longhaul.tenants t where t.tenant_id = any(p_tenant) order by t.tenant_id for update;
  update longhaul.tenants t
     set plan = p.plan, cap = coalesce(p.concurrency, 2147483647), weight = p.weight, band = p.band,
         unfinished_max = coalesce(p.unfinished_max, 2147483647), submits_per_minute = p.submits_per_minute,
         rate_at = case when p.submits_per_minute is distinct from t.submits_per_minute then null else t.rate_at end
    from longhaul.plans p where p.plan = p_plan and t.tenant_id = any(p_tenant);
  perform longhaul.offer_tenants(p_tenant);
  perform longhaul.budget_tenants(p_tenant, p.budget) from longhaul.plans p where p.plan = p_plan;
end $$;

-- Stops a tenant's runs from starting, or lets them start again. What runs goes on. False: an unknown tenant.
create function longhaul.pause_tenant(p_tenant text, p_paused boolean) returns boolean language plpgsql as $$
begin
  update longhaul.tenants t set paused = p_paused where t.tenant_id = p_tenant;
  if not found then return false; end if;
  perform longhaul.offer_tenants(array[p_tenant]);
  return true;
end $$;

-- Un-parks whatever tenants have, with their rows locked; the next claim parks again what has no room.
create function longhaul.offer_tenants(p_tenant text[]) returns void language plpgsql as $$
begin
  perform longhaul.offer(array(select t.turn_id from longhaul.turns t where t.tenant_id = any(p_tenant)), null, null);
end $$;

-- What an agent allows at once, in all and for one key of one tenant's. Runs that were claimed before an agent had a limit pass
-- uncounted. Answers whether anything changed.
create function longhaul.set_agent(p_agent text, p_concurrency int, p_per_key int) returns boolean language plpgsql as $$
declare a longhaul.agents; turn int[];
begin
  insert into longhaul.agents (agent) values (p_agent) on conflict do nothing;
  select * into a from longhaul.agents x where x.agent = p_agent;
  if a.concurrency is not distinct from p_concurrency and a.per_key is not distinct from p_per_key then return false; end if;
  perform 1 from longhaul.agents x where x.agent = p_agent for update;
  update longhaul.agents x set concurrency = p_concurrency, per_key = p_per_key where x.agent = p_agent;
  insert into longhaul.gates (agent, cap) select p_agent, p_concurrency where p_concurrency is not null on conflict do nothing;
  insert into longhaul.gates (agent, tenant_id, key, cap)
  select distinct l.agent, l.tenant_id, l.key, p_per_key from longhaul.lanes l where l.agent = p_agent and p_per_key is not null
   order by 2, 3 on conflict do nothing;
  perform 1 from longhaul.gates g where g.agent = p_agent order by g.gate_id for no key update;
  update longhaul.gates g
     set cap = coalesce(case when g.tenant_id = '' then p_concurrency else p_per_key end, case when g.key = '' then 2147483647 else 1 end)
   where g.agent = p_agent;
  turn := array(select distinct l.turn_id from longhaul.lanes l where l.agent = p_agent);
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for no key update;
  update longhaul.lanes l
     set agent_gate = case when p_concurrency is not null then (select g.gate_id from longhaul.gates g where g.agent = p_agent and g.tenant_id = '' and g.key = '') end,
         key_gate = case when p_per_key is not null or l.key <> ''
                         then (select g.gate_id from longhaul.gates g where g.agent = l.agent and g.tenant_id = l.tenant_id and g.key = l.key) end
   where l.agent = p_agent;
  perform longhaul.offer(null, array(select l.lane_id from longhaul.lanes l where l.agent = p_agent and l.ready > 0 and not l.open), null);
  return true;
end $$;

-- Opens lanes that wait before a gate with room: a slot that was offered to others in vain.
create function longhaul.reopen_gates() returns int language plpgsql as $$
declare shut int[];
begin
  select longhaul.shut_by(array_agg(g.gate_id), array_agg(g.cap - g.in_flight)) into shut from longhaul.gates g
   where g.tenant_id = '' and g.in_flight < g.cap and (select true from longhaul.lanes l where l.agent_gate = g.gate_id and l.ready > 0 and not l.open limit 1);
  if shut is null then return 0; end if;
  perform longhaul.offer(null, shut, null);
  return cardinality(shut);
end $$;

-- Compares what the counters of tenants and gates say with the runs that are running, and mends those that are wrong: each under its
-- row's lock, which every claim and every release holds while it counts. Answers how many were wrong.
create function longhaul.reconcile() returns int language plpgsql as $$
declare t text; g int; wrong int := 0;
begin
  for t in
    select x.tenant_id from longhaul.tenants x left join (
      select n.tenant_id, count(*) as n from longhaul.live l join longhaul.lanes n using (lane_id) where l.state = 'running' group by 1) c using (tenant_id)
     where x.in_flight <> coalesce(c.n, 0) order by 1 limit 100
  loop
    perform 1 from longhaul.tenants x where x.tenant_id = t for update;
    update longhaul.tenants x
       set in_flight = (select count(*) from longhaul.live l join longhaul.lanes n using (lane_id) where l.state = 'running' and n.tenant_id = t)
     where x.tenant_id = t;
    perform longhaul.offer_tenants(array[t]);
    wrong := wrong + 1;
  end loop;
  for g in
    select x.gate_id from longhaul.gates x left join (
      select v.gate_id, count(*) as n from longhaul.live l cross join lateral (values (l.agent_gate), (l.key_gate)) v(gate_id) where l.state = 'running' group by 1) c using (gate_id)
     where x.in_flight <> coalesce(c.n, 0) order by 1 limit 100
  loop
    perform 1 from longhaul.gates x where x.gate_id = g for no key update;
    update longhaul.gates x set in_flight = (select count(*) from longhaul.live l where l.state = 'running' and g in (l.agent_gate, l.key_gate)) where x.gate_id = g;
    perform longhaul.offer(null, longhaul.shut_by(array[g], array[1000]), null);
    wrong := wrong + 1;
  end loop;
  return wrong;
end $$;

-- Clears away lanes, gates and turns of keys and builds that nobody has used for a while. A submit that had just looked one up finds it
-- gone when it locks it, and is tried again.
create function longhaul.forget_idle(p_idle interval, p_limit int) returns int language plpgsql as $$
declare idle int[]; turn int[]; n int;
begin
  idle := array(
    select l.lane_id from longhaul.lanes l join longhaul.turns t using (turn_id)
     where l.ready = 0 and coalesce(l.head_at, '-infinity') < clock_timestamp() - p_idle
       and (l.key <> '' or not exists (select from longhaul.workers w where w.build = t.build)) limit p_limit);
  idle := array(select i from unnest(idle) i except select l.lane_id from longhaul.live l);
  if cardinality(idle) = 0 then return 0; end if;
  turn := array(select distinct l.turn_id from longhaul.lanes l where l.lane_id = any(idle));
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for update;
  delete from longhaul.lanes l where l.lane_id = any(idle) and l.ready = 0 and not exists (select from longhaul.live v where v.lane_id = l.lane_id);
  get diagnostics n = row_count;
  delete from longhaul.turns t where t.turn_id = any(turn) and not exists (select from longhaul.lanes l where l.turn_id = t.turn_id);
  delete from longhaul.gates g where g.key <> '' and g.in_flight = 0
     and not exists (select from longhaul.lanes l where l.key_gate = g.gate_id)
     and not exists (select from longhaul.live l where l.state = 'running' and l.key_gate = g.gate_id);
  return n;
end $$;
