-- What steps are writing at this moment, token by token: gone when the record of the step is in the journal, which has it all.
-- Nothing here is durable (UNLOGGED, commits do not wait for the disk), and whoever reads it can do without.

-- A piece of a message. n numbers the blocks of a run under one epoch. take counts the beginnings of messages of the run under that
-- epoch; a later take of the same key replaces an earlier one. pos is where the piece begins in its take: 0 is the beginning.
-- after_seq is the last journal entry before the take began.
create unlogged table longhaul.tokens (
  run_id    uuid not null,
  at        timestamptz not null default clock_timestamp(),
  epoch     int not null,
  n         int not null,
  take      int not null,
  pos       int not null constraint pos_not_negative check (pos >= 0),
  after_seq int not null,
  attempt   smallint not null,
  key       text not null,
  body      text not null,
  primary key (run_id, epoch, n)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- All that one worker has to say at one moment: new blocks (b_*) of the runs it still holds, and messages (d_*) that are recorded or
-- dead (key null: all of the run). A repeat after a lost answer changes nothing.
create function longhaul.write_tokens(
  b_run uuid[], b_epoch int[], b_n int[], b_take int[], b_pos int[], b_after_seq int[], b_attempt smallint[], b_key text[], b_body text[],
  d_run uuid[], d_epoch int[], d_key text[]
) returns void language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  perform set_config('synchronous_commit', 'off', true);
  if cardinality(d_run) > 0 then
    delete from longhaul.tokens t using unnest(d_run, d_epoch, d_key) d(run_id, epoch, key)
     where t.run_id = d.run_id and t.run_id = any(d_run) and t.epoch <= d.epoch and (d.key is null or t.key = d.key);
  end if;
  if cardinality(b_run) = 0 then return; end if;
  if 0 = any(b_pos) then
    delete from longhaul.tokens t using unnest(b_run, b_epoch, b_take, b_pos, b_key) b(run_id, epoch, take, pos, key)
     where b.pos = 0 and t.run_id = b.run_id and t.run_id = any(b_run) and t.key = b.key and (t.epoch, t.take) < (b.epoch, b.take);
  end if;
  insert into longhaul.tokens (run_id, epoch, n, take, pos, after_seq, attempt, key, body)
  select b.* from unnest(b_run, b_epoch, b_n, b_take, b_pos, b_after_seq, b_attempt, b_key, b_body)
      b(run_id, epoch, n, take, pos, after_seq, attempt, key, body)
    join longhaul.live l on l.run_id = b.run_id and l.run_id = any(b_run) and l.epoch = b.epoch and l.state = 'running'
      on conflict do nothing;
end $$;

-- What nobody will delete any more: blocks of workers that died, or lost the run.
create function longhaul.sweep_tokens(p_older_ms int) returns int language plpgsql as $$
declare n int;
begin
  perform set_config('synchronous_commit', 'off', true);
  delete from longhaul.tokens t
   where t.at < clock_timestamp() - p_older_ms * interval '1 millisecond'
     and not exists (select from longhaul.live l where l.run_id = t.run_id and l.epoch = t.epoch and l.state = 'running');
  get diagnostics n = row_count;
  return n;
end $$;
