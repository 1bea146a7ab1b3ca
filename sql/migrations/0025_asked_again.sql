-- A question whose answer was lost with the connection is asked again, by the same asker: what it was given then is its own still.

create or replace function longhaul.seek_answer(p_key bytea, p_tenant text, p_owner uuid, p_lease_ms float8, p_cache_ms float8, p_share boolean)
returns table (role text, value text, seen timestamptz) language plpgsql set plan_cache_mode = force_generic_plan as $$
declare a longhaul.answers; present timestamptz := clock_timestamp(); mine boolean;
begin
  select * into a from longhaul.answers x where x.answer_key = p_key and x.tenant_id = p_tenant;
  if a.state = 'done' and a.expires_at > present and a.made_at > present - p_cache_ms * interval '1 millisecond' then
    return query select 'done', a.value, present;
    return;
  end if;
  if a.state = 'pending' and a.lease_until > present and a.owner <> p_owner then
    return query select case when p_share then 'pending' else 'alone' end, null::text, present;
    return;
  end if;
  perform set_config('synchronous_commit', 'off', true);
  insert into longhaul.answers as x (answer_key, tenant_id, state, owner, lease_until, expires_at)
  values (p_key, p_tenant, 'pending', p_owner, present + p_lease_ms * interval '1 millisecond', present + interval '1 day')
  on conflict (answer_key) do update
     set state = 'pending', owner = p_owner, lease_until = excluded.lease_until, expires_at = excluded.expires_at, value = null, made_at = null
   -- another may have been quicker: with the call, or with the whole answer
   where x.tenant_id = p_tenant and not (x.state = 'pending' and x.lease_until > present and x.owner <> p_owner)
     and not (x.state = 'done' and x.made_at > present)
  returning true into mine;
  return query select case when mine then 'lead' when p_share then 'pending' else 'alone' end, null::text, present;
end $$;

create or replace function longhaul.ask_probe(p_target text, p_by uuid, p_probe_ms float8, out verdict text, out until_ms float8) language plpgsql as $$
declare b longhaul.breakers; present float8;
begin
  select * into b from longhaul.breakers x where x.target = p_target for update;
  present := longhaul.now_ms();
  if not found or b.open_until is null then
    verdict := 'closed';
  elsif b.open_until > present or (b.probe_until > present and b.probe_by is distinct from p_by) then
    verdict := 'open';
    -- the probe may be over soon
    until_ms := case when b.open_until > present then b.open_until else least(b.probe_until, present + 1000) end;
  else
    verdict := 'probe';
    update longhaul.breakers x set probe_by = p_by, probe_until = present + p_probe_ms where x.target = p_target;
  end if;
end $$;
