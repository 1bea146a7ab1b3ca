-- A new run from the journal of another: what was recorded up to a point is kept, everything after it happens anew.

-- Copies the entries in p_keep (source seqs, in order), renumbered from 1, under epoch 0. The new run has no parent and no thread.
-- What its tenant's plan does not allow is the error LH429, whose message says which ('full', 'rate') and whose detail how long (ms).
create function longhaul.fork(p_new uuid, p_source uuid, p_keep int[], p_new_input boolean, p_input text, p_input_blob text) returns boolean language plpgsql as $$
declare r longhaul.runs; why text; wait_ms int; own record; above uuid;
begin
  -- a repeat after a lost answer
  if exists (select 1 from longhaul.runs x where x.run_id = p_new) then return true; end if;
  select * into r from longhaul.runs x where x.run_id = p_source;
  if not found then return false; end if;
  -- it stands where the source stood: with a fresh budget like the source's own, below the same, or below what the source drew on
  select b.budget_id, b.parent_id into own from longhaul.budgets b where b.budget_id = p_source;
  above := case when own.budget_id is not null then own.parent_id else (select b.budget_id from longhaul.budgets b where b.budget_id = r.budget_id) end;
  select s.refused, s.retry_ms into why, wait_ms from longhaul.submit(
    array[p_new], array[p_new], array[null::uuid], array[null::text], array[0::smallint], array[false], array[p_source],
    array[r.tenant_id], array[r.agent], array[r.build], array[r.queue],
    array[(select t.band from longhaul.lanes n join longhaul.turns t using (turn_id) where n.lane_id = r.lane_id)], array[r.concurrency_key], array[r.priority], array[null::uuid], array[false],
    array[null::text], array[null::text], array[case when p_new_input then p_input else r.input end],
    array[case when p_new_input then p_input_blob else r.input_blob end], array[r.options::text], array[r.metadata::text], array[null::timestamptz], array[null::timestamptz],
    array[longhaul.declared(p_source)], array[above], true) s;
  if why is not null then raise exception '%', why using errcode = 'LH429', detail = wait_ms; end if;
  insert into longhaul.journal (run_id, seq, epoch, kind, key, body, blob, at)
  select p_new, k.place, 0, j.kind, j.key, j.body, j.blob, j.at
    from unnest(p_keep) with ordinality k(seq, place) join longhaul.journal j on j.run_id = p_source and j.seq = k.seq;
  -- says that the budget is still drawn on, whatever becomes of the tree that it belongs to
  if own.budget_id is null and above is not null then perform longhaul.open_account(p_new); end if;
  update longhaul.live x set journal_seq = coalesce(cardinality(p_keep), 0), claim_seq = coalesce(cardinality(p_keep), 0) where x.run_id = p_new;
  return true;
end $$;

-- The same, for a run that failed for good: its dead letter leaves the list in the transaction in which the new run enters. With
-- p_letter_only nothing happens where there is no letter any more: somebody else has dealt with it. A repeat finds the new run.
create function longhaul.revive(
  p_new uuid, p_source uuid, p_keep int[], p_new_input boolean, p_input text, p_input_blob text, p_letter_only boolean
) returns boolean language plpgsql as $$
begin
  if exists (select 1 from longhaul.runs x where x.run_id = p_new) then return true; end if;
  -- nobody drops the tree of the source before it is copied
  perform 1 from longhaul.runs t where t.run_id = (select s.root_id from longhaul.runs s where s.run_id = p_source) for key share;
  if not found then return false; end if;
  delete from longhaul.dead_letters d where d.run_id = p_source;
  if not found and p_letter_only then
    -- whoever was waited for may have been a repeat of this very call
    return exists (select 1 from longhaul.runs x where x.run_id = p_new);
  end if;
  return longhaul.fork(p_new, p_source, p_keep, p_new_input, p_input, p_input_blob);
end $$;
