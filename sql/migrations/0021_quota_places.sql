--! compatible
-- Quotas under many hands: a place in a line is given up by its name, and everybody takes locks in the order that 0015 says.

-- Gives up places, as [{ call, target, ready }]: those who come after them move up. A place that the call has taken since, of this target or
-- of another, is another place.
create function longhaul.cancel_places(p_places jsonb) returns void language plpgsql as $$
declare held text[];
begin
  held := array(
    select distinct k from jsonb_to_recordset(p_places) d(call text, target text, ready float8)
      join longhaul.bookings b on b.call_key = d.call and b.target = d.target and b.ready_at = d.ready cross join unnest(b.keys) k);
  perform 1 from longhaul.quotas q where q.key = any(held) order by q.key for update;
  with gone as (
    delete from longhaul.bookings b using jsonb_to_recordset(p_places) d(call text, target text, ready float8)
     where b.call_key = d.call and b.target = d.target and b.ready_at = d.ready and b.keys <@ held returning b.*)
  update longhaul.quotas q
     set tat = q.tat - n.paid, line = greatest(q.line - n.cost, q.tat - n.paid)
    from (select u.key, sum(u.cost) as cost, sum(case when g.firm and g.ready_at > longhaul.now_ms() then u.cost else 0 end) as paid
            from gone g cross join unnest(g.keys, g.costs) u(key, cost) group by u.key) n
   where q.key = n.key and q.kind = 'rate' and n.cost > 0;
end $$;

-- As before, with the quotas locked first: who renews waits for nobody that waits for him.
create or replace function longhaul.renew_slots(p_slots jsonb, p_slot_ms float8) returns void language plpgsql as $$
declare present float8;
begin
  perform 1 from longhaul.quotas q where q.key = any(array(select x ->> 'key' from jsonb_array_elements(p_slots) x)) order by q.key for update;
  present := longhaul.now_ms();
  update longhaul.call_slots s set expires_at = present + p_slot_ms
    from jsonb_to_recordset(p_slots) d(key text, holder uuid) where s.key = d.key and s.holder = d.holder;
  with back as (
    insert into longhaul.call_slots (key, holder, expires_at)
    select d.key, d.holder, present + p_slot_ms from jsonb_to_recordset(p_slots) d(key text, holder uuid)
     where exists (select from longhaul.quotas q where q.key = d.key and q.kind = 'slots') on conflict do nothing returning key)
  update longhaul.quotas q set used = q.used + b.n from (select key, count(*)::int as n from back group by 1) b where q.key = b.key;
end $$;

-- As before, with the quotas locked first and the places last; of those, at most so many at once that nobody waits for it.
create or replace function longhaul.forget_quotas() returns int language plpgsql as $$
declare present float8 := longhaul.now_ms(); n int; full_ text[];
begin
  full_ := array(select distinct s.key from longhaul.call_slots s where s.expires_at <= present);
  perform 1 from longhaul.quotas q where q.key = any(full_) order by q.key for update;
  with gone as (delete from longhaul.call_slots s where s.key = any(full_) and s.expires_at <= present returning s.key)
  update longhaul.quotas q set used = q.used - g.n from (select key, count(*)::int as n from gone group by 1) g where q.key = g.key;
  delete from longhaul.quotas q where q.key = any(array(
    select x.key from longhaul.quotas x where not x.declared and greatest(x.line, x.blocked_until, x.busy_since) < present - 86400000
     order by x.key limit 1000 for update skip locked));
  delete from longhaul.breakers b where b.target = any(array(
    select x.target from longhaul.breakers x where x.open_until is null and x.window_at < present - 3600000 order by x.target limit 1000 for update skip locked));
  delete from longhaul.bookings b where (b.call_key, b.target) in (
    select x.call_key, x.target from longhaul.bookings x where x.ready_at < present - 600000 limit 10000 for update skip locked);
  get diagnostics n = row_count;
  return n;
end $$;

-- As before; and a quota that a provider's word brought back after a crash, before it was declared, begins with nothing left like the others.
create or replace function longhaul.declare_quotas(p_quotas jsonb, p_slot_ms float8) returns void language plpgsql as $$
declare present float8;
begin
  perform set_config('synchronous_commit', 'off', true);
  perform 1 from longhaul.quotas q where q.key = any(array(select x ->> 'key' from jsonb_array_elements(p_quotas) x)) order by q.key for update;
  present := longhaul.now_ms();
  insert into longhaul.quotas as q (key, kind, declared, limit_, emission_ms, burst_ms, zone, tat, line, busy_since, blocked_until)
  select d.key, d.kind, true, d."limit", d.emission, d.burst, d.zone, b.full_at, b.full_at, b.full_at,
         case when d.kind = 'slots' and k.key is not null then present + p_slot_ms else 0 end
    from jsonb_to_recordset(p_quotas) d(key text, kind text, "limit" float8, emission float8, burst float8, zone text)
    left join longhaul.quota_limits k on k.key = d.key
   cross join lateral (select case when d.kind = 'rate' and k.key is not null then present + d.burst else 0 end as full_at) b
   order by d.key
  on conflict (key) do update
     set kind = excluded.kind, declared = true, limit_ = excluded.limit_, burst_ms = excluded.burst_ms, zone = excluded.zone,
         emission_ms = case when excluded.kind = 'slots' and q.kind = 'slots' and q.limit_ = excluded.limit_ then q.emission_ms else excluded.emission_ms end,
         tat = case when q.declared then q.tat else greatest(q.tat, excluded.tat) end,
         line = case when q.declared then q.line else greatest(q.line, excluded.tat) end,
         busy_since = case when q.declared then q.busy_since else greatest(q.busy_since, excluded.tat) end;
  insert into longhaul.quota_limits as k (key, limit_)
  select d.key, d."limit" from jsonb_to_recordset(p_quotas) d(key text, "limit" float8) order by d.key
  on conflict (key) do update set limit_ = excluded.limit_, declared_at = excluded.declared_at where k.limit_ <> excluded.limit_;
end $$;

-- What one process does for all now and then, and when somebody last took it on.
create table longhaul.chores (
  chore    text primary key,
  taken_at timestamptz not null default '-infinity'
);
insert into longhaul.chores (chore) values ('answers'), ('batches'), ('calls'), ('quotas');
