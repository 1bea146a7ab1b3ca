-- What need not be done twice: answers of models that will do again, model calls that are being made, and runs that are alike.

-- pending: its owner is making the call, and lives as long as lease_until is renewed. done: there to be read until expires_at. failed: whoever
-- waited for it goes on by itself. A key is made of the tenant's name too.
create table longhaul.answers (
  answer_key  bytea primary key,
  tenant_id   text not null,
  state       text not null constraint answer_state_is_known check (state in ('pending', 'done', 'failed')),
  owner       uuid not null,
  lease_until timestamptz not null,
  made_at     timestamptz,
  expires_at  timestamptz not null,
  value       text,
  constraint done_has_value check ((state = 'done') = (value is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, vacuum_truncate = off);
create index answers_expiring on longhaul.answers (expires_at);

-- Who makes the call: 'lead' for the caller, 'done' with an answer not older than p_cache_ms, or 'pending' while another makes it. A caller that
-- does not share (p_share false) gets 'alone' instead. `seen` is when it asked: an answer made later than that is one it has waited for.
create function longhaul.seek_answer(p_key bytea, p_tenant text, p_owner uuid, p_lease_ms float8, p_cache_ms float8, p_share boolean)
returns table (role text, value text, seen timestamptz) language plpgsql set plan_cache_mode = force_generic_plan as $$
declare a longhaul.answers; present timestamptz := clock_timestamp(); mine boolean;
begin
  select * into a from longhaul.answers x where x.answer_key = p_key and x.tenant_id = p_tenant;
  if a.state = 'done' and a.expires_at > present and a.made_at > present - p_cache_ms * interval '1 millisecond' then
    return query select 'done', a.value, present;
    return;
  end if;
  if a.state = 'pending' and a.lease_until > present then
    return query select case when p_share then 'pending' else 'alone' end, null::text, present;
    return;
  end if;
  perform set_config('synchronous_commit', 'off', true);
  insert into longhaul.answers as x (answer_key, tenant_id, state, owner, lease_until, expires_at)
  values (p_key, p_tenant, 'pending', p_owner, present + p_lease_ms * interval '1 millisecond', present + interval '1 day')
  on conflict (answer_key) do update
     set state = 'pending', owner = p_owner, lease_until = excluded.lease_until, expires_at = excluded.expires_at, value = null, made_at = null
   -- another may have been quicker: with the call, or with the whole answer
   where x.tenant_id = p_tenant and not (x.state = 'pending' and x.lease_until > present) and not (x.state = 'done' and x.made_at > present)
  returning true into mine;
  return query select case when mine then 'lead' when p_share then 'pending' else 'alone' end, null::text, present;
end $$;

-- The answer is there. Also from one who made the call without leading it. False: another leads by now, and will give its own.
create function longhaul.give_answer(p_key bytea, p_tenant text, p_owner uuid, p_keep_ms float8, p_value text) returns boolean language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  insert into longhaul.answers as x (answer_key, tenant_id, state, owner, lease_until, made_at, expires_at, value)
  values (p_key, p_tenant, 'done', p_owner, clock_timestamp(), clock_timestamp(), clock_timestamp() + p_keep_ms * interval '1 millisecond', p_value)
  on conflict (answer_key) do update
     set state = 'done', owner = p_owner, made_at = excluded.made_at, expires_at = excluded.expires_at, value = excluded.value
   where x.tenant_id = p_tenant and (x.owner = p_owner or x.state <> 'pending' or x.lease_until <= clock_timestamp());
  return found;
end $$;

-- Drops what is of no more use. Answers how many.
create function longhaul.forget_answers(p_limit int) returns int language sql as $$
  with gone as (
    delete from longhaul.answers a where a.answer_key = any(array(
      select x.answer_key from longhaul.answers x where x.expires_at < clock_timestamp() order by x.expires_at limit p_limit for update skip locked))
      and a.expires_at < clock_timestamp() returning 1
  ) select count(*)::int from gone
$$;

-- The newest run of an agent for one input: what stands for the same again, for a while. Its row is locked by each submit that asks, first of
-- all, until that has committed: of two that come together the second finds the run of the first.
create table longhaul.recent_runs (
  tenant_id  text not null,
  agent      text not null,
  input_hash bytea not null,
  run_id     uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (tenant_id, agent, input_hash)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, vacuum_truncate = off);
create index recent_runs_expiring on longhaul.recent_runs (expires_at);

-- Which run stands for this input: p_run, or one not older than p_ttl_ms that has not failed and is not being cancelled. In the same transaction
-- p_run is to be submitted if it is the one.
create function longhaul.share_run(p_tenant text, p_agent text, p_hash bytea, p_run uuid, p_ttl_ms float8) returns uuid
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare s longhaul.recent_runs;
begin
  insert into longhaul.recent_runs as x (tenant_id, agent, input_hash, run_id, expires_at)
  values (p_tenant, p_agent, p_hash, p_run, clock_timestamp() + p_ttl_ms * interval '1 millisecond')
  on conflict (tenant_id, agent, input_hash) do update set run_id = x.run_id
  returning * into s;
  if s.run_id = p_run then return p_run; end if;
  if s.created_at > clock_timestamp() - p_ttl_ms * interval '1 millisecond'
     and (exists (select from longhaul.live l where l.run_id = s.run_id and l.cancel is null)
          or exists (select from longhaul.outcomes o where o.run_id = s.run_id and o.status = 'succeeded')) then
    return s.run_id;
  end if;
  update longhaul.recent_runs x
     set run_id = p_run, created_at = clock_timestamp(), expires_at = clock_timestamp() + p_ttl_ms * interval '1 millisecond'
   where x.tenant_id = p_tenant and x.agent = p_agent and x.input_hash = p_hash;
  return p_run;
end $$;

create function longhaul.forget_recent_runs(p_limit int) returns int language sql as $$
  with gone as (
    delete from longhaul.recent_runs r using (
      select x.tenant_id, x.agent, x.input_hash from longhaul.recent_runs x where x.expires_at < clock_timestamp() order by x.expires_at limit p_limit for update skip locked) y
     where r.tenant_id = y.tenant_id and r.agent = y.agent and r.input_hash = y.input_hash returning 1
  ) select count(*)::int from gone
$$;
