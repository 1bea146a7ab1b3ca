-- A plan made while a table was small stays in every connection until the table is analyzed again, up to a minute or more later.
-- These tables grow a thousandfold in seconds (100,000 runs begin to wait), and shrink again: a statement that once chose to
-- read the whole table would do so for each step meanwhile. What a planner takes for small is the number of pages on disk, so
-- each table gets some now, empty, and keeps what it has: then the index is the cheaper way from the first statement on.

create index journal_checkpoints on longhaul.journal (run_id, seq) where kind = 16;

alter table longhaul.tenants   set (vacuum_truncate = off);
alter table longhaul.gates     set (vacuum_truncate = off);
alter table longhaul.turns     set (vacuum_truncate = off);
alter table longhaul.lanes     set (vacuum_truncate = off);
alter table longhaul.threads   set (vacuum_truncate = off);
alter table longhaul.thread_queue set (vacuum_truncate = off);
alter table longhaul.approvals set (vacuum_truncate = off);
alter table longhaul.runs      set (vacuum_truncate = off);
alter table longhaul.live      set (vacuum_truncate = off);
alter table longhaul.outcomes  set (vacuum_truncate = off);
alter table longhaul.ready     set (vacuum_truncate = off);
alter table longhaul.later     set (vacuum_truncate = off);
alter table longhaul.expiries  set (vacuum_truncate = off);
alter table longhaul.dead_letters set (vacuum_truncate = off);
alter table longhaul.journal   set (vacuum_truncate = off);
alter table longhaul.inbox     set (vacuum_truncate = off);
alter table longhaul.waits     set (vacuum_truncate = off);

-- 64 pages and more each: rows below 2 kB stay in the page uncompressed. The ids are none that a run can have by chance.
create function longhaul.filler(n int) returns setof uuid language sql as $$
  select ('00000000-0000-0000-0000-' || lpad(to_hex(i), 12, '0'))::uuid from generate_series(1, n) i
$$;
insert into longhaul.tenants (tenant_id) select id || repeat('-', 1900) from longhaul.filler(128) id;
insert into longhaul.gates (gate_id, agent, key, cap) overriding system value
select -row_number() over (), '', id || repeat('-', 1900), 0 from longhaul.filler(128) id;
insert into longhaul.turns (turn_id, queue, tenant_id, build, band) overriding system value
select -row_number() over (), '', id || repeat('-', 1900), '', 0 from longhaul.filler(128) id;
insert into longhaul.lanes (lane_id, turn_id, tenant_id, agent) overriding system value
select -row_number() over (), 0, '', id || repeat('-', 1900) from longhaul.filler(128) id;
insert into longhaul.threads (thread_no, tenant_id, thread_id, agent) overriding system value
select -row_number() over (), '', id, repeat('-', 1900) from longhaul.filler(192) id;
insert into longhaul.thread_queue (thread_no, seq, run_id) select -row_number() over (), 0, id from longhaul.filler(10000) id;
insert into longhaul.approvals (approval_id, run_id, tenant_id, step_key, kind, name, request_hash)
select id, id, '', '', 'approval', repeat('-', 1900), '' from longhaul.filler(256) id;
insert into longhaul.runs (run_id, root_id, lane_id, tenant_id, agent, build, queue)
select id, id, 0, '', repeat('-', 1900), '', '' from longhaul.filler(256) id;
insert into longhaul.live (run_id, lane_id, state, cancel) select id, 0, 'queued', repeat('-', 1900) from longhaul.filler(192) id;
insert into longhaul.outcomes (run_id, epoch, entries, tenant_id, status, reason)
select id, 0, 0, '', 'cancelled', repeat('-', 1900) from longhaul.filler(256) id;
insert into longhaul.ready (lane_id, prio, run_id) select 0, 0, id from longhaul.filler(10000) id;
insert into longhaul.later (run_id, due_at) select id, 'infinity' from longhaul.filler(10000) id;
insert into longhaul.expiries (run_id, start_by) select id, 'infinity' from longhaul.filler(10000) id;
insert into longhaul.dead_letters (run_id, tenant_id, agent, queue, code) select id, '', '', '', repeat('-', 1900) from longhaul.filler(256) id;
insert into longhaul.journal (run_id, seq, epoch, kind, body) select id, 1, 0, 0, repeat('-', 1900) from longhaul.filler(256) id;
insert into longhaul.inbox (run_id, seq, kind, key) select id, 1, 'nudge', repeat('-', 1900) from longhaul.filler(256) id;
insert into longhaul.waits (run_id, key, label) select id, '', repeat('-', 1900) from longhaul.filler(256) id;

delete from longhaul.tenants   where tenant_id in (select id || repeat('-', 1900) from longhaul.filler(128) id);
delete from longhaul.gates     where gate_id < 0;
delete from longhaul.turns     where turn_id < 0;
delete from longhaul.lanes     where lane_id < 0;
delete from longhaul.threads   where thread_no < 0;
delete from longhaul.thread_queue where thread_no < 0;
delete from longhaul.approvals where approval_id in (select longhaul.filler(256));
delete from longhaul.runs      where run_id in (select longhaul.filler(256));
delete from longhaul.live      where run_id in (select longhaul.filler(256));
delete from longhaul.outcomes  where run_id in (select longhaul.filler(256));
delete from longhaul.ready     where run_id in (select longhaul.filler(10000));
delete from longhaul.later     where run_id in (select longhaul.filler(10000));
delete from longhaul.expiries  where run_id in (select longhaul.filler(10000));
delete from longhaul.dead_letters where run_id in (select longhaul.filler(256));
delete from longhaul.journal   where run_id in (select longhaul.filler(256));
delete from longhaul.inbox     where run_id in (select longhaul.filler(256));
delete from longhaul.waits     where run_id in (select longhaul.filler(256));
drop function longhaul.filler(int);
