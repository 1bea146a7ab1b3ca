--! compatible
-- A run without a budget has no terms, and nobody is asked for them. The condition at the call did not see to that: the planner makes it
-- a filter of the join, behind the call, and a claim of 50 spent more than half of its time there.
alter function longhaul.terms(uuid) strict;
