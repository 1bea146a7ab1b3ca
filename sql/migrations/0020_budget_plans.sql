-- Functions of 0014 again, so that no plan of theirs reads a whole table or index, however small these looked when it was made: it is kept when they
-- have grown. An "or" becomes one array; "not exists", which is planned as a join with all rows, becomes a look at the first; and what has an
-- index of its own for rare rows is asked in words that do not tempt the planner to read all of that.

-- Draws for a run (p_epoch, p_worker) or on an open budget (p_epoch null). p_need: what the caller's hold lacks; with p_first, when the
-- caller does not know its hold, all that it needs: then `room` says what it has left. With p_blocker it has been refused because of that budget: it gives
-- back what it does not use except p_keep, and what others below have spent is rolled, before it asks again. 'lost': the run is not the caller's.
create or replace function longhaul.draw(
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
  perform 1 from longhaul.budget_accounts x where x.account_id = any(array_append(below, p_account)) order by x.account_id for no key update;
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
        select u.b from longhaul.budget_accounts x cross join lateral unnest(longhaul.budgets_above(x.budget_id)) u(b) where x.account_id = any(array_append(below, p_account))))
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
create or replace function longhaul.open_account(p_account uuid) returns void language plpgsql as $$
begin
  if exists (select from longhaul.budget_accounts a where a.account_id = p_account) then return; end if;
  insert into longhaul.budget_accounts (account_id, budget_id, tenant_id)
  select r.run_id, r.budget_id, r.tenant_id from longhaul.runs r where r.run_id = p_account
  union all select b.budget_id, b.budget_id, b.tenant_id from longhaul.budgets b where b.budget_id = p_account and b.kind || '' = 'open'
  on conflict do nothing;
end $$;

-- Drops what dropped runs had: calls, accounts, and budgets that nobody else draws on. What they spent stays counted in the budgets that stay.
create or replace function longhaul.drop_accounts(p_run uuid[]) returns void language plpgsql as $$
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
       where b.budget_id = any(above) and case b.kind when 'run' then (select true from longhaul.runs r where r.run_id = b.budget_id limit 1) is null else b.budget_id = any(p_run) end
         and (select true from longhaul.budget_accounts a where a.budget_id = b.budget_id limit 1) is null
         and (select true from longhaul.budgets c where c.parent_id = b.budget_id limit 1) is null
      returning b.budget_id
    ), notes as (
      delete from longhaul.raises x where x.budget_id = any(array(select g.budget_id from gone g))
    ) select count(*) into n from gone;
    exit when n = 0;
  end loop;
end $$;

-- Says what became of calls of one account (null: of none), and adds what they cost to it. The caller has locked the account. A call that
-- somebody has closed already stays as it is. Answers how many were closed.
create or replace function longhaul.close_calls(p_account uuid, p_epoch int, p_closings jsonb) returns int language plpgsql set plan_cache_mode = force_generic_plan as $$
declare t record; ids uuid[] := array(select c.call_id from jsonb_to_recordset(p_closings) c(call_id uuid));
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
     where k.call_id = any(ids) and k.call_id = c.call_id and k.account_id is not distinct from p_account and k.closed_at is null
    returning (k.input_tokens, k.output_tokens, k.nano_usd, 0)::longhaul.spend as cost
  ) select count(*)::int as n, longhaul.total(x.cost) as cost into t from told x;
  if t.n > 0 and p_account is not null then
    update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, t.cost), calls = a.calls + t.n where a.account_id = p_account;
  end if;
  return t.n;
end $$;

-- As in 0009: more empty pages for the tables of budgets, and some for raises and answers.
alter table longhaul.raises set (vacuum_truncate = off);
create function longhaul.filler(n int) returns setof uuid language sql as $$
  select ('00000000-0000-0000-0000-' || lpad(to_hex(i), 12, '0'))::uuid from generate_series(1, n) i
$$;
insert into longhaul.budgets (budget_id, tenant_id, kind, limits) select id, repeat('-', 1900), 'run', longhaul.none() from longhaul.filler(512) id;
insert into longhaul.budget_accounts (account_id, tenant_id) select id, repeat('-', 1900) from longhaul.filler(640) id;
insert into longhaul.raises (raise_id, budget_id, raised_by, amount) select id, id, repeat('-', 1900), longhaul.none() from longhaul.filler(128) id;
insert into longhaul.answers (answer_key, tenant_id, state, owner, lease_until, expires_at)
select decode(replace(id::text, '-', ''), 'hex'), repeat('-', 1900), 'failed', id, 'infinity', 'infinity' from longhaul.filler(256) id;
delete from longhaul.answers         where tenant_id = repeat('-', 1900);
delete from longhaul.budgets         where budget_id in (select longhaul.filler(512));
delete from longhaul.budget_accounts where account_id in (select longhaul.filler(640));
delete from longhaul.raises          where raise_id in (select longhaul.filler(128));
drop function longhaul.filler(int);
