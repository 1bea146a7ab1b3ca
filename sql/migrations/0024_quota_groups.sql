-- Calls that ask at the same moment ask together: one commit, and one lock of each quota, instead of one each. Hundreds of runs of a worker that wait for one
-- model wait for one row otherwise, one after the other.

-- As `reserve_quota`, for many calls, in their order: [{ call, target, keys, amounts, declared, book, holder }]. What became of earlier calls is told first.
create function longhaul.reserve_quotas(p_asks jsonb, p_slot_ms float8, p_horizon_ms float8, p_told jsonb)
returns setof longhaul.quota_answer language plpgsql set plan_cache_mode = force_generic_plan as $$
declare a record; wanted text[]; answer longhaul.quota_answer;
begin
  wanted := array(select distinct k from jsonb_to_recordset(p_asks) x(keys text[]) cross join unnest(x.keys) k);
  if p_told is not null then
    perform longhaul.settle_quotas(p_told, wanted);
  else
    perform 1 from longhaul.quotas q where q.key = any(wanted) order by q.key for update;
  end if;
  for a in
    select x.* from jsonb_to_recordset(p_asks) x(call text, target text, keys text[], amounts float8[], declared int, book boolean, holder uuid)
  loop
    answer := longhaul.reserve_quota(a.call, a.target, a.keys, a.amounts, a.declared, a.book, a.holder, p_slot_ms, p_horizon_ms, null, null, null, null);
    return next answer;
  end loop;
end $$;
