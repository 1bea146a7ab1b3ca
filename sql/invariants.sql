-- What must hold in every committed state: queries that return no row. Run by `longhaul doctor`, after tests, and all through crash
-- and chaos runs, in one snapshot. A block begins with its number (docs/invariants.md), its name and its sentence; `longhaul.` is
-- replaced by the name of the schema. Kinds of journal entries are the numbers of src/domain/entry.ts.

-- I1 run-is-somewhere: Every run that was taken in is either unfinished or ended, never both and never neither.
select r.run_id, l.run_id is not null as unfinished, o.run_id is not null as ended
  from longhaul.runs r left join longhaul.live l using (run_id) left join longhaul.outcomes o using (run_id)
 where (l.run_id is null) = (o.run_id is null);

-- I2 no-phantom-run: Nothing is being done, has ended, or is journaled for a run that nobody asked for.
select x.run_id, x.place from (
  select l.run_id, 'live' as place from longhaul.live l
  union all select o.run_id, 'outcomes' from longhaul.outcomes o
  -- a long journal is dropped after its run, piece by piece
  union all select distinct j.run_id, 'journal' from longhaul.journal j where not exists (select from longhaul.leftovers d where d.run_id = j.run_id)
  union all select a.run_id, 'approvals' from longhaul.approvals a
) x where not exists (select from longhaul.runs r where r.run_id = x.run_id);

-- I2 one-way-in: A submit of the caller's own transaction is taken in once: its row moves, it is not copied.
select i.run_id from longhaul.intake i join longhaul.runs r using (run_id);

-- I3 one-run-per-key: One tenant's idempotency key stands for one run.
select r.tenant_id, r.idempotency_key, count(*) as runs from longhaul.runs r
 where r.idempotency_key is not null group by 1, 2 having count(*) > 1;

-- I8 recorded-once: A step, a wait, a value or the submitting of children has one record per run and key.
select j.run_id, j.key, count(*) as records, min(j.seq) as first_seq, max(j.seq) as last_seq from longhaul.journal j
 where j.kind in (10, 12, 13, 14, 15, 18, 20) and j.key is not null
 group by j.run_id, j.key, case when j.kind in (12, 13, 20) then j.kind else 0 end having count(*) > 1;

-- I11 epoch-never-falls: No entry was written by an older epoch after a newer one.
select x.run_id, x.seq, x.epoch, x.before from (
  select j.run_id, j.seq, j.epoch, lag(j.epoch) over (partition by j.run_id order by j.seq) as before from longhaul.journal j
) x where x.epoch < x.before;

-- I11 only-the-claimant-writes: What a run did is journaled between a claim and the farewell to it, under the epoch of that claim.
select x.run_id, x.seq, x.kind, x.epoch from (
  select j.run_id, j.seq, j.kind, j.epoch,
         max(case when j.kind < 10 then j.seq end) over (partition by j.run_id order by j.seq rows between unbounded preceding and 1 preceding) as control
    from longhaul.journal j
) x left join longhaul.journal c on c.run_id = x.run_id and c.seq = x.control
 where x.kind >= 10 and x.epoch > 0 and (c.seq is null or c.kind <> 1 or c.epoch <> x.epoch);

-- I14 epoch-rises: Every claim, loss and release by a person has an epoch of its own, above all before it.
select x.run_id, x.seq, x.kind, x.epoch, x.before from (
  select j.run_id, j.seq, j.kind, j.epoch, lag(j.epoch, 1, 0) over (partition by j.run_id order by j.seq) as before from longhaul.journal j
) x where x.kind in (1, 4, 5) and x.epoch <= x.before;

-- I14 epoch-is-current: The row of a run carries the epoch of its newest entry or, between two, a higher one.
select j.run_id, max(j.epoch) as journaled, coalesce(l.epoch, o.epoch) as epoch
  from longhaul.journal j left join longhaul.live l using (run_id) left join longhaul.outcomes o using (run_id)
 group by j.run_id, l.epoch, o.epoch having max(j.epoch) > coalesce(l.epoch, o.epoch);

-- I15 queued-is-findable: A queued run is in exactly one place where somebody will find it.
select x.run_id, x.places from (
  select l.run_id,
         (select count(*) from longhaul.ready y where y.lane_id = l.lane_id and y.prio = l.prio and y.run_id = l.run_id)
         + (select count(*) from longhaul.later d where d.run_id = l.run_id)
         + (select count(*) from longhaul.thread_queue q where q.run_id = l.run_id)
         + l.isolate::int as places
    from longhaul.live l where l.state = 'queued'
) x where x.places <> 1;

-- I15 ready-is-queued: Whatever can be claimed is queued.
select y.run_id, y.lane_id, l.state from longhaul.ready y left join longhaul.live l using (run_id)
 where l.run_id is null or l.state <> 'queued' or l.isolate or l.lane_id <> y.lane_id or l.prio <> y.prio;

-- I15 lapsed-lease-is-swept: While some worker looks around, no lease is over for longer than a minute.
select l.run_id, l.worker_id, l.expires_at from longhaul.live l
 where l.state = 'running' and l.expires_at < clock_timestamp() - interval '1 minute'
   and exists (select from longhaul.workers w where w.state = 'active' and w.seen_at > clock_timestamp() - interval '15 seconds'
                 and w.started_at < clock_timestamp() - interval '1 minute');

-- I15 isolated-is-tried: Only a run that is to be tried alone, or is being tried, is set apart.
select l.run_id, l.state, l.crashes from longhaul.live l where l.isolate and l.state not in ('queued', 'running');

-- I16 one-end: A run has one last entry, and it says what the outcome says.
select o.run_id, o.status, o.entries, j.seq, j.kind, left(j.body, 80) as body
  from longhaul.outcomes o left join longhaul.journal j on j.run_id = o.run_id and j.seq = o.entries
 where j.seq is null or j.kind <> 3 or j.epoch <> o.epoch or not starts_with(j.body, '{"status":"' || o.status || '"')
    or exists (select from longhaul.journal k where k.run_id = o.run_id and (k.seq > o.entries or (k.kind = 3 and k.seq <> o.entries)));

-- I16 unfinished-has-no-end: A run that goes on has no entry that says it ended.
select j.run_id, j.seq from longhaul.journal j join longhaul.live l using (run_id) where j.kind = 3;

-- I17 moves-are-legal: claimed, lost, let go, released by a person and ended follow each other as the state machine says.
select x.run_id, x.seq, x.kind, x.before from (
  select j.run_id, j.seq, j.kind, lag(j.kind) over w as before, lag(j.body) over w as said
    from longhaul.journal j where j.kind < 10 window w as (partition by j.run_id order by j.seq)
) x where not case x.kind
  when 1 then x.before is null or x.before in (4, 5) or (x.before = 2 and not starts_with(x.said, '{"move":"pause"'))
  when 2 then x.before = 1
  when 3 then x.before is null or x.before <> 3
  when 4 then x.before = 1
  when 5 then x.before = 4 or (x.before = 2 and starts_with(x.said, '{"move":"pause"'))
  else false end;

-- I17 state-is-journaled: The state of a run is the one to which its newest move has led.
select l.run_id, l.state, c.kind, c.seq from longhaul.live l
  left join lateral (select j.kind, j.seq, j.body from longhaul.journal j where j.run_id = l.run_id and j.kind < 10 order by j.seq desc limit 1) c on true
 where not case l.state
  when 'running' then c.kind = 1 and c.seq = l.claim_seq
  when 'waiting' then c.kind = 2 and starts_with(c.body, '{"move":"wait"')
  when 'paused' then c.kind = 4 or (c.kind = 2 and starts_with(c.body, '{"move":"pause"'))
  when 'queued' then c.kind is null or c.kind in (4, 5) or (c.kind = 2 and not starts_with(c.body, '{"move":"pause"'))
  else false end;

-- I19 no-child-is-forgotten: A child whose parent has ended is cancelled, or still will be.
select c.run_id, c.parent_id from longhaul.live c join longhaul.outcomes o on o.run_id = c.parent_id
 where c.cancel is null and not exists (select from longhaul.cancel_cascade k where k.parent_id = c.parent_id);

-- I19 end-is-told: The end of a child is in its parent's inbox until the parent has journaled it.
select c.run_id, c.parent_id from longhaul.runs c join longhaul.outcomes o using (run_id) join longhaul.live p on p.run_id = c.parent_id
 where not exists (select from longhaul.inbox i where i.run_id = p.run_id and i.key = 'child:' || c.run_id)
   and not exists (select from longhaul.journal j where j.run_id = p.run_id and j.kind = 14
                      and (j.key like '%end of ' || right(c.run_id::text, 12) || '#%' or j.key like '%(end) ' || right(c.run_id::text, 12)));

-- I19 child-iff-journaled: A child exists if and only if its parent has journaled that it submitted it.
select c.run_id, c.parent_id, 'not journaled' as problem from longhaul.runs c
 where c.parent_id is not null
   and not exists (select from longhaul.journal j where j.run_id = c.parent_id and j.kind = 15 and j.key = c.parent_key
                      and position(c.run_id::text in j.body) > 0)
union all
select m.child, j.run_id, 'not submitted' from longhaul.journal j
 cross join lateral (select (regexp_matches(substring(j.body from '"children":\[(.*)\]'), '"([0-9a-f-]{36})"', 'g'))[1]::uuid as child) m
 where j.kind = 15 and not exists (select from longhaul.runs r where r.run_id = m.child);

-- I19 one-tree: A child has its parent's root and tenant, is one level below, and sorts after it.
select c.run_id, c.parent_id from longhaul.runs c join longhaul.runs p on p.run_id = c.parent_id
 where c.root_id <> p.root_id or c.tenant_id <> p.tenant_id or c.depth <> p.depth + 1 or c.run_id <= p.run_id;

-- I20 attempts-are-counted: Failed attempts of a step count 1, 2, 3 through every crash, and the record goes on from there; what was put off
-- ("p") counts as none.
select x.run_id, x.seq, x.key, x.kind, x.n, x.place from (
  select j.run_id, j.seq, j.key, j.kind, substring(j.body from '"n":(\d+)')::int as n, row_number() over (partition by j.run_id, j.key order by j.seq) as place
    from longhaul.journal j where j.kind in (10, 11) and j.epoch > 0 and j.body !~ '^\{"n":\d+,"ms":\d+,"r":\d+,"p":true'
) x where x.n is distinct from x.place;

-- I20 backoff-is-kept: The attempt after a failed one is not recorded before the moment that the policy named, unless what was waited for came.
select x.run_id, x.seq, x.key, x.at, x.not_before from (
  select j.run_id, j.seq, j.key, j.at, case when lag(j.body) over w !~ '^\{"n":\d+,"ms":\d+,"r":\d+,"p":true,"w":' then to_timestamp(substring(lag(j.body) over w from '"r":(\d+)')::bigint / 1000.0) end as not_before
    from longhaul.journal j where j.kind in (10, 11) and j.epoch > 0 window w as (partition by j.run_id, j.key order by j.seq)
) x where x.at < x.not_before - interval '50 milliseconds';

-- I22 cap-is-kept: No more of a tenant's runs are in flight than its cap allows (after a cap is lowered: until enough have ended).
select t.tenant_id, t.cap, count(*) as running
  from longhaul.tenants t join longhaul.lanes n using (tenant_id) join longhaul.live l using (lane_id)
 where l.state = 'running' group by 1, 2 having count(*) > t.cap;

-- I22 gate-is-kept: No more runs have passed a gate (of an agent, of a concurrency key) than it lets through at once.
select g.gate_id, g.agent, g.tenant_id, g.key, g.cap, count(*) as running
  from longhaul.gates g join longhaul.live l on g.gate_id in (l.agent_gate, l.key_gate)
 where l.state = 'running' group by g.gate_id having count(*) > g.cap;

-- I23 slots-do-not-leak: A tenant's count of runs in flight is the number of its running runs.
select t.tenant_id, t.in_flight, coalesce(c.n, 0) as running from longhaul.tenants t
  left join (select n.tenant_id, count(*) as n from longhaul.live l join longhaul.lanes n using (lane_id)
              where l.state = 'running' group by 1) c using (tenant_id)
 where t.in_flight <> coalesce(c.n, 0);

-- I23 gates-do-not-leak: A gate's count of runs in flight is the number of running runs that have passed it.
select g.gate_id, g.in_flight, coalesce(c.n, 0) as running from longhaul.gates g
  left join (select x.gate_id, count(*) as n from longhaul.live l cross join lateral (values (l.agent_gate), (l.key_gate)) x(gate_id)
              where l.state = 'running' group by 1) c using (gate_id)
 where g.in_flight <> coalesce(c.n, 0);

-- I23 unfinished-is-counted: A tenant's count of unfinished runs is the number of them.
select t.tenant_id, t.unfinished, coalesce(c.n, 0) as rows from longhaul.tenants t
  left join (select n.tenant_id, count(*) as n from longhaul.live l join longhaul.lanes n using (lane_id) group by 1) c using (tenant_id)
 where t.unfinished <> coalesce(c.n, 0);

-- I23 ready-is-counted: A lane's count of ready runs is the number of its rows.
select n.lane_id, n.ready, coalesce(c.n, 0) as rows from longhaul.lanes n
  left join (select y.lane_id, count(*) as n from longhaul.ready y group by 1) c using (lane_id)
 where n.ready <> coalesce(c.n, 0);

-- I23 nothing-before-the-front: No ready run of a lane is before its front, where claims begin to look.
select y.run_id, y.lane_id, y.prio, n.prio as front_prio, n.front from longhaul.ready y join longhaul.lanes n using (lane_id)
 where (y.prio, y.run_id) < (n.prio, n.front);

-- I23 turn-is-counted: A turn's counts of ready runs and of open lanes are those of its lanes.
select t.turn_id, t.ready, t.lanes, coalesce(c.ready, 0) as in_lanes, coalesce(c.open, 0) as open from longhaul.turns t
  left join (select n.turn_id, sum(n.ready) as ready, count(*) filter (where n.open) as open from longhaul.lanes n group by 1) c using (turn_id)
 where t.ready <> coalesce(c.ready, 0) or t.lanes <> coalesce(c.open, 0);

-- I23 lane-matches-its-runs: An unfinished run is in a lane of its own queue, tenant, build, agent and key.
select r.run_id, r.lane_id from longhaul.live l join longhaul.runs r using (run_id)
  left join longhaul.lanes n on n.lane_id = l.lane_id left join longhaul.turns t using (turn_id)
 where t.turn_id is null or t.queue <> r.queue or t.tenant_id <> r.tenant_id or t.build <> r.build or n.tenant_id <> r.tenant_id
    or n.agent <> r.agent or n.key <> r.concurrency_key;

-- I23 gates-match-their-lanes: A lane passes the gates of its own agent and key, and those that are declared.
select n.lane_id, n.agent, n.key, n.agent_gate, n.key_gate from longhaul.lanes n join longhaul.agents d using (agent)
  left join longhaul.gates a on a.gate_id = n.agent_gate left join longhaul.gates k on k.gate_id = n.key_gate
 where (d.concurrency is not null) <> (a.gate_id is not null and a.agent = n.agent and a.tenant_id = '')
    or (d.per_key is not null or n.key <> '') <> (k.gate_id is not null and k.agent = n.agent and k.tenant_id = n.tenant_id and k.key = n.key);

-- I23 calls-in-flight-are-counted: Where calls at once are limited, the counter says how many there are, the dead among them.
select q.key, q.used, coalesce(s.n, 0) as slots from longhaul.quotas q
  left join (select c.key, count(*) as n from longhaul.call_slots c group by 1) s using (key)
 where q.used <> coalesce(s.n, 0);

-- I24 one-active-run-per-thread: Of a thread's runs, only the active one is anywhere but in the line.
select l.run_id, l.thread_no, l.state, t.active_run from longhaul.live l left join longhaul.threads t using (thread_no)
 where l.thread_no is not null and l.run_id is distinct from t.active_run
   and not exists (select from longhaul.thread_queue q where q.thread_no = l.thread_no and q.run_id = l.run_id)
   and not (l.state = 'queued' and l.epoch = 0 and exists (select from longhaul.later d where d.run_id = l.run_id));

-- I24 thread-moves-on: A thread's active run is unfinished and its own, and nobody stands in line before a free thread.
select t.thread_no, t.active_run, (select count(*) from longhaul.thread_queue q where q.thread_no = t.thread_no) as waiting
  from longhaul.threads t left join longhaul.live l on l.run_id = t.active_run
 where (t.active_run is not null and l.thread_no is distinct from t.thread_no)
    or (t.active_run is null and exists (select from longhaul.thread_queue q where q.thread_no = t.thread_no));

-- I24 thread-line-is-true: Who stands in a thread's line is a queued run of that thread that never started, and is not the active one.
select q.thread_no, q.seq, q.run_id from longhaul.thread_queue q
  left join longhaul.live l using (run_id) left join longhaul.threads t on t.thread_no = q.thread_no
 where l.state is distinct from 'queued' or l.epoch <> 0 or l.thread_no <> q.thread_no or t.active_run = q.run_id;

-- I24 thread-in-order: Runs of a thread start in the order in which they came, each after the end of the one before.
select x.run_id, x.before, x.started_at from (
  select r.run_id, lag(r.run_id) over w as before,
         (select min(j.at) from longhaul.journal j where j.run_id = r.run_id and j.kind = 1) as started_at
    from longhaul.runs r where r.thread_id is not null and r.run_at is null window w as (partition by r.tenant_id, r.thread_id order by r.thread_seq)
) x left join longhaul.outcomes o on o.run_id = x.before
 where x.before is not null and x.started_at is not null and (o.run_id is null or o.finished_at > x.started_at);

-- I26 work-is-offered: A turn with open lanes is offered to workers unless its tenant is full or paused.
select u.turn_id, u.ready, u.lanes, u.runnable, t.in_flight, t.cap from longhaul.turns u left join longhaul.tenants t using (tenant_id)
 where t.tenant_id is null or (u.runnable and u.lanes = 0) or (u.lanes > 0 and not u.runnable and t.in_flight < t.cap and not t.paused);

-- I26 lane-is-open: A lane with ready runs is open unless the gate of its key is full (an agent's limit offers its slots within a second).
select n.lane_id, n.ready, n.agent_gate, n.key_gate from longhaul.lanes n
  left join longhaul.gates k on k.gate_id = n.key_gate left join longhaul.gates a on a.gate_id = n.agent_gate
 where n.ready > 0 and not n.open and a.gate_id is null and (k.gate_id is null or k.in_flight < k.cap);

-- I28 timer-is-set: A sleeping run with a due time has a timer that rings no later.
select w.run_id, min(w.due_at) as due_at, d.due_at as rings_at from longhaul.waits w left join longhaul.later d using (run_id)
 where w.due_at is not null group by w.run_id, d.due_at having d.due_at is null or d.due_at > min(w.due_at);

-- I28 timer-is-not-early: A wait ends by time only when its time has come.
select j.run_id, j.key, j.at, to_timestamp(substring(w.body from '"due":(\d+)')::bigint / 1000.0) as due_at
  from longhaul.journal j join longhaul.journal w on w.run_id = j.run_id and w.key = j.key and w.kind = 13
 where j.kind = 14 and j.epoch > 0 and starts_with(j.body, '{"by":"time"')
   and j.at < to_timestamp(substring(w.body from '"due":(\d+)')::bigint / 1000.0) - interval '50 milliseconds';

-- I28 timer-is-not-lost: While some worker looks around, no timer is overdue for longer than a minute.
select d.run_id, d.due_at from longhaul.later d
 where d.due_at < clock_timestamp() - interval '1 minute'
   and exists (select from longhaul.workers w where w.state = 'active' and w.seen_at > clock_timestamp() - interval '15 seconds'
                 and w.started_at < clock_timestamp() - interval '1 minute');

-- I30 answered-once: The answer to a question is told once: it lies in the inbox, or is journaled, or the run has ended.
select a.approval_id, a.run_id, a.status, x.told, x.journaled from longhaul.approvals a join longhaul.live l using (run_id)
 cross join lateral (
   select (select count(*) from longhaul.inbox i where i.run_id = a.run_id and i.key = 'approval:' || a.approval_id) as told,
          (select count(*) from longhaul.journal j where j.run_id = a.run_id and j.kind = 14 and j.key = a.step_key) as journaled
 ) x
 where x.told + x.journaled <> case a.status when 'pending' then 0 else 1 end;

-- I30 answer-matches: A question that ran out of time is journaled so, and one that was answered is not.
select a.approval_id, a.run_id, a.status, left(j.body, 40) as body from longhaul.approvals a
  join longhaul.journal j on j.run_id = a.run_id and j.key = a.step_key and j.kind = 14
 where starts_with(j.body, '{"by":"time"') <> (a.status = 'expired');

-- I30 question-ends-with-run: No question of an ended run is still open, and none is withdrawn while its run goes on.
select a.approval_id, a.run_id, a.status from longhaul.approvals a left join longhaul.live l using (run_id)
 where (a.status = 'pending' and l.run_id is null) or (a.status = 'cancelled' and l.run_id is not null);

-- I32 question-is-journaled: A question is bound to one wait of one run, whose journal names it.
select a.approval_id, a.run_id, a.step_key from longhaul.approvals a
 where not exists (select from longhaul.journal j where j.run_id = a.run_id and j.kind = 13 and j.key = a.step_key
                      and position(a.approval_id::text in j.body) > 0);

-- I31 no-message-is-slept-through: No run sleeps while a message that it waits for, or that calls it back, lies in its inbox.
select l.run_id, i.seq, i.key from longhaul.live l join longhaul.inbox i using (run_id)
 where l.state = 'waiting'
   and (i.kind = 'nudge' or exists (select from longhaul.waits w where w.run_id = i.run_id and w.key = i.key));

-- I31 inbox-is-numbered: Messages are numbered within what the run's row says.
select i.run_id, i.seq, l.inbox_seq from longhaul.inbox i left join longhaul.live l using (run_id)
 where l.run_id is null or i.seq < 1 or i.seq > l.inbox_seq;

-- I34 waiting-costs-a-row: A run that waits, is queued or is paused holds no worker, and waits for something it can get.
select l.run_id, l.state, l.worker_id, l.need, (select count(*) from longhaul.waits w where w.run_id = l.run_id) as waits from longhaul.live l
 where (l.state <> 'running' and (l.worker_id is not null or l.expires_at is not null or l.claimed_at is not null))
    or (l.state = 'waiting' and (l.need < 1 or l.need > (select count(*) from longhaul.waits w where w.run_id = l.run_id)));

-- I34 only-the-waiting-wait: Waits belong to waiting runs, timers also to those that were delayed, or are kept apart after a crash.
select w.run_id, 'waits' as place, l.state from longhaul.waits w left join longhaul.live l using (run_id) where l.state is distinct from 'waiting'
union all
select d.run_id, 'later', l.state from longhaul.later d left join longhaul.live l using (run_id)
 where l.state is null or not (l.state = 'waiting' or (l.state = 'queued' and (l.epoch = 0 or l.crashes > 0)));

-- I43 journal-has-no-gap: The entries of a run count from one to the number in its row.
select r.run_id, coalesce(j.n, 0) as entries, j.last, coalesce(l.journal_seq, o.entries) as told
  from longhaul.runs r left join longhaul.live l using (run_id) left join longhaul.outcomes o using (run_id)
  left join (select k.run_id, count(*) as n, max(k.seq) as last from longhaul.journal k group by 1) j using (run_id)
 where coalesce(j.n, 0) <> coalesce(j.last, 0) or coalesce(j.last, 0) <> coalesce(l.journal_seq, o.entries);

-- I48 tokens-die: While some worker looks around, nothing that a step has streamed outlives the stay of its run by half an hour.
select t.run_id, t.key, t.at from longhaul.tokens t
 where t.at < clock_timestamp() - interval '30 minutes'
   and not exists (select from longhaul.live l where l.run_id = t.run_id and l.epoch = t.epoch and l.state = 'running')
   and exists (select from longhaul.workers w where w.state = 'active' and w.seen_at > clock_timestamp() - interval '15 seconds'
                 and w.started_at < clock_timestamp() - interval '30 minutes');

-- I54 values-are-there: Every value that lies apart can be read.
select x.run_id, x.place, x.hash from (
  select r.run_id, r.tenant_id, 'input' as place, r.input_blob as hash from longhaul.runs r where r.input_blob is not null
  union all select o.run_id, o.tenant_id, 'output', o.output_blob from longhaul.outcomes o where o.output_blob is not null
  union all select a.run_id, a.tenant_id, 'approval', a.request_blob from longhaul.approvals a where a.request_blob is not null
  union all select j.run_id, r.tenant_id, 'entry ' || j.seq, j.blob from longhaul.journal j join longhaul.runs r using (run_id) where j.blob is not null
  union all select i.run_id, r.tenant_id, 'message ' || i.seq, i.blob from longhaul.inbox i join longhaul.runs r using (run_id) where i.blob is not null
  union all select t.active_run, t.tenant_id, 'thread ' || t.thread_no, t.state_blob from longhaul.threads t where t.state_blob is not null
) x where not exists (select from longhaul.blobs b where b.tenant_id = x.tenant_id and b.hash = x.hash);

-- I54 letters-are-of-the-dead: A dead letter belongs to a run that failed.
select d.run_id, o.status from longhaul.dead_letters d left join longhaul.outcomes o using (run_id) where o.status is distinct from 'failed';

-- I54 trees-are-whole: Of a tree of runs either all are there or none, and what is dropped is not there in part.
select r.run_id, r.root_id, r.parent_id from longhaul.runs r
 where not exists (select from longhaul.runs t where t.run_id = r.root_id)
    or (r.parent_id is not null and not exists (select from longhaul.runs t where t.run_id = r.parent_id))
    or exists (select from longhaul.leftovers d where d.run_id = r.run_id);

-- I54 nothing-is-orphaned: A cascade belongs to an ended run.
select c.parent_id from longhaul.cancel_cascade c where not exists (select from longhaul.outcomes o where o.run_id = c.parent_id);

-- I54 places-are-cleared: While some worker keeps house, no place in the line of a quota is kept for an hour after its time.
select b.call_key, b.target, to_timestamp(b.ready_at / 1000) as ready_at from longhaul.bookings b
 where b.ready_at < extract(epoch from clock_timestamp() - interval '1 hour') * 1000
   and exists (select from longhaul.workers w where w.state = 'active' and w.seen_at > clock_timestamp() - interval '15 seconds'
                 and w.started_at < clock_timestamp() - interval '1 hour');

-- I55 accounts-close: Per tenant, runs taken in = succeeded + failed + cancelled + queued + running + waiting + paused.
select t.tenant_id, t.created, coalesce(e.n, 0) as ended, coalesce(u.n, 0) as unfinished
  from (select r.tenant_id, count(*) as created from longhaul.runs r group by 1) t
  left join (select o.tenant_id, count(*) as n from longhaul.outcomes o group by 1) e using (tenant_id)
  left join (select r.tenant_id, count(*) as n from longhaul.live l join longhaul.runs r using (run_id) group by 1) u using (tenant_id)
 where t.created <> coalesce(e.n, 0) + coalesce(u.n, 0);

-- I55 held-is-what-accounts-hold: What is set aside of a budget is what the accounts below it hold.
with recursive above as (
  select a.account_id, a.budget_id from longhaul.budget_accounts a where a.budget_id is not null
  union all select x.account_id, b.parent_id from above x join longhaul.budgets b on b.budget_id = x.budget_id where b.parent_id is not null
)
select b.budget_id, b.kind, b.held, s.held as of_accounts from longhaul.budgets b
  left join (select x.budget_id, longhaul.total(a.held) as held from above x join longhaul.budget_accounts a using (account_id) group by 1) s using (budget_id)
 where b.held <> coalesce(s.held, longhaul.none());

-- I55 spent-is-what-accounts-rolled: What is spent of a budget is what the accounts below it have rolled, and what dropped ones had.
with recursive above as (
  select a.account_id, a.budget_id from longhaul.budget_accounts a where a.budget_id is not null
  union all select x.account_id, b.parent_id from above x join longhaul.budgets b on b.budget_id = x.budget_id where b.parent_id is not null
)
select b.budget_id, b.kind, b.spent, b.dropped, s.rolled from longhaul.budgets b
  left join (select x.budget_id, longhaul.total(a.rolled) as rolled from above x join longhaul.budget_accounts a using (account_id) group by 1) s using (budget_id)
 where b.spent <> longhaul.plus(b.dropped, coalesce(s.rolled, longhaul.none()));

-- I55 spent-is-what-calls-cost: What an account has spent is what its closed calls cost, and it has counted them.
select a.account_id, a.spent, a.calls, c.cost, c.n from longhaul.budget_accounts a
  left join (select x.account_id, count(*)::int as n, longhaul.total((x.input_tokens, x.output_tokens, x.nano_usd, 0)::longhaul.spend) as cost
               from longhaul.calls x where x.state <> 'open' group by 1) c using (account_id)
 where exists (select from longhaul.runs r where r.run_id = a.account_id)
   and ((a.spent).input, (a.spent).output, (a.spent).nano_usd, 0)::longhaul.spend <> coalesce(c.cost, longhaul.none()) or a.calls < coalesce(c.n, 0);

-- I55 steps-are-counted: What an account has counted as steps are steps of its run's journal.
select a.account_id, a.spent, a.counted_seq, j.n from longhaul.budget_accounts a
 cross join lateral (select count(*) as n from longhaul.journal j
                      where j.run_id = a.account_id and j.seq <= a.counted_seq and j.kind = 10 and j.epoch > 0 and left(j.body, 6) <> '{"c":0') j
 where (a.spent).steps <> j.n and exists (select from longhaul.runs r where r.run_id = a.account_id);

-- I55 budgets-are-there: An account and a budget draw on budgets that are there, and of their tenant.
select a.account_id as drawing, a.budget_id from longhaul.budget_accounts a left join longhaul.budgets b using (budget_id)
 where a.budget_id is not null and b.tenant_id is distinct from a.tenant_id
union all
select c.budget_id, c.parent_id from longhaul.budgets c left join longhaul.budgets b on b.budget_id = c.parent_id
 where c.parent_id is not null and b.tenant_id is distinct from c.tenant_id;

-- I55 charged-once-ended: A run that ended with calls or spend has a charge of just that; a run that goes on has none.
select a.account_id, a.spent, a.calls, c.run_id as charge from longhaul.budget_accounts a
  join longhaul.outcomes o on o.run_id = a.account_id left join longhaul.charges c on c.run_id = a.account_id
 where (a.calls > 0 or a.spent <> longhaul.none())
   and (c.run_id is null or (c.input_tokens, c.output_tokens, c.nano_usd, c.steps)::longhaul.spend <> a.spent or c.calls <> a.calls)
union all
select l.run_id, null, null, c.run_id from longhaul.charges c join longhaul.live l using (run_id);

-- I55 ended-runs-owe-nothing: A run that has ended holds nothing, has rolled what it spent, and has no call under way.
select a.account_id, a.held, a.spent, a.rolled, (select count(*) from longhaul.calls c where c.account_id = a.account_id and c.state = 'open') as open
  from longhaul.budget_accounts a join longhaul.outcomes o on o.run_id = a.account_id
 where (a.budget_id is not null and (a.held <> longhaul.none() or a.spent <> a.rolled))
    or exists (select from longhaul.calls c where c.account_id = a.account_id and c.state = 'open');

-- I55 nothing-held-asleep: A run that is in nobody's hands holds no more than its calls under way may cost.
select a.account_id, a.held, l.state from longhaul.budget_accounts a join longhaul.live l on l.run_id = a.account_id
 where l.state <> 'running' and a.budget_id is not null and a.held <> longhaul.less_of(a.held, longhaul.under_way(a.account_id));
