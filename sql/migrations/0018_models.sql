-- What has been learned about models, so that a new process estimates as well as an old one: tokens per estimated token, and a histogram of the
-- lengths of answers (src/gateway/output-histogram.ts).
create table longhaul.model_factors (
  model      text not null,
  feature    text not null default '',
  factor     float8 not null constraint factor_positive check (factor > 0),
  weight     float8 not null constraint weight_not_negative check (weight >= 0),
  outputs    float8[] not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (model, feature)
);

-- Like the others in 0009: some empty pages, so that no plan ever takes these tables for small ones. They grow from nothing when the first agent
-- that asks models is deployed.
alter table longhaul.budgets         set (vacuum_truncate = off);
alter table longhaul.budget_accounts set (vacuum_truncate = off);
alter table longhaul.calls           set (vacuum_truncate = off);
alter table longhaul.charges         set (vacuum_truncate = off);
alter table longhaul.tokens          set (vacuum_truncate = off);

create function longhaul.filler(n int) returns setof uuid language sql as $$
  select ('00000000-0000-0000-0000-' || lpad(to_hex(i), 12, '0'))::uuid from generate_series(1, n) i
$$;
insert into longhaul.budgets (budget_id, tenant_id, kind, limits) select id, repeat('-', 1900), 'run', longhaul.none() from longhaul.filler(128) id;
insert into longhaul.budget_accounts (account_id, tenant_id) select id, repeat('-', 1900) from longhaul.filler(128) id;
insert into longhaul.calls (call_id, est_input, est_output, est_nano_usd, attempt, tenant_id, call_key, provider, model)
select id, 0, 0, 0, 1, '', repeat('-', 1500), '', '' from longhaul.filler(320) id;
insert into longhaul.charges (run_id, tenant_id, agent, root_id, input_tokens, output_tokens, nano_usd, steps, calls, finished_at)
select id, '', repeat('-', 1900), id, 0, 0, 0, 0, 0, clock_timestamp() from longhaul.filler(192) id;
insert into longhaul.tokens (run_id, epoch, n, take, pos, after_seq, attempt, key, body)
select id, 0, 0, 0, 0, 0, 1, '', repeat('-', 1900) from longhaul.filler(256) id;
delete from longhaul.budgets         where budget_id in (select longhaul.filler(128));
delete from longhaul.budget_accounts where account_id in (select longhaul.filler(128));
delete from longhaul.calls           where call_id in (select longhaul.filler(320));
delete from longhaul.charges         where run_id in (select longhaul.filler(192));
delete from longhaul.tokens          where run_id in (select longhaul.filler(256));
drop function longhaul.filler(int);
