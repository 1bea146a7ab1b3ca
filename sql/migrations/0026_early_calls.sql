-- Calls outside of runs (/v1) are written down while their limits are asked, and draw on their budget together.
-- A call that its limits do not let through has never been: its row goes, and with it what it had set aside.

create or replace function longhaul.close_calls(p_account uuid, p_epoch int, p_closings jsonb) returns int language plpgsql set plan_cache_mode = force_generic_plan as $$
declare t record; ids uuid[] := array(select c.call_id from jsonb_to_recordset(p_closings) c(call_id uuid));
begin
  if jsonb_path_exists(p_closings, '$[*].fresh') then
    perform longhaul.write_calls(jsonb_path_query_array(p_closings, '$[*].fresh'), p_account, p_epoch);
  end if;
  if jsonb_path_exists(p_closings, '$[*] ? (@.state == "withdrawn")') then
    delete from longhaul.calls k using jsonb_to_recordset(p_closings) c(call_id uuid, state text)
     where c.state = 'withdrawn' and k.call_id = any(ids) and k.call_id = c.call_id and k.account_id is not distinct from p_account and k.state = 'open';
  end if;
  with told as (
    update longhaul.calls k
       set state = c.state, closed_at = clock_timestamp(), failure = c.failure, input_tokens = c.input_tokens, output_tokens = c.output_tokens,
           cache_read_tokens = c.cache_read_tokens, cache_write_tokens = c.cache_write_tokens, reasoning_tokens = c.reasoning_tokens, nano_usd = c.nano_usd,
           price_confidence = c.price_confidence, source = c.source, latency_ms = c.latency_ms, first_chunk_ms = c.first_chunk_ms
      from jsonb_to_recordset(p_closings) c(call_id uuid, state text, failure text, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
                                            reasoning_tokens bigint, nano_usd bigint, price_confidence text, source text, latency_ms int, first_chunk_ms int)
     where k.call_id = any(ids) and k.call_id = c.call_id and k.account_id is not distinct from p_account and k.closed_at is null and c.state <> 'withdrawn'
    returning (k.input_tokens, k.output_tokens, k.nano_usd, 0)::longhaul.spend as cost
  )
  select count(*)::int as n, longhaul.total(x.cost) as cost into t from told x;
  if t.n > 0 and p_account is not null then
    update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, t.cost), calls = a.calls + t.n where a.account_id = p_account;
  end if;
  return t.n;
end $$;

-- What calls outside of runs need together, where no budget above is near its end: one pass up instead of one for each. False: nothing was drawn, and each is to
-- draw by itself, as one that is refused, whose budget has ended, or begins a new period.
create function longhaul.draw_plenty(p_account uuid, p_need longhaul.spend) returns boolean language plpgsql as $$
declare a longhaul.budget_accounts; above uuid[]; n int;
begin
  select * into a from longhaul.budget_accounts x where x.account_id = p_account for no key update;
  if not found then
    perform longhaul.open_account(p_account);
    select * into a from longhaul.budget_accounts x where x.account_id = p_account for no key update;
  end if;
  if a.account_id is null then return false; end if;
  if a.budget_id is null then return true; end if;
  above := longhaul.budgets_above(a.budget_id);
  select count(*) into n from (
    select b.ends_at, b.period_ends_at, longhaul.minus(longhaul.plus(b.limits, b.before), longhaul.plus(b.spent, b.held)) as free
      from longhaul.budgets b where b.budget_id = any(above) order by b.budget_id for no key update) b
   where (b.ends_at is null or b.ends_at > clock_timestamp()) and (b.period_ends_at is null or b.period_ends_at > clock_timestamp())
     and coalesce((b.free).input >= (p_need).input, true) and coalesce((b.free).output >= (p_need).output, true)
     and coalesce((b.free).nano_usd >= (p_need).nano_usd, true) and coalesce((b.free).steps >= (p_need).steps, true);
  if n < cardinality(above) then return false; end if;
  update longhaul.budgets b set held = longhaul.plus(b.held, p_need) where b.budget_id = any(above);
  update longhaul.budget_accounts x set held = longhaul.plus(x.held, p_need) where x.account_id = p_account;
  return true;
end $$;

-- Opens calls outside of runs, all of one budget (null: of none), in their order. Safe to repeat.
create function longhaul.open_outside(p_calls jsonb, p_needs longhaul.spend[], p_account uuid) returns setof longhaul.drawn
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare d longhaul.drawn; need longhaul.spend; i int;
begin
  if not exists (select from longhaul.calls c where c.call_id = any(array(select x.call_id from jsonb_to_recordset(p_calls) x(call_id uuid))))
     and (p_account is null or longhaul.draw_plenty(p_account, (select longhaul.total(n) from unnest(p_needs) n))) then
    perform longhaul.write_calls(p_calls, p_account, null);
    d.verdict := 'done'; d.tight := false;
    foreach need in array p_needs loop
      d.granted := need;
      return next d;
    end loop;
    return;
  end if;
  for i in 1 .. cardinality(p_needs) loop
    return next longhaul.open_call(p_calls->(i - 1), p_account, null, null, p_needs[i], p_needs[i], p_account is not null, null, longhaul.none());
  end loop;
end $$;
