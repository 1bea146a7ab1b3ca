-- Budgets of time that may be raised: they too are told with the claim, so that what begins after their end asks first. Until now a run
-- that had something left in its hold, or steps that nobody limits, went on for as long as it liked.

-- What a worker has to know of the budgets above a run it has claimed. wall_at is the earliest end of all; which of them end the run then, and which
-- make it ask, it looks up when it comes to that. A step has to ask where steps are limited, or where time may be raised.
create or replace function longhaul.terms(p_budget uuid) returns table (wall_at timestamptz, wall_ms bigint, wall_budget uuid, counts_usd boolean, counts_steps boolean)
language plpgsql stable as $$
#variable_conflict use_column
declare above uuid[] := longhaul.budgets_above(p_budget);
begin
  return query
    select w.ends_at, w.wall_ms, w.budget_id, bool_or((b.limits).nano_usd is not null),
           bool_or((b.limits).steps is not null or (b.ends_at is not null and b.on_exceeded = 'ask'))
      from longhaul.budgets b left join (
        select x.ends_at, x.wall_ms, x.budget_id from longhaul.budgets x
         where x.budget_id = any(above) and x.ends_at is not null order by x.ends_at limit 1) w on true
     where b.budget_id = any(above) group by 1, 2, 3;
end $$;
