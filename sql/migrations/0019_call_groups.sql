-- Model calls of many runs at once: opened in one commit, and closed in the append that all runs of a worker share.

-- Opens calls of runs that one worker holds and that need nothing more from a budget; the calls have their runs and epochs in them. p_first marks calls of
-- a claim that has opened none yet: what an earlier one left open is abandoned then. Answers the places of the calls that are open now; for the others
-- nothing was written, because the run is somebody else's. Safe to repeat.
create function longhaul.open_calls(p_worker uuid, p_run uuid[], p_epoch int[], p_first boolean[], p_calls jsonb)
returns table (place int) language plpgsql set enable_nestloop = off set plan_cache_mode = force_generic_plan as $$
declare held uuid[]; fresh uuid[];
begin
  held := array(
    select l.run_id from longhaul.live l
     where l.run_id = any(p_run) and l.worker_id = p_worker
       and exists (select from unnest(p_run, p_epoch) u(run_id, epoch) where u.run_id = l.run_id and u.epoch = l.epoch)
     order by l.run_id desc for key share of l);
  fresh := array(select distinct u.run_id from unnest(p_run, p_first) u(run_id, first) where u.first and u.run_id = any(held) order by 1);
  if cardinality(fresh) > 0 then perform longhaul.begin_accounts(p_worker, fresh); end if;
  return query
  with opened as materialized (
    select u.place::int as place, u.run_id, u.epoch from unnest(p_run, p_epoch) with ordinality u(run_id, epoch, place)
      join longhaul.live l on l.run_id = u.run_id and l.epoch = u.epoch and l.run_id = any(held)
  ), written as (
    insert into longhaul.calls (call_id, run_id, root_id, account_id, est_input, est_output, est_nano_usd, epoch, attempt, tenant_id, call_key, step_key, agent, feature, alias, provider, model)
    select c.call_id, o.run_id, c.root_id, o.run_id, c.est_input, c.est_output, c.est_nano_usd, o.epoch, c.attempt, c.tenant_id, c.call_key, c.step_key, c.agent, c.feature, c.alias, c.provider, c.model
      from opened o join rows from (jsonb_to_recordset(p_calls) as (
             call_id uuid, root_id uuid, est_input bigint, est_output bigint, est_nano_usd bigint, attempt smallint, tenant_id text, call_key text, step_key text, agent text,
             feature text, alias text, provider text, model text)) with ordinality c(call_id, root_id, est_input, est_output, est_nano_usd, attempt, tenant_id, call_key, step_key, agent,
             feature, alias, provider, model, place) on c.place = o.place
    on conflict do nothing
  )
  select o.place from opened o;
end $$;

-- Accounts of runs without a budget above them, for the claims that now hold them: made where there are none; calls that earlier claims left open are
-- abandoned. The caller has locked the runs.
create function longhaul.begin_accounts(p_worker uuid, p_run uuid[]) returns void language plpgsql as $$
declare g record;
begin
  insert into longhaul.budget_accounts (account_id, budget_id, tenant_id, epoch)
  select r.run_id, r.budget_id, r.tenant_id, l.epoch from longhaul.runs r join longhaul.live l on l.run_id = r.run_id and l.run_id = any(p_run)
   where r.run_id = any(p_run) and (select true from longhaul.budget_accounts a where a.account_id = r.run_id limit 1) is null order by r.run_id
  on conflict do nothing;
  perform 1 from longhaul.budget_accounts a where a.account_id = any(p_run) order by a.account_id for no key update;
  for g in
    with older as (
      update longhaul.budget_accounts a set epoch = l.epoch from longhaul.live l
       where a.account_id = any(p_run) and l.run_id = any(p_run) and l.run_id = a.account_id and a.epoch < l.epoch
      returning a.account_id, l.epoch
    ) select o.epoch, array_agg(o.account_id) as accounts from older o group by 1
  loop
    perform longhaul.abandon(g.accounts, g.epoch);
  end loop;
end $$;

-- `append`, with what became of the model calls that the entries record; the closings have their runs in them.
create function longhaul.append_spent(
  p_worker uuid, p_lease_ms int, p_run uuid[], p_epoch int[], p_first int[], p_count int[],
  e_run uuid[], e_seq int[], e_epoch int[], e_kind smallint[], e_key text[], e_body text[], e_blob text[], p_closings jsonb
) returns table (run_id uuid, cancel text, inbox_seq int) language plpgsql set enable_nestloop = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare held uuid[];
begin
  return query select * from longhaul.append(p_worker, p_lease_ms, p_run, p_epoch, p_first, p_count, e_run, e_seq, e_epoch, e_kind, e_key, e_body, e_blob);
  held := array(
    select l.run_id from longhaul.live l join unnest(p_run, p_epoch, p_first, p_count) f(run_id, epoch, first, n)
        on l.run_id = f.run_id and l.epoch = f.epoch and l.journal_seq = f.first - 1 + f.n
     where l.run_id = any(p_run) and l.worker_id = p_worker);
  perform longhaul.close_calls_of(held, p_closings);
end $$;

-- Says what became of calls of runs, and adds what they cost to the runs' accounts; those of other runs than these stay as they are. The caller has locked the runs.
create function longhaul.close_calls_of(p_run uuid[], p_closings jsonb) returns void language plpgsql set enable_nestloop = off set plan_cache_mode = force_generic_plan as $$
declare payers uuid[]; told uuid[];
begin
  payers := array(select distinct c.run_id from jsonb_to_recordset(p_closings) c(run_id uuid) where c.run_id = any(p_run) order by 1);
  perform longhaul.open_account(u.a) from unnest(payers) u(a);
  perform 1 from longhaul.budget_accounts a where a.account_id = any(payers) order by a.account_id for no key update;
  if jsonb_path_exists(p_closings, '$[*].fresh') then
    perform longhaul.write_calls(jsonb_build_array(c.value->'fresh'), (c.value->>'run_id')::uuid, (c.value->>'epoch')::int)
       from jsonb_array_elements(p_closings) c(value) where c.value ? 'fresh' and (c.value->>'run_id')::uuid = any(payers);
  end if;
  told := array(select c.call_id from jsonb_to_recordset(p_closings) c(call_id uuid));
  with closed as (
    update longhaul.calls k
       set state = c.state, closed_at = clock_timestamp(), failure = c.failure, input_tokens = c.input_tokens, output_tokens = c.output_tokens,
           cache_read_tokens = c.cache_read_tokens, cache_write_tokens = c.cache_write_tokens, reasoning_tokens = c.reasoning_tokens, nano_usd = c.nano_usd,
           price_confidence = c.price_confidence, source = c.source, latency_ms = c.latency_ms, first_chunk_ms = c.first_chunk_ms
      from jsonb_to_recordset(p_closings) c(call_id uuid, run_id uuid, state text, failure text, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,
                                            cache_write_tokens bigint, reasoning_tokens bigint, nano_usd bigint, price_confidence text, source text, latency_ms int, first_chunk_ms int)
     where k.call_id = any(told) and k.call_id = c.call_id and c.run_id = any(payers) and k.account_id is not distinct from c.run_id and k.closed_at is null
    returning k.account_id, (k.input_tokens, k.output_tokens, k.nano_usd, 0)::longhaul.spend as cost
  )
  update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, t.cost), calls = a.calls + t.n
    from (select x.account_id, longhaul.total(x.cost) as cost, count(*)::int as n from closed x group by 1) t
   where a.account_id = t.account_id and a.account_id = any(payers);
end $$;
