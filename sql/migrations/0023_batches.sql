-- Small tasks of many runs that go out as one request, and requests that wait for a provider's own batches.
--
-- An item waits, is taken by whoever flushes its batcher, and is settled by its answer; its run reads that and records it. What it costs is a call
-- of its run, opened with the item: it belongs to no claim (epoch null), so that it outlives the sleep of the run. Lock order: a batch, its items,
-- live rows; the row of an item is never waited for by who holds a live row.

-- One taking. taken: nothing has gone out. sent: it may have been paid for. closed: settled, given back, or lost. batcher says what is flushed alike: a
-- build and a name, or a provider's batch ("@openai/gpt-5-mini …"); that one has a remote_id, and lease_until is when it is looked at next.
create table longhaul.batches (
  batch_id      uuid primary key,
  opened_at     timestamptz not null default clock_timestamp(),
  closed_at     timestamptz,
  lease_until   timestamptz not null,
  input_tokens  bigint not null default 0,
  output_tokens bigint not null default 0,
  nano_usd      bigint not null default 0,
  items         int not null,
  polls         int not null default 0,
  tenant_id     text not null,
  batcher       text not null,
  state         text not null default 'taken' constraint batch_state_is_known check (state in ('taken', 'sent', 'closed')),
  remote_id     text,
  constraint batch_closed_has_time check ((state = 'closed') = (closed_at is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, vacuum_truncate = off);
create index batches_open on longhaul.batches (lease_until) where state <> 'closed';
create index batches_closed on longhaul.batches (closed_at) where state = 'closed';

-- done: the answer is there. failed: it holds a failure. live: no batch will answer it, its run asks by itself. alone: never with others again.
-- parked: its run sleeps, and is told. lost: how often who had sent it has died.
create table longhaul.batch_items (
  item_id            uuid primary key,
  run_id             uuid not null,
  batch_id           uuid,
  created_at         timestamptz not null default clock_timestamp(),
  due_at             timestamptz not null,
  deadline_at        timestamptz,
  est_input          bigint not null default 0,
  est_output         bigint not null default 0,
  est_nano_usd       bigint not null default 0,
  input_tokens       bigint not null default 0,
  output_tokens      bigint not null default 0,
  cache_read_tokens  bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  reasoning_tokens   bigint not null default 0,
  nano_usd           bigint not null default 0,
  tries              smallint not null default 0,
  lost               smallint not null default 0,
  alone              boolean not null default false,
  parked             boolean not null default false,
  tenant_id          text not null,
  batcher            text not null,
  state              text not null default 'waiting' constraint item_state_is_known check (state in ('waiting', 'taken', 'done', 'failed', 'live')),
  price_confidence   text,
  payload            text not null,
  answer             text,
  constraint taken_has_batch check ((state = 'taken') = (batch_id is not null)),
  constraint settled_has_answer check ((state in ('done', 'failed')) = (answer is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, vacuum_truncate = off);
create index batch_items_waiting on longhaul.batch_items (batcher, tenant_id, created_at) where state = 'waiting';
create index batch_items_due on longhaul.batch_items (batcher, due_at) where state = 'waiting';
create index batch_items_taken on longhaul.batch_items (batch_id) where state = 'taken';
create index batch_items_overdue on longhaul.batch_items (deadline_at) where deadline_at is not null and state in ('waiting', 'taken');
create index batch_items_by_age on longhaul.batch_items (created_at, item_id);

-- An item begins to wait. Safe to repeat.
create function longhaul.enter_item(p_item jsonb) returns void language sql as $$
  insert into longhaul.batch_items (item_id, run_id, tenant_id, batcher, payload, due_at, deadline_at, est_input, est_output, est_nano_usd)
  select i.item_id, i.run_id, i.tenant_id, i.batcher, i.payload, clock_timestamp() + i.delay_ms * interval '1 millisecond',
         clock_timestamp() + i.deadline_ms * interval '1 millisecond', coalesce(i.est_input, 0), coalesce(i.est_output, 0), coalesce(i.est_nano_usd, 0)
    from jsonb_to_record(p_item) i(item_id uuid, run_id uuid, tenant_id text, batcher text, payload text, delay_ms float8, deadline_ms float8,
                                   est_input bigint, est_output bigint, est_nano_usd bigint)
  on conflict do nothing
$$;

-- The same with the call that pays for it, in one commit: what it may cost is set aside from then on, whoever has the run.
create function longhaul.open_item(
  p_call jsonb, p_account uuid, p_worker uuid, p_epoch int, p_need longhaul.spend, p_want longhaul.spend, p_first boolean, p_blocker uuid, p_keep longhaul.spend, p_item jsonb
) returns longhaul.drawn language plpgsql set plan_cache_mode = force_generic_plan as $$
declare d longhaul.drawn;
begin
  d := longhaul.open_call(p_call, p_account, p_worker, p_epoch, p_need, p_want, p_first, p_blocker, p_keep);
  if d.verdict <> 'done' then return d; end if;
  update longhaul.calls c set epoch = null where c.call_id = (p_call->>'call_id')::uuid and c.state = 'open' and c.epoch is not null;
  perform longhaul.enter_item(p_item);
  return d;
end $$;

-- Takes up to p_max waiting items of one tenant, and p_bytes of payload: of the tenant whose items are due the longest, or, for p_tenant, whether
-- they are due or not. An item that is to be alone comes alone.
create function longhaul.take_batch(p_batch uuid, p_batcher text, p_tenant text, p_max int, p_bytes bigint, p_lease_ms float8)
returns table (item_id uuid, run_id uuid, tenant_id text, payload text, tries int, lost int, deadline_at timestamptz) language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare f record; ids uuid[];
begin
  if p_tenant is null then
    select i.item_id, i.tenant_id, i.alone into f from longhaul.batch_items i
     where i.state = 'waiting' and i.batcher = p_batcher and i.due_at <= clock_timestamp() + interval '5 milliseconds'
       and exists (select from longhaul.live l where l.run_id = i.run_id) order by i.due_at limit 1 for update of i skip locked;
  else
    select i.item_id, i.tenant_id, i.alone into f from longhaul.batch_items i
     where i.state = 'waiting' and i.batcher = p_batcher and i.tenant_id = p_tenant
       and exists (select from longhaul.live l where l.run_id = i.run_id) order by i.created_at limit 1 for update of i skip locked;
  end if;
  if f.item_id is null then return; end if;
  ids := array[f.item_id];
  if not f.alone then
    ids := array(
      select y.item_id from (
        select x.item_id, sum(x.bytes) over (order by x.created_at, x.item_id) as sum, row_number() over (order by x.created_at, x.item_id) as place from (
          select i.item_id, i.created_at, octet_length(i.payload) as bytes from longhaul.batch_items i
           where i.state = 'waiting' and i.batcher = p_batcher and i.tenant_id = f.tenant_id and not i.alone
             and exists (select from longhaul.live l where l.run_id = i.run_id)
           order by i.created_at limit p_max for update of i skip locked) x) y
       where y.sum <= p_bytes or y.place = 1);
  end if;
  insert into longhaul.batches (batch_id, tenant_id, batcher, items, lease_until)
  values (p_batch, f.tenant_id, p_batcher, cardinality(ids), clock_timestamp() + p_lease_ms * interval '1 millisecond');
  return query
    update longhaul.batch_items i set state = 'taken', batch_id = p_batch where i.item_id = any(ids)
    returning i.item_id, i.run_id, i.tenant_id, i.payload, i.tries::int, i.lost::int, i.deadline_at;
end $$;

-- Says what became of a batch's items: [{"item_id", "state", "answer", what it cost, …}]; state 'waiting' sends one back ("delay_ms", "alone").
-- Runs that sleep for theirs are told. Answers them; null when the batch is somebody else's by now.
create function longhaul.settle_batch(p_batch uuid, p_results jsonb) returns uuid[] language plpgsql set plan_cache_mode = force_generic_plan as $$
declare told uuid[]; keys text[];
begin
  update longhaul.batches b set state = 'closed', closed_at = clock_timestamp(),
         input_tokens = b.input_tokens + t.input, output_tokens = b.output_tokens + t.output, nano_usd = b.nano_usd + t.nano
    from (select coalesce(sum(r.input_tokens), 0) as input, coalesce(sum(r.output_tokens), 0) as output, coalesce(sum(r.nano_usd), 0) as nano
            from jsonb_to_recordset(p_results) r(input_tokens bigint, output_tokens bigint, nano_usd bigint)) t
   where b.batch_id = p_batch and b.state <> 'closed';
  if not found then return null; end if;
  with settled as (
    update longhaul.batch_items i
       set state = r.state, batch_id = null, answer = case when r.state in ('done', 'failed') then r.answer end,
           alone = i.alone or coalesce(r.alone, false), tries = i.tries + 1,
           due_at = clock_timestamp() + coalesce(r.delay_ms, 0) * interval '1 millisecond',
           input_tokens = i.input_tokens + coalesce(r.input_tokens, 0), output_tokens = i.output_tokens + coalesce(r.output_tokens, 0),
           cache_read_tokens = i.cache_read_tokens + coalesce(r.cache_read_tokens, 0), cache_write_tokens = i.cache_write_tokens + coalesce(r.cache_write_tokens, 0),
           reasoning_tokens = i.reasoning_tokens + coalesce(r.reasoning_tokens, 0), nano_usd = i.nano_usd + coalesce(r.nano_usd, 0),
           price_confidence = coalesce(r.price_confidence, i.price_confidence)
      from jsonb_to_recordset(p_results) r(item_id uuid, state text, answer text, alone boolean, delay_ms float8, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,
                                           cache_write_tokens bigint, reasoning_tokens bigint, nano_usd bigint, price_confidence text)
     where i.item_id = r.item_id and i.batch_id = p_batch and i.state = 'taken'
    returning i.item_id, i.run_id, i.parked and i.state <> 'waiting' as sleeps
  ) select array_agg(s.run_id order by s.item_id), array_agg('batch:' || s.item_id order by s.item_id) into told, keys from settled s where s.sleeps;
  perform longhaul.tell_items(told, keys);
  return coalesce(told, '{}');
end $$;

-- Wakes runs that sleep for items.
create function longhaul.tell_items(p_run uuid[], p_key text[]) returns void language plpgsql as $$
declare n int := cardinality(p_run);
begin
  if n is null or n = 0 then return; end if;
  perform longhaul.push(longhaul.receive(p_run, array_fill('signal'::text, array[n]), p_key, array_fill('null'::text, array[n]), array_fill(null::text, array[n]), array_fill(false, array[n])));
end $$;

-- Takes from the dead what they had taken, and answers which of these batchers have items that are due. What had been sent and not settled is
-- charged at its estimate; an item to which that happened twice goes alone from then on, and after five times it fails.
create function longhaul.look_after_batches(p_batchers text[], p_lost text, p_limit int) returns table (due text[], told uuid[])
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare b record; runs uuid[]; keys text[]; all_runs uuid[] := '{}';
begin
  for b in
    select x.batch_id, x.state from longhaul.batches x where x.state <> 'closed' and x.remote_id is null and x.lease_until < clock_timestamp() and left(x.batcher, 1) <> '@'
     order by x.lease_until limit p_limit for update skip locked
  loop
    update longhaul.batches x set state = 'closed', closed_at = clock_timestamp() where x.batch_id = b.batch_id;
    with back as (
      update longhaul.batch_items i
         set state = case when i.lost + sent.n > 4 then 'failed' else 'waiting' end, batch_id = null, answer = case when i.lost + sent.n > 4 then p_lost end,
             due_at = clock_timestamp(), lost = i.lost + sent.n, alone = i.alone or i.lost + sent.n > 1,
             input_tokens = i.input_tokens + sent.n * i.est_input, output_tokens = i.output_tokens + sent.n * i.est_output, nano_usd = i.nano_usd + sent.n * i.est_nano_usd
        from (select case when b.state = 'sent' then 1 else 0 end as n) sent where i.batch_id = b.batch_id and i.state = 'taken'
      returning i.item_id, i.run_id, i.parked and i.state = 'failed' as sleeps
    ) select array_agg(k.run_id order by k.item_id), array_agg('batch:' || k.item_id order by k.item_id) into runs, keys from back k where k.sleeps;
    perform longhaul.tell_items(runs, keys);
    all_runs := all_runs || coalesce(runs, '{}');
  end loop;
  return query select array(
    select u.b from unnest(p_batchers) u(b)
     where (select true from longhaul.batch_items i where i.state = 'waiting' and i.batcher = u.b and i.due_at <= clock_timestamp() order by i.due_at limit 1)), all_runs;
end $$;

-- Drops items of runs that have ended, from one age on. Answers where to go on, null at the end; and batches that were closed a day ago.
create function longhaul.forget_batches(p_after timestamptz, p_limit int) returns timestamptz language plpgsql as $$
declare n int; last timestamptz; ids uuid[];
begin
  delete from longhaul.batches b where b.batch_id = any(array(
    select x.batch_id from longhaul.batches x where x.state = 'closed' and x.closed_at < clock_timestamp() - interval '1 day' order by x.closed_at limit p_limit));
  select count(*), max(x.created_at), array_agg(x.item_id) filter (where (select true from longhaul.live l where l.run_id = x.run_id) is null) into n, last, ids from (
    select i.item_id, i.run_id, i.created_at from longhaul.batch_items i
     where i.created_at > coalesce(p_after, '-infinity') and i.created_at < clock_timestamp() - interval '1 minute' order by i.created_at limit p_limit) x;
  if ids is not null then delete from longhaul.batch_items i where i.item_id = any(ids) and i.state <> 'taken'; end if;
  return case when n = p_limit then last end;
end $$;

-- As in 0014, but what a run's items have cost is known, also when the run ends without them: nothing, while they only waited.
create or replace function longhaul.abandon(p_account uuid[], p_epoch int) returns void language plpgsql as $$
begin
  with gone as (
    update longhaul.calls c
       set state = 'abandoned', closed_at = clock_timestamp(), (input_tokens, output_tokens, nano_usd) = (
         -- an aggregate, so that there is one row, and no join that could read the whole table
         select coalesce(max(case i.state when 'taken' then i.input_tokens + i.est_input when 'live' then 0 else i.input_tokens end), c.est_input),
                coalesce(max(case i.state when 'taken' then i.output_tokens + i.est_output when 'live' then 0 else i.output_tokens end), c.est_output),
                coalesce(max(case i.state when 'taken' then i.nano_usd + i.est_nano_usd when 'live' then 0 else i.nano_usd end), c.est_nano_usd)
           from longhaul.batch_items i where i.item_id = c.call_id)
     where c.account_id = any(p_account) and c.state = 'open' and (p_epoch is null or c.epoch < p_epoch)
    returning c.account_id, (c.input_tokens, c.output_tokens, c.nano_usd, 0)::longhaul.spend as cost
  )
  update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, g.cost), calls = a.calls + g.n
    from (select x.account_id, longhaul.total(x.cost) as cost, count(*)::int as n from gone x group by 1) g
   where a.account_id = g.account_id and a.account_id = any(p_account);
end $$;

-- Like the others in 0018: some empty pages, so that no plan ever takes these tables for small ones.
create function longhaul.filler(n int) returns setof uuid language sql as $$
  select ('00000000-0000-0000-0000-' || lpad(to_hex(i), 12, '0'))::uuid from generate_series(1, n) i
$$;
insert into longhaul.batches (batch_id, tenant_id, batcher, items, lease_until) select id, '', repeat('-', 1900), 0, clock_timestamp() from longhaul.filler(512) id;
insert into longhaul.batch_items (item_id, run_id, tenant_id, batcher, payload, due_at) select id, id, '', '', repeat('-', 1900), clock_timestamp() from longhaul.filler(1000) id;
delete from longhaul.batches     where batch_id in (select longhaul.filler(512));
delete from longhaul.batch_items where item_id in (select longhaul.filler(1000));
drop function longhaul.filler(int);
