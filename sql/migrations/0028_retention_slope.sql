-- The further behind it is, the more time it takes, up to twice its share at a minute: with a step at a minute, a load slightly above its pace piled up a whole
-- minute of runs before anything was done about it.

create or replace function longhaul.retain(p_keep_ms bigint, p_keep_failed_ms bigint, p_keep_threads_ms bigint, p_limit int, p_share float8, p_every_ms int)
returns table (did text, n int, next_ms int) language plpgsql as $$
declare present timestamptz := clock_timestamp(); s longhaul.retention; w record; pause interval; behind_ms float8 := 0;
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
    if w.looked > 0 then did := 'runs'; n := w.runs; s.ended_at := w.last_at; s.ended_id := w.last_id; behind_ms := extract(epoch from keep_until - w.last_at) * 1000; end if;
  end if;
  if did is null then
    select * into w from longhaul.prune(null, keep_until, failed_until, true, s.failed_at, s.failed_id, p_limit, false);
    if w.looked > 0 then did := 'runs'; n := w.runs; s.failed_at := w.last_at; s.failed_id := w.last_id; behind_ms := extract(epoch from failed_until - w.last_at) * 1000; end if;
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
  pause := case when did is null then p_every_ms * interval '1 millisecond' else (clock_timestamp() - present) * (1 / least(1, p_share * (1 + least(1, behind_ms / 60000))) - 1) end;
  update longhaul.retention r
     set next_at = clock_timestamp() + pause, began_at = s.began_at, ended_at = s.ended_at, ended_id = s.ended_id,
         failed_at = s.failed_at, failed_id = s.failed_id, blob_tenant = s.blob_tenant, blob_hash = s.blob_hash, idle_threads = s.idle_threads;
  next_ms := case when did is not null then ceil(extract(epoch from pause) * 1000)::int end;
  return next;
end $$;
