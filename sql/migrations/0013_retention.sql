-- Dropping what is old. A tree of runs goes as a whole, when each of its runs ended longer ago than its kind is kept; a value
-- that lies apart goes when no row refers to it. Always in small transactions, one at a time in the whole installation.
--
-- Nothing here waits for others: the one row of `retention` is locked or the round is left out, and so is a tree of which a
-- fork is being made this moment. Trees of which every run has ended never change again, so that no other lock is needed.

-- Which runs ended longest ago. Two indexes, because failures are kept for another time than the rest: what a walk meets is past
-- its own time, and an end is in one of them only.
create index outcomes_ended  on longhaul.outcomes (finished_at, run_id) where status <> 'failed';
create index outcomes_failed on longhaul.outcomes (finished_at, run_id) where status = 'failed';

-- All members of a tree but its root, also those that were started to go on by themselves.
create index runs_of_tree on longhaul.runs (root_id) where root_id <> run_id;
drop index longhaul.runs_of_root;

-- Where much is dropped every day, the space is given back every day. The hot tables have their own settings (0001).
alter table longhaul.runs     set (autovacuum_vacuum_scale_factor = 0.05);
alter table longhaul.outcomes set (autovacuum_vacuum_scale_factor = 0.05);
alter table longhaul.journal  set (autovacuum_vacuum_scale_factor = 0.05);

-- Who refers to a value.
create index journal_blobs   on longhaul.journal (blob) where blob is not null;
create index runs_blobs      on longhaul.runs (input_blob) where input_blob is not null;
create index outcomes_blobs  on longhaul.outcomes (output_blob) where output_blob is not null;
create index approvals_blobs on longhaul.approvals (request_blob) where request_blob is not null;
create index inbox_blobs     on longhaul.inbox (blob) where blob is not null;
create index threads_blobs   on longhaul.threads (state_blob) where state_blob is not null;

-- Like the others in 0009: some empty pages, so that no plan ever takes the table for a small one.
alter table longhaul.blobs set (vacuum_truncate = off);
insert into longhaul.blobs (tenant_id, hash, body) select '', i::text, repeat('-', 1900) from generate_series(1, 256) i;
delete from longhaul.blobs where tenant_id = '';

-- Dropped runs whose journal was too long to go with them.
create table longhaul.leftovers (
  run_id    uuid primary key,
  tenant_id text not null
) with (autovacuum_vacuum_scale_factor = 0.02);

-- Values to which a dropped row referred; perhaps others still do.
create table longhaul.loose_blobs (
  tenant_id text not null,
  hash      text not null,
  primary key (tenant_id, hash)
) with (autovacuum_vacuum_scale_factor = 0.02);

-- How far it has come: one row. Nobody works before next_at, which is what keeps the pace, whoever works. The times and ids are
-- where each walk stands; a null for one of blobs means that it is at its end.
create table longhaul.retention (
  only_row     boolean primary key default true constraint one_row check (only_row),
  next_at      timestamptz not null default '-infinity',
  began_at     timestamptz not null default '-infinity',
  ended_at     timestamptz not null default '-infinity',
  ended_id     uuid not null default '00000000-0000-0000-0000-000000000000',
  failed_at    timestamptz not null default '-infinity',
  failed_id    uuid not null default '00000000-0000-0000-0000-000000000000',
  blob_tenant  text,
  blob_hash    text,
  idle_threads boolean not null default false
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
insert into longhaul.retention default values;

-- Drops whole trees by their roots: the caller knows that they may go. Answers how many runs went.
create function longhaul.drop_trees(p_roots uuid[]) returns int language plpgsql set enable_nestloop = off as $$
declare ids uuid[];
begin
  -- a fork holds the root of its source until it has copied
  ids := array(select r.run_id from (
    select x.run_id from longhaul.runs x where x.run_id = any(p_roots) order by x.run_id for update skip locked) r);
  ids := ids || array(select m.run_id from longhaul.runs m where m.root_id = any(ids) and m.root_id <> m.run_id);
  delete from longhaul.inbox i where i.run_id = any(ids);
  delete from longhaul.cancel_cascade c where c.parent_id = any(ids);
  delete from longhaul.dead_letters d where d.run_id = any(ids);
  delete from longhaul.expiries x where x.run_id = any(ids);
  delete from longhaul.tokens t where t.run_id = any(ids);
  with asked as (
    delete from longhaul.runs r where r.run_id = any(ids) returning r.run_id, r.tenant_id, r.input_blob
  ), ended as (
    delete from longhaul.outcomes o where o.run_id = any(ids) returning o.run_id, o.tenant_id, o.entries, o.output_blob
  ), questions as (
    delete from longhaul.approvals a where a.run_id = any(ids) returning a.tenant_id, a.request_blob
  ), summed as materialized (
    select e.run_id, e.tenant_id, sum(e.entries) over (order by e.entries, e.run_id) > 10000 as is_long from ended e
  ), later as (
    insert into longhaul.leftovers (run_id, tenant_id) select s.run_id, s.tenant_id from summed s where s.is_long
  ), entries as (
    delete from longhaul.journal j where j.run_id = any(array(select s.run_id from summed s where not s.is_long)) returning j.run_id, j.blob
  )
  insert into longhaul.loose_blobs (tenant_id, hash)
  select a.tenant_id, a.input_blob from asked a where a.input_blob is not null
  union select e.tenant_id, e.output_blob from ended e where e.output_blob is not null
  union select q.tenant_id, q.request_blob from questions q where q.request_blob is not null
  union select a.tenant_id, j.blob from entries j join asked a using (run_id) where j.blob is not null
  order by 1, 2 on conflict do nothing;
  perform longhaul.drop_accounts(ids);
  return cardinality(ids);
end $$;

-- Walks over runs from a cursor on and drops the trees that it may. Of a tenant: over its runs, by id. Else over what ended, the
-- oldest first: p_failed says which of the two indexes. The last run of a tree to come of age lets it go, so that a walk need
-- not come back for those it had to leave. A null for a time keeps for ever. `looked` is 0 at the end of the walk.
create function longhaul.prune(
  p_tenant text, p_until timestamptz, p_failed_until timestamptz, p_failed boolean, p_at timestamptz, p_id uuid, p_limit int, p_dry boolean
) returns table (looked int, trees int, runs int, entries bigint, last_at timestamptz, last_id uuid) language plpgsql as $$
declare ahead refcursor; c record; t record; seen uuid[] := '{}'; roots uuid[] := '{}'; examined int := 0;
begin
  looked := 0; trees := 0; runs := 0; entries := 0; last_at := p_at; last_id := p_id;
  if p_tenant is not null then
    open ahead for select r.run_id, r.root_id, p_at as finished_at from longhaul.runs r
      where r.tenant_id = p_tenant and r.run_id > p_id order by r.run_id limit p_limit;
  elsif p_failed then
    open ahead for select e.run_id, r.root_id, e.finished_at from (
        select o.run_id, o.finished_at from longhaul.outcomes o
         where o.status = 'failed' and (o.finished_at, o.run_id) > (p_at, p_id) and o.finished_at <= p_failed_until
         order by o.finished_at, o.run_id limit p_limit) e
      cross join lateral (select x.root_id from longhaul.runs x where x.run_id = e.run_id offset 0) r order by e.finished_at, e.run_id;
  else
    open ahead for select e.run_id, r.root_id, e.finished_at from (
        select o.run_id, o.finished_at from longhaul.outcomes o
         where o.status <> 'failed' and (o.finished_at, o.run_id) > (p_at, p_id) and o.finished_at <= p_until
         order by o.finished_at, o.run_id limit p_limit) e
      cross join lateral (select x.root_id from longhaul.runs x where x.run_id = e.run_id offset 0) r order by e.finished_at, e.run_id;
  end if;
  loop
    fetch ahead into c;
    exit when not found;
    looked := looked + 1; last_at := c.finished_at; last_id := c.run_id;
    -- where every run of a tree is met and none is dropped, it counts once
    continue when c.root_id = any(seen) or ((p_dry or p_tenant is not null) and c.root_id <> c.run_id);
    seen := seen || c.root_id;
    select count(*)::int as n, sum(o.entries) as entries,
           bool_and(coalesce(o.finished_at <= case o.status when 'failed' then p_failed_until else p_until end, false)) as may_go
      into t
      from (select c.root_id as run_id
            union all select m.run_id from longhaul.runs m where m.root_id = c.root_id and m.root_id <> m.run_id
               and exists (select from longhaul.outcomes e where e.run_id = c.root_id)) m
      left join lateral (
        select x.run_id, x.entries, x.finished_at, x.status from longhaul.outcomes x where x.run_id = m.run_id offset 0) o on true;
    examined := examined + t.n;
    if t.may_go then
      roots := roots || c.root_id; trees := trees + 1; runs := runs + t.n; entries := entries + t.entries;
    end if;
    exit when runs >= p_limit or examined >= 20000;
  end loop;
  close ahead;
  if not p_dry and trees > 0 then runs := longhaul.drop_trees(roots); end if;
  return next;
end $$;

-- Drops those of these values to which no row refers. Whoever writes a reference locks the value in the same transaction
-- (store/blobs.ts): one that is being referred to is skipped here, and the references are counted after the locks are held.
create function longhaul.drop_blobs(p_tenant text[], p_hash text[]) returns int language plpgsql as $$
declare tids tid[]; tenants text[]; hashes text[]; n int;
begin
  select array_agg(b.tid), array_agg(b.tenant_id), array_agg(b.hash) into tids, tenants, hashes
    from (select distinct u.tenant_id, u.hash from unnest(p_tenant, p_hash) u(tenant_id, hash) order by 1, 2) u
   cross join lateral (
     select x.ctid as tid, x.tenant_id, x.hash from longhaul.blobs x where x.tenant_id = u.tenant_id and x.hash = u.hash for update skip locked) b;
  -- `offset 0`: one descent of an index for each of a few values, never a join with everything that refers to some value
  delete from longhaul.blobs b using unnest(tids, tenants, hashes) h(tid, tenant_id, hash)
   where b.ctid = h.tid and b.ctid = any(tids)
     and not exists (select from longhaul.runs r where r.input_blob = h.hash and r.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.outcomes o where o.output_blob = h.hash and o.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.approvals a where a.request_blob = h.hash and a.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.threads t where t.state_blob = h.hash and t.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.intake i where i.input_blob = h.hash and i.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.inbox i where i.blob = h.hash
                       and exists (select from longhaul.runs r where r.run_id = i.run_id and r.tenant_id = h.tenant_id offset 0) offset 0)
     and not exists (select from longhaul.journal j where j.blob = h.hash
                       and exists (select from longhaul.runs r where r.run_id = j.run_id and r.tenant_id = h.tenant_id offset 0) offset 0);
  get diagnostics n = row_count;
  return n;
end $$;

-- What dropped runs have left behind: a part of a long journal, or some values. Answers how many rows went, null when nothing is left.
-- A journal goes from its end: what remains is one that did not go on, and breaks no rule.
create function longhaul.clear_leftovers(p_entries int, p_blobs int) returns int language plpgsql as $$
declare l longhaul.leftovers; tenants text[]; hashes text[]; n int;
begin
  select * into l from longhaul.leftovers x order by x.run_id limit 1 for update skip locked;
  if found then
    with gone as (
      delete from longhaul.journal j
       where j.run_id = l.run_id and j.seq > (select max(k.seq) from longhaul.journal k where k.run_id = l.run_id) - p_entries returning j.blob
    ), loose as (
      insert into longhaul.loose_blobs (tenant_id, hash) select distinct l.tenant_id, g.blob from gone g where g.blob is not null order by 2 on conflict do nothing
    ) select count(*)::int into n from gone;
    if n < p_entries then delete from longhaul.leftovers x where x.run_id = l.run_id; end if;
    return n;
  end if;
  with gone as (
    delete from longhaul.loose_blobs b using (select x.tenant_id, x.hash from longhaul.loose_blobs x limit p_blobs for update skip locked) y
     where b.tenant_id = y.tenant_id and b.hash = y.hash returning b.tenant_id, b.hash
  ) select array_agg(g.tenant_id), array_agg(g.hash), count(*)::int into tenants, hashes, n from gone g;
  if n = 0 then return null; end if;
  perform longhaul.drop_blobs(tenants, hashes);
  return n;
end $$;

-- Drops threads without runs on which nothing has happened since: some, or null when they are too busy to be locked. A submit
-- that finds its thread there locks it only afterwards, so that only a lock on the table keeps the two apart; it is held for a moment.
create function longhaul.prune_threads(p_tenant text, p_until timestamptz, p_limit int) returns int language plpgsql as $$
declare ids bigint[]; n int;
begin
  ids := array(
    select t.thread_no from longhaul.threads t
     where t.updated_at <= p_until and t.active_run is null and (p_tenant is null or t.tenant_id = p_tenant)
       and not exists (select from longhaul.runs r where r.thread_id = t.thread_id and r.tenant_id = t.tenant_id offset 0)
     limit p_limit);
  if cardinality(ids) = 0 then return 0; end if;
  perform set_config('lock_timeout', '50ms', true);
  begin
    lock table longhaul.threads in share row exclusive mode;
  exception when lock_not_available then return null;
  end;
  with gone as (
    delete from longhaul.threads t
     where t.thread_no = any(ids) and t.updated_at <= p_until and t.active_run is null
       and not exists (select from longhaul.runs r where r.thread_id = t.thread_id and r.tenant_id = t.tenant_id offset 0)
    returning t.tenant_id, t.state_blob
  ), loose as (
    insert into longhaul.loose_blobs (tenant_id, hash) select distinct g.tenant_id, g.state_blob from gone g where g.state_blob is not null order by 1, 2 on conflict do nothing
  ) select count(*)::int into n from gone;
  return n;
end $$;

-- One round for a worker that has nothing better to do: does the first of these things that is to be done, and says what, and in
-- how many milliseconds somebody should come back; null when there is nothing, and nobody need look for p_every_ms. Takes p_share of the
-- time at most. Once a day the walks begin anew, for trees that a fork, a late commit or another policy has let slip.
create function longhaul.retain(p_keep_ms bigint, p_keep_failed_ms bigint, p_keep_threads_ms bigint, p_limit int, p_share float8, p_every_ms int)
returns table (did text, n int, next_ms int) language plpgsql as $$
declare present timestamptz := clock_timestamp(); s longhaul.retention; w record; pause interval;
  keep_until timestamptz := present - p_keep_ms * interval '1 millisecond'; failed_until timestamptz := present - p_keep_failed_ms * interval '1 millisecond';
begin
  select * into s from longhaul.retention r where r.next_at <= present for update skip locked;
  if not found then return; end if;
  if s.began_at not between present - interval '1 day' and present then
    s.began_at := present; s.blob_tenant := ''; s.blob_hash := ''; s.idle_threads := p_keep_threads_ms is not null;
    s.ended_at := '-infinity'; s.failed_at := '-infinity';
    s.ended_id := '00000000-0000-0000-0000-000000000000'; s.failed_id := s.ended_id;
    delete from longhaul.workers x where x.seen_at < present - interval '3 days'
       and not exists (select from longhaul.live l where l.worker_id = x.worker_id and l.state = 'running');
  end if;
  n := longhaul.clear_leftovers(5000, 50);
  if n is not null then did := 'leftovers'; end if;
  if did is null then
    select * into w from longhaul.prune(null, keep_until, failed_until, false, s.ended_at, s.ended_id, p_limit, false);
    if w.looked > 0 then did := 'runs'; n := w.runs; s.ended_at := w.last_at; s.ended_id := w.last_id; end if;
  end if;
  if did is null then
    select * into w from longhaul.prune(null, keep_until, failed_until, true, s.failed_at, s.failed_id, p_limit, false);
    if w.looked > 0 then did := 'runs'; n := w.runs; s.failed_at := w.last_at; s.failed_id := w.last_id; end if;
  end if;
  if did is null then
    n := longhaul.prune_calls(keep_until, p_limit);
    if n > 0 then did := 'calls'; end if;
  end if;
  if did is null and s.blob_tenant is not null then
    select array_agg(b.tenant_id) as tenants, array_agg(b.hash) as hashes into w from (
      select x.tenant_id, x.hash from longhaul.blobs x where (x.tenant_id, x.hash) > (s.blob_tenant, s.blob_hash) order by 1, 2 limit p_limit) b;
    s.blob_tenant := w.tenants[cardinality(w.tenants)]; s.blob_hash := w.hashes[cardinality(w.hashes)];
    if w.tenants is not null then did := 'blobs'; n := longhaul.drop_blobs(w.tenants, w.hashes); end if;
  end if;
  if did is null and s.idle_threads then
    n := longhaul.prune_threads(null, present - p_keep_threads_ms * interval '1 millisecond', p_limit);
    if n > 0 then did := 'threads'; end if;
    s.idle_threads := n is distinct from 0;
  end if;
  pause := case when did is null then p_every_ms * interval '1 millisecond' else (clock_timestamp() - present) * (1 / p_share - 1) end;
  update longhaul.retention r
     set next_at = clock_timestamp() + pause, began_at = s.began_at, ended_at = s.ended_at, ended_id = s.ended_id,
         failed_at = s.failed_at, failed_id = s.failed_id, blob_tenant = s.blob_tenant, blob_hash = s.blob_hash, idle_threads = s.idle_threads;
  next_ms := case when did is not null then ceil(extract(epoch from pause) * 1000)::int end;
  return next;
end $$;

-- Drops what is left of a tenant, whatever holds it, once all its runs are gone: rows that carry its id, and before them rows that
-- hang on those by their key, where that is an id (`_id`, `_no`): other words mean something else in every table. Asked of the catalogue, so that no table can be forgotten. Answers how many rows went: call it until
-- there are none; null when the tenant has runs. Submits begin with the table that is locked, and wait for a moment.
create function longhaul.purge_rows(p_tenant text, p_limit int) returns int language plpgsql as $$
declare t record; n int := 0;
begin
  lock table longhaul.tenants in share row exclusive mode;
  if exists (select from longhaul.runs r where r.tenant_id = p_tenant) or exists (select from longhaul.intake i where i.tenant_id = p_tenant)
    or exists (select from longhaul.leftovers l where l.tenant_id = p_tenant) then return null; end if;
  delete from longhaul.raises x where x.budget_id = any(array(select b.budget_id from longhaul.budgets b where b.tenant_id = p_tenant));
  if exists (select from longhaul.budget_accounts a where a.tenant_id = p_tenant) then
    -- with what they counted: nothing is left that counts what is gone
    update longhaul.budgets b set held = longhaul.none(), spent = longhaul.none(), before = longhaul.none(), dropped = longhaul.none() where b.tenant_id = p_tenant;
    delete from longhaul.budget_accounts a where a.tenant_id = p_tenant;
    get diagnostics n = row_count;
    return n;
  end if;
  if exists (select from longhaul.api_keys k where k.tenant_id = p_tenant) then
    -- that there has been a key is what tells servers to ask for one: a key that opens nothing stays in place of those that go
    insert into longhaul.api_keys (key_id, tenant_id, secret_hash, name, scopes, created_by, revoked_at, revoked_by)
    values ('00000000000', '', decode(repeat('00', 32), 'hex'), 'in place of keys that were dropped', '{runs:read}', 'prune', clock_timestamp(), 'prune')
    on conflict do nothing;
    update longhaul.api_keys k set replaced_by = null where k.tenant_id = p_tenant and k.replaced_by is not null;
  end if;
  for t in
    with recursive tables as materialized (
      select c.oid, c.oid::regclass::text as name,
             -- what counts others goes after them, and nothing is left that names what is gone
             array_position(array['lanes', 'turns', 'gates', 'tenants', 'budgets'], c.relname::text collate "default") as place,
             array(select a.attname::text collate "default" from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
             (select a.attname::text collate "default" from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
               where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1) as key
        from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = (select r.relnamespace from pg_class r where r.oid = 'longhaul.runs'::regclass)
    ), owned as (
      select o.oid, o.name, o.place, o.key, 0 as level, format('tenant_id = %L', p_tenant) as rule from tables o where 'tenant_id' = any(o.columns)
      union all
      select h.oid, h.name, h.place, h.key, o.level + 1, format('%I in (select %I from %s where %s)', o.key, o.key, o.name, o.rule)
        from owned o join tables h on o.key = any(h.columns) and o.key ~ '_(id|no)$' and o.key <> 'run_id' and h.oid <> o.oid and 'tenant_id' <> all(h.columns) where o.level < 4
    ) select o.name, o.rule from owned o order by o.level desc, o.place nulls first, o.name
  loop
    execute format('delete from %s where ctid = any(array(select ctid from %s where %s limit %s))', t.name, t.name, t.rule, p_limit);
    get diagnostics n = row_count;
    -- what hangs on others goes first, all of it
    if n > 0 then return n; end if;
  end loop;
  return 0;
end $$;
