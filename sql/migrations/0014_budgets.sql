-- What trees of runs may spend, what they have spent, and every model call.
--
-- A run takes a hold from all budgets above it, in one statement that locks them, and spends from that hold without touching them:
-- what a call or a step used is added to the run's own account, in the statement that records it. When the run is let go, what it
-- spent moves to the budgets (it is "rolled") and what it did not use goes back. So no row that others need is touched per step.
--
-- For each budget, at every moment: held = the sum of what is held by the accounts below it, spent = the sum of what those have rolled,
-- and of what dropped runs had. Lock order: ... turns -> accounts -> budgets (each sorted by id); the row of a call is only locked
-- by who has its account's.

-- An amount of everything that a budget may limit. In limits a null means: not limited.
create type longhaul.spend as (input bigint, output bigint, nano_usd bigint, steps bigint);

create function longhaul.plus(a longhaul.spend, b longhaul.spend) returns longhaul.spend language sql immutable as $$
  select (a.input + b.input, a.output + b.output, a.nano_usd + b.nano_usd, a.steps + b.steps)::longhaul.spend
$$;
create function longhaul.minus(a longhaul.spend, b longhaul.spend) returns longhaul.spend language sql immutable as $$
  select (a.input - b.input, a.output - b.output, a.nano_usd - b.nano_usd, a.steps - b.steps)::longhaul.spend
$$;
create function longhaul.more_of(a longhaul.spend, b longhaul.spend) returns longhaul.spend language sql immutable as $$
  select (greatest(a.input, b.input), greatest(a.output, b.output), greatest(a.nano_usd, b.nano_usd), greatest(a.steps, b.steps))::longhaul.spend
$$;
create function longhaul.less_of(a longhaul.spend, b longhaul.spend) returns longhaul.spend language sql immutable as $$
  select (least(a.input, b.input), least(a.output, b.output), least(a.nano_usd, b.nano_usd), least(a.steps, b.steps))::longhaul.spend
$$;
create function longhaul.none() returns longhaul.spend language sql immutable as $$ select (0, 0, 0, 0)::longhaul.spend $$;
create aggregate longhaul.total(longhaul.spend) (sfunc = longhaul.plus, stype = longhaul.spend, initcond = '(0,0,0,0)');

-- A run's own (its id is the run's), a tenant's (from its plan, for one period after the other), or one that was opened for programs
-- outside. `before` is what had been spent when the tenant's period began; `dropped` what of `spent` belongs to runs that are gone.
create table longhaul.budgets (
  budget_id      uuid primary key,
  parent_id      uuid,
  created_at     timestamptz not null default clock_timestamp(),
  ends_at        timestamptz,
  wall_ms        bigint,
  period_ends_at timestamptz,
  tenant_id      text not null,
  kind           text not null constraint budget_kind_is_known check (kind in ('run', 'tenant', 'open')),
  on_exceeded    text not null default 'fail' constraint on_exceeded_is_known check (on_exceeded in ('fail', 'ask')),
  period         text constraint period_is_known check (period in ('day', 'month')),
  limits         longhaul.spend not null,
  held           longhaul.spend not null default longhaul.none(),
  spent          longhaul.spend not null default longhaul.none(),
  before         longhaul.spend not null default longhaul.none(),
  dropped        longhaul.spend not null default longhaul.none(),
  constraint wall_has_end check ((wall_ms is null) = (ends_at is null)),
  constraint period_has_end check ((period is null) = (period_ends_at is null)),
  constraint held_not_negative check (least((held).input, (held).output, (held).nano_usd, (held).steps) >= 0)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index budgets_below on longhaul.budgets (parent_id) where parent_id is not null;
create index budgets_opened on longhaul.budgets (created_at) where kind = 'open';

-- What a run has taken and spent itself; an open budget has one for all who draw on it. budget_id: the nearest above. counted_seq: the
-- steps in its journal are counted up to here.
create table longhaul.budget_accounts (
  account_id  uuid primary key,
  budget_id   uuid,
  tenant_id   text not null,
  epoch       int not null default 0,
  counted_seq int not null default 0,
  calls       int not null default 0,
  held        longhaul.spend not null default longhaul.none(),
  spent       longhaul.spend not null default longhaul.none(),
  rolled      longhaul.spend not null default longhaul.none(),
  constraint holds_not_negative check (least((held).input, (held).output, (held).nano_usd, (held).steps) >= 0)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index accounts_of_budget on longhaul.budget_accounts (budget_id) where budget_id is not null;

-- Every attempt at a model, and every answer that cost none. A row is there before the call goes out.
create table longhaul.calls (
  call_id            uuid primary key,
  run_id             uuid,
  root_id            uuid,
  account_id         uuid,
  opened_at          timestamptz not null default clock_timestamp(),
  closed_at          timestamptz,
  est_input          bigint not null,
  est_output         bigint not null,
  est_nano_usd       bigint not null,
  input_tokens       bigint not null default 0,
  output_tokens      bigint not null default 0,
  cache_read_tokens  bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  reasoning_tokens   bigint not null default 0,
  nano_usd           bigint not null default 0,
  epoch              int,
  latency_ms         int,
  first_chunk_ms     int,
  attempt            smallint not null,
  tenant_id          text not null,
  call_key           text not null,
  step_key           text,
  agent              text,
  feature            text,
  alias              text,
  provider           text not null,
  model              text not null,
  state              text not null default 'open' constraint call_state_is_known check (state in ('open', 'succeeded', 'failed', 'abandoned')),
  price_confidence   text constraint confidence_is_known check (price_confidence in ('exact', 'fuzzy', 'unknown', 'override')),
  source             text not null default 'provider' constraint source_is_known check (source in ('provider', 'cache', 'coalesced', 'batch')),
  failure            text,
  constraint closed_iff_not_open check ((state = 'open') = (closed_at is null)),
  constraint failed_has_failure check ((state = 'failed') = (failure is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
create index calls_of_account on longhaul.calls (account_id) where account_id is not null;
create index calls_of_tenant on longhaul.calls (tenant_id, opened_at);
create index calls_open on longhaul.calls (account_id) where state = 'open';
create index calls_outside on longhaul.calls (opened_at) where run_id is null;
create index calls_open_outside on longhaul.calls (opened_at) where run_id is null and state = 'open';

-- The billing ledger: one line per run that ended and had made calls or spent something, written with its outcome.
create table longhaul.charges (
  run_id        uuid primary key,
  root_id       uuid not null,
  finished_at   timestamptz not null default clock_timestamp(),
  delivered_at  timestamptz,
  input_tokens  bigint not null,
  output_tokens bigint not null,
  nano_usd      bigint not null,
  steps         bigint not null,
  calls         int not null,
  tenant_id     text not null,
  agent         text not null
) with (fillfactor = 80);
create index charges_of_tenant on longhaul.charges (tenant_id, finished_at, run_id);
create index charges_in_order on longhaul.charges (finished_at, run_id);
create index charges_pending on longhaul.charges (finished_at, run_id) where delivered_at is null;

-- What raised a budget: the answer of a person, or somebody by hand. Its key keeps a repeat from raising it twice.
create table longhaul.raises (
  raise_id  uuid primary key,
  budget_id uuid not null,
  raised_at timestamptz not null default clock_timestamp(),
  raised_by text not null,
  wall_ms   bigint not null default 0,
  amount    longhaul.spend not null
);
create index raises_of_budget on longhaul.raises (budget_id);

-- A budget and all above it, the nearest first.
create function longhaul.budgets_above(p_budget uuid) returns uuid[] language plpgsql stable as $$
declare above uuid[] := '{}'; next uuid := p_budget;
begin
  while next is not null loop
    above := above || (select b.budget_id from longhaul.budgets b where b.budget_id = next);
    next := (select b.parent_id from longhaul.budgets b where b.budget_id = next);
  end loop;
  return array_remove(above, null);
end $$;

-- What a worker has to know of the budgets above a run it has claimed.
create function longhaul.terms(p_budget uuid) returns table (wall_at timestamptz, wall_ms bigint, wall_budget uuid, counts_usd boolean, counts_steps boolean)
language plpgsql stable as $$
#variable_conflict use_column
declare above uuid[] := longhaul.budgets_above(p_budget);
begin
  return query
    select w.ends_at, w.wall_ms, w.budget_id, bool_or((b.limits).nano_usd is not null), bool_or((b.limits).steps is not null)
      from longhaul.budgets b left join (
        -- where a person is asked, the next step or call does that
        select x.ends_at, x.wall_ms, x.budget_id from longhaul.budgets x
         where x.budget_id = any(above) and x.ends_at is not null and x.on_exceeded = 'fail' order by x.ends_at limit 1) w on true
     where b.budget_id = any(above) group by 1, 2, 3;
end $$;

create function longhaul.next_period(p_period text) returns timestamptz language sql stable as $$
  select (date_trunc(p_period, clock_timestamp() at time zone 'UTC') + ('1 ' || p_period)::interval) at time zone 'UTC'
$$;

-- A declaration ({"input": 5, "nano_usd": "9", "wall_ms": 60000, "on_exceeded": "ask"}) as a row's limits.
create function longhaul.limits_of(p_declared jsonb) returns longhaul.spend language sql immutable as $$
  select ((p_declared->>'input')::bigint, (p_declared->>'output')::bigint, (p_declared->>'nano_usd')::bigint, (p_declared->>'steps')::bigint)::longhaul.spend
$$;

-- Gives budgets of their own to runs that declare one. Their parents: the one said, or else their tenant's.
create function longhaul.declare_budgets(p_run uuid[], p_tenant text[], p_above uuid[], p_declared text[]) returns void language plpgsql as $$
begin
  insert into longhaul.budgets (budget_id, parent_id, tenant_id, kind, on_exceeded, wall_ms, ends_at, limits)
  select u.run, coalesce(u.above, (select t.budget_id from longhaul.tenants t where t.tenant_id = u.tenant)), u.tenant, 'run', coalesce(d->>'on_exceeded', 'fail'),
         (d->>'wall_ms')::bigint, clock_timestamp() + (d->>'wall_ms')::bigint * interval '1 millisecond', longhaul.limits_of(d)
    from unnest(p_run, p_tenant, p_above, p_declared) u(run, tenant, above, declared) cross join lateral (select u.declared::jsonb as d) x
   where u.declared is not null;
end $$;

-- Gives tenants, whose rows the caller has locked, the budget of their plan, or takes its limits away.
create function longhaul.budget_tenants(p_tenant text[], p_declared jsonb) returns void language plpgsql as $$
begin
  if p_declared is not null then
    with given as (
      update longhaul.tenants t set budget_id = gen_random_uuid() where t.tenant_id = any(p_tenant) and t.budget_id is null returning t.tenant_id, t.budget_id
    )
    insert into longhaul.budgets (budget_id, tenant_id, kind, limits, period, period_ends_at)
    select g.budget_id, g.tenant_id, 'tenant', longhaul.limits_of(p_declared), p_declared->>'per', longhaul.next_period(p_declared->>'per') from given g;
  end if;
  perform 1 from longhaul.budgets b where b.budget_id = any(array(select t.budget_id from longhaul.tenants t where t.tenant_id = any(p_tenant))) order by b.budget_id for no key update;
  update longhaul.budgets b
     set limits = coalesce(longhaul.limits_of(p_declared), row(null, null, null, null)::longhaul.spend),
         before = case when b.period is distinct from p_declared->>'per' then b.spent else b.before end,
         period = coalesce(p_declared->>'per', b.period),
         period_ends_at = case when p_declared->>'per' is not null and b.period is distinct from p_declared->>'per' then longhaul.next_period(p_declared->>'per') else b.period_ends_at end
   where b.budget_id = any(array(select t.budget_id from longhaul.tenants t where t.tenant_id = any(p_tenant)));
end $$;

create type longhaul.counted as (last int, n bigint);

-- Counts the steps that accounts have recorded since they were last counted. What a fork copied (epoch 0) was not its own doing, and
-- what is marked "c":0 is no step of anybody's.
create function longhaul.count_steps(p_account uuid[]) returns void language plpgsql as $$
begin
  update longhaul.budget_accounts a
     set counted_seq = (c.c).last, spent = longhaul.plus(a.spent, (0, 0, 0, (c.c).n)::longhaul.spend)
    from (select x.account_id, (
            select row(max(j.seq), count(*) filter (where j.kind = 10 and j.epoch > 0 and left(j.body, 6) <> '{"c":0'))::longhaul.counted
              from longhaul.journal j where j.run_id = x.account_id and j.seq > x.counted_seq) as c
            from longhaul.budget_accounts x where x.account_id = any(p_account)) c
   where a.account_id = c.account_id and a.account_id = any(p_account) and (c.c).last is not null;
end $$;
-- What the open calls of an account may still cost.
create function longhaul.under_way(p_account uuid) returns longhaul.spend language sql stable as $$
  select longhaul.total((c.est_input, c.est_output, c.est_nano_usd, 0)::longhaul.spend) from longhaul.calls c where c.account_id = p_account and c.state = 'open'
$$;

-- Moves what accounts have spent to the budgets above them, out of their holds. With p_return their holds shrink to what is under way
-- and p_keep; without, a hold is never less than what is under way. The caller has locked the accounts; this locks the budgets.
create function longhaul.roll(p_account uuid[], p_return boolean, p_keep longhaul.spend) returns void language plpgsql as $$
declare above uuid[];
begin
  perform longhaul.count_steps(p_account);
  above := array(
    select distinct u.b from longhaul.budget_accounts a cross join lateral unnest(longhaul.budgets_above(a.budget_id)) u(b) where a.account_id = any(p_account));
  perform 1 from longhaul.budgets b where b.budget_id = any(above) order by b.budget_id for no key update;
  update longhaul.budgets b set before = b.spent, period_ends_at = longhaul.next_period(b.period)
   where b.budget_id = any(above) and b.period_ends_at <= clock_timestamp();
  with a as materialized (
    select x.account_id, x.budget_id, x.held, longhaul.minus(x.spent, x.rolled) as used, longhaul.under_way(x.account_id) as open
      from longhaul.budget_accounts x where x.account_id = any(p_account)
  ), n as materialized (
    select a.account_id, a.budget_id, a.held, a.used,
           case when a.budget_id is null then a.held
                when p_return then longhaul.less_of(a.held, longhaul.plus(a.open, p_keep)) else longhaul.more_of(longhaul.minus(a.held, a.used), a.open) end as left_over
      from a
  ), moved as (
    update longhaul.budget_accounts x set held = n.left_over, rolled = x.spent from n where x.account_id = n.account_id and x.account_id = any(p_account)
  )
  update longhaul.budgets b set held = longhaul.plus(b.held, s.held), spent = longhaul.plus(b.spent, s.used)
    from (select u.b, longhaul.total(longhaul.minus(n.left_over, n.held)) as held, longhaul.total(n.used) as used
            from n cross join lateral unnest(longhaul.budgets_above(n.budget_id)) u(b) group by 1) s
   where b.budget_id = s.b and b.budget_id = any(above);
end $$;

-- Calls of which nobody will ever say what became of them: their process died. They are charged at what they were thought to cost.
-- The caller has locked the accounts. p_epoch: only those of earlier claims.
create function longhaul.abandon(p_account uuid[], p_epoch int) returns void language plpgsql as $$
begin
  with gone as (
    update longhaul.calls c
       set state = 'abandoned', closed_at = clock_timestamp(), input_tokens = c.est_input, output_tokens = c.est_output, nano_usd = c.est_nano_usd
     where c.account_id = any(p_account) and c.state = 'open' and (p_epoch is null or c.epoch < p_epoch)
    returning c.account_id, (c.est_input, c.est_output, c.est_nano_usd, 0)::longhaul.spend as cost
  )
  update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, g.cost), calls = a.calls + g.n
    from (select x.account_id, longhaul.total(x.cost) as cost, count(*)::int as n from gone x group by 1) g
   where a.account_id = g.account_id and a.account_id = any(p_account);
end $$;

-- All accounts that hold or have spent something below a budget.
create function longhaul.accounts_below(p_budget uuid) returns uuid[] language sql stable as $$
  with recursive down as (
    select b.budget_id from longhaul.budgets b where b.budget_id = p_budget
    union all select c.budget_id from down d join longhaul.budgets c on c.parent_id = d.budget_id
  )
  select array(select a.account_id from down d join longhaul.budget_accounts a on a.budget_id = d.budget_id
                where a.held <> longhaul.none() or a.spent <> a.rolled)
$$;

create type longhaul.drawn as (
  verdict text, granted longhaul.spend, room longhaul.spend, tight boolean,
  budget_id uuid, dimension text, allowed bigint, used bigint, set_aside bigint, asked bigint, on_exceeded text, final boolean
);

-- Takes at least p_need and, where there is plenty, up to p_want from all budgets above an account, whose row the caller has locked.
-- 'done': granted. 'refused': nothing changed, and by which budget; final when waiting for what others hold cannot help.
create function longhaul.take(p_account uuid, p_need longhaul.spend, p_want longhaul.spend) returns longhaul.drawn language plpgsql as $$
declare a longhaul.budget_accounts; above uuid[]; d longhaul.drawn; r record; room longhaul.spend; share longhaul.spend;
begin
  select * into a from longhaul.budget_accounts x where x.account_id = p_account;
  d.verdict := 'done'; d.granted := longhaul.none(); d.tight := false;
  if a.budget_id is null then return d; end if;
  above := longhaul.budgets_above(a.budget_id);
  select b.budget_id, l.dimension, l.allowed, l.used, l.set_aside, l.asked, b.on_exceeded, l.asked > l.allowed - l.used as final into r
    from longhaul.budgets b cross join lateral (
      select 'wallMinutes' as dimension, b.wall_ms as allowed, (extract(epoch from clock_timestamp() - b.ends_at) * 1000)::bigint + b.wall_ms as used, 0::bigint as set_aside, 1::bigint as asked
       where b.ends_at <= clock_timestamp() and p_need <> longhaul.none()
      union all select x.* from (values
        ('inputTokens', (b.limits).input, (b.spent).input - (b.before).input, (b.held).input, (p_need).input),
        ('outputTokens', (b.limits).output, (b.spent).output - (b.before).output, (b.held).output, (p_need).output),
        ('usd', (b.limits).nano_usd, (b.spent).nano_usd - (b.before).nano_usd, (b.held).nano_usd, (p_need).nano_usd),
        ('steps', (b.limits).steps, (b.spent).steps - (b.before).steps, (b.held).steps, (p_need).steps)) x(dimension, allowed, used, set_aside, asked)
       where x.asked > 0 and x.asked > x.allowed - x.used - x.set_aside) l
   where b.budget_id = any(above) order by final desc, array_position(above, b.budget_id) limit 1;
  if found then
    d.verdict := 'refused'; d.budget_id := r.budget_id; d.dimension := r.dimension; d.allowed := r.allowed; d.used := r.used; d.set_aside := r.set_aside;
    d.asked := r.asked; d.on_exceeded := r.on_exceeded; d.final := r.final;
    return d;
  end if;
  -- what is free, and how much of it one of many may take; a run that has its budget to itself may take it all
  with b as (
    select longhaul.minus(longhaul.plus(x.limits, x.before), longhaul.plus(x.spent, x.held)) as free,
           case when x.budget_id = p_account and not exists (select from longhaul.budgets c where c.parent_id = x.budget_id)
                 and not exists (select from longhaul.budget_accounts o where o.budget_id = x.budget_id and o.account_id <> p_account) then 1 else 16 end as part
      from longhaul.budgets x where x.budget_id = any(above)
  )
  select (min((b.free).input), min((b.free).output), min((b.free).nano_usd), min((b.free).steps))::longhaul.spend as room,
         (min((b.free).input / b.part), min((b.free).output / b.part), min((b.free).nano_usd / b.part), min((b.free).steps / b.part))::longhaul.spend as share
    into r from b;
  room := r.room; share := r.share;
  d.granted := longhaul.more_of(p_need, longhaul.less_of(p_want, share));
  d.granted := (case when (p_need).input > 0 then (d.granted).input else 0 end, case when (p_need).output > 0 then (d.granted).output else 0 end,
                case when (p_need).nano_usd > 0 then (d.granted).nano_usd else 0 end, case when (p_need).steps > 0 then (d.granted).steps else 0 end)::longhaul.spend;
  d.tight := coalesce((room).input / 16 < (p_want).input, false) or coalesce((room).output / 16 < (p_want).output, false)
          or coalesce((room).nano_usd / 16 < (p_want).nano_usd, false) or coalesce((room).steps / 16 < (p_want).steps, false);
  update longhaul.budgets b set held = longhaul.plus(b.held, d.granted) where b.budget_id = any(above);
  update longhaul.budget_accounts x set held = longhaul.plus(x.held, d.granted) where x.account_id = p_account;
  return d;
end $$;

-- Draws for a run (p_epoch, p_worker) or on an open budget (p_epoch null). p_need: what the caller's hold lacks; with p_first, when the
-- caller does not know its hold, all that it needs: then `room` says what it has left. With p_blocker it has been refused because of that budget: it gives
-- back what it does not use except p_keep, and what others below have spent is rolled, before it asks again. 'lost': the run is not the caller's.
create function longhaul.draw(
  p_account uuid, p_worker uuid, p_epoch int, p_need longhaul.spend, p_want longhaul.spend, p_first boolean, p_blocker uuid, p_keep longhaul.spend
) returns longhaul.drawn language plpgsql as $$
declare a longhaul.budget_accounts; d longhaul.drawn; need longhaul.spend := p_need; room longhaul.spend; below uuid[];
begin
  d.verdict := 'lost';
  if p_epoch is not null then
    perform 1 from longhaul.live l where l.run_id = p_account and l.epoch = p_epoch and l.worker_id = p_worker for key share;
    if not found then return d; end if;
  end if;
  if not p_first and p_need = longhaul.none() then
    d.verdict := 'done'; d.granted := p_need; d.tight := false; return d;
  end if;
  perform longhaul.open_account(p_account);
  below := case when p_blocker is not null then longhaul.accounts_below(p_blocker) end;
  perform 1 from longhaul.budget_accounts x where x.account_id = p_account or x.account_id = any(below) order by x.account_id for no key update;
  select * into a from longhaul.budget_accounts x where x.account_id = p_account;
  if a.account_id is null then return d; end if;
  if a.epoch < p_epoch then
    update longhaul.budget_accounts x set epoch = p_epoch where x.account_id = p_account;
    perform longhaul.abandon(array[p_account], p_epoch);
  end if;
  if a.budget_id is not null then
    if below is not null then
      -- all budgets that this may touch, in one sorted pass
      perform 1 from longhaul.budgets b where b.budget_id = any(array(
        select u.b from longhaul.budget_accounts x cross join lateral unnest(longhaul.budgets_above(x.budget_id)) u(b) where x.account_id = p_account or x.account_id = any(below)))
        order by b.budget_id for no key update;
      perform longhaul.roll(array_remove(below, p_account), false, longhaul.none());
    end if;
    perform longhaul.roll(array[p_account], below is not null, p_keep);
    if p_first then
      room := (select longhaul.minus(x.held, longhaul.under_way(p_account)) from longhaul.budget_accounts x where x.account_id = p_account);
      need := longhaul.more_of(longhaul.minus(p_need, room), longhaul.none());
    end if;
  end if;
  d := longhaul.take(p_account, need, p_want);
  if p_first and d.verdict = 'done' and a.budget_id is not null then d.room := longhaul.minus(longhaul.plus(room, d.granted), p_need); end if;
  return d;
end $$;

-- Makes the account of a run or of an open budget where there is none.
create function longhaul.open_account(p_account uuid) returns void language plpgsql as $$
begin
  if exists (select from longhaul.budget_accounts a where a.account_id = p_account) then return; end if;
  insert into longhaul.budget_accounts (account_id, budget_id, tenant_id)
  select r.run_id, r.budget_id, r.tenant_id from longhaul.runs r where r.run_id = p_account
  union all select b.budget_id, b.budget_id, b.tenant_id from longhaul.budgets b where b.budget_id = p_account and b.kind = 'open'
  on conflict do nothing;
end $$;

-- Opens a call: takes what its estimate lacks and writes its row, in one commit, before anything goes out. Safe to repeat.
create function longhaul.open_call(
  p_call jsonb, p_account uuid, p_worker uuid, p_epoch int, p_need longhaul.spend, p_want longhaul.spend, p_first boolean, p_blocker uuid, p_keep longhaul.spend
) returns longhaul.drawn language plpgsql set plan_cache_mode = force_generic_plan as $$
declare d longhaul.drawn; again boolean;
begin
  again := exists (select from longhaul.calls c where c.call_id = (p_call->>'call_id')::uuid);
  if p_account is null then
    d.verdict := 'done'; d.granted := longhaul.none(); d.tight := false;
  else
    d := longhaul.draw(p_account, p_worker, p_epoch, case when again then longhaul.none() else p_need end, p_want, p_first, p_blocker, p_keep);
    if d.verdict <> 'done' then return d; end if;
  end if;
  if not again then perform longhaul.write_calls(jsonb_build_array(p_call), p_account, p_epoch); end if;
  return d;
end $$;

-- Takes from the budgets above a run without a call: for its steps.
create function longhaul.take_hold(
  p_account uuid, p_worker uuid, p_epoch int, p_need longhaul.spend, p_want longhaul.spend, p_first boolean, p_blocker uuid, p_keep longhaul.spend
) returns longhaul.drawn language plpgsql set plan_cache_mode = force_generic_plan as $$
begin
  return longhaul.draw(p_account, p_worker, p_epoch, p_need, p_want, p_first, p_blocker, p_keep);
end $$;

-- Gives back what a run in the caller's hands does not use, except p_keep.
create function longhaul.return_hold(p_run uuid, p_worker uuid, p_epoch int, p_keep longhaul.spend) returns boolean language plpgsql set plan_cache_mode = force_generic_plan as $$
begin
  perform 1 from longhaul.live l where l.run_id = p_run and l.epoch = p_epoch and l.worker_id = p_worker for key share;
  if not found then return false; end if;
  perform 1 from longhaul.budget_accounts x where x.account_id = p_run for no key update;
  if found then perform longhaul.roll(array[p_run], true, p_keep); end if;
  return true;
end $$;

-- Rows of calls, open, or closed at once where they say so ("state").
create function longhaul.write_calls(p_calls jsonb, p_account uuid, p_epoch int) returns void language plpgsql as $$
begin
  insert into longhaul.calls (call_id, run_id, root_id, account_id, est_input, est_output, est_nano_usd, epoch, attempt, tenant_id, call_key, step_key, agent, feature, alias, provider, model)
  select c.call_id, c.run_id, c.root_id, p_account, c.est_input, c.est_output, c.est_nano_usd, p_epoch, c.attempt, c.tenant_id, c.call_key, c.step_key, c.agent, c.feature, c.alias, c.provider, c.model
    from jsonb_to_recordset(p_calls) c(call_id uuid, run_id uuid, root_id uuid, est_input bigint, est_output bigint, est_nano_usd bigint, attempt smallint, tenant_id text,
                                       call_key text, step_key text, agent text, feature text, alias text, provider text, model text)
  on conflict do nothing;
end $$;

-- Says what became of calls of one account (null: of none), and adds what they cost to it. The caller has locked the account. A call that
-- somebody has closed already stays as it is. Answers how many were closed.
create function longhaul.close_calls(p_account uuid, p_epoch int, p_closings jsonb) returns int language plpgsql set plan_cache_mode = force_generic_plan as $$
declare t record;
begin
  if jsonb_path_exists(p_closings, '$[*].fresh') then
    perform longhaul.write_calls(jsonb_path_query_array(p_closings, '$[*].fresh'), p_account, p_epoch);
  end if;
  with told as (
    update longhaul.calls k
       set state = c.state, closed_at = clock_timestamp(), failure = c.failure, input_tokens = c.input_tokens, output_tokens = c.output_tokens,
           cache_read_tokens = c.cache_read_tokens, cache_write_tokens = c.cache_write_tokens, reasoning_tokens = c.reasoning_tokens, nano_usd = c.nano_usd,
           price_confidence = c.price_confidence, source = c.source, latency_ms = c.latency_ms, first_chunk_ms = c.first_chunk_ms
      from jsonb_to_recordset(p_closings) c(call_id uuid, state text, failure text, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
                                            reasoning_tokens bigint, nano_usd bigint, price_confidence text, source text, latency_ms int, first_chunk_ms int)
     where k.call_id = c.call_id and k.account_id is not distinct from p_account and k.state = 'open'
    returning (k.input_tokens, k.output_tokens, k.nano_usd, 0)::longhaul.spend as cost
  ) select count(*)::int as n, longhaul.total(x.cost) as cost into t from told x;
  if t.n > 0 and p_account is not null then
    update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, t.cost), calls = a.calls + t.n where a.account_id = p_account;
  end if;
  return t.n;
end $$;

-- The same in a statement of its own, for calls of many accounts: outside of runs, and attempts that failed. A run's are only closed
-- while the run is in the hands that opened them. What is drawn on open budgets goes back at once.
create function longhaul.close_apart(p_closings jsonb) returns int language plpgsql set plan_cache_mode = force_generic_plan as $$
declare g record; n int := 0; outside uuid[] := '{}';
begin
  perform longhaul.open_account(u.a) from (select distinct (c->>'account_id')::uuid as a from jsonb_array_elements(p_closings) c) u where u.a is not null;
  perform 1 from longhaul.budget_accounts a where a.account_id = any(array(select (c->>'account_id')::uuid from jsonb_array_elements(p_closings) c)) order by a.account_id for no key update;
  for g in
    select (c->>'account_id')::uuid as account, (c->>'epoch')::int as epoch, jsonb_agg(c order by c->>'call_id') as closings
      from jsonb_array_elements(p_closings) c group by 1, 2 order by 1, 2
  loop
    continue when g.epoch is not null and not exists (select from longhaul.live l where l.run_id = g.account and l.epoch = g.epoch);
    n := n + longhaul.close_calls(g.account, g.epoch, g.closings);
    if g.epoch is null and g.account is not null then outside := outside || g.account; end if;
  end loop;
  if outside <> '{}' then perform longhaul.roll(outside, true, longhaul.none()); end if;
  return n;
end $$;

-- What becomes of the accounts of runs that leave their worker: what they spent is rolled, what they did not use goes back. Those that have
-- ended are charged: this is in the transaction of their outcome, after all other locks.
create function longhaul.leave_accounts(p_run uuid[], p_ended uuid[]) returns void language plpgsql as $$
declare ids uuid[]; ended uuid[];
begin
  if not exists (select from longhaul.budget_accounts a where a.account_id = any(p_run)) then return; end if;
  ids := array(select x.account_id from (
    select a.account_id from longhaul.budget_accounts a where a.account_id = any(p_run) order by a.account_id for no key update) x);
  ended := array(select i from unnest(ids) i where i = any(p_ended));
  if ended <> '{}' then perform longhaul.abandon(ended, null); end if;
  perform longhaul.roll(ids, true, longhaul.none());
  insert into longhaul.charges (run_id, root_id, tenant_id, agent, input_tokens, output_tokens, nano_usd, steps, calls, finished_at)
  select a.account_id, r.root_id, a.tenant_id, r.agent, (a.spent).input, (a.spent).output, (a.spent).nano_usd, (a.spent).steps, a.calls, o.finished_at
    from longhaul.budget_accounts a join longhaul.runs r on r.run_id = a.account_id join longhaul.outcomes o on o.run_id = a.account_id
   where a.account_id = any(ended) and r.run_id = any(ended) and o.run_id = any(ended) and (a.calls > 0 or a.spent <> longhaul.none());
end $$;

-- Raises what a budget limits. 'raised'; 'before' for a repeat with the same key, which changes nothing;
-- null when there is no such budget of the tenant's.
create function longhaul.raise_budget(p_tenant text, p_budget uuid, p_raise uuid, p_by text, p_amount longhaul.spend, p_wall_ms bigint) returns text language plpgsql as $$
begin
  perform 1 from longhaul.budgets b where b.budget_id = p_budget and b.tenant_id = p_tenant for no key update;
  if not found then return null; end if;
  insert into longhaul.raises (raise_id, budget_id, raised_by, amount, wall_ms) values (p_raise, p_budget, p_by, p_amount, p_wall_ms) on conflict do nothing;
  if not found then return 'before'; end if;
  update longhaul.budgets b
     set limits = longhaul.plus(b.limits, p_amount), wall_ms = b.wall_ms + p_wall_ms,
         ends_at = case when p_wall_ms > 0 then greatest(b.ends_at, clock_timestamp()) + p_wall_ms * interval '1 millisecond' else b.ends_at end
   where b.budget_id = p_budget;
  return 'raised';
end $$;

-- What was declared for a budget, as it is now; null for none.
create function longhaul.declared(p_budget uuid) returns text language sql stable as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'input', (b.limits).input, 'output', (b.limits).output, 'nano_usd', (b.limits).nano_usd::text, 'steps', (b.limits).steps, 'wall_ms', b.wall_ms,
    'on_exceeded', b.on_exceeded))::text
    from longhaul.budgets b where b.budget_id = p_budget
$$;

-- Drops what dropped runs had: calls, accounts, and budgets that nobody else draws on. What they spent stays counted in the budgets that stay.
create function longhaul.drop_accounts(p_run uuid[]) returns void language plpgsql as $$
declare above uuid[]; n int;
begin
  delete from longhaul.calls c where c.account_id = any(p_run);
  perform 1 from longhaul.budget_accounts a where a.account_id = any(p_run) order by a.account_id for no key update;
  above := array(select distinct u.b from longhaul.budget_accounts a cross join lateral unnest(longhaul.budgets_above(a.budget_id)) u(b) where a.account_id = any(p_run))
        || array(select b.budget_id from longhaul.budgets b where b.budget_id = any(p_run));
  if above = '{}' then
    delete from longhaul.budget_accounts a where a.account_id = any(p_run);
    return;
  end if;
  perform 1 from longhaul.budgets b where b.budget_id = any(above) order by b.budget_id for no key update;
  with gone as (
    delete from longhaul.budget_accounts a where a.account_id = any(p_run) returning a.budget_id, a.rolled
  )
  update longhaul.budgets b set dropped = longhaul.plus(b.dropped, s.rolled)
    from (select u.b, longhaul.total(g.rolled) as rolled from gone g cross join lateral unnest(longhaul.budgets_above(g.budget_id)) u(b) group by 1) s
   where b.budget_id = s.b and b.budget_id = any(above);
  loop
    with gone as (
      delete from longhaul.budgets b
       where b.budget_id = any(above) and case b.kind when 'run' then not exists (select from longhaul.runs r where r.run_id = b.budget_id) else b.budget_id = any(p_run) end
         and not exists (select from longhaul.budget_accounts a where a.budget_id = b.budget_id) and not exists (select from longhaul.budgets c where c.parent_id = b.budget_id)
      returning b.budget_id
    ), notes as (
      delete from longhaul.raises x where x.budget_id in (select g.budget_id from gone g)
    ) select count(*) into n from gone;
    exit when n = 0;
  end loop;
end $$;

-- Drops old calls from outside of runs, and open budgets on which none is left. Answers how many rows went.
create function longhaul.prune_calls(p_until timestamptz, p_limit int) returns int language plpgsql as $$
declare n int; idle uuid[];
begin
  delete from longhaul.calls c where c.ctid = any(array(
    select x.ctid from longhaul.calls x where x.run_id is null and x.opened_at <= p_until and x.state <> 'open' order by x.opened_at limit p_limit));
  get diagnostics n = row_count;
  if n > 0 then return n; end if;
  idle := array(
    select b.budget_id from longhaul.budgets b
     where b.kind = 'open' and b.created_at <= p_until and coalesce(b.ends_at <= p_until, true)
       -- no "not exists", which is planned as a join with all calls
       and (select true from longhaul.calls c where c.account_id = b.budget_id limit 1) is null
     order by b.created_at limit p_limit);
  if idle <> '{}' then perform longhaul.drop_accounts(idle); end if;
  return cardinality(idle);
end $$;

-- Closes calls from outside of runs that nobody has closed for long. Answers how many.
create function longhaul.abandon_outside(p_age interval, p_limit int) returns int language plpgsql as $$
declare old uuid[]; ids uuid[]; n int;
begin
  select array_agg(c.call_id), array_agg(distinct c.account_id) filter (where c.account_id is not null) into old, ids from (
    select x.call_id, x.account_id from longhaul.calls x
     where x.run_id is null and x.state = 'open' and x.opened_at < clock_timestamp() - p_age order by x.opened_at limit p_limit) c;
  if old is null then return 0; end if;
  perform 1 from longhaul.budget_accounts a where a.account_id = any(ids) order by a.account_id for no key update;
  with gone as (
    update longhaul.calls c
       set state = 'abandoned', closed_at = clock_timestamp(), input_tokens = c.est_input, output_tokens = c.est_output, nano_usd = c.est_nano_usd
     where c.call_id = any(old) and c.state = 'open' returning c.account_id, (c.est_input, c.est_output, c.est_nano_usd, 0)::longhaul.spend as cost
  ), charged as (
    update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, g.cost), calls = a.calls + g.n
      from (select x.account_id, longhaul.total(x.cost) as cost, count(*)::int as n from gone x group by 1) g
     where a.account_id = g.account_id
  ) select count(*)::int into n from gone;
  if ids is not null then perform longhaul.roll(ids, true, longhaul.none()); end if;
  return n;
end $$;

-- Opens a budget for programs outside of runs, below its tenant's. Safe to repeat.
create function longhaul.open_budget(p_budget uuid, p_tenant text, p_declared text) returns void language plpgsql as $$
declare d jsonb := p_declared::jsonb;
begin
  insert into longhaul.budgets (budget_id, parent_id, tenant_id, kind, wall_ms, ends_at, limits)
  values (p_budget, (select t.budget_id from longhaul.tenants t where t.tenant_id = p_tenant), p_tenant, 'open', (d->>'wall_ms')::bigint,
          clock_timestamp() + (d->>'wall_ms')::bigint * interval '1 millisecond', longhaul.limits_of(d))
  on conflict do nothing;
end $$;
