-- Appending and keeping the lease.

-- One statement for a batch of runs: checks worker and epoch, extends the lease, appends, reports cancellation and news.
-- A run that is not in the answer was lost: nothing of it was written.
create function longhaul.append(
  p_worker uuid, p_lease_ms int, p_run uuid[], p_epoch int[], p_first int[], p_count int[],
  e_run uuid[], e_seq int[], e_epoch int[], e_kind smallint[], e_key text[], e_body text[], e_blob text[]
) returns table (run_id uuid, cancel text, inbox_seq int) language plpgsql set enable_nestloop = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  with held as (
    update longhaul.live l
       set expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond', journal_seq = l.journal_seq + f.n
      from unnest(p_run, p_epoch, p_first, p_count) f(run_id, epoch, first, n)
     where l.run_id = f.run_id and l.run_id = any(p_run) and l.epoch = f.epoch and l.worker_id = p_worker and l.journal_seq = f.first - 1
    returning l.run_id, l.cancel, l.inbox_seq
  ), added as (
    insert into longhaul.journal (run_id, seq, epoch, kind, key, body, blob)
    select e.* from unnest(e_run, e_seq, e_epoch, e_kind, e_key, e_body, e_blob) e(run_id, seq, epoch, kind, key, body, blob)
      join held h on h.run_id = e.run_id
  )
  select h.run_id, h.cancel, h.inbox_seq from held h;
end $$;

-- The same for one run whose entries change more than the journal: they consume messages, set the thread's state, open or expire
-- approvals, say what became of model calls, or come with children (submitted by the caller in the same transaction). Verdicts: 'done', 'lost', or 'moved' when
-- an approval that was to expire has just been answered.
create function longhaul.append_one(
  p_worker uuid, p_lease_ms int, p_run uuid, p_epoch int, p_first int,
  e_kind smallint[], e_key text[], e_body text[], e_blob text[],
  p_consumed int[], p_set_state boolean, p_state text, p_state_blob text,
  a_id uuid[], a_key text[], a_kind text[], a_name text[], a_request text[], a_blob text[], a_hash text[], a_expires timestamptz[],
  p_expired uuid[], p_closings jsonb
) returns table (verdict text, cancel text, inbox_seq int) language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare l longhaul.live;
begin
  select * into l from longhaul.live x
   where x.run_id = p_run and x.epoch = p_epoch and x.worker_id = p_worker and x.journal_seq = p_first - 1 for update;
  if not found then return query select 'lost', null::text, 0; return; end if;
  if exists (select 1 from longhaul.approvals a where a.approval_id = any(p_expired) and a.status not in ('pending', 'expired')) then
    return query select 'moved', l.cancel, l.inbox_seq; return;
  end if;
  update longhaul.live x
     set expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond', journal_seq = x.journal_seq + coalesce(cardinality(e_kind), 0)
   where x.run_id = p_run;
  insert into longhaul.journal (run_id, seq, epoch, kind, key, body, blob)
  select p_run, p_first - 1 + e.place, p_epoch, e.kind, e.key, e.body, e.blob
    from unnest(e_kind, e_key, e_body, e_blob) with ordinality e(kind, key, body, blob, place);
  if p_consumed is not null then
    delete from longhaul.inbox i where i.run_id = p_run and i.seq = any(p_consumed);
  end if;
  if p_set_state then
    update longhaul.threads t set state = p_state, state_blob = p_state_blob, updated_at = clock_timestamp() where t.thread_no = l.thread_no;
  end if;
  if a_id is not null then
    insert into longhaul.approvals (approval_id, run_id, tenant_id, step_key, kind, name, request, request_blob, request_hash, expires_at)
    select a.id, p_run, r.tenant_id, a.key, a.kind, a.name, a.request, a.blob, a.hash, a.expires
      from unnest(a_id, a_key, a_kind, a_name, a_request, a_blob, a_hash, a_expires) a(id, key, kind, name, request, blob, hash, expires)
     cross join longhaul.runs r where r.run_id = p_run;
  end if;
  if p_expired is not null then
    update longhaul.approvals a set status = 'expired', resolved_at = clock_timestamp() where a.approval_id = any(p_expired) and a.status = 'pending';
  end if;
  if p_closings is not null then
    perform longhaul.open_account(p_run);
    perform 1 from longhaul.budget_accounts a where a.account_id = p_run for no key update;
    perform longhaul.close_calls(p_run, p_epoch, p_closings);
  end if;
  return query select 'done', l.cancel, l.inbox_seq;
end $$;

-- Extends the leases of one worker. Rows somebody else has locked this moment are skipped: skipped is not lost.
create function longhaul.heartbeat(p_worker uuid, p_lease_ms int, p_run uuid[], p_epoch int[])
returns table (run_id uuid, held boolean, cancel text, inbox_seq int) language plpgsql set enable_nestloop = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  update longhaul.workers w set seen_at = clock_timestamp() where w.worker_id = p_worker;
  return query
  with free as materialized (
    select l.run_id from longhaul.live l join unnest(p_run, p_epoch) f(run_id, epoch) on l.run_id = f.run_id and l.epoch = f.epoch
     where l.run_id = any(p_run) and l.worker_id = p_worker order by l.run_id desc for update of l skip locked
  ), kept as (
    update longhaul.live l set expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond'
      from free f where l.run_id = f.run_id and l.run_id = any(p_run) returning l.run_id, l.cancel, l.inbox_seq
  )
  select f.run_id, coalesce(l.epoch = f.epoch and l.worker_id = p_worker, false), coalesce(k.cancel, l.cancel), coalesce(k.inbox_seq, l.inbox_seq)
    from unnest(p_run, p_epoch) f(run_id, epoch) left join longhaul.live l on l.run_id = f.run_id and l.run_id = any(p_run) left join kept k on k.run_id = f.run_id;
end $$;
