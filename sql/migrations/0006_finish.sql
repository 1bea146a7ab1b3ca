-- Messages to runs, and every way a run leaves its worker: finished, waiting, handed back, paused.

-- Puts messages into inboxes and decides who wakes: a waiting run when nothing more is needed, or at once when a child that it
-- cannot do without failed. Answers the runs that became claimable. Takes the live rows' locks itself.
create function longhaul.receive(p_run uuid[], p_kind text[], p_key text[], p_body text[], p_blob text[], p_bad boolean[])
returns longhaul.item[] language plpgsql set enable_nestloop = off as $$
declare items longhaul.item[]; woken uuid[];
begin
  if p_run is null then return null; end if;
  perform 1 from longhaul.live l where l.run_id = any(p_run) order by l.run_id desc for update;
  with message as materialized (
    select l.run_id, l.state, u.kind, u.key, u.body, u.blob, u.bad, l.inbox_seq + row_number() over (partition by l.run_id order by u.place) as seq
      from unnest(p_run, p_kind, p_key, p_body, p_blob, p_bad) with ordinality u(run_id, kind, key, body, blob, bad, place)
      join longhaul.live l on l.run_id = u.run_id and l.run_id = any(p_run)
  ), put as (
    insert into longhaul.inbox (run_id, seq, kind, key, body, blob)
    select m.run_id, m.seq, m.kind, m.key, m.body, m.blob from message m
  ), hit as (
    delete from longhaul.waits w using message m where w.run_id = m.run_id and w.key = m.key and w.run_id = any(p_run) and w.key = any(p_key)
    returning w.run_id, w.key, w.fail_fast and m.bad as urgent
  ), summed as materialized (
    select m.run_id, max(m.seq)::int as last, bool_or(m.kind = 'nudge') as nudged,
           (select count(*)::int from hit h where h.run_id = m.run_id) as hits,
           coalesce((select bool_or(h.urgent) from hit h where h.run_id = m.run_id), false) as urgent
      from message m group by m.run_id
  ), told as (
    update longhaul.live l
       set inbox_seq = s.last, need = greatest(l.need - s.hits, 0),
           state = case when l.state = 'waiting' and (s.nudged or s.urgent or (s.hits > 0 and l.need - s.hits <= 0)) then 'queued' else l.state end
      from summed s where l.run_id = s.run_id and l.run_id = any(p_run) returning l.run_id, l.lane_id, l.prio, l.state
  )
  select array_agg(t.run_id), array_agg((t.lane_id, t.prio, t.run_id)::longhaul.item) into woken, items
    from told t join (select distinct m.run_id, m.state from message m) m using (run_id) where m.state = 'waiting' and t.state = 'queued';
  if woken is not null then
    delete from longhaul.waits w where w.run_id = any(woken);
    delete from longhaul.later d where d.run_id = any(woken);
  end if;
  return items;
end $$;

-- One message from outside. 'delivered', 'finished' or 'unknown'.
create function longhaul.deliver(p_run uuid, p_kind text, p_key text, p_body text, p_blob text, p_inbox_max int) returns text language plpgsql set plan_cache_mode = force_generic_plan as $$
declare n int;
begin
  perform 1 from longhaul.live l where l.run_id = p_run for update;
  if not found then
    return case when exists (select 1 from longhaul.outcomes o where o.run_id = p_run) then 'finished' else 'unknown' end;
  end if;
  select count(*) into n from longhaul.inbox i where i.run_id = p_run;
  if n >= p_inbox_max then return 'full'; end if;
  perform longhaul.push(longhaul.receive(array[p_run], array[p_kind], array[p_key], array[p_body], array[p_blob], array[false]));
  return 'delivered';
end $$;

-- Answers an approval once. 'resolved' for the one that wins; 'taken', 'expired' or 'gone' for the others; 'unknown'.
create function longhaul.resolve_approval(p_tenant text, p_approval uuid, p_status text, p_by text, p_answer text) returns text language plpgsql set plan_cache_mode = force_generic_plan as $$
declare a longhaul.approvals; wanted uuid;
begin
  select x.run_id into wanted from longhaul.approvals x where x.approval_id = p_approval and x.tenant_id = p_tenant;
  if not found then return 'unknown'; end if;
  perform 1 from longhaul.live l where l.run_id = wanted for update;
  if not found then return 'gone'; end if;
  select * into a from longhaul.approvals x where x.approval_id = p_approval for update;
  if a.status = 'expired' or (a.status = 'pending' and a.expires_at <= clock_timestamp()) then return 'expired'; end if;
  if a.status = 'cancelled' then return 'gone'; end if;
  if a.status <> 'pending' then return 'taken'; end if;
  update longhaul.approvals x set status = p_status, resolved_at = clock_timestamp(), resolved_by = p_by, answer = p_answer where x.approval_id = p_approval;
  perform longhaul.push(longhaul.receive(array[a.run_id], array['answer'], array['approval:' || p_approval], array[p_answer], array[null::text], array[false]));
  return 'resolved';
end $$;

create type longhaul.ending as (
  run_id uuid, status text, reason text, output text, output_blob text, failure text, active_ms bigint, entries int
);

-- Ends runs whose live rows the caller has locked, after so many more entries: outcome, news to the parent, thread handed over, children told later.
-- Answers the runs that became claimable by it; slots are the caller's business.
create function longhaul.conclude(endings longhaul.ending[]) returns longhaul.item[] language plpgsql set enable_nestloop = off as $$
declare gone longhaul.live[]; news longhaul.item[]; handed longhaul.item[]; ids uuid[];
begin
  if endings is null then return null; end if;
  ids := array(select e.run_id from unnest(endings) e);
  with deleted as (
    delete from longhaul.live l where l.run_id = any(ids) returning l.*
  ) select array_agg(d::longhaul.live) into gone from deleted d;
  insert into longhaul.outcomes (run_id, tenant_id, status, reason, output, output_blob, failure, active_ms, epoch, entries)
  select e.run_id, n.tenant_id, e.status, e.reason, e.output, e.output_blob, e.failure, g.active_ms + coalesce(e.active_ms, 0), g.epoch,
         g.journal_seq + e.entries
    from unnest(endings) e join unnest(gone) g on g.run_id = e.run_id
    join longhaul.lanes n on n.lane_id = g.lane_id and n.lane_id = any(array(select g.lane_id from unnest(gone) g));
  if exists (select from unnest(endings) e where e.status = 'failed') then
    insert into longhaul.dead_letters (run_id, tenant_id, agent, queue, code)
    select e.run_id, r.tenant_id, r.agent, r.queue, left(coalesce(e.reason, substring(e.failure from '^\{"name":"([^"]+)"'), 'failed'), 100)
      from unnest(endings) e join unnest(gone) g on g.run_id = e.run_id join longhaul.runs r on r.run_id = e.run_id and r.run_id = any(ids)
     where e.status = 'failed' and g.parent_id is null;
  end if;
  insert into longhaul.cancel_cascade (parent_id)
  select distinct c.parent_id from longhaul.live c where c.parent_id = any(ids) on conflict do nothing;
  update longhaul.approvals a set status = 'cancelled', resolved_at = clock_timestamp()
   where a.run_id = any(ids) and a.resolved_at is null;
  delete from longhaul.inbox i where i.run_id = any(array(select g.run_id from unnest(gone) g where g.inbox_seq > 0));
  select longhaul.receive(
           array_agg(g.parent_id), array_agg('child'::text), array_agg('child:' || g.run_id),
           array_agg('{"status":"' || e.status || '"' || coalesce(',"reason":' || to_json(e.reason), '')
                     || coalesce(',"output":' || e.output, '') || coalesce(',"failure":' || e.failure, '') || '}'),
           array_agg(e.output_blob), array_agg(e.status <> 'succeeded'))
    into news
    from unnest(gone) g join unnest(endings) e on e.run_id = g.run_id where g.parent_id is not null;
  select longhaul.hand_over(array_agg(g.thread_no), array_agg(g.run_id)) into handed from unnest(gone) g where g.thread_no is not null;
  return news || handed;
end $$;

-- The gates through which those of the held runs have passed, with repetition.
create function longhaul.gates_of(held longhaul.live[], p_run uuid[]) returns int[] language sql immutable as $$
  select array_agg(g.gate_id) from unnest(held) h cross join lateral (values (h.agent_gate), (h.key_gate)) g(gate_id)
   where g.gate_id is not null and h.run_id = any(p_run)
$$;

-- The worker lets go of a batch of runs. Moves: 'finish', 'wait', 'yield', 'pause'.
-- Verdicts: 'done'; 'inbox' when a message came since the worker looked, so that it must look again before it may wait;
-- 'cancel' when the run is to be cancelled instead. A run without a verdict was lost.
create function longhaul.settle(
  p_worker uuid, p_run uuid[], p_epoch int[], p_first int[], p_count int[], p_move text[],
  p_inbox int[], p_need int[], p_due timestamptz[], p_active_ms bigint[],
  p_status text[], p_reason text[], p_output text[], p_output_blob text[], p_failure text[],
  e_run uuid[], e_seq int[], e_epoch int[], e_kind smallint[], e_key text[], e_body text[], e_blob text[],
  c_run uuid[], c_seq int[],
  w_run uuid[], w_key text[], w_due timestamptz[], w_fail_fast boolean[], w_label text[]
) returns table (run_id uuid, verdict text) language plpgsql set enable_nestloop = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare held longhaul.live[]; moved uuid[]; items longhaul.item[]; endings longhaul.ending[];
begin
  select array_agg(x) into held from (
    select l.* from longhaul.live l join unnest(p_run, p_epoch, p_first) u(run_id, epoch, first) on l.run_id = u.run_id
     where l.run_id = any(p_run) and l.epoch = u.epoch and l.worker_id = p_worker and l.journal_seq = u.first - 1
     order by l.run_id desc for update of l) x;
  if held is null then return; end if;
  select array_agg(h.run_id) into moved from unnest(held) h join unnest(p_run, p_move, p_inbox) u(run_id, move, inbox) on u.run_id = h.run_id
   where u.move = 'finish' or u.move = 'pause' or (h.cancel is null and (u.move <> 'wait' or h.inbox_seq = u.inbox));

  insert into longhaul.journal (run_id, seq, epoch, kind, key, body, blob)
  select e.* from unnest(e_run, e_seq, e_epoch, e_kind, e_key, e_body, e_blob) e(run_id, seq, epoch, kind, key, body, blob)
   where e.run_id = any(moved);
  if c_run is not null then
    delete from longhaul.inbox i using unnest(c_run, c_seq) c(run_id, seq)
     where i.run_id = c.run_id and i.seq = c.seq and i.run_id = any(moved) and i.seq = any(c_seq);
  end if;
  update longhaul.live l
     set journal_seq = l.journal_seq + u.n,
         state = case u.move when 'wait' then 'waiting' when 'pause' then 'paused' else 'queued' end,
         worker_id = null, expires_at = null, claimed_at = null, agent_gate = null, key_gate = null, need = coalesce(u.need, 0), active_ms = l.active_ms + u.active,
         crashes = case when l.journal_seq + u.n > l.claim_seq + 1 then 0 else l.crashes end,
         isolate = l.isolate and u.move = 'yield',
         pause_reason = case when u.move = 'pause' then coalesce(u.reason, 'paused') end
    from unnest(p_run, p_count, p_move, p_need, p_active_ms, p_reason) u(run_id, n, move, need, active, reason)
   where l.run_id = u.run_id and l.run_id = any(moved) and u.move <> 'finish';
  insert into longhaul.waits (run_id, key, due_at, fail_fast, label)
  select w.* from unnest(w_run, w_key, w_due, w_fail_fast, w_label) w(run_id, key, due_at, fail_fast, label) where w.run_id = any(moved);
  insert into longhaul.later (run_id, due_at)
  select u.run_id, u.due from unnest(p_run, p_due, p_move) u(run_id, due, move)
   where u.run_id = any(moved) and u.due is not null and u.move = 'wait';

  select array_agg((u.run_id, u.status, u.reason, u.output, u.output_blob, u.failure, u.active, u.n)::longhaul.ending) into endings
    from unnest(p_run, p_move, p_status, p_reason, p_output, p_output_blob, p_failure, p_active_ms, p_count)
         u(run_id, move, status, reason, output, output_blob, failure, active, n)
   where u.move = 'finish' and u.run_id = any(moved);
  items := longhaul.conclude(endings)
    || array(select (h.lane_id, h.prio, h.run_id)::longhaul.item from unnest(held) h join unnest(p_run, p_move) u(run_id, move) on u.run_id = h.run_id
              where h.run_id = any(moved) and u.move = 'yield' and not h.isolate);
  perform longhaul.release_slots(
    array(select h.lane_id from unnest(held) h where h.run_id = any(moved)), longhaul.gates_of(held, moved),
    array(select h.lane_id from unnest(held) h join unnest(endings) e using (run_id)), items);
  perform longhaul.leave_accounts(moved, array(select e.run_id from unnest(endings) e));
  return query
    select h.run_id, case when moved is not null and h.run_id = any(moved) then 'done' when h.cancel is not null then 'cancel' else 'inbox' end
      from unnest(held) h;
end $$;

-- Ends runs that nobody holds (queued, waiting, paused), under their row locks, with the next epoch. Without a reason: the one with
-- which their cancel was asked for.
create function longhaul.end_idle(p_run uuid[], p_status text, p_reason text) returns longhaul.item[] language plpgsql as $$
begin
  perform 1 from longhaul.live p where p.run_id = any(array(select l.parent_id from longhaul.live l where l.run_id = any(p_run))) order by p.run_id desc for update;
  perform 1 from longhaul.threads t where t.thread_no = any(array(select l.thread_no from longhaul.live l where l.run_id = any(p_run))) order by t.thread_no for update;
  delete from longhaul.thread_queue q where q.run_id = any(p_run) and q.thread_no = any(array(select l.thread_no from longhaul.live l where l.run_id = any(p_run)));
  delete from longhaul.waits w where w.run_id = any(p_run);
  delete from longhaul.later d where d.run_id = any(p_run);
  delete from longhaul.expiries x where x.run_id = any(p_run);
  update longhaul.live l set epoch = l.epoch + 1, journal_seq = l.journal_seq + 1 where l.run_id = any(p_run);
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  select l.run_id, l.journal_seq, l.epoch, 3,
         '{"status":"' || p_status || '"' || coalesce(',"reason":' || to_json(coalesce(p_reason, l.cancel)), '') || '}'
    from longhaul.live l where l.run_id = any(p_run);
  return longhaul.conclude(array(
    select (l.run_id, p_status, coalesce(p_reason, l.cancel), null, null, null, 0, 0)::longhaul.ending from longhaul.live l where l.run_id = any(p_run)));
end $$;

-- Ends runs that are queued, waiting or paused and whose live rows the caller has locked. Every class of locks in its order.
create function longhaul.end_unheld(p_run uuid[], p_status text, p_reason text) returns void language plpgsql as $$
declare lane int[]; items longhaul.item[];
begin
  perform 1 from longhaul.live p where p.run_id = any(array(select l.parent_id from longhaul.live l where l.run_id = any(p_run))) order by p.run_id desc for update;
  perform 1 from longhaul.threads t where t.thread_no = any(array(select l.thread_no from longhaul.live l where l.run_id = any(p_run))) order by t.thread_no for update;
  lane := array(select l.lane_id from longhaul.live l where l.run_id = any(p_run));
  perform 1 from longhaul.tenants t where t.tenant_id = any(array(select n.tenant_id from longhaul.lanes n where n.lane_id = any(lane))) order by t.tenant_id for update;
  perform longhaul.unready(array(select l.run_id from longhaul.live l where l.run_id = any(p_run) and l.state = 'queued'));
  items := longhaul.end_idle(p_run, p_status, p_reason);
  perform longhaul.release_slots(null, null, lane, items);
  perform longhaul.leave_accounts(p_run, p_run);
end $$;

-- Cancels one run. 'cancelled': it ended here and now. 'requested': its worker will stop it. 'finished', 'unknown'.
create function longhaul.cancel(p_run uuid, p_reason text) returns text language plpgsql as $$
declare l longhaul.live;
begin
  select * into l from longhaul.live x where x.run_id = p_run for update;
  if not found then
    return case when exists (select 1 from longhaul.outcomes o where o.run_id = p_run) then 'finished' else 'unknown' end;
  end if;
  if l.state = 'running' then
    update longhaul.live x set cancel = coalesce(x.cancel, p_reason) where x.run_id = p_run;
    return 'requested';
  end if;
  perform longhaul.end_unheld(array[p_run], 'cancelled', p_reason);
  return 'cancelled';
end $$;

-- A paused run goes back to the queue, with a clean record.
create function longhaul.resume(p_run uuid, p_by text) returns boolean language plpgsql as $$
declare l longhaul.live;
begin
  select * into l from longhaul.live x where x.run_id = p_run and x.state = 'paused' for update;
  if not found then return false; end if;
  update longhaul.live x
     set state = 'queued', pause_reason = null, crashes = 0, isolate = false, epoch = x.epoch + 1, journal_seq = x.journal_seq + 1
   where x.run_id = p_run;
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  values (p_run, l.journal_seq + 1, l.epoch + 1, 5, '{"by":' || to_json(p_by) || '}');
  perform longhaul.push(array[(l.lane_id, l.prio, p_run)::longhaul.item]);
  return true;
end $$;
