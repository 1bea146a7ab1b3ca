-- What providers let us do: rates, days, calls in flight. All processes share one account of it, and a call asks once: it goes, or
-- learns the moment at which it may go. All times are milliseconds since 1970 on this database's clock.
--
-- A rate is kept by two moments (GCRA, ITU-T I.371). `tat` is when everything that has gone is paid off: a call of cost c goes when
-- tat + c - burst has passed, and moves tat on by c from now or from where it is. So what goes within any time T costs at most T + burst, and
-- with a rate and a burst that make up the limit together, no window of its length ever exceeds the limit, whatever the sizes of the calls.
-- `line` is when everything that was promised will be paid off: who cannot go gets a place behind it, a moment of its own, and newcomers
-- queue behind those. A place is no right: who comes back passes by `tat` like all others, since one may come late, and another's place
-- may have been calculated by another limit of the same call.
--
-- Lock order: quotas sorted by key, in a transaction of their own, before quota_windows, call_slots and bookings.

-- What the configuration said last of each quota. Tells after a crash, which empties the tables below, that a quota was in use.
create table longhaul.quota_limits (
  key         text primary key,
  limit_      float8 not null constraint quota_admits check (limit_ > 0),
  declared_at timestamptz not null default clock_timestamp()
);

-- rate: emission_ms = what one unit costs, 0 without a limit. window: per calendar day, counted in quota_windows. slots: used = calls in
-- flight, emission_ms = how often one of them ends, as learned. A row that nobody declared was learned from what a provider said.
create unlogged table longhaul.quotas (
  key           text primary key,
  kind          text not null constraint quota_kind_is_known check (kind in ('rate', 'window', 'slots')),
  declared      boolean not null,
  limit_        float8,
  emission_ms   float8 not null default 0,
  burst_ms      float8 not null default 0,
  tat           float8 not null default 0,
  line          float8 not null default 0,
  -- since when tat has not been overtaken by time: what went before is paid off, and cannot be given back
  busy_since    float8 not null default 0,
  blocked_until float8 not null default 0,
  used          int not null default 0 constraint used_not_negative check (used >= 0),
  zone          text,
  constraint line_behind_tat check (line >= tat)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

create table longhaul.quota_windows (
  key     text primary key,
  ends_at float8 not null,
  used    float8 not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

-- Places in the line: when a call may come back, and because of which quota. firm: it has been paid for already.
create unlogged table longhaul.bookings (
  call_key text,
  target   text,
  ready_at float8 not null,
  firm     boolean not null,
  because  text not null,
  keys     text[] not null,
  costs    float8[] not null,
  primary key (call_key, target)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

-- Calls in flight, where their number is limited. One whose process died ends by itself.
create unlogged table longhaul.call_slots (
  key        text,
  holder     uuid,
  expires_at float8 not null,
  primary key (key, holder)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
create index call_slots_of_holder on longhaul.call_slots (holder);

create function longhaul.now_ms() returns float8 language sql as $$ select extract(epoch from clock_timestamp())::float8 * 1000 $$;

-- The end of the calendar day, where `zone` is.
create function longhaul.day_end_ms(p_zone text) returns float8 language sql as $$
  select extract(epoch from (date_trunc('day', clock_timestamp() at time zone p_zone) + interval '1 day') at time zone p_zone)::float8 * 1000
$$;

-- Makes quotas known as the configuration says them: [{ key, kind, limit, emission, burst, zone }]. One that was in use before a crash begins
-- with an empty bucket: nobody knows what went just before. One that is new begins with a full one.
create function longhaul.declare_quotas(p_quotas jsonb, p_slot_ms float8) returns void language plpgsql as $$
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
         emission_ms = case when excluded.kind = 'slots' and q.kind = 'slots' and q.limit_ = excluded.limit_ then q.emission_ms else excluded.emission_ms end;
  insert into longhaul.quota_limits as k (key, limit_)
  select d.key, d."limit" from jsonb_to_recordset(p_quotas) d(key text, "limit" float8) order by d.key
  on conflict (key) do update set limit_ = excluded.limit_, declared_at = excluded.declared_at where k.limit_ <> excluded.limit_;
end $$;

-- What became of calls, as of [{ key, … }] each: `costs` a difference to what was counted for a call that went at `gone`; `slots` given back
-- by their holders after so long; `paces` a limit that a provider told; `left` what it says is left of one;
-- `outcomes`: see count_outcomes. Locks p_also with the others.
create function longhaul.settle_quotas(p_told jsonb, p_also text[]) returns void
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare present float8;
begin
  perform 1 from longhaul.quotas q
    where q.key = any(p_also || array(select x ->> 'key' from jsonb_each(p_told) e cross join jsonb_array_elements(e.value) x))
    order by q.key for update;
  present := longhaul.now_ms();
  if p_told ? 'paces' then
    insert into longhaul.quotas as q (key, kind, declared, limit_, emission_ms, burst_ms)
    select distinct on (d.key) d.key, 'rate', false, d."limit", d.emission, d.burst
      from jsonb_to_recordset(p_told -> 'paces') d(key text, "limit" float8, emission float8, burst float8) order by d.key
    on conflict (key) do update set limit_ = excluded.limit_, emission_ms = excluded.emission_ms, burst_ms = excluded.burst_ms where q.kind = 'rate';
  end if;
  if p_told ? 'costs' then
    -- What was given back of a call before the last idle moment is time that nobody can use any more.
    update longhaul.quotas q
       set tat = n.tat, line = greatest(q.line + n.cost, n.tat)
      from (select x.key, sum(d.delta * x.emission_ms) as cost,
                   greatest(max(x.tat) + sum(d.delta * x.emission_ms), least(max(x.tat), present)) as tat
              from jsonb_to_recordset(p_told -> 'costs') d(key text, delta float8, gone float8) join longhaul.quotas x on x.key = d.key
             where x.kind = 'rate' and (d.delta > 0 or d.gone >= x.busy_since) group by x.key) n
     where q.key = n.key;
    update longhaul.quota_windows w set used = greatest(0, w.used + n.delta)
      from (select x.key, sum(d.delta) as delta
              from jsonb_to_recordset(p_told -> 'costs') d(key text, delta float8, gone float8) join longhaul.quota_windows x on x.key = d.key
             where d.gone > x.ends_at - 86400000 group by x.key order by x.key) n
     where w.key = n.key;
    if found then perform set_config('synchronous_commit', 'off', true); end if;
  end if;
  if p_told ? 'left' then
    update longhaul.quotas q set tat = n.tat, line = greatest(q.line, n.tat)
      from (select x.key, max(present + x.burst_ms - d."left" * x.emission_ms) as tat
              from jsonb_to_recordset(p_told -> 'left') d(key text, "left" float8) join longhaul.quotas x on x.key = d.key
             where x.kind = 'rate' and x.emission_ms > 0 group by x.key) n
     where q.key = n.key and q.tat < n.tat;
  end if;
  if p_told ? 'slots' then
    with given as (select d.key, d.holder, d.held from jsonb_to_recordset(p_told -> 'slots') d(key text, holder uuid, held float8)),
    gone as (delete from longhaul.call_slots s using given g where s.key = g.key and s.holder = g.holder returning s.key)
    update longhaul.quotas q
       set used = q.used - n.n,
           emission_ms = case when n.held is null then q.emission_ms else 0.9 * q.emission_ms + 0.1 * n.held / q.limit_ end
      from (select g.key, avg(g.held) as held, (select count(*) from gone o where o.key = g.key)::int as n from given g group by g.key) n
     where q.key = n.key and q.kind = 'slots';
  end if;
  if p_told ? 'outcomes' then perform longhaul.count_outcomes(p_told -> 'outcomes'); end if;
end $$;

-- Nobody calls a target for so long.
create function longhaul.block_quota(p_key text, p_for_ms float8) returns void language sql as $$
  insert into longhaul.quotas as q (key, kind, declared, blocked_until, line)
  select p_key, 'rate', false, u.t, u.t from (select longhaul.now_ms() + p_for_ms as t) u
  on conflict (key) do update set blocked_until = greatest(q.blocked_until, excluded.blocked_until), line = greatest(q.line, excluded.line)
$$;

create type longhaul.quota_answer as (verdict text, ready_at float8, wait_ms float8, key text, limit_ float8);

-- One call of which p_amounts[i] counts against p_keys[i]. Of these, p_declared come from the configuration and must be there; others count
-- if they are. Answers 'go'; 'wait' until ready_at, because of `key`, with a place in the line if p_book; 'impossible', because of `key`, of which
-- there is never that much; or 'missing', when a crash has emptied the tables: declare them again. What became of earlier calls is told
-- along: of these keys in p_cost_…, all else in p_told (see settle_quotas).
create function longhaul.reserve_quota(
  p_call text, p_target text, p_keys text[], p_amounts float8[], p_declared int, p_book boolean, p_holder uuid, p_slot_ms float8, p_horizon_ms float8,
  p_cost_key text[], p_cost_delta float8[], p_cost_gone float8[], p_told jsonb
) returns longhaul.quota_answer language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  -- later than that a promise is worth nothing; so far ahead a call may be paid for before it goes
  late_max constant float8 := 1000;
  firm_max constant float8 := 5000;
  -- between two calls that wait for the same moment, where no rate keeps them apart
  gap constant float8 := 50;
  slot_wait_max constant float8 := 30000;
  asked longhaul.quotas[]; q longhaul.quotas; mine longhaul.bookings; w longhaul.quota_windows; answer longhaul.quota_answer;
  present float8; n int; told int := coalesce(cardinality(p_cost_key), 0); declared int := 0; i int; j int; amount float8; delta float8; cost float8; gate float8; behind float8; ready float8; base float8; pace float8 := 0;
  due boolean; firm boolean; hard boolean := false; goes boolean;
  costs float8[] := '{}'; gates float8[] := '{}'; lines float8[] := '{}'; day_used float8[]; day_ends float8[];
begin
  if p_told is not null then perform longhaul.settle_quotas(p_told, p_keys); end if;
  asked := array(select x from longhaul.quotas x where x.key = any(p_keys) order by x.key for update);
  n := coalesce(cardinality(asked), 0);
  present := longhaul.now_ms();
  select * into mine from longhaul.bookings b where b.call_key = p_call and b.target = p_target;
  due := found and mine.ready_at <= present;
  firm := due and mine.firm and present - mine.ready_at <= late_max;
  if found and not due then
    answer := ('wait', mine.ready_at, mine.ready_at - present, mine.because, null);
  end if;

  -- When each of them lets the call go: by what has gone (gates), and, for whoever has no place, by what was promised (lines).
  ready := present;
  base := present;
  for i in 1 .. n loop
    q := asked[i];
    amount := p_amounts[array_position(p_keys, q.key)];
    declared := declared + q.declared::int;
    cost := 0;
    gate := q.blocked_until;
    behind := 0;
    delta := 0;
    for j in 1 .. told loop
      -- what was given back of a call before the last idle moment is time that nobody can use any more
      if p_cost_key[j] = q.key and (q.kind <> 'rate' or p_cost_delta[j] > 0 or p_cost_gone[j] >= q.busy_since) then
        delta := delta + p_cost_delta[j];
      end if;
    end loop;
    if amount > q.limit_ and not q.declared then
      -- a guess at what a provider allows refuses nobody
      amount := q.limit_;
    elsif amount > q.limit_ and answer.verdict is null then
      answer := ('impossible', null, null, q.key, q.limit_);
    end if;
    if q.kind = 'rate' then
      if delta <> 0 and q.emission_ms > 0 then
        q.tat := greatest(q.tat + delta * q.emission_ms, least(q.tat, present));
        q.line := greatest(q.line + delta * q.emission_ms, q.tat);
        asked[i] := q;
      end if;
      cost := amount * q.emission_ms;
      pace := greatest(pace, cost);
      if cost > 0 and not firm then gate := greatest(gate, q.tat + cost - q.burst_ms); end if;
      behind := case when cost > 0 then q.line + cost - q.burst_ms when q.emission_ms = 0 then q.line else 0 end;
      base := greatest(base, q.blocked_until);
    elsif q.kind = 'window' then
      select * into w from longhaul.quota_windows x where x.key = q.key for update;
      if not found or w.ends_at <= present then
        w.used := 0;
        w.ends_at := longhaul.day_end_ms(q.zone);
      end if;
      w.used := greatest(0, w.used + delta);
      if amount > 0 and w.used + amount > q.limit_ then
        gate := greatest(gate, w.ends_at);
        behind := q.line;
        base := greatest(base, w.ends_at);
      end if;
      day_used[i] := w.used;
      day_ends[i] := w.ends_at;
    elsif amount > 0 then
      if q.used >= q.limit_ then
        with gone as (delete from longhaul.call_slots s where s.key = q.key and s.expires_at <= present returning 1)
        select q.used - count(*) into q.used from gone;
        asked[i] := q;
        -- about when the next one ends; not all at the same moment
        if q.used >= q.limit_ then
          gate := greatest(gate, present + least(greatest(q.emission_ms, gap), slot_wait_max) * (0.5 + random()));
          behind := q.line;
        end if;
      end if;
    end if;
    hard := hard or (gate > present and q.kind <> 'rate') or q.blocked_until > present;
    costs := costs || cost;
    gates := gates || gate;
    lines := lines || behind;
    if not due then gate := greatest(gate, behind); end if;
    if gate > ready then
      ready := gate;
      if answer.verdict is null then
        answer.key := q.key;
        answer.limit_ := q.limit_;
      end if;
    end if;
  end loop;

  if declared < p_declared then
    answer.verdict := 'missing';
  elsif answer.verdict is null and ready <= present then
    answer := ('go', present, 0, null, null);
  elsif answer.verdict is null then
    answer.verdict := 'wait';
    if p_book and due and not hard and ready - present <= firm_max then
      -- Others were late or went before it: it comes a little later, and is paid for now, so that no two of them come for the same room.
      firm := true;
    elsif p_book then
      firm := false;
      if due then
        -- Its turn has passed: to the end of the line where it could not pass, but for those who only wait for somebody to end.
        for i in 1 .. n loop
          if asked[i].kind <> 'slots' and gates[i] > present and lines[i] > ready then
            ready := lines[i];
            answer.key := asked[i].key;
            answer.limit_ := asked[i].limit_;
          end if;
        end loop;
      end if;
      if ready - base > p_horizon_ms then
        p_book := false;
        ready := base + p_horizon_ms * (0.95 + 0.1 * random());
      end if;
    end if;
    answer.ready_at := ready;
    answer.wait_ms := ready - present;
  end if;
  goes := answer.verdict = 'go';
  p_book := p_book and answer.verdict = 'wait' and (mine.call_key is null or due);

  for i in 1 .. n loop
    q := asked[i];
    if q.kind <> 'rate' then
      amount := p_amounts[array_position(p_keys, q.key)];
      if q.kind = 'window' and (goes and amount > 0 or q.key = any(p_cost_key)) then
        -- a day's count may be some calls short after a crash: that is cheaper than a write to the disk for each call
        perform set_config('synchronous_commit', 'off', true);
        insert into longhaul.quota_windows as v (key, ends_at, used) values (q.key, day_ends[i], day_used[i] + case when goes then amount else 0 end)
        on conflict (key) do update set used = excluded.used, ends_at = excluded.ends_at;
      elsif q.kind = 'slots' and goes and amount > 0 then
        insert into longhaul.call_slots (key, holder, expires_at) values (q.key, p_holder, present + p_slot_ms);
        q.used := q.used + 1;
      end if;
    end if;
    if goes and costs[i] > 0 then
      if firm then
        -- it was paid for, as of the moment when it was to go
        q.tat := q.tat + present - mine.ready_at;
        q.line := greatest(q.line, q.tat);
      else
        if q.tat < present then q.busy_since := present; end if;
        q.tat := greatest(q.tat, present) + costs[i];
        q.line := case when due then greatest(q.line, q.tat) else greatest(q.line, present) + costs[i] end;
      end if;
    elsif p_book and firm and costs[i] > 0 then
      if q.tat < ready then q.busy_since := ready; end if;
      q.tat := greatest(q.tat, ready) + costs[i];
      q.line := greatest(q.line, q.tat);
    elsif p_book and not firm then
      -- Who comes for the second time pays again only where the time that it had paid for has passed unused.
      if q.kind = 'slots' then
        if not due and gates[i] > present then q.line := greatest(q.line, present) + least(q.emission_ms, slot_wait_max); end if;
      elsif costs[i] > 0 then
        if not due or gates[i] > present then q.line := greatest(q.line, present) + costs[i]; end if;
      elsif gates[i] > present or (not due and lines[i] > present) then
        q.line := greatest(q.line, gates[i]) + greatest(pace, gap);
      end if;
    end if;
    asked[i] := q;
  end loop;
  update longhaul.quotas x set tat = u.tat, line = u.line, busy_since = u.busy_since, used = u.used
    from unnest(asked) u where x.key = u.key and (x.tat <> u.tat or x.line <> u.line or x.used <> u.used);

  if goes and due then
    delete from longhaul.bookings b where b.call_key = p_call;
  elsif p_book then
    insert into longhaul.bookings as b (call_key, target, ready_at, firm, because, keys, costs)
    values (p_call, p_target, ready, firm, answer.key, array(select x.key from unnest(asked) x), costs)
    on conflict (call_key, target) do update set ready_at = excluded.ready_at, firm = excluded.firm, because = excluded.because, keys = excluded.keys, costs = excluded.costs;
  end if;
  return answer;
end $$;

-- Gives up a call's places in the line: those who come after them move up.
create function longhaul.cancel_bookings(p_calls text[]) returns void language plpgsql as $$
declare held text[];
begin
  held := array(select distinct k from longhaul.bookings b cross join unnest(b.keys) k where b.call_key = any(p_calls));
  perform 1 from longhaul.quotas q where q.key = any(held) order by q.key for update;
  with gone as (delete from longhaul.bookings b where b.call_key = any(p_calls) returning b.*)
  update longhaul.quotas q
     set tat = q.tat - n.paid, line = greatest(q.line - n.cost, q.tat - n.paid)
    from (select u.key, sum(u.cost) as cost, sum(case when g.firm and g.ready_at > longhaul.now_ms() then u.cost else 0 end) as paid
            from gone g cross join unnest(g.keys, g.costs) u(key, cost) group by u.key) n
   where q.key = n.key and q.kind = 'rate' and n.cost > 0;
end $$;

-- Whether p_amounts would find room, and when; nothing is booked. A rate has room for a whole run when nobody waits for it; a day when
-- there is so much left.
create function longhaul.quota_headroom(p_keys text[], p_amounts float8[], p_declared int) returns longhaul.quota_answer
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare q longhaul.quotas; amount float8; ready float8; present float8 := longhaul.now_ms(); n int := 0; answer longhaul.quota_answer; wait float8 := 0;
begin
  for q in select x.* from longhaul.quotas x where x.key = any(p_keys) order by x.key loop
    n := n + q.declared::int;
    amount := p_amounts[array_position(p_keys, q.key)];
    ready := q.blocked_until;
    if q.kind = 'rate' and amount > 0 then
      ready := greatest(ready, q.line + least(amount * q.emission_ms, q.burst_ms) - q.burst_ms);
    elsif q.kind = 'window' and amount > q.limit_ then
      return ('impossible', null, null, q.key, q.limit_)::longhaul.quota_answer;
    elsif q.kind = 'window' then
      ready := greatest(ready, (select v.ends_at from longhaul.quota_windows v where v.key = q.key and v.ends_at > present and v.used + amount > q.limit_));
    elsif q.kind = 'slots' and (select count(*) from longhaul.call_slots s where s.key = q.key and s.expires_at > present) >= q.limit_ then
      ready := greatest(ready, present + least(greatest(q.emission_ms, 50), 30000));
    end if;
    if ready - present > wait then
      wait := ready - present;
      answer.key := q.key;
      answer.limit_ := q.limit_;
    end if;
  end loop;
  answer.verdict := case when n < p_declared then 'missing' when wait > 0 then 'wait' else 'go' end;
  answer.ready_at := present + wait;
  answer.wait_ms := wait;
  return answer;
end $$;

-- Says that the holders of slots, as [{ key, holder }], still live. Those that were given up for dead, or forgotten in a crash, take theirs
-- again: they are in flight, whatever the limit.
create function longhaul.renew_slots(p_slots jsonb, p_slot_ms float8) returns void language plpgsql as $$
declare lost text[];
begin
  update longhaul.call_slots s set expires_at = longhaul.now_ms() + p_slot_ms
    from jsonb_to_recordset(p_slots) d(key text, holder uuid) where s.key = d.key and s.holder = d.holder;
  lost := array(
    select distinct d.key from jsonb_to_recordset(p_slots) d(key text, holder uuid)
     where not exists (select from longhaul.call_slots s where s.key = d.key and s.holder = d.holder));
  if cardinality(lost) = 0 then return; end if;
  perform 1 from longhaul.quotas q where q.key = any(lost) order by q.key for update;
  with back as (
    insert into longhaul.call_slots (key, holder, expires_at)
    select d.key, d.holder, longhaul.now_ms() + p_slot_ms from jsonb_to_recordset(p_slots) d(key text, holder uuid)
     where exists (select from longhaul.quotas q where q.key = d.key and q.kind = 'slots') on conflict do nothing returning key)
  update longhaul.quotas q set used = q.used + b.n from (select key, count(*)::int as n from back group by 1) b where q.key = b.key;
end $$;

-- Clears away what nobody comes back for: places whose time has passed, slots of the dead, and what was learned and is not used.
create function longhaul.forget_quotas() returns int language plpgsql as $$
declare present float8 := longhaul.now_ms(); n int; full_ text[];
begin
  delete from longhaul.bookings b where b.ready_at < present - 600000;
  get diagnostics n = row_count;
  full_ := array(select distinct s.key from longhaul.call_slots s where s.expires_at <= present);
  perform 1 from longhaul.quotas q where q.key = any(full_) order by q.key for update;
  with gone as (delete from longhaul.call_slots s where s.key = any(full_) and s.expires_at <= present returning s.key)
  update longhaul.quotas q set used = q.used - g.n from (select key, count(*)::int as n from gone group by 1) g where q.key = g.key;
  delete from longhaul.breakers b where b.target = any(array(
    select x.target from longhaul.breakers x where x.open_until is null and x.window_at < present - 3600000 order by x.target limit 1000 for update skip locked));
  delete from longhaul.quotas q where q.key = any(array(
    select x.key from longhaul.quotas x where not x.declared and greatest(x.line, x.blocked_until, x.busy_since) < present - 86400000
     order by x.key limit 1000 for update skip locked));
  return n;
end $$;

-- Whether a target is well, as all processes see it together. A circuit opens when, of the calls in the last one or two windows, too large a part
-- failed; after a while one call alone tries. There is a row where something failed lately.
create unlogged table longhaul.breakers (
  target      text primary key,
  -- null: closed
  open_until  float8,
  open_ms     float8 not null default 0,
  probe_by    uuid,
  probe_until float8 not null default 0,
  window_at   float8 not null default 0,
  succeeded   int not null default 0,
  failed      int not null default 0,
  succeeded_before int not null default 0,
  failed_before    int not null default 0
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
create index breakers_open on longhaul.breakers (target) where open_until is not null;

-- Counts how calls ended: [{ target, succeeded, failed, window, least, rate, open }], and opens the circuits of which it was too bad.
create function longhaul.count_outcomes(p_outcomes jsonb) returns void language plpgsql as $$
declare present float8;
begin
  insert into longhaul.breakers (target)
  select d.target from jsonb_to_recordset(p_outcomes) d(target text, failed int) where d.failed > 0 order by 1 on conflict do nothing;
  perform 1 from longhaul.breakers b where b.target = any(array(select x ->> 'target' from jsonb_array_elements(p_outcomes) x)) order by b.target for update;
  if not found then return; end if;
  present := longhaul.now_ms();
  update longhaul.breakers b
     set window_at = present,
         succeeded_before = case when present < b.window_at + 2 * d.window then b.succeeded else 0 end, succeeded = 0,
         failed_before = case when present < b.window_at + 2 * d.window then b.failed else 0 end, failed = 0
    from jsonb_to_recordset(p_outcomes) d(target text, "window" float8) where b.target = d.target and present >= b.window_at + d.window;
  update longhaul.breakers b
     set succeeded = b.succeeded + d.succeeded, failed = b.failed + d.failed
    from jsonb_to_recordset(p_outcomes) d(target text, succeeded int, failed int) where b.target = d.target and b.open_until is null;
  update longhaul.breakers b
     set open_until = present + d.open, open_ms = d.open, probe_by = null, probe_until = 0, succeeded = 0, failed = 0, succeeded_before = 0, failed_before = 0
    from jsonb_to_recordset(p_outcomes) d(target text, least int, rate float8, open float8)
   where b.target = d.target and b.open_until is null
     and b.succeeded + b.failed + b.succeeded_before + b.failed_before >= d.least
     and b.failed + b.failed_before >= d.rate * (b.succeeded + b.failed + b.succeeded_before + b.failed_before);
end $$;

-- Open circuits, as [{ target, until }]: until when nobody need ask. Null when all are closed. Volatile, so that a statement that opens one says so.
create function longhaul.sick_targets() returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_object('target', b.target, 'until', greatest(b.open_until, least(b.probe_until, longhaul.now_ms() + 1000))))
    from longhaul.breakers b where b.open_until is not null
$$;

-- Asks for the probe of a target whose circuit is open: 'closed', 'probe' for one, 'open' until then for the others.
create function longhaul.ask_probe(p_target text, p_by uuid, p_probe_ms float8, out verdict text, out until_ms float8) language plpgsql as $$
declare b longhaul.breakers; present float8;
begin
  select * into b from longhaul.breakers x where x.target = p_target for update;
  present := longhaul.now_ms();
  if not found or b.open_until is null then
    verdict := 'closed';
  elsif greatest(b.open_until, b.probe_until) > present then
    verdict := 'open';
    -- the probe may be over soon
    until_ms := case when b.open_until > present then b.open_until else least(b.probe_until, present + 1000) end;
  else
    verdict := 'probe';
    update longhaul.breakers x set probe_by = p_by, probe_until = present + p_probe_ms where x.target = p_target;
  end if;
end $$;

-- How a probe ended: 'success' closes the circuit, 'failure' opens it for twice as long, 'neutral' lets another try.
create function longhaul.end_probe(p_target text, p_by uuid, p_outcome text, p_open_max float8) returns void language sql as $$
  update longhaul.breakers b
     set probe_by = null, probe_until = 0,
         open_until = case p_outcome when 'success' then null when 'failure' then longhaul.now_ms() + least(2 * b.open_ms, p_open_max) else b.open_until end,
         open_ms = case p_outcome when 'failure' then least(2 * b.open_ms, p_open_max) else b.open_ms end
   where b.target = p_target and b.probe_by = p_by
$$;
