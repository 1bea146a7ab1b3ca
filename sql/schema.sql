-- The whole schema of Longhaul as it is after all migrations: for reading, never applied by the program.
-- Made by `npm run schema` from a migrated database; a test keeps it true. The reasons are told in sql/migrations/.

set check_function_bodies = off;

create schema longhaul;

create type longhaul.item as (
  lane_id integer,
  prio smallint,
  run_id uuid
);

create type longhaul.ending as (
  run_id uuid,
  status text,
  reason text,
  output text,
  output_blob text,
  failure text,
  active_ms bigint,
  entries integer
);

create type longhaul.spend as (
  input bigint,
  output bigint,
  nano_usd bigint,
  steps bigint
);

create type longhaul.counted as (
  last integer,
  n bigint
);

create type longhaul.drawn as (
  verdict text,
  granted spend,
  room spend,
  tight boolean,
  budget_id uuid,
  dimension text,
  allowed bigint,
  used bigint,
  set_aside bigint,
  asked bigint,
  on_exceeded text,
  final boolean
);

create type longhaul.quota_answer as (
  verdict text,
  ready_at double precision,
  wait_ms double precision,
  key text,
  limit_ double precision
);

create or replace function longhaul."none"()
 returns spend
 language sql
 immutable
as $function$ select (0, 0, 0, 0)::longhaul.spend $function$;

create table longhaul.agents (
  agent       text not null,
  concurrency integer,
  per_key     integer,
  constraint agents_pkey primary key (agent),
  constraint concurrency_not_negative check ((concurrency >= 0)),
  constraint per_key_not_negative check ((per_key >= 0))
);

create table longhaul.alerts (
  queue     text not null,
  build     text not null,
  kind      text not null,
  sla_ms    bigint not null,
  raised_at timestamptz not null default clock_timestamp(),
  constraint alerts_pkey primary key (queue, build, kind),
  constraint alert_kind_is_known check ((kind = any (array['late'::text, 'unserved'::text])))
);

create table longhaul.answers (
  answer_key  bytea not null,
  tenant_id   text not null,
  state       text not null,
  owner       uuid not null,
  lease_until timestamptz not null,
  made_at     timestamptz,
  expires_at  timestamptz not null,
  value       text,
  constraint answers_pkey primary key (answer_key),
  constraint answer_state_is_known check ((state = any (array['pending'::text, 'done'::text, 'failed'::text]))),
  constraint done_has_value check (((state = 'done'::text) = (value is not null)))
) with (fillfactor=80, autovacuum_vacuum_scale_factor=0.05, vacuum_truncate=off);
create index answers_expiring on longhaul.answers using btree (expires_at);

create table longhaul.api_keys (
  key_id       text not null,
  tenant_id    text not null,
  secret_hash  bytea not null,
  name         text,
  scopes       text[] not null,
  created_at   timestamptz not null default clock_timestamp(),
  created_by   text not null,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  revoked_by   text,
  replaced_by  text,
  last_used_at timestamptz,
  constraint api_keys_pkey primary key (key_id),
  constraint expires_after_creation check ((expires_at > created_at)),
  constraint key_id_is_letters_and_digits check ((key_id ~ '^[0-9A-Za-z]{11}$'::text)),
  constraint key_opens_something check ((cardinality(scopes) > 0)),
  constraint only_the_hash_is_kept check ((octet_length(secret_hash) = 32)),
  constraint replaced_key_ends check (((replaced_by is null) or (expires_at is not null) or (revoked_at is not null))),
  constraint scopes_are_known check ((scopes <@ array['runs:read'::text, 'runs:write'::text, 'approvals'::text, 'models'::text, 'admin'::text])),
  constraint somebody_revoked_it check (((revoked_at is null) = (revoked_by is null)))
) with (fillfactor=70);
create index api_keys_newest on longhaul.api_keys using btree (created_at desc, key_id desc);
create index api_keys_of_tenant on longhaul.api_keys using btree (tenant_id, created_at desc, key_id desc);

create table longhaul.approvals (
  approval_id  uuid not null,
  run_id       uuid not null,
  requested_at timestamptz not null default clock_timestamp(),
  expires_at   timestamptz,
  resolved_at  timestamptz,
  tenant_id    text not null,
  step_key     text not null,
  kind         text not null,
  name         text not null,
  request      text,
  request_blob text,
  request_hash text not null,
  status       text not null default 'pending'::text,
  resolved_by  text,
  answer       text,
  constraint approvals_pkey primary key (approval_id),
  constraint approval_kind_is_known check ((kind = any (array['approval'::text, 'interrupt'::text]))),
  constraint approval_status_is_known check ((status = any (array['pending'::text, 'approved'::text, 'denied'::text, 'expired'::text, 'cancelled'::text]))),
  constraint resolved_iff_not_pending check (((status = 'pending'::text) = (resolved_at is null)))
) with (vacuum_truncate=off);
create index approvals_blobs on longhaul.approvals using btree (request_blob) where (request_blob is not null);
create index approvals_of_run on longhaul.approvals using btree (run_id);
create index approvals_pending on longhaul.approvals using btree (tenant_id, approval_id) where (status = 'pending'::text);

create table longhaul.batch_items (
  item_id            uuid not null,
  run_id             uuid not null,
  batch_id           uuid,
  created_at         timestamptz not null default clock_timestamp(),
  due_at             timestamptz not null,
  deadline_at        timestamptz,
  est_input          bigint not null default 0,
  est_output         bigint not null default 0,
  est_nano_usd       bigint not null default 0,
  input_tokens       bigint not null default 0,
  output_tokens      bigint not null default 0,
  cache_read_tokens  bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  reasoning_tokens   bigint not null default 0,
  nano_usd           bigint not null default 0,
  tries              smallint not null default 0,
  lost               smallint not null default 0,
  alone              boolean not null default false,
  parked             boolean not null default false,
  tenant_id          text not null,
  batcher            text not null,
  state              text not null default 'waiting'::text,
  price_confidence   text,
  payload            text not null,
  answer             text,
  constraint batch_items_pkey primary key (item_id),
  constraint item_state_is_known check ((state = any (array['waiting'::text, 'taken'::text, 'done'::text, 'failed'::text, 'live'::text]))),
  constraint settled_has_answer check (((state = any (array['done'::text, 'failed'::text])) = (answer is not null))),
  constraint taken_has_batch check (((state = 'taken'::text) = (batch_id is not null)))
) with (fillfactor=70, autovacuum_vacuum_scale_factor=0.05, vacuum_truncate=off);
create index batch_items_by_age on longhaul.batch_items using btree (created_at, item_id);
create index batch_items_due on longhaul.batch_items using btree (batcher, due_at) where (state = 'waiting'::text);
create index batch_items_overdue on longhaul.batch_items using btree (deadline_at) where ((deadline_at is not null) and (state = any (array['waiting'::text, 'taken'::text])));
create index batch_items_taken on longhaul.batch_items using btree (batch_id) where (state = 'taken'::text);
create index batch_items_waiting on longhaul.batch_items using btree (batcher, tenant_id, created_at) where (state = 'waiting'::text);

create table longhaul.batches (
  batch_id      uuid not null,
  opened_at     timestamptz not null default clock_timestamp(),
  closed_at     timestamptz,
  lease_until   timestamptz not null,
  input_tokens  bigint not null default 0,
  output_tokens bigint not null default 0,
  nano_usd      bigint not null default 0,
  items         integer not null,
  polls         integer not null default 0,
  tenant_id     text not null,
  batcher       text not null,
  state         text not null default 'taken'::text,
  remote_id     text,
  constraint batches_pkey primary key (batch_id),
  constraint batch_closed_has_time check (((state = 'closed'::text) = (closed_at is not null))),
  constraint batch_state_is_known check ((state = any (array['taken'::text, 'sent'::text, 'closed'::text])))
) with (fillfactor=70, autovacuum_vacuum_scale_factor=0.05, vacuum_truncate=off);
create index batches_closed on longhaul.batches using btree (closed_at) where (state = 'closed'::text);
create index batches_open on longhaul.batches using btree (lease_until) where (state <> 'closed'::text);

create table longhaul.blobs (
  tenant_id  text not null,
  hash       text not null,
  created_at timestamptz not null default clock_timestamp(),
  body       text not null,
  constraint blobs_pkey primary key (tenant_id, hash)
) with (vacuum_truncate=off);

create unlogged table longhaul.bookings (
  call_key text not null,
  target   text not null,
  ready_at double precision not null,
  firm     boolean not null,
  because  text not null,
  keys     text[] not null,
  costs    double precision[] not null,
  constraint bookings_pkey primary key (call_key, target)
) with (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);

create unlogged table longhaul.breakers (
  target           text not null,
  open_until       double precision,
  open_ms          double precision not null default 0,
  probe_by         uuid,
  probe_until      double precision not null default 0,
  window_at        double precision not null default 0,
  succeeded        integer not null default 0,
  failed           integer not null default 0,
  succeeded_before integer not null default 0,
  failed_before    integer not null default 0,
  constraint breakers_pkey primary key (target)
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index breakers_open on longhaul.breakers using btree (target) where (open_until is not null);

create table longhaul.budget_accounts (
  account_id  uuid not null,
  budget_id   uuid,
  tenant_id   text not null,
  epoch       integer not null default 0,
  counted_seq integer not null default 0,
  calls       integer not null default 0,
  held        spend not null default "none"(),
  spent       spend not null default "none"(),
  rolled      spend not null default "none"(),
  constraint budget_accounts_pkey primary key (account_id),
  constraint holds_not_negative check ((least((held).input, (held).output, (held).nano_usd, (held).steps) >= 0))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index accounts_of_budget on longhaul.budget_accounts using btree (budget_id) where (budget_id is not null);

create table longhaul.budgets (
  budget_id      uuid not null,
  parent_id      uuid,
  created_at     timestamptz not null default clock_timestamp(),
  ends_at        timestamptz,
  wall_ms        bigint,
  period_ends_at timestamptz,
  tenant_id      text not null,
  kind           text not null,
  on_exceeded    text not null default 'fail'::text,
  period         text,
  limits         spend not null,
  held           spend not null default "none"(),
  spent          spend not null default "none"(),
  before         spend not null default "none"(),
  dropped        spend not null default "none"(),
  constraint budgets_pkey primary key (budget_id),
  constraint budget_kind_is_known check ((kind = any (array['run'::text, 'tenant'::text, 'open'::text]))),
  constraint held_not_negative check ((least((held).input, (held).output, (held).nano_usd, (held).steps) >= 0)),
  constraint on_exceeded_is_known check ((on_exceeded = any (array['fail'::text, 'ask'::text]))),
  constraint period_has_end check (((period is null) = (period_ends_at is null))),
  constraint period_is_known check ((period = any (array['day'::text, 'month'::text]))),
  constraint wall_has_end check (((wall_ms is null) = (ends_at is null)))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index budgets_below on longhaul.budgets using btree (parent_id) where (parent_id is not null);
create index budgets_opened on longhaul.budgets using btree (created_at) where (kind = 'open'::text);

create unlogged table longhaul.call_slots (
  key        text not null,
  holder     uuid not null,
  expires_at double precision not null,
  constraint call_slots_pkey primary key (key, holder)
) with (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index call_slots_of_holder on longhaul.call_slots using btree (holder);

create table longhaul.calls (
  call_id            uuid not null,
  run_id             uuid,
  root_id            uuid,
  account_id         uuid,
  opened_at          timestamptz not null default clock_timestamp(),
  closed_at          timestamptz,
  est_input          bigint not null,
  est_output         bigint not null,
  est_nano_usd       bigint not null,
  input_tokens       bigint not null default 0,
  output_tokens      bigint not null default 0,
  cache_read_tokens  bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  reasoning_tokens   bigint not null default 0,
  nano_usd           bigint not null default 0,
  epoch              integer,
  latency_ms         integer,
  first_chunk_ms     integer,
  attempt            smallint not null,
  tenant_id          text not null,
  call_key           text not null,
  step_key           text,
  agent              text,
  feature            text,
  alias              text,
  provider           text not null,
  model              text not null,
  state              text not null default 'open'::text,
  price_confidence   text,
  source             text not null default 'provider'::text,
  failure            text,
  constraint calls_pkey primary key (call_id),
  constraint call_state_is_known check ((state = any (array['open'::text, 'succeeded'::text, 'failed'::text, 'abandoned'::text]))),
  constraint closed_iff_not_open check (((state = 'open'::text) = (closed_at is null))),
  constraint confidence_is_known check ((price_confidence = any (array['exact'::text, 'fuzzy'::text, 'unknown'::text, 'override'::text]))),
  constraint failed_has_failure check (((state = 'failed'::text) = (failure is not null))),
  constraint source_is_known check ((source = any (array['provider'::text, 'cache'::text, 'coalesced'::text, 'batch'::text])))
) with (fillfactor=70, autovacuum_vacuum_scale_factor=0.05, vacuum_truncate=off);
create index calls_of_account on longhaul.calls using btree (account_id) where (account_id is not null);
create index calls_of_tenant on longhaul.calls using btree (tenant_id, opened_at);
create index calls_open on longhaul.calls using btree (account_id) where (state = 'open'::text);
create index calls_open_outside on longhaul.calls using btree (opened_at) where ((run_id is null) and (state = 'open'::text));
create index calls_outside on longhaul.calls using btree (opened_at) where (run_id is null);

create table longhaul.cancel_cascade (
  parent_id uuid not null,
  constraint cancel_cascade_pkey primary key (parent_id)
);

create table longhaul.charges (
  run_id        uuid not null,
  root_id       uuid not null,
  finished_at   timestamptz not null default clock_timestamp(),
  delivered_at  timestamptz,
  input_tokens  bigint not null,
  output_tokens bigint not null,
  nano_usd      bigint not null,
  steps         bigint not null,
  calls         integer not null,
  tenant_id     text not null,
  agent         text not null,
  constraint charges_pkey primary key (run_id)
) with (fillfactor=80, vacuum_truncate=off);
create index charges_in_order on longhaul.charges using btree (finished_at, run_id);
create index charges_of_tenant on longhaul.charges using btree (tenant_id, finished_at, run_id);
create index charges_pending on longhaul.charges using btree (finished_at, run_id) where (delivered_at is null);

create table longhaul.chores (
  chore    text not null,
  taken_at timestamptz not null default '-infinity'::timestamptz,
  constraint chores_pkey primary key (chore)
);

create table longhaul.dead_letters (
  run_id    uuid not null,
  died_at   timestamptz not null default clock_timestamp(),
  tenant_id text not null,
  agent     text not null,
  queue     text not null,
  code      text not null,
  constraint dead_letters_pkey primary key (run_id)
) with (vacuum_truncate=off);
create index dead_letters_newest on longhaul.dead_letters using btree (tenant_id, run_id);

create table longhaul.expiries (
  run_id   uuid not null,
  start_by timestamptz not null,
  constraint expiries_pkey primary key (run_id)
) with (autovacuum_vacuum_scale_factor=0.02, vacuum_truncate=off);
create index expiries_due on longhaul.expiries using btree (start_by);

create table longhaul.gates (
  gate_id   integer not null generated always as identity,
  agent     text not null,
  tenant_id text not null default ''::text,
  key       text not null default ''::text,
  cap       integer not null,
  in_flight integer not null default 0,
  constraint gates_pkey primary key (gate_id),
  constraint gates_agent_tenant_id_key_key unique (agent, tenant_id, key),
  constraint cap_not_negative check ((cap >= 0)),
  constraint in_flight_not_negative check ((in_flight >= 0))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index gates_of_agents on longhaul.gates using btree (gate_id) where (tenant_id = ''::text);

create table longhaul.inbox (
  run_id uuid not null,
  at     timestamptz not null default clock_timestamp(),
  seq    integer not null,
  kind   text not null,
  key    text not null,
  body   text,
  blob   text,
  constraint inbox_pkey primary key (run_id, seq),
  constraint message_is_known check ((kind = any (array['signal'::text, 'answer'::text, 'child'::text, 'nudge'::text])))
) with (vacuum_truncate=off);
create index inbox_blobs on longhaul.inbox using btree (blob) where (blob is not null);

create table longhaul.intake (
  run_id     uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  run_at     timestamptz,
  start_by   timestamptz,
  thread_id  uuid,
  band       smallint,
  priority   smallint not null,
  tenant_id  text not null,
  agent      text not null,
  build      text not null,
  queue      text not null,
  key        text not null,
  budget     text,
  input      text,
  input_blob text,
  options    jsonb not null,
  metadata   jsonb not null,
  constraint intake_pkey primary key (run_id)
);

create table longhaul.journal (
  run_id uuid not null,
  at     timestamptz not null default clock_timestamp(),
  seq    integer not null,
  epoch  integer not null,
  kind   smallint not null,
  key    text,
  body   text,
  blob   text,
  constraint journal_pkey primary key (run_id, seq),
  constraint seq_from_one check ((seq > 0))
) with (vacuum_truncate=off, autovacuum_vacuum_scale_factor=0.05);
create index journal_blobs on longhaul.journal using btree (blob) where (blob is not null);
create index journal_checkpoints on longhaul.journal using btree (run_id, seq) where (kind = 16);

create table longhaul.lanes (
  lane_id    integer not null generated always as identity,
  turn_id    integer not null,
  tenant_id  text not null,
  agent      text not null,
  key        text not null default ''::text,
  agent_gate integer,
  key_gate   integer,
  ready      integer not null default 0,
  prio       smallint not null default 0,
  open       boolean not null default false,
  place      bigint not null default 0,
  head_at    timestamptz,
  front      uuid not null default '00000000-0000-0000-0000-000000000000'::uuid,
  constraint lanes_pkey primary key (lane_id),
  constraint lanes_turn_id_agent_key_key unique (turn_id, agent, key),
  constraint keyed_lane_has_gate check (((key = ''::text) or (key_gate is not null))),
  constraint open_has_ready check (((ready > 0) or (not open))),
  constraint ready_not_negative check ((ready >= 0))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index lanes_next on longhaul.lanes using btree (turn_id, prio, place) where open;
create index lanes_of_agent on longhaul.lanes using btree (agent);
create index lanes_of_key on longhaul.lanes using btree (key_gate) where (key_gate is not null);
create index lanes_shut on longhaul.lanes using btree (agent_gate, place) where ((agent_gate is not null) and (ready > 0) and (not open));

create table longhaul.later (
  run_id uuid not null,
  due_at timestamptz not null,
  constraint later_pkey primary key (run_id)
) with (autovacuum_vacuum_scale_factor=0.02, vacuum_truncate=off);
create index later_due on longhaul.later using btree (due_at);

create table longhaul.leftovers (
  run_id    uuid not null,
  tenant_id text not null,
  constraint leftovers_pkey primary key (run_id)
) with (autovacuum_vacuum_scale_factor=0.02);

create table longhaul.live (
  run_id       uuid not null,
  parent_id    uuid,
  worker_id    uuid,
  expires_at   timestamptz,
  claimed_at   timestamptz,
  thread_no    bigint,
  active_ms    bigint not null default 0,
  lane_id      integer not null,
  epoch        integer not null default 0,
  journal_seq  integer not null default 0,
  claim_seq    integer not null default 0,
  inbox_seq    integer not null default 0,
  need         integer not null default 0,
  agent_gate   integer,
  key_gate     integer,
  prio         smallint not null default 100,
  crashes      smallint not null default 0,
  isolate      boolean not null default false,
  state        text not null,
  cancel       text,
  pause_reason text,
  constraint live_pkey primary key (run_id),
  constraint lease_iff_running check ((((state = 'running'::text) = (worker_id is not null)) and ((state = 'running'::text) = (expires_at is not null)))),
  constraint passes_gates_running check (((state = 'running'::text) or ((agent_gate is null) and (key_gate is null)))),
  constraint reason_iff_paused check (((state = 'paused'::text) = (pause_reason is not null))),
  constraint state_is_known check ((state = any (array['queued'::text, 'running'::text, 'waiting'::text, 'paused'::text])))
) with (fillfactor=70, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index live_children on longhaul.live using btree (parent_id) where (parent_id is not null);
create index live_isolated on longhaul.live using btree (run_id) where (isolate and (state = 'queued'::text));
create index live_paused on longhaul.live using btree (run_id) where (state = 'paused'::text);
create index live_running on longhaul.live using btree (worker_id) where (state = 'running'::text);

create table longhaul.loose_blobs (
  tenant_id text not null,
  hash      text not null,
  constraint loose_blobs_pkey primary key (tenant_id, hash)
) with (autovacuum_vacuum_scale_factor=0.02);

create table longhaul.model_factors (
  model      text not null,
  feature    text not null default ''::text,
  factor     double precision not null,
  weight     double precision not null,
  outputs    double precision[] not null,
  updated_at timestamptz not null default clock_timestamp(),
  constraint model_factors_pkey primary key (model, feature),
  constraint factor_positive check ((factor > (0)::double precision)),
  constraint weight_not_negative check ((weight >= (0)::double precision))
);

create table longhaul.outcomes (
  run_id      uuid not null,
  finished_at timestamptz not null default clock_timestamp(),
  active_ms   bigint not null default 0,
  epoch       integer not null,
  entries     integer not null,
  tenant_id   text not null,
  status      text not null,
  reason      text,
  output      text,
  output_blob text,
  failure     text,
  constraint outcomes_pkey primary key (run_id),
  constraint failure_iff_failed check (((status = 'failed'::text) = (failure is not null))),
  constraint status_is_final check ((status = any (array['succeeded'::text, 'failed'::text, 'cancelled'::text])))
) with (vacuum_truncate=off, autovacuum_vacuum_scale_factor=0.05);
create index outcomes_blobs on longhaul.outcomes using btree (output_blob) where (output_blob is not null);
create index outcomes_ended on longhaul.outcomes using btree (finished_at, run_id) where (status <> 'failed'::text);
create index outcomes_failed on longhaul.outcomes using btree (finished_at, run_id) where (status = 'failed'::text);
create index outcomes_newest on longhaul.outcomes using btree (tenant_id, status, run_id);

create table longhaul.plans (
  plan               text not null,
  concurrency        integer,
  weight             integer not null default 1,
  band               smallint,
  unfinished_max     integer,
  submits_per_minute integer,
  budget             jsonb,
  configured         jsonb,
  constraint plans_pkey primary key (plan),
  constraint band_in_range check (((band >= 0) and (band <= 2))),
  constraint concurrency_not_negative check ((concurrency >= 0)),
  constraint submits_per_minute_positive check ((submits_per_minute > 0)),
  constraint unfinished_max_not_negative check ((unfinished_max >= 0)),
  constraint weight_in_range check (((weight >= 1) and (weight <= 1000)))
);

create table longhaul.queue_minutes (
  minute   timestamptz not null,
  queue    text not null,
  build    text not null,
  started  integer not null default 0,
  finished integer not null default 0,
  waits    integer[] not null,
  constraint queue_minutes_pkey primary key (minute, queue, build)
) with (fillfactor=50);

create table longhaul.quota_limits (
  key         text not null,
  limit_      double precision not null,
  declared_at timestamptz not null default clock_timestamp(),
  constraint quota_limits_pkey primary key (key),
  constraint quota_admits check ((limit_ > (0)::double precision))
);

create table longhaul.quota_windows (
  key     text not null,
  ends_at double precision not null,
  used    double precision not null,
  constraint quota_windows_pkey primary key (key)
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);

create unlogged table longhaul.quotas (
  key           text not null,
  kind          text not null,
  declared      boolean not null,
  limit_        double precision,
  emission_ms   double precision not null default 0,
  burst_ms      double precision not null default 0,
  tat           double precision not null default 0,
  line          double precision not null default 0,
  busy_since    double precision not null default 0,
  blocked_until double precision not null default 0,
  used          integer not null default 0,
  zone          text,
  constraint quotas_pkey primary key (key),
  constraint line_behind_tat check ((line >= tat)),
  constraint quota_kind_is_known check ((kind = any (array['rate'::text, 'window'::text, 'slots'::text]))),
  constraint used_not_negative check ((used >= 0))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);

create table longhaul.raises (
  raise_id  uuid not null,
  budget_id uuid not null,
  raised_at timestamptz not null default clock_timestamp(),
  raised_by text not null,
  wall_ms   bigint not null default 0,
  amount    spend not null,
  constraint raises_pkey primary key (raise_id)
) with (vacuum_truncate=off);
create index raises_of_budget on longhaul.raises using btree (budget_id);

create table longhaul.ready (
  run_id  uuid not null,
  at      timestamptz not null default clock_timestamp(),
  lane_id integer not null,
  prio    smallint not null,
  constraint ready_pkey primary key (lane_id, prio, run_id)
) with (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);

create table longhaul.recent_runs (
  tenant_id  text not null,
  agent      text not null,
  input_hash bytea not null,
  run_id     uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  constraint recent_runs_pkey primary key (tenant_id, agent, input_hash)
) with (fillfactor=80, autovacuum_vacuum_scale_factor=0.05, vacuum_truncate=off);
create index recent_runs_expiring on longhaul.recent_runs using btree (expires_at);

create table longhaul.retention (
  only_row     boolean not null default true,
  next_at      timestamptz not null default '-infinity'::timestamptz,
  began_at     timestamptz not null default '-infinity'::timestamptz,
  ended_at     timestamptz not null default '-infinity'::timestamptz,
  ended_id     uuid not null default '00000000-0000-0000-0000-000000000000'::uuid,
  failed_at    timestamptz not null default '-infinity'::timestamptz,
  failed_id    uuid not null default '00000000-0000-0000-0000-000000000000'::uuid,
  blob_tenant  text,
  blob_hash    text,
  idle_threads boolean not null default false,
  constraint retention_pkey primary key (only_row),
  constraint one_row check (only_row)
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02);

create table longhaul.runs (
  run_id          uuid not null,
  root_id         uuid not null,
  parent_id       uuid,
  thread_id       uuid,
  forked_from     uuid,
  budget_id       uuid,
  created_at      timestamptz not null default clock_timestamp(),
  run_at          timestamptz,
  thread_seq      bigint,
  lane_id         integer not null,
  depth           smallint not null default 0,
  priority        smallint not null default 100,
  tenant_id       text not null,
  agent           text not null,
  build           text not null,
  queue           text not null,
  concurrency_key text not null default ''::text,
  idempotency_key text,
  request_hash    text,
  parent_key      text,
  detached        boolean not null default false,
  input           text,
  input_blob      text,
  options         jsonb not null default '{}'::jsonb,
  metadata        jsonb not null default '{}'::jsonb,
  constraint runs_pkey primary key (run_id),
  constraint one_place_for_input check (((input is null) or (input_blob is null)))
) with (vacuum_truncate=off, autovacuum_vacuum_scale_factor=0.05);
create unique index one_run_per_idempotency_key on longhaul.runs using btree (tenant_id, idempotency_key) where (idempotency_key is not null);
create index runs_blobs on longhaul.runs using btree (input_blob) where (input_blob is not null);
create index runs_newest on longhaul.runs using btree (tenant_id, run_id);
create index runs_of_parent on longhaul.runs using btree (parent_id) where (parent_id is not null);
create index runs_of_thread on longhaul.runs using btree (thread_id, thread_seq) where (thread_id is not null);
create index runs_of_tree on longhaul.runs using btree (root_id) where (root_id <> run_id);

create table longhaul.schema_migrations (
  version    integer not null,
  name       text not null,
  checksum   text not null,
  compatible boolean not null,
  applied_at timestamptz not null default clock_timestamp(),
  constraint schema_migrations_pkey primary key (version)
);

create table longhaul.tenants (
  tenant_id          text not null,
  plan               text not null default 'default'::text,
  cap                integer not null default 2147483647,
  in_flight          integer not null default 0,
  unfinished         integer not null default 0,
  unfinished_max     integer not null default 2147483647,
  weight             integer not null default 1,
  band               smallint,
  paused             boolean not null default false,
  submits_per_minute integer,
  rate_at            timestamptz,
  budget_id          uuid,
  constraint tenants_pkey primary key (tenant_id),
  constraint band_in_range check (((band >= 0) and (band <= 2))),
  constraint cap_not_negative check ((cap >= 0)),
  constraint in_flight_not_negative check ((in_flight >= 0)),
  constraint unfinished_not_negative check ((unfinished >= 0)),
  constraint weight_in_range check (((weight >= 1) and (weight <= 1000)))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index tenants_of_plan on longhaul.tenants using btree (plan);

create table longhaul.thread_queue (
  thread_no bigint not null,
  seq       bigint not null,
  run_id    uuid not null,
  constraint thread_queue_pkey primary key (thread_no, seq)
) with (vacuum_truncate=off);

create table longhaul.threads (
  thread_no  bigint not null generated always as identity,
  tenant_id  text not null,
  thread_id  uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  next_seq   bigint not null default 1,
  active_run uuid,
  agent      text,
  state      text,
  state_blob text,
  metadata   jsonb not null default '{}'::jsonb,
  constraint threads_pkey primary key (thread_no),
  constraint threads_tenant_id_thread_id_key unique (tenant_id, thread_id)
) with (fillfactor=70, vacuum_truncate=off);
create index threads_blobs on longhaul.threads using btree (state_blob) where (state_blob is not null);

create unlogged table longhaul.tokens (
  run_id    uuid not null,
  at        timestamptz not null default clock_timestamp(),
  epoch     integer not null,
  n         integer not null,
  take      integer not null,
  pos       integer not null,
  after_seq integer not null,
  attempt   smallint not null,
  key       text not null,
  body      text not null,
  constraint tokens_pkey primary key (run_id, epoch, n),
  constraint pos_not_negative check ((pos >= 0))
) with (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);

create table longhaul.turns (
  turn_id   integer not null generated always as identity,
  queue     text not null,
  tenant_id text not null,
  build     text not null,
  band      smallint not null,
  ready     integer not null default 0,
  lanes     integer not null default 0,
  runnable  boolean not null default false,
  vtime     bigint not null default 0,
  constraint turns_pkey primary key (turn_id),
  constraint turns_queue_tenant_id_build_band_key unique (queue, tenant_id, build, band),
  constraint band_in_range check (((band >= 0) and (band <= 2))),
  constraint lanes_not_negative check ((lanes >= 0)),
  constraint ready_not_negative check ((ready >= 0)),
  constraint runnable_has_lanes check (((lanes > 0) or (not runnable)))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
create index turns_next on longhaul.turns using btree (queue, build, band, vtime) where runnable;
create index turns_of_tenant on longhaul.turns using btree (tenant_id);

create table longhaul.waits (
  run_id    uuid not null,
  key       text not null,
  due_at    timestamptz,
  fail_fast boolean not null default false,
  label     text not null,
  constraint waits_pkey primary key (run_id, key)
) with (vacuum_truncate=off);

create table longhaul.workers (
  worker_id  uuid not null,
  started_at timestamptz not null default clock_timestamp(),
  seen_at    timestamptz not null default clock_timestamp(),
  pid        integer not null,
  slots      integer not null,
  host       text not null,
  build      text not null,
  queues     text[] not null,
  agents     text[] not null,
  version    text not null,
  state      text not null default 'active'::text,
  constraint workers_pkey primary key (worker_id),
  constraint worker_state_is_known check ((state = any (array['active'::text, 'draining'::text, 'stopped'::text, 'lost'::text])))
) with (fillfactor=70);

alter table longhaul.api_keys add constraint replaced_by_a_key foreign key (replaced_by) references api_keys(key_id);

create or replace function longhaul.abandon(p_account uuid[], p_epoch integer)
 returns void
 language plpgsql
as $function$
begin
  with gone as (
    update longhaul.calls c
       set state = 'abandoned', closed_at = clock_timestamp(), (input_tokens, output_tokens, nano_usd) = (
         -- an aggregate, so that there is one row, and no join that could read the whole table
         select coalesce(max(case i.state when 'taken' then i.input_tokens + i.est_input when 'live' then 0 else i.input_tokens end), c.est_input),
                coalesce(max(case i.state when 'taken' then i.output_tokens + i.est_output when 'live' then 0 else i.output_tokens end), c.est_output),
                coalesce(max(case i.state when 'taken' then i.nano_usd + i.est_nano_usd when 'live' then 0 else i.nano_usd end), c.est_nano_usd)
           from longhaul.batch_items i where i.item_id = c.call_id)
     where c.account_id = any(p_account) and c.state = 'open' and (p_epoch is null or c.epoch < p_epoch)
    returning c.account_id, (c.input_tokens, c.output_tokens, c.nano_usd, 0)::longhaul.spend as cost
  )
  update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, g.cost), calls = a.calls + g.n
    from (select x.account_id, longhaul.total(x.cost) as cost, count(*)::int as n from gone x group by 1) g
   where a.account_id = g.account_id and a.account_id = any(p_account);
end $function$;

create or replace function longhaul.abandon_outside(p_age interval, p_limit integer)
 returns integer
 language plpgsql
as $function$
declare old uuid[]; ids uuid[]; n int;
begin
  select array_agg(c.call_id), array_agg(distinct c.account_id) filter (where c.account_id is not null) into old, ids from (
    select x.call_id, x.account_id from longhaul.calls x
     where x.run_id is null and x.state = 'open' and x.opened_at < clock_timestamp() - p_age order by x.opened_at limit p_limit) c;
  if old is null then return 0; end if;
  perform 1 from longhaul.budget_accounts a where a.account_id = any(ids) order by a.account_id for no key update;
  with gone as (
    update longhaul.calls c
       set state = 'abandoned', closed_at = clock_timestamp(), input_tokens = c.est_input, output_tokens = c.est_output, nano_usd = c.est_nano_usd
     where c.call_id = any(old) and c.state = 'open' returning c.account_id, (c.est_input, c.est_output, c.est_nano_usd, 0)::longhaul.spend as cost
  ), charged as (
    update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, g.cost), calls = a.calls + g.n
      from (select x.account_id, longhaul.total(x.cost) as cost, count(*)::int as n from gone x group by 1) g
     where a.account_id = g.account_id
  ) select count(*)::int into n from gone;
  if ids is not null then perform longhaul.roll(ids, true, longhaul.none()); end if;
  return n;
end $function$;

create or replace function longhaul.accounts_below(p_budget uuid)
 returns uuid[]
 language sql
 stable
as $function$
  with recursive down as (
    select b.budget_id from longhaul.budgets b where b.budget_id = p_budget
    union all select c.budget_id from down d join longhaul.budgets c on c.parent_id = d.budget_id
  )
  select array(select a.account_id from down d join longhaul.budget_accounts a on a.budget_id = d.budget_id
                where a.held <> longhaul.none() or a.spent <> a.rolled)
$function$;

create or replace function longhaul.append(p_worker uuid, p_lease_ms integer, p_run uuid[], p_epoch integer[], p_first integer[], p_count integer[], e_run uuid[], e_seq integer[], e_epoch integer[], e_kind smallint[], e_key text[], e_body text[], e_blob text[])
 returns table(run_id uuid, cancel text, inbox_seq integer)
 language plpgsql
 set enable_nestloop to 'off'
 set plan_cache_mode to 'force_generic_plan'
as $function$
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
end $function$;

create or replace function longhaul.append_one(p_worker uuid, p_lease_ms integer, p_run uuid, p_epoch integer, p_first integer, e_kind smallint[], e_key text[], e_body text[], e_blob text[], p_consumed integer[], p_set_state boolean, p_state text, p_state_blob text, a_id uuid[], a_key text[], a_kind text[], a_name text[], a_request text[], a_blob text[], a_hash text[], a_expires timestamptz[], p_expired uuid[], p_closings jsonb)
 returns table(verdict text, cancel text, inbox_seq integer)
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
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
end $function$;

create or replace function longhaul.append_spent(p_worker uuid, p_lease_ms integer, p_run uuid[], p_epoch integer[], p_first integer[], p_count integer[], e_run uuid[], e_seq integer[], e_epoch integer[], e_kind smallint[], e_key text[], e_body text[], e_blob text[], p_closings jsonb)
 returns table(run_id uuid, cancel text, inbox_seq integer)
 language plpgsql
 set enable_nestloop to 'off'
 set plan_cache_mode to 'force_generic_plan'
as $function$
#variable_conflict use_column
declare held uuid[];
begin
  return query select * from longhaul.append(p_worker, p_lease_ms, p_run, p_epoch, p_first, p_count, e_run, e_seq, e_epoch, e_kind, e_key, e_body, e_blob);
  held := array(
    select l.run_id from longhaul.live l join unnest(p_run, p_epoch, p_first, p_count) f(run_id, epoch, first, n)
        on l.run_id = f.run_id and l.epoch = f.epoch and l.journal_seq = f.first - 1 + f.n
     where l.run_id = any(p_run) and l.worker_id = p_worker);
  perform longhaul.close_calls_of(held, p_closings);
end $function$;

create or replace function longhaul.ask_probe(p_target text, p_by uuid, p_probe_ms double precision, out verdict text, out until_ms double precision)
 returns record
 language plpgsql
as $function$
declare b longhaul.breakers; present float8;
begin
  select * into b from longhaul.breakers x where x.target = p_target for update;
  present := longhaul.now_ms();
  if not found or b.open_until is null then
    verdict := 'closed';
  elsif b.open_until > present or (b.probe_until > present and b.probe_by is distinct from p_by) then
    verdict := 'open';
    -- the probe may be over soon
    until_ms := case when b.open_until > present then b.open_until else least(b.probe_until, present + 1000) end;
  else
    verdict := 'probe';
    update longhaul.breakers x set probe_by = p_by, probe_until = present + p_probe_ms where x.target = p_target;
  end if;
end $function$;

create or replace function longhaul.begin_accounts(p_worker uuid, p_run uuid[])
 returns void
 language plpgsql
as $function$
declare g record;
begin
  insert into longhaul.budget_accounts (account_id, budget_id, tenant_id, epoch)
  select r.run_id, r.budget_id, r.tenant_id, l.epoch from longhaul.runs r join longhaul.live l on l.run_id = r.run_id and l.run_id = any(p_run)
   where r.run_id = any(p_run) and (select true from longhaul.budget_accounts a where a.account_id = r.run_id limit 1) is null order by r.run_id
  on conflict do nothing;
  perform 1 from longhaul.budget_accounts a where a.account_id = any(p_run) order by a.account_id for no key update;
  for g in
    with older as (
      update longhaul.budget_accounts a set epoch = l.epoch from longhaul.live l
       where a.account_id = any(p_run) and l.run_id = any(p_run) and l.run_id = a.account_id and a.epoch < l.epoch
      returning a.account_id, l.epoch
    ) select o.epoch, array_agg(o.account_id) as accounts from older o group by 1
  loop
    perform longhaul.abandon(g.accounts, g.epoch);
  end loop;
end $function$;

create or replace function longhaul.block_quota(p_key text, p_for_ms double precision)
 returns void
 language sql
as $function$
  insert into longhaul.quotas as q (key, kind, declared, blocked_until, line)
  select p_key, 'rate', false, u.t, u.t from (select longhaul.now_ms() + p_for_ms as t) u
  on conflict (key) do update set blocked_until = greatest(q.blocked_until, excluded.blocked_until), line = greatest(q.line, excluded.line)
$function$;

create or replace function longhaul.budget_tenants(p_tenant text[], p_declared jsonb)
 returns void
 language plpgsql
as $function$
begin
  if p_declared is not null then
    with given as (
      update longhaul.tenants t set budget_id = gen_random_uuid() where t.tenant_id = any(p_tenant) and t.budget_id is null returning t.tenant_id, t.budget_id
    )
    insert into longhaul.budgets (budget_id, tenant_id, kind, limits, period, period_ends_at)
    select g.budget_id, g.tenant_id, 'tenant', longhaul.limits_of(p_declared), p_declared->>'per', longhaul.next_period(p_declared->>'per') from given g;
  end if;
  perform 1 from longhaul.budgets b where b.budget_id = any(array(select t.budget_id from longhaul.tenants t where t.tenant_id = any(p_tenant))) order by b.budget_id for no key update;
  update longhaul.budgets b
     set limits = coalesce(longhaul.limits_of(p_declared), row(null, null, null, null)::longhaul.spend),
         before = case when b.period is distinct from p_declared->>'per' then b.spent else b.before end,
         period = coalesce(p_declared->>'per', b.period),
         period_ends_at = case when p_declared->>'per' is not null and b.period is distinct from p_declared->>'per' then longhaul.next_period(p_declared->>'per') else b.period_ends_at end
   where b.budget_id = any(array(select t.budget_id from longhaul.tenants t where t.tenant_id = any(p_tenant)));
end $function$;

create or replace function longhaul.budgets_above(p_budget uuid)
 returns uuid[]
 language plpgsql
 stable
as $function$
declare above uuid[] := '{}'; next uuid := p_budget;
begin
  while next is not null loop
    above := above || (select b.budget_id from longhaul.budgets b where b.budget_id = next);
    next := (select b.parent_id from longhaul.budgets b where b.budget_id = next);
  end loop;
  return array_remove(above, null);
end $function$;

create or replace function longhaul.cancel(p_run uuid, p_reason text)
 returns text
 language plpgsql
as $function$
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
end $function$;

create or replace function longhaul.cancel_bookings(p_calls text[])
 returns void
 language plpgsql
as $function$
declare held text[];
begin
  held := array(select distinct k from longhaul.bookings b cross join unnest(b.keys) k where b.call_key = any(p_calls));
  perform 1 from longhaul.quotas q where q.key = any(held) order by q.key for update;
  with gone as (delete from longhaul.bookings b where b.call_key = any(p_calls) returning b.*)
  update longhaul.quotas q
     set tat = q.tat - n.paid, line = greatest(q.line - n.cost, q.tat - n.paid)
    from (select u.key, sum(u.cost) as cost, sum(case when g.firm and g.ready_at > longhaul.now_ms() then u.cost else 0 end) as paid
            from gone g cross join unnest(g.keys, g.costs) u(key, cost) group by u.key) n
   where q.key = n.key and q.kind = 'rate' and n.cost > 0;
end $function$;

create or replace function longhaul.cancel_places(p_places jsonb)
 returns void
 language plpgsql
as $function$
declare held text[];
begin
  held := array(
    select distinct k from jsonb_to_recordset(p_places) d(call text, target text, ready float8)
      join longhaul.bookings b on b.call_key = d.call and b.target = d.target and b.ready_at = d.ready cross join unnest(b.keys) k);
  perform 1 from longhaul.quotas q where q.key = any(held) order by q.key for update;
  with gone as (
    delete from longhaul.bookings b using jsonb_to_recordset(p_places) d(call text, target text, ready float8)
     where b.call_key = d.call and b.target = d.target and b.ready_at = d.ready and b.keys <@ held returning b.*)
  update longhaul.quotas q
     set tat = q.tat - n.paid, line = greatest(q.line - n.cost, q.tat - n.paid)
    from (select u.key, sum(u.cost) as cost, sum(case when g.firm and g.ready_at > longhaul.now_ms() then u.cost else 0 end) as paid
            from gone g cross join unnest(g.keys, g.costs) u(key, cost) group by u.key) n
   where q.key = n.key and q.kind = 'rate' and n.cost > 0;
end $function$;

create or replace function longhaul.cascade_children(p_limit integer)
 returns uuid[]
 language plpgsql
as $function$
begin
  delete from longhaul.cancel_cascade c
   where not exists (select 1 from longhaul.live l where l.parent_id = c.parent_id and l.cancel is null);
  return array(select l.run_id from longhaul.cancel_cascade c join longhaul.live l on l.parent_id = c.parent_id and l.cancel is null limit p_limit);
end $function$;

create or replace function longhaul.claim(p_worker uuid, p_lease_ms integer, p_queue text, p_builds text[], p_bands smallint[], p_floors bigint[], p_k integer, p_turns integer)
 returns table(run_id uuid, epoch integer, journal_seq integer, inbox_seq integer, crashes smallint, active_ms bigint, cancel text, now_at timestamptz, tenant_id text, agent text, build text, queue text, thread_id uuid, thread_no bigint, parent_id uuid, root_id uuid, depth smallint, input text, input_blob text, options jsonb, metadata jsonb, created_at timestamptz, ready_at timestamptz, band smallint, vtime bigint, budget_id uuid, wall_at timestamptz, wall_ms bigint, wall_budget uuid, counts_usd boolean, counts_steps boolean)
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
 set enable_bitmapscan to 'off'
 set enable_seqscan to 'off'
as $function$
#variable_conflict use_column
begin
return query
with cand as materialized (   -- 1. turns, the least served first; one index descent per (build, band)
  select t.turn_id, t.tenant_id, t.band, t.vtime, p.place, p.floor from unnest(p_builds, p_bands, p_floors) with ordinality p(build, band, floor, place)
   cross join lateral (
     select x.turn_id, x.tenant_id, x.band, x.vtime from longhaul.turns x
      where x.queue = p_queue and x.build = p.build and x.band = p.band and x.runnable and x.vtime >= p.floor
      order by x.vtime limit p_turns for no key update skip locked) t
   limit p_turns
), quota as materialized (    -- 2. their tenants' room, strict under the row lock
  select t.tenant_id, t.weight, case when t.paused then 0 else greatest(t.cap - t.in_flight, 0) end as room
    from longhaul.tenants t where t.tenant_id = any(array(select c.tenant_id from cand c)) for update skip locked
), per as materialized (
  -- twice a turn's part of the batch: what others leave, those who are behind may take
  select c.turn_id, c.tenant_id, c.band, c.vtime, c.place as rank, c.floor, q.room, 1000000 / q.weight as stride,
         least(q.room, p_k, ceil(2.0 * p_k * q.weight / sum(q.weight) over (partition by c.place))::int) as share
    from cand c join quota q using (tenant_id)
), hidden as materialized (   -- turns as far back that others hold at this moment: nobody is to get far ahead of them because of that
  select t.rank, min(t.vtime) filter (where t.turn_id <> all(array(select f.turn_id from per f))) + p_k * 1000000 / count(*) as until
    from (
      select x.turn_id, x.vtime, p.place as rank from unnest(p_builds, p_bands, p_floors) with ordinality p(build, band, floor, place)
       cross join lateral (
         select t.turn_id, t.vtime from longhaul.turns t
          where t.queue = p_queue and t.build = p.build and t.band = p.band and t.runnable and t.vtime >= p.floor order by t.vtime limit p_turns) x) t
   group by t.rank
), open as materialized (     -- 3. their open lanes, the most urgent and then the least recently served first
  select p.turn_id, p.tenant_id, p.band, p.rank, p.vtime, p.stride, p.share, p.room, l.* from per p cross join lateral (
    select x.lane_id, x.agent_gate, x.key_gate, x.place, x.ctid as tid, case when p.floor <> 0 then x.prio else -32768 end as front_prio,
           case when p.floor <> 0 then x.front else '00000000-0000-0000-0000-000000000000' end as front
      from longhaul.lanes x where x.turn_id = p.turn_id and x.open
     order by x.prio, x.place limit p.share for no key update) l
), gate as materialized (     -- 4. the room in the gates of those lanes; a gate in somebody's hands has none this time
  select g.gate_id, greatest(g.cap - g.in_flight, 0) as room from longhaul.gates g
   where g.gate_id = any(array(select o.agent_gate from open o union select o.key_gate from open o)) for no key update skip locked
), wide as materialized (
  select o.*, case when o.agent_gate is null then p_k else coalesce(a.room, 0) end as agent_room,
         case when o.key_gate is null then p_k else coalesce(k.room, 0) end as key_room,
         (o.agent_gate is null or a.gate_id is not null) and (o.key_gate is null or k.gate_id is not null) as known,
         (select x.ctid from longhaul.lanes x where x.lane_id = o.lane_id) = o.tid as untouched   -- as the snapshot has it, and as it was locked
    from open o left join gate a on a.gate_id = o.agent_gate left join gate k on k.gate_id = o.key_gate
), pick as materialized (     -- 5. the first runs of each lane, band by band and turn by turn, within every limit
  select y.* from (
    select w.lane_id, w.turn_id, w.tenant_id, w.band, w.rank, w.vtime, w.stride, w.agent_gate, w.key_gate, w.share, w.room, w.agent_room, w.key_room, r.prio, r.run_id, r.at, r.tid,
           row_number() over (partition by w.turn_id order by r.prio, r.nth, w.place, r.run_id) as in_turn,
           row_number() over (partition by w.tenant_id order by r.prio, r.nth, w.place, r.run_id) as in_tenant,
           row_number() over (partition by w.agent_gate order by r.prio, r.nth, w.place, r.run_id) as in_agent,
           row_number() over (partition by w.key_gate order by r.prio, r.nth, w.place, r.run_id) as in_key
      from wide w cross join lateral (
        select x.prio, x.run_id, x.at, x.ctid as tid, row_number() over (order by x.prio, x.run_id) as nth from longhaul.ready x
         where x.lane_id = w.lane_id and (x.prio, x.run_id) >= (w.front_prio, w.front) order by x.prio, x.run_id limit least(w.share, w.agent_room, w.key_room)) r
  ) y where y.in_turn <= y.share and y.in_tenant <= y.room
        and (y.agent_gate is null or y.in_agent <= y.agent_room) and (y.key_gate is null or y.in_key <= y.key_room)
        and y.vtime + y.in_turn * y.stride <= coalesce((select h.until from hidden h where h.rank = y.rank), 9223372036854775807)
   order by y.rank, y.vtime + y.in_turn * y.stride limit p_k   -- start-time fair queueing (Goyal, Vin, Cheng 1996)
), held as materialized (     -- 6. their live rows; one that somebody is cancelling this moment is left to them, one that came too late to the tick
  select l.run_id from longhaul.live l
   where l.run_id = any(array(select p.run_id from pick p)) and l.state = 'queued'
     and (l.epoch > 0 or l.run_id <> all(array(
       select x.run_id from longhaul.expiries x where x.run_id = any(array(select p.run_id from pick p)) and x.start_by <= clock_timestamp())))
   for update skip locked
), del as (
  delete from longhaul.ready r where r.ctid = any(array(select p.tid from pick p join held h using (run_id)))
  returning r.run_id, r.lane_id, r.prio, r.at
), mine as (
  update longhaul.live l
     set state = 'running', worker_id = p_worker, epoch = l.epoch + 1, journal_seq = l.journal_seq + 1, claim_seq = l.journal_seq + 1,
         claimed_at = clock_timestamp(), expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond', need = 0,
         agent_gate = case when (select count(*) from gate) > 0 then (select p.agent_gate from pick p where p.run_id = l.run_id) end,
         key_gate = case when (select count(*) from gate) > 0 then (select p.key_gate from pick p where p.run_id = l.run_id) end
   where l.run_id = any(array(select d.run_id from del d)) returning l.*
), noted as (
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  select m.run_id, m.journal_seq, m.epoch, 1, '{"worker":"' || p_worker || '"}' from mine m
), served as materialized (   -- what each lane gave, and what that leaves of the room it shares
  select w.lane_id, w.turn_id, w.tenant_id, w.agent_gate, w.key_gate, w.known, count(d.run_id)::int as n, max(d.prio) as prio, max(d.at) as at,
         case when w.untouched and count(d.run_id) = count(p.run_id) then (array_agg(d.run_id order by d.prio desc, d.run_id desc))[1] end as front,
         w.agent_room - sum(count(d.run_id)) over (partition by w.agent_gate) as agent_left,
         w.key_room - sum(count(d.run_id)) over (partition by w.key_gate) as key_left
    from wide w left join pick p using (lane_id) left join del d on d.run_id = p.run_id
   group by w.lane_id, w.turn_id, w.tenant_id, w.agent_gate, w.key_gate, w.known, w.agent_room, w.key_room, w.untouched
), counted as materialized (
  select p.turn_id, p.tenant_id, p.room, p.vtime, p.stride, coalesce(sum(s.n), 0)::int as n, sum(sum(s.n)) over (partition by p.tenant_id)::int as tn
    from per p left join served s using (turn_id) group by p.turn_id, p.tenant_id, p.room, p.vtime, p.stride
), left_over as (
  update longhaul.lanes l
     set ready = l.ready - s.n, prio = case when s.front is null then l.prio else s.prio end, head_at = coalesce(s.at, l.head_at), front = coalesce(s.front, l.front), place = case when s.n > 0 then c.vtime + s.n else l.place end,
         open = l.ready > s.n and (not s.known or ((s.agent_gate is null or s.agent_left > 0) and (s.key_gate is null or s.key_left > 0)))
    from served s join counted c using (turn_id) where l.lane_id = s.lane_id and l.lane_id = any(array(select x.lane_id from open x))
  returning l.turn_id, l.open
), moved as (
  update longhaul.turns t
     set ready = t.ready - c.n, lanes = t.lanes - c.closed, -- one that had nothing to give when its chance came pays for the look
         vtime = t.vtime + case when c.n = 0 and c.chance then 1 else c.n end * c.stride,
         runnable = t.lanes > c.closed and c.room > c.tn
    from (select k.turn_id, k.n, k.room, coalesce(k.tn, 0) as tn, k.stride, (select count(*) from pick) < p_k and not exists (select from hidden h where h.until is not null) as chance,
                 count(o.turn_id) filter (where not o.open)::int as closed
            from counted k left join left_over o using (turn_id) group by k.turn_id, k.n, k.room, k.tn, k.stride) c
   where t.turn_id = c.turn_id and t.turn_id = any(array(select x.turn_id from cand x))
), taken as (
  update longhaul.tenants t set in_flight = t.in_flight + c.tn
    from (select distinct k.tenant_id, k.tn from counted k where k.tn > 0) c
   where t.tenant_id = c.tenant_id and t.tenant_id = any(array(select x.tenant_id from cand x))
), passed as (
  update longhaul.gates g set in_flight = g.in_flight + c.n
    from (select x.gate_id, count(*)::int as n from mine m cross join lateral (values (m.agent_gate), (m.key_gate)) x(gate_id)
           where x.gate_id is not null group by 1) c
   where g.gate_id = c.gate_id and g.gate_id = any(array(select x.gate_id from gate x))
), asked as materialized (
  select * from longhaul.runs r where r.run_id = any(array(select d.run_id from del d))
)
select m.run_id, m.epoch, m.journal_seq, m.inbox_seq, m.crashes, m.active_ms, m.cancel, clock_timestamp(),
       r.tenant_id, r.agent, r.build, r.queue, r.thread_id, m.thread_no, r.parent_id, r.root_id, r.depth,
       r.input, r.input_blob, r.options, r.metadata, r.created_at, p.at, p.band, p.vtime,
       r.budget_id, w.wall_at, w.wall_ms, w.wall_budget, coalesce(w.counts_usd, false), coalesce(w.counts_steps, false)
  from mine m join asked r using (run_id) join pick p using (run_id)
  left join lateral (select x.* from longhaul.terms(r.budget_id) x where r.budget_id is not null) w on true;
end $function$;

create or replace function longhaul.claim_isolated(p_worker uuid, p_lease_ms integer, p_run uuid)
 returns boolean
 language plpgsql
as $function$
declare l longhaul.live; n longhaul.lanes; t longhaul.tenants; gates int[];
begin
  select * into l from longhaul.live x where x.run_id = p_run and x.isolate and x.state = 'queued' for update skip locked;
  if not found then return false; end if;
  select * into n from longhaul.lanes x where x.lane_id = l.lane_id;
  select * into t from longhaul.tenants x where x.tenant_id = n.tenant_id for update;
  gates := array_remove(array[n.agent_gate, n.key_gate], null);
  perform 1 from longhaul.gates g where g.gate_id = any(gates) order by g.gate_id for no key update;
  if t.paused or t.in_flight >= t.cap or exists (select from longhaul.gates g where g.gate_id = any(gates) and g.in_flight >= g.cap) then return false; end if;
  update longhaul.tenants x set in_flight = x.in_flight + 1 where x.tenant_id = n.tenant_id;
  update longhaul.gates g set in_flight = g.in_flight + 1 where g.gate_id = any(gates);
  update longhaul.live x
     set state = 'running', worker_id = p_worker, epoch = x.epoch + 1, journal_seq = x.journal_seq + 1, claim_seq = x.journal_seq + 1,
         claimed_at = clock_timestamp(), expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond', need = 0,
         agent_gate = n.agent_gate, key_gate = n.key_gate
   where x.run_id = p_run;
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  values (p_run, l.journal_seq + 1, l.epoch + 1, 1, '{"worker":"' || p_worker || '","isolated":true}');
  return true;
end $function$;

create or replace function longhaul.clear_leftovers(p_entries integer, p_blobs integer)
 returns integer
 language plpgsql
as $function$
declare l longhaul.leftovers; tenants text[]; hashes text[]; n int;
begin
  select * into l from longhaul.leftovers x order by x.run_id limit 1 for update skip locked;
  if found then
    with gone as (
      delete from longhaul.journal j
       where j.run_id = l.run_id and j.seq > (select max(k.seq) from longhaul.journal k where k.run_id = l.run_id) - p_entries returning j.blob
    ), loose as (
      insert into longhaul.loose_blobs (tenant_id, hash) select distinct l.tenant_id, g.blob from gone g where g.blob is not null order by 2 on conflict do nothing
    ) select count(*)::int into n from gone;
    if n < p_entries then delete from longhaul.leftovers x where x.run_id = l.run_id; end if;
    return n;
  end if;
  with gone as (
    delete from longhaul.loose_blobs b using (select x.tenant_id, x.hash from longhaul.loose_blobs x limit p_blobs for update skip locked) y
     where b.tenant_id = y.tenant_id and b.hash = y.hash returning b.tenant_id, b.hash
  ) select array_agg(g.tenant_id), array_agg(g.hash), count(*)::int into tenants, hashes, n from gone g;
  if n = 0 then return null; end if;
  perform longhaul.drop_blobs(tenants, hashes);
  return n;
end $function$;

create or replace function longhaul.close_apart(p_closings jsonb)
 returns integer
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare g record; n int := 0; outside uuid[] := '{}';
begin
  perform longhaul.open_account(u.a) from (select distinct (c->>'account_id')::uuid as a from jsonb_array_elements(p_closings) c) u where u.a is not null;
  perform 1 from longhaul.budget_accounts a where a.account_id = any(array(select (c->>'account_id')::uuid from jsonb_array_elements(p_closings) c)) order by a.account_id for no key update;
  for g in
    select (c->>'account_id')::uuid as account, (c->>'epoch')::int as epoch, jsonb_agg(c order by c->>'call_id') as closings
      from jsonb_array_elements(p_closings) c group by 1, 2 order by 1, 2
  loop
    continue when g.epoch is not null and not exists (select from longhaul.live l where l.run_id = g.account and l.epoch = g.epoch);
    n := n + longhaul.close_calls(g.account, g.epoch, g.closings);
    if g.epoch is null and g.account is not null then outside := outside || g.account; end if;
  end loop;
  if outside <> '{}' then perform longhaul.roll(outside, true, longhaul.none()); end if;
  return n;
end $function$;

create or replace function longhaul.close_calls(p_account uuid, p_epoch integer, p_closings jsonb)
 returns integer
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare t record; ids uuid[] := array(select c.call_id from jsonb_to_recordset(p_closings) c(call_id uuid));
begin
  if jsonb_path_exists(p_closings, '$[*].fresh') then
    perform longhaul.write_calls(jsonb_path_query_array(p_closings, '$[*].fresh'), p_account, p_epoch);
  end if;
  if jsonb_path_exists(p_closings, '$[*] ? (@.state == "withdrawn")') then
    delete from longhaul.calls k using jsonb_to_recordset(p_closings) c(call_id uuid, state text)
     where c.state = 'withdrawn' and k.call_id = any(ids) and k.call_id = c.call_id and k.account_id is not distinct from p_account and k.state = 'open';
  end if;
  with told as (
    update longhaul.calls k
       set state = c.state, closed_at = clock_timestamp(), failure = c.failure, input_tokens = c.input_tokens, output_tokens = c.output_tokens,
           cache_read_tokens = c.cache_read_tokens, cache_write_tokens = c.cache_write_tokens, reasoning_tokens = c.reasoning_tokens, nano_usd = c.nano_usd,
           price_confidence = c.price_confidence, source = c.source, latency_ms = c.latency_ms, first_chunk_ms = c.first_chunk_ms
      from jsonb_to_recordset(p_closings) c(call_id uuid, state text, failure text, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
                                            reasoning_tokens bigint, nano_usd bigint, price_confidence text, source text, latency_ms int, first_chunk_ms int)
     where k.call_id = any(ids) and k.call_id = c.call_id and k.account_id is not distinct from p_account and k.closed_at is null and c.state <> 'withdrawn'
    returning (k.input_tokens, k.output_tokens, k.nano_usd, 0)::longhaul.spend as cost
  )
  select count(*)::int as n, longhaul.total(x.cost) as cost into t from told x;
  if t.n > 0 and p_account is not null then
    update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, t.cost), calls = a.calls + t.n where a.account_id = p_account;
  end if;
  return t.n;
end $function$;

create or replace function longhaul.close_calls_of(p_run uuid[], p_closings jsonb)
 returns void
 language plpgsql
 set enable_nestloop to 'off'
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare payers uuid[]; told uuid[];
begin
  payers := array(select distinct c.run_id from jsonb_to_recordset(p_closings) c(run_id uuid) where c.run_id = any(p_run) order by 1);
  perform longhaul.open_account(u.a) from unnest(payers) u(a);
  perform 1 from longhaul.budget_accounts a where a.account_id = any(payers) order by a.account_id for no key update;
  if jsonb_path_exists(p_closings, '$[*].fresh') then
    perform longhaul.write_calls(jsonb_build_array(c.value->'fresh'), (c.value->>'run_id')::uuid, (c.value->>'epoch')::int)
       from jsonb_array_elements(p_closings) c(value) where c.value ? 'fresh' and (c.value->>'run_id')::uuid = any(payers);
  end if;
  told := array(select c.call_id from jsonb_to_recordset(p_closings) c(call_id uuid));
  with closed as (
    update longhaul.calls k
       set state = c.state, closed_at = clock_timestamp(), failure = c.failure, input_tokens = c.input_tokens, output_tokens = c.output_tokens,
           cache_read_tokens = c.cache_read_tokens, cache_write_tokens = c.cache_write_tokens, reasoning_tokens = c.reasoning_tokens, nano_usd = c.nano_usd,
           price_confidence = c.price_confidence, source = c.source, latency_ms = c.latency_ms, first_chunk_ms = c.first_chunk_ms
      from jsonb_to_recordset(p_closings) c(call_id uuid, run_id uuid, state text, failure text, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,
                                            cache_write_tokens bigint, reasoning_tokens bigint, nano_usd bigint, price_confidence text, source text, latency_ms int, first_chunk_ms int)
     where k.call_id = any(told) and k.call_id = c.call_id and c.run_id = any(payers) and k.account_id is not distinct from c.run_id and k.closed_at is null
    returning k.account_id, (k.input_tokens, k.output_tokens, k.nano_usd, 0)::longhaul.spend as cost
  )
  update longhaul.budget_accounts a set spent = longhaul.plus(a.spent, t.cost), calls = a.calls + t.n
    from (select x.account_id, longhaul.total(x.cost) as cost, count(*)::int as n from closed x group by 1) t
   where a.account_id = t.account_id and a.account_id = any(payers);
end $function$;

create or replace function longhaul.conclude(endings ending[])
 returns item[]
 language plpgsql
 set enable_nestloop to 'off'
as $function$
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
end $function$;

create or replace function longhaul.count_outcomes(p_outcomes jsonb)
 returns void
 language plpgsql
as $function$
declare present float8;
begin
  insert into longhaul.breakers (target)
  select d.target from jsonb_to_recordset(p_outcomes) d(target text, failed int) where d.failed > 0 order by 1 on conflict do nothing;
  perform 1 from longhaul.breakers b where b.target = any(array(select x ->> 'target' from jsonb_array_elements(p_outcomes) x)) order by b.target for update;
  if not found then return; end if;
  present := longhaul.now_ms();
  update longhaul.breakers b
     set window_at = present,
         succeeded_before = case when present < b.window_at + 2 * d.window then b.succeeded else 0 end, succeeded = 0,
         failed_before = case when present < b.window_at + 2 * d.window then b.failed else 0 end, failed = 0
    from jsonb_to_recordset(p_outcomes) d(target text, "window" float8) where b.target = d.target and present >= b.window_at + d.window;
  update longhaul.breakers b
     set succeeded = b.succeeded + d.succeeded, failed = b.failed + d.failed
    from jsonb_to_recordset(p_outcomes) d(target text, succeeded int, failed int) where b.target = d.target and b.open_until is null;
  update longhaul.breakers b
     set open_until = present + d.open, open_ms = d.open, probe_by = null, probe_until = 0, succeeded = 0, failed = 0, succeeded_before = 0, failed_before = 0
    from jsonb_to_recordset(p_outcomes) d(target text, least int, rate float8, open float8)
   where b.target = d.target and b.open_until is null
     and b.succeeded + b.failed + b.succeeded_before + b.failed_before >= d.least
     and b.failed + b.failed_before >= d.rate * (b.succeeded + b.failed + b.succeeded_before + b.failed_before);
end $function$;

create or replace function longhaul.count_steps(p_account uuid[])
 returns void
 language plpgsql
as $function$
begin
  update longhaul.budget_accounts a
     set counted_seq = (c.c).last, spent = longhaul.plus(a.spent, (0, 0, 0, (c.c).n)::longhaul.spend)
    from (select x.account_id, (
            select row(max(j.seq), count(*) filter (where j.kind = 10 and j.epoch > 0 and left(j.body, 6) <> '{"c":0'))::longhaul.counted
              from longhaul.journal j where j.run_id = x.account_id and j.seq > x.counted_seq) as c
            from longhaul.budget_accounts x where x.account_id = any(p_account)) c
   where a.account_id = c.account_id and a.account_id = any(p_account) and (c.c).last is not null;
end $function$;

create or replace function longhaul.count_traffic(p_build text, p_queue text[], p_started integer[], p_finished integer[], p_waits text[])
 returns void
 language sql
as $function$
  insert into longhaul.queue_minutes as m (minute, queue, build, started, finished, waits)
  select date_trunc('minute', clock_timestamp()), u.queue, p_build, u.started, u.finished, u.waits::int[]
    from unnest(p_queue, p_started, p_finished, p_waits) u(queue, started, finished, waits) order by u.queue
  on conflict (minute, queue, build) do update
     set started = m.started + excluded.started, finished = m.finished + excluded.finished,
         waits = array(select coalesce(x.a, 0) + coalesce(x.b, 0) from unnest(m.waits, excluded.waits) with ordinality x(a, b, place) order by x.place)
$function$;

create or replace function longhaul.day_end_ms(p_zone text)
 returns double precision
 language sql
as $function$
  select extract(epoch from (date_trunc('day', clock_timestamp() at time zone p_zone) + interval '1 day') at time zone p_zone)::float8 * 1000
$function$;

create or replace function longhaul.declare_budgets(p_run uuid[], p_tenant text[], p_above uuid[], p_declared text[])
 returns void
 language plpgsql
as $function$
begin
  insert into longhaul.budgets (budget_id, parent_id, tenant_id, kind, on_exceeded, wall_ms, ends_at, limits)
  select u.run, coalesce(u.above, (select t.budget_id from longhaul.tenants t where t.tenant_id = u.tenant)), u.tenant, 'run', coalesce(d->>'on_exceeded', 'fail'),
         (d->>'wall_ms')::bigint, clock_timestamp() + (d->>'wall_ms')::bigint * interval '1 millisecond', longhaul.limits_of(d)
    from unnest(p_run, p_tenant, p_above, p_declared) u(run, tenant, above, declared) cross join lateral (select u.declared::jsonb as d) x
   where u.declared is not null;
end $function$;

create or replace function longhaul.declare_quotas(p_quotas jsonb, p_slot_ms double precision)
 returns void
 language plpgsql
as $function$
declare present float8;
begin
  perform set_config('synchronous_commit', 'off', true);
  perform 1 from longhaul.quotas q where q.key = any(array(select x ->> 'key' from jsonb_array_elements(p_quotas) x)) order by q.key for update;
  present := longhaul.now_ms();
  insert into longhaul.quotas as q (key, kind, declared, limit_, emission_ms, burst_ms, zone, tat, line, busy_since, blocked_until)
  select d.key, d.kind, true, d."limit", d.emission, d.burst, d.zone, b.full_at, b.full_at, b.full_at,
         case when d.kind = 'slots' and k.key is not null then present + p_slot_ms else 0 end
    from jsonb_to_recordset(p_quotas) d(key text, kind text, "limit" float8, emission float8, burst float8, zone text)
    left join longhaul.quota_limits k on k.key = d.key
   cross join lateral (select case when d.kind = 'rate' and k.key is not null then present + d.burst else 0 end as full_at) b
   order by d.key
  on conflict (key) do update
     set kind = excluded.kind, declared = true, limit_ = excluded.limit_, burst_ms = excluded.burst_ms, zone = excluded.zone,
         emission_ms = case when excluded.kind = 'slots' and q.kind = 'slots' and q.limit_ = excluded.limit_ then q.emission_ms else excluded.emission_ms end,
         tat = case when q.declared then q.tat else greatest(q.tat, excluded.tat) end,
         line = case when q.declared then q.line else greatest(q.line, excluded.tat) end,
         busy_since = case when q.declared then q.busy_since else greatest(q.busy_since, excluded.tat) end;
  insert into longhaul.quota_limits as k (key, limit_)
  select d.key, d."limit" from jsonb_to_recordset(p_quotas) d(key text, "limit" float8) order by d.key
  on conflict (key) do update set limit_ = excluded.limit_, declared_at = excluded.declared_at where k.limit_ <> excluded.limit_;
end $function$;

create or replace function longhaul.declared(p_budget uuid)
 returns text
 language sql
 stable
as $function$
  select jsonb_strip_nulls(jsonb_build_object(
    'input', (b.limits).input, 'output', (b.limits).output, 'nano_usd', (b.limits).nano_usd::text, 'steps', (b.limits).steps, 'wall_ms', b.wall_ms,
    'on_exceeded', b.on_exceeded))::text
    from longhaul.budgets b where b.budget_id = p_budget
$function$;

create or replace function longhaul.delete_plan(p_plan text)
 returns integer
 language plpgsql
as $function$
declare left_over text[];
begin
  delete from longhaul.plans p where p.plan = p_plan and p_plan <> 'default';
  if not found then return null; end if;
  left_over := array(select t.tenant_id from longhaul.tenants t where t.plan = p_plan);
  perform longhaul.follow_plan(left_over, 'default');
  return cardinality(left_over);
end $function$;

create or replace function longhaul.deliver(p_run uuid, p_kind text, p_key text, p_body text, p_blob text, p_inbox_max integer)
 returns text
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
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
end $function$;

create or replace function longhaul.desired_workers(queues text[], build text, min integer default 0, max integer default 10, slots integer default 64, sla_ms bigint default 5000, target integer default 2)
 returns integer
 language plpgsql
 stable security definer
 set search_path to 'pg_catalog', 'pg_temp'
as $function$
begin
  return (select s.desired from longhaul.scale(queues, build, min, max, slots, sla_ms, target) s);
end $function$;

create or replace function longhaul.draw(p_account uuid, p_worker uuid, p_epoch integer, p_need spend, p_want spend, p_first boolean, p_blocker uuid, p_keep spend)
 returns drawn
 language plpgsql
as $function$
declare a longhaul.budget_accounts; d longhaul.drawn; need longhaul.spend := p_need; room longhaul.spend; below uuid[];
begin
  d.verdict := 'lost';
  if p_epoch is not null then
    perform 1 from longhaul.live l where l.run_id = p_account and l.epoch = p_epoch and l.worker_id = p_worker for key share;
    if not found then return d; end if;
  end if;
  if not p_first and p_need = longhaul.none() then
    d.verdict := 'done'; d.granted := p_need; d.tight := false; return d;
  end if;
  perform longhaul.open_account(p_account);
  below := case when p_blocker is not null then longhaul.accounts_below(p_blocker) end;
  perform 1 from longhaul.budget_accounts x where x.account_id = any(array_append(below, p_account)) order by x.account_id for no key update;
  select * into a from longhaul.budget_accounts x where x.account_id = p_account;
  if a.account_id is null then return d; end if;
  if a.epoch < p_epoch then
    update longhaul.budget_accounts x set epoch = p_epoch where x.account_id = p_account;
    perform longhaul.abandon(array[p_account], p_epoch);
  end if;
  if a.budget_id is not null then
    if below is not null then
      -- all budgets that this may touch, in one sorted pass
      perform 1 from longhaul.budgets b where b.budget_id = any(array(
        select u.b from longhaul.budget_accounts x cross join lateral unnest(longhaul.budgets_above(x.budget_id)) u(b) where x.account_id = any(array_append(below, p_account))))
        order by b.budget_id for no key update;
      perform longhaul.roll(array_remove(below, p_account), false, longhaul.none());
    end if;
    perform longhaul.roll(array[p_account], below is not null, p_keep);
    if p_first then
      room := (select longhaul.minus(x.held, longhaul.under_way(p_account)) from longhaul.budget_accounts x where x.account_id = p_account);
      need := longhaul.more_of(longhaul.minus(p_need, room), longhaul.none());
    end if;
  end if;
  d := longhaul.take(p_account, need, p_want);
  if p_first and d.verdict = 'done' and a.budget_id is not null then d.room := longhaul.minus(longhaul.plus(room, d.granted), p_need); end if;
  return d;
end $function$;

create or replace function longhaul.draw_plenty(p_account uuid, p_need spend)
 returns boolean
 language plpgsql
as $function$
declare a longhaul.budget_accounts; above uuid[]; n int;
begin
  select * into a from longhaul.budget_accounts x where x.account_id = p_account for no key update;
  if not found then
    perform longhaul.open_account(p_account);
    select * into a from longhaul.budget_accounts x where x.account_id = p_account for no key update;
  end if;
  if a.account_id is null then return false; end if;
  if a.budget_id is null then return true; end if;
  above := longhaul.budgets_above(a.budget_id);
  select count(*) into n from (
    select b.ends_at, b.period_ends_at, longhaul.minus(longhaul.plus(b.limits, b.before), longhaul.plus(b.spent, b.held)) as free
      from longhaul.budgets b where b.budget_id = any(above) order by b.budget_id for no key update) b
   where (b.ends_at is null or b.ends_at > clock_timestamp()) and (b.period_ends_at is null or b.period_ends_at > clock_timestamp())
     and coalesce((b.free).input >= (p_need).input, true) and coalesce((b.free).output >= (p_need).output, true)
     and coalesce((b.free).nano_usd >= (p_need).nano_usd, true) and coalesce((b.free).steps >= (p_need).steps, true);
  if n < cardinality(above) then return false; end if;
  update longhaul.budgets b set held = longhaul.plus(b.held, p_need) where b.budget_id = any(above);
  update longhaul.budget_accounts x set held = longhaul.plus(x.held, p_need) where x.account_id = p_account;
  return true;
end $function$;

create or replace function longhaul.drop_accounts(p_run uuid[])
 returns void
 language plpgsql
as $function$
declare above uuid[]; n int;
begin
  delete from longhaul.calls c where c.account_id = any(p_run);
  perform 1 from longhaul.budget_accounts a where a.account_id = any(p_run) order by a.account_id for no key update;
  above := array(select distinct u.b from longhaul.budget_accounts a cross join lateral unnest(longhaul.budgets_above(a.budget_id)) u(b) where a.account_id = any(p_run))
        || array(select b.budget_id from longhaul.budgets b where b.budget_id = any(p_run));
  if above = '{}' then
    delete from longhaul.budget_accounts a where a.account_id = any(p_run);
    return;
  end if;
  perform 1 from longhaul.budgets b where b.budget_id = any(above) order by b.budget_id for no key update;
  with gone as (
    delete from longhaul.budget_accounts a where a.account_id = any(p_run) returning a.budget_id, a.rolled
  )
  update longhaul.budgets b set dropped = longhaul.plus(b.dropped, s.rolled)
    from (select u.b, longhaul.total(g.rolled) as rolled from gone g cross join lateral unnest(longhaul.budgets_above(g.budget_id)) u(b) group by 1) s
   where b.budget_id = s.b and b.budget_id = any(above);
  loop
    with gone as (
      delete from longhaul.budgets b
       where b.budget_id = any(above) and case b.kind when 'run' then (select true from longhaul.runs r where r.run_id = b.budget_id limit 1) is null else b.budget_id = any(p_run) end
         and (select true from longhaul.budget_accounts a where a.budget_id = b.budget_id limit 1) is null
         and (select true from longhaul.budgets c where c.parent_id = b.budget_id limit 1) is null
      returning b.budget_id
    ), notes as (
      delete from longhaul.raises x where x.budget_id = any(array(select g.budget_id from gone g))
    ) select count(*) into n from gone;
    exit when n = 0;
  end loop;
end $function$;

create or replace function longhaul.drop_blobs(p_tenant text[], p_hash text[])
 returns integer
 language plpgsql
as $function$
declare tids tid[]; tenants text[]; hashes text[]; n int;
begin
  select array_agg(b.tid), array_agg(b.tenant_id), array_agg(b.hash) into tids, tenants, hashes
    from (select distinct u.tenant_id, u.hash from unnest(p_tenant, p_hash) u(tenant_id, hash) order by 1, 2) u
   cross join lateral (
     select x.ctid as tid, x.tenant_id, x.hash from longhaul.blobs x where x.tenant_id = u.tenant_id and x.hash = u.hash for update skip locked) b;
  -- `offset 0`: one descent of an index for each of a few values, never a join with everything that refers to some value
  delete from longhaul.blobs b using unnest(tids, tenants, hashes) h(tid, tenant_id, hash)
   where b.ctid = h.tid and b.ctid = any(tids)
     and not exists (select from longhaul.runs r where r.input_blob = h.hash and r.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.outcomes o where o.output_blob = h.hash and o.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.approvals a where a.request_blob = h.hash and a.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.threads t where t.state_blob = h.hash and t.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.intake i where i.input_blob = h.hash and i.tenant_id = h.tenant_id offset 0)
     and not exists (select from longhaul.inbox i where i.blob = h.hash
                       and exists (select from longhaul.runs r where r.run_id = i.run_id and r.tenant_id = h.tenant_id offset 0) offset 0)
     and not exists (select from longhaul.journal j where j.blob = h.hash
                       and exists (select from longhaul.runs r where r.run_id = j.run_id and r.tenant_id = h.tenant_id offset 0) offset 0);
  get diagnostics n = row_count;
  return n;
end $function$;

create or replace function longhaul.drop_trees(p_roots uuid[])
 returns integer
 language plpgsql
 set enable_nestloop to 'off'
as $function$
declare ids uuid[];
begin
  -- a fork holds the root of its source until it has copied
  ids := array(select r.run_id from (
    select x.run_id from longhaul.runs x where x.run_id = any(p_roots) order by x.run_id for update skip locked) r);
  ids := ids || array(select m.run_id from longhaul.runs m where m.root_id = any(ids) and m.root_id <> m.run_id);
  delete from longhaul.inbox i where i.run_id = any(ids);
  delete from longhaul.cancel_cascade c where c.parent_id = any(ids);
  delete from longhaul.dead_letters d where d.run_id = any(ids);
  delete from longhaul.expiries x where x.run_id = any(ids);
  delete from longhaul.tokens t where t.run_id = any(ids);
  with asked as (
    delete from longhaul.runs r where r.run_id = any(ids) returning r.run_id, r.tenant_id, r.input_blob
  ), ended as (
    delete from longhaul.outcomes o where o.run_id = any(ids) returning o.run_id, o.tenant_id, o.entries, o.output_blob
  ), questions as (
    delete from longhaul.approvals a where a.run_id = any(ids) returning a.tenant_id, a.request_blob
  ), summed as materialized (
    select e.run_id, e.tenant_id, sum(e.entries) over (order by e.entries, e.run_id) > 10000 as is_long from ended e
  ), later as (
    insert into longhaul.leftovers (run_id, tenant_id) select s.run_id, s.tenant_id from summed s where s.is_long
  ), entries as (
    delete from longhaul.journal j where j.run_id = any(array(select s.run_id from summed s where not s.is_long)) returning j.run_id, j.blob
  )
  insert into longhaul.loose_blobs (tenant_id, hash)
  select a.tenant_id, a.input_blob from asked a where a.input_blob is not null
  union select e.tenant_id, e.output_blob from ended e where e.output_blob is not null
  union select q.tenant_id, q.request_blob from questions q where q.request_blob is not null
  union select a.tenant_id, j.blob from entries j join asked a using (run_id) where j.blob is not null
  order by 1, 2 on conflict do nothing;
  perform longhaul.drop_accounts(ids);
  return cardinality(ids);
end $function$;

create or replace function longhaul.end_idle(p_run uuid[], p_status text, p_reason text)
 returns item[]
 language plpgsql
as $function$
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
end $function$;

create or replace function longhaul.end_probe(p_target text, p_by uuid, p_outcome text, p_open_max double precision)
 returns void
 language sql
as $function$
  update longhaul.breakers b
     set probe_by = null, probe_until = 0,
         open_until = case p_outcome when 'success' then null when 'failure' then longhaul.now_ms() + least(2 * b.open_ms, p_open_max) else b.open_until end,
         open_ms = case p_outcome when 'failure' then least(2 * b.open_ms, p_open_max) else b.open_ms end
   where b.target = p_target and b.probe_by = p_by
$function$;

create or replace function longhaul.end_unheld(p_run uuid[], p_status text, p_reason text)
 returns void
 language plpgsql
as $function$
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
end $function$;

create or replace function longhaul.enter_item(p_item jsonb)
 returns void
 language sql
as $function$
  insert into longhaul.batch_items (item_id, run_id, tenant_id, batcher, payload, due_at, deadline_at, est_input, est_output, est_nano_usd)
  select i.item_id, i.run_id, i.tenant_id, i.batcher, i.payload, clock_timestamp() + i.delay_ms * interval '1 millisecond',
         clock_timestamp() + i.deadline_ms * interval '1 millisecond', coalesce(i.est_input, 0), coalesce(i.est_output, 0), coalesce(i.est_nano_usd, 0)
    from jsonb_to_record(p_item) i(item_id uuid, run_id uuid, tenant_id text, batcher text, payload text, delay_ms float8, deadline_ms float8,
                                   est_input bigint, est_output bigint, est_nano_usd bigint)
  on conflict do nothing
$function$;

create or replace function longhaul.enter_thread(p_thread bigint[], p_seq bigint[], p_run uuid[])
 returns uuid[]
 language plpgsql
as $function$
declare started uuid[];
begin
  perform 1 from longhaul.threads t where t.thread_no = any(p_thread) order by t.thread_no for update;
  with asked as materialized (
    select u.thread_no, u.seq, u.run_id, row_number() over (partition by u.thread_no order by u.seq) as place
      from unnest(p_thread, p_seq, p_run) u(thread_no, seq, run_id)
  ), won as (
    update longhaul.threads t set active_run = a.run_id, updated_at = clock_timestamp()
      from asked a where a.place = 1 and t.thread_no = a.thread_no and t.thread_no = any(p_thread) and t.active_run is null returning a.run_id
  ), queued as (
    insert into longhaul.thread_queue (thread_no, seq, run_id)
    select a.thread_no, a.seq, a.run_id from asked a where a.run_id not in (select w.run_id from won w)
  )
  select array_agg(w.run_id) into started from won w;
  return started;
end $function$;

create or replace function longhaul.expire(p_limit integer)
 returns integer
 language plpgsql
as $function$
declare present timestamptz := clock_timestamp(); due uuid[]; late uuid[];
begin
  due := array(select x.run_id from longhaul.expiries x where x.start_by <= present order by x.start_by limit p_limit);
  if cardinality(due) = 0 then return 0; end if;
  select array_agg(x.run_id) into late from (
    select l.run_id from longhaul.live l where l.run_id = any(due) and l.state = 'queued' and l.epoch = 0 order by l.run_id desc for update skip locked) x;
  if late is not null then perform longhaul.end_unheld(late, 'cancelled', 'expired'); end if;
  delete from longhaul.expiries x where x.run_id = any(due)
     and not exists (select from longhaul.live l where l.run_id = x.run_id and l.state = 'queued' and l.epoch = 0);
  return coalesce(cardinality(late), 0);
end $function$;

create or replace function longhaul.find_lanes(p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_key text[])
 returns integer[]
 language plpgsql
as $function$
begin
  return (
    with asked as materialized (
      select u.tenant, u.agent, u.build, u.queue, coalesce(u.band, -1) as wish, u.key, u.place
        from unnest(p_tenant, p_agent, p_build, p_queue, p_band, p_key) with ordinality u(tenant, agent, build, queue, band, key, place)
    ), found as materialized (
      select a.*, (
        select l.lane_id from longhaul.lanes l where l.agent = a.agent and l.key = a.key and l.turn_id = (
          select t.turn_id from longhaul.turns t where t.queue = a.queue and t.tenant_id = a.tenant and t.build = a.build and t.band = coalesce((
            select n.band from longhaul.tenants n where n.tenant_id = a.tenant), nullif(a.wish, -1), 1))) as lane_id
        from (select distinct tenant, agent, build, queue, wish, key from asked) a
    )
    select array_agg(f.lane_id order by a.place) from asked a left join found f using (tenant, agent, build, queue, wish, key));
end $function$;

create or replace function longhaul.follow_plan(p_tenant text[], p_plan text)
 returns void
 language plpgsql
as $function$
begin
  perform 1 from longhaul.tenants t where t.tenant_id = any(p_tenant) order by t.tenant_id for update;
  update longhaul.tenants t
     set plan = p.plan, cap = coalesce(p.concurrency, 2147483647), weight = p.weight, band = p.band,
         unfinished_max = coalesce(p.unfinished_max, 2147483647), submits_per_minute = p.submits_per_minute,
         rate_at = case when p.submits_per_minute is distinct from t.submits_per_minute then null else t.rate_at end
    from longhaul.plans p where p.plan = p_plan and t.tenant_id = any(p_tenant);
  perform longhaul.offer_tenants(p_tenant);
  perform longhaul.budget_tenants(p_tenant, p.budget) from longhaul.plans p where p.plan = p_plan;
end $function$;

create or replace function longhaul.forget_answers(p_limit integer)
 returns integer
 language sql
as $function$
  with gone as (
    delete from longhaul.answers a where a.answer_key = any(array(
      select x.answer_key from longhaul.answers x where x.expires_at < clock_timestamp() order by x.expires_at limit p_limit for update skip locked))
      and a.expires_at < clock_timestamp() returning 1
  ) select count(*)::int from gone
$function$;

create or replace function longhaul.forget_batches(p_after timestamptz, p_limit integer)
 returns timestamptz
 language plpgsql
as $function$
declare n int; last timestamptz; ids uuid[];
begin
  delete from longhaul.batches b where b.batch_id = any(array(
    select x.batch_id from longhaul.batches x where x.state = 'closed' and x.closed_at < clock_timestamp() - interval '1 day' order by x.closed_at limit p_limit));
  select count(*), max(x.created_at), array_agg(x.item_id) filter (where (select true from longhaul.live l where l.run_id = x.run_id) is null) into n, last, ids from (
    select i.item_id, i.run_id, i.created_at from longhaul.batch_items i
     where i.created_at > coalesce(p_after, '-infinity') and i.created_at < clock_timestamp() - interval '1 minute' order by i.created_at limit p_limit) x;
  if ids is not null then delete from longhaul.batch_items i where i.item_id = any(ids) and i.state <> 'taken'; end if;
  return case when n = p_limit then last end;
end $function$;

create or replace function longhaul.forget_idle(p_idle interval, p_limit integer)
 returns integer
 language plpgsql
as $function$
declare idle int[]; turn int[]; n int;
begin
  idle := array(
    select l.lane_id from longhaul.lanes l join longhaul.turns t using (turn_id)
     where l.ready = 0 and coalesce(l.head_at, '-infinity') < clock_timestamp() - p_idle
       and (l.key <> '' or not exists (select from longhaul.workers w where w.build = t.build)) limit p_limit);
  idle := array(select i from unnest(idle) i except select l.lane_id from longhaul.live l);
  if cardinality(idle) = 0 then return 0; end if;
  turn := array(select distinct l.turn_id from longhaul.lanes l where l.lane_id = any(idle));
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for update;
  delete from longhaul.lanes l where l.lane_id = any(idle) and l.ready = 0 and not exists (select from longhaul.live v where v.lane_id = l.lane_id);
  get diagnostics n = row_count;
  delete from longhaul.turns t where t.turn_id = any(turn) and not exists (select from longhaul.lanes l where l.turn_id = t.turn_id);
  delete from longhaul.gates g where g.key <> '' and g.in_flight = 0
     and not exists (select from longhaul.lanes l where l.key_gate = g.gate_id)
     and not exists (select from longhaul.live l where l.state = 'running' and l.key_gate = g.gate_id);
  return n;
end $function$;

create or replace function longhaul.forget_quotas()
 returns integer
 language plpgsql
as $function$
declare present float8 := longhaul.now_ms(); n int; full_ text[];
begin
  full_ := array(select distinct s.key from longhaul.call_slots s where s.expires_at <= present);
  perform 1 from longhaul.quotas q where q.key = any(full_) order by q.key for update;
  with gone as (delete from longhaul.call_slots s where s.key = any(full_) and s.expires_at <= present returning s.key)
  update longhaul.quotas q set used = q.used - g.n from (select key, count(*)::int as n from gone group by 1) g where q.key = g.key;
  delete from longhaul.quotas q where q.key = any(array(
    select x.key from longhaul.quotas x where not x.declared and greatest(x.line, x.blocked_until, x.busy_since) < present - 86400000
     order by x.key limit 1000 for update skip locked));
  delete from longhaul.breakers b where b.target = any(array(
    select x.target from longhaul.breakers x where x.open_until is null and x.window_at < present - 3600000 order by x.target limit 1000 for update skip locked));
  delete from longhaul.bookings b where (b.call_key, b.target) in (
    select x.call_key, x.target from longhaul.bookings x where x.ready_at < present - 600000 limit 10000 for update skip locked);
  get diagnostics n = row_count;
  return n;
end $function$;

create or replace function longhaul.forget_recent_runs(p_limit integer)
 returns integer
 language sql
as $function$
  with gone as (
    delete from longhaul.recent_runs r using (
      select x.tenant_id, x.agent, x.input_hash from longhaul.recent_runs x where x.expires_at < clock_timestamp() order by x.expires_at limit p_limit for update skip locked) y
     where r.tenant_id = y.tenant_id and r.agent = y.agent and r.input_hash = y.input_hash returning 1
  ) select count(*)::int from gone
$function$;

create or replace function longhaul.fork(p_new uuid, p_source uuid, p_keep integer[], p_new_input boolean, p_input text, p_input_blob text)
 returns boolean
 language plpgsql
as $function$
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
end $function$;

create or replace function longhaul.free_gates(freed_gates integer[])
 returns integer[]
 language plpgsql
as $function$
declare full_gate int[]; full_n int[];
begin
  if coalesce(cardinality(freed_gates), 0) = 0 then return null; end if;
  with n as materialized (select g as gate_id, count(*)::int as n from unnest(freed_gates) g group by 1),
  locked as materialized (
    select g.gate_id, n.n, g.in_flight >= g.cap as was_full from longhaul.gates g join n using (gate_id)
     where g.gate_id = any(freed_gates) order by 1 for no key update of g
  ), given as (
    update longhaul.gates g set in_flight = g.in_flight - k.n from locked k where g.gate_id = k.gate_id and g.gate_id = any(freed_gates)
  )
  select array_agg(k.gate_id), array_agg(k.n) into full_gate, full_n from locked k where k.was_full;
  if full_gate is null then return null; end if;
  -- a statement of its own: it sees the lanes that were shut by the claims whose locks we waited for
  return longhaul.shut_by(full_gate, full_n);
end $function$;

create or replace function longhaul.free_tenants(freed integer[], ended integer[])
 returns integer[]
 language plpgsql
as $function$
declare parked int[];
begin
  if coalesce(cardinality(freed), 0) + coalesce(cardinality(ended), 0) = 0 then return null; end if;
  with n as materialized (
    select l.tenant_id, sum(x.slots)::int as slots, sum(x.ends)::int as ends
      from (select f as lane_id, 1 as slots, 0 as ends from unnest(freed) f union all select e, 0, 1 from unnest(ended) e) x
      join longhaul.lanes l on l.lane_id = x.lane_id and l.lane_id = any(freed || ended) group by 1
  ), locked as materialized (
    select t.tenant_id, n.slots, n.ends, n.slots > 0 and (t.in_flight >= t.cap or t.paused) as was_full
      from longhaul.tenants t join n using (tenant_id)
     where t.tenant_id = any(array(select n.tenant_id from n)) order by 1 for update of t
  ), given as (
    update longhaul.tenants t set in_flight = t.in_flight - k.slots, unfinished = t.unfinished - k.ends from locked k
     where t.tenant_id = k.tenant_id and t.tenant_id = any(array(select n.tenant_id from n))
  )
  select array_agg(t.turn_id) into parked from locked k cross join lateral (
    select x.turn_id from longhaul.turns x where x.tenant_id = k.tenant_id offset 0) t where k.was_full;
  return parked;
end $function$;

create or replace function longhaul.free_worker(p_worker uuid)
 returns integer
 language plpgsql
as $function$
declare n int;
begin
  update longhaul.workers w set state = 'lost' where w.worker_id = p_worker and w.state <> 'stopped';
  with held as materialized (
    select l.run_id from longhaul.live l where l.worker_id = p_worker and l.state = 'running' order by l.run_id desc for update
  )
  update longhaul.live l set expires_at = clock_timestamp() - interval '1 millisecond' from held h where l.run_id = h.run_id and l.run_id = any(array(select x.run_id from held x));
  get diagnostics n = row_count;
  return n;
end $function$;

create or replace function longhaul.gates_of(held live[], p_run uuid[])
 returns integer[]
 language sql
 immutable
as $function$
  select array_agg(g.gate_id) from unnest(held) h cross join lateral (values (h.agent_gate), (h.key_gate)) g(gate_id)
   where g.gate_id is not null and h.run_id = any(p_run)
$function$;

create or replace function longhaul.give_answer(p_key bytea, p_tenant text, p_owner uuid, p_keep_ms double precision, p_value text)
 returns boolean
 language plpgsql
as $function$
begin
  perform set_config('synchronous_commit', 'off', true);
  insert into longhaul.answers as x (answer_key, tenant_id, state, owner, lease_until, made_at, expires_at, value)
  values (p_key, p_tenant, 'done', p_owner, clock_timestamp(), clock_timestamp(), clock_timestamp() + p_keep_ms * interval '1 millisecond', p_value)
  on conflict (answer_key) do update
     set state = 'done', owner = p_owner, made_at = excluded.made_at, expires_at = excluded.expires_at, value = excluded.value
   where x.tenant_id = p_tenant and (x.owner = p_owner or x.state <> 'pending' or x.lease_until <= clock_timestamp());
  return found;
end $function$;

create or replace function longhaul.hand_over(p_thread bigint[], p_run uuid[])
 returns item[]
 language plpgsql
as $function$
declare handed longhaul.item[];
begin
  if p_thread is null then return null; end if;
  perform 1 from longhaul.threads t where t.thread_no = any(p_thread) order by t.thread_no for update;
  with left_by as materialized (
    select t.thread_no from longhaul.threads t join unnest(p_thread, p_run) u(thread_no, run_id)
        on t.thread_no = u.thread_no and t.active_run = u.run_id and t.thread_no = any(p_thread)
  ), next as materialized (
    select b.thread_no, q.tid, q.run_id from left_by b
      left join lateral (select q.ctid as tid, q.run_id from longhaul.thread_queue q where q.thread_no = b.thread_no order by q.seq limit 1) q on true
  ), moved as (
    update longhaul.threads t set active_run = n.run_id, updated_at = clock_timestamp() from next n where t.thread_no = n.thread_no and t.thread_no = any(p_thread)
  ), gone as (
    delete from longhaul.thread_queue q where q.ctid = any(array(select n.tid from next n)) returning q.run_id
  )
  select array_agg((l.lane_id, l.prio, l.run_id)::longhaul.item) into handed from longhaul.live l
   where l.run_id = any(array(select g.run_id from gone g));
  return handed;
end $function$;

create or replace function longhaul.heartbeat(p_worker uuid, p_lease_ms integer, p_run uuid[], p_epoch integer[])
 returns table(run_id uuid, held boolean, cancel text, inbox_seq integer)
 language plpgsql
 set enable_nestloop to 'off'
 set plan_cache_mode to 'force_generic_plan'
as $function$
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
end $function$;

create or replace function longhaul.in_flight(p_queues text[], p_build text)
 returns table(queue text, build text, running bigint)
 language sql
 stable
as $function$
  select t.queue, t.build, count(*) from longhaul.live v join longhaul.lanes l using (lane_id) join longhaul.turns t using (turn_id)
   where v.state = 'running' and (p_queues is null or t.queue = any(p_queues)) and (p_build is null or t.build = p_build) group by 1, 2
$function$;

create or replace function longhaul.lanes_for(p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_key text[])
 returns integer[]
 language plpgsql
as $function$
declare found int[]; added text[];
begin
  found := longhaul.find_lanes(p_tenant, p_agent, p_build, p_queue, p_band, p_key);
  if array_position(found, null) is null then return found; end if;
  with new as (
    insert into longhaul.tenants (tenant_id, cap, weight, band, unfinished_max, submits_per_minute)
    select distinct u.t, coalesce(p.concurrency, 2147483647), p.weight, p.band, coalesce(p.unfinished_max, 2147483647), p.submits_per_minute
      from unnest(p_tenant) u(t) cross join longhaul.plans p
     where p.plan = 'default' and u.t <> all(array(select x.tenant_id from longhaul.tenants x where x.tenant_id = any(p_tenant))) order by 1
    on conflict do nothing returning tenant_id
  ) select array_agg(n.tenant_id) into added from new n;
  -- nobody else can have locked the budgets that are made here
  if added is not null then perform longhaul.budget_tenants(added, p.budget) from longhaul.plans p where p.plan = 'default' and p.budget is not null; end if;
  insert into longhaul.agents (agent) select distinct u.a from unnest(p_agent) u(a)
   where not exists (select from longhaul.agents x where x.agent = u.a) order by 1 on conflict do nothing;
  -- whoever changes an agent's limits waits for the lanes that are made by the old ones
  perform 1 from longhaul.agents a where a.agent = any(p_agent) order by a.agent for share;
  insert into longhaul.gates (agent, tenant_id, key, cap)
  select distinct g.* from unnest(p_tenant, p_agent, p_key) u(tenant, agent, key) join longhaul.agents a using (agent)
   cross join lateral (
     select a.agent, '', '', a.concurrency where a.concurrency is not null
     union all select a.agent, u.tenant, u.key, coalesce(a.per_key, 1) where a.per_key is not null or u.key <> '') g
   order by 1, 2, 3 on conflict do nothing;
  perform 1 from longhaul.gates g where g.gate_id = any(array(
    select x.gate_id from longhaul.gates x where x.agent = any(p_agent) and x.tenant_id = any(p_tenant) and x.key = any(p_key))) order by g.gate_id for key share;
  insert into longhaul.turns (queue, tenant_id, build, band)
  select distinct u.queue, u.tenant, u.build, coalesce(t.band, u.band, 1::smallint)
    from unnest(p_queue, p_tenant, p_build, p_band) u(queue, tenant, build, band)
    join longhaul.tenants t on t.tenant_id = u.tenant and t.tenant_id = any(p_tenant)
   order by 1, 2, 3, 4 on conflict do nothing;
  perform 1 from longhaul.turns t where t.turn_id = any(array(
    select x.turn_id from longhaul.turns x where x.tenant_id = any(p_tenant) and x.queue = any(p_queue))) order by t.turn_id for key share;
  insert into longhaul.lanes (turn_id, tenant_id, agent, key, agent_gate, key_gate)
  select distinct t.turn_id, u.tenant, u.agent, u.key, a.gate_id, k.gate_id
    from unnest(p_tenant, p_agent, p_build, p_queue, p_band, p_key) u(tenant, agent, build, queue, band, key)
    join longhaul.tenants n on n.tenant_id = u.tenant and n.tenant_id = any(p_tenant)
    join longhaul.turns t on t.queue = u.queue and t.tenant_id = u.tenant and t.build = u.build and t.band = coalesce(n.band, u.band, 1)
                         and t.queue = any(p_queue) and t.tenant_id = any(p_tenant)
    join longhaul.agents g on g.agent = u.agent
    left join longhaul.gates a on a.agent = u.agent and a.tenant_id = '' and a.key = '' and g.concurrency is not null and a.agent = any(p_agent)
    left join longhaul.gates k on k.agent = u.agent and k.tenant_id = u.tenant and k.key = u.key and (g.per_key is not null or u.key <> '')
                              and k.agent = any(p_agent) and k.tenant_id = any(p_tenant) and k.key = any(p_key)
   order by 1, 3, 4 on conflict do nothing;
  found := longhaul.find_lanes(p_tenant, p_agent, p_build, p_queue, p_band, p_key);
  -- a turn that was cleared away in this very moment is missing, a gate fails the constraint keyed_lane_has_gate
  if array_position(found, null) is not null then raise exception 'a turn has just been cleared away' using errcode = 'serialization_failure'; end if;
  return found;
end $function$;

create or replace function longhaul.leave_accounts(p_run uuid[], p_ended uuid[])
 returns void
 language plpgsql
as $function$
declare ids uuid[]; ended uuid[];
begin
  if not exists (select from longhaul.budget_accounts a where a.account_id = any(p_run)) then return; end if;
  ids := array(select x.account_id from (
    select a.account_id from longhaul.budget_accounts a where a.account_id = any(p_run) order by a.account_id for no key update) x);
  ended := array(select i from unnest(ids) i where i = any(p_ended));
  if ended <> '{}' then perform longhaul.abandon(ended, null); end if;
  perform longhaul.roll(ids, true, longhaul.none());
  insert into longhaul.charges (run_id, root_id, tenant_id, agent, input_tokens, output_tokens, nano_usd, steps, calls, finished_at)
  select a.account_id, r.root_id, a.tenant_id, r.agent, (a.spent).input, (a.spent).output, (a.spent).nano_usd, (a.spent).steps, a.calls, o.finished_at
    from longhaul.budget_accounts a join longhaul.runs r on r.run_id = a.account_id join longhaul.outcomes o on o.run_id = a.account_id
   where a.account_id = any(ended) and r.run_id = any(ended) and o.run_id = any(ended) and (a.calls > 0 or a.spent <> longhaul.none());
end $function$;

create or replace function longhaul.less_of(a spend, b spend)
 returns spend
 language sql
 immutable
as $function$
  select (least(a.input, b.input), least(a.output, b.output), least(a.nano_usd, b.nano_usd), least(a.steps, b.steps))::longhaul.spend
$function$;

create or replace function longhaul.limits_of(p_declared jsonb)
 returns spend
 language sql
 immutable
as $function$
  select ((p_declared->>'input')::bigint, (p_declared->>'output')::bigint, (p_declared->>'nano_usd')::bigint, (p_declared->>'steps')::bigint)::longhaul.spend
$function$;

create or replace function longhaul.look_after_batches(p_batchers text[], p_lost text, p_limit integer)
 returns table(due text[], told uuid[])
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
#variable_conflict use_column
declare b record; runs uuid[]; keys text[]; all_runs uuid[] := '{}';
begin
  for b in
    select x.batch_id, x.state from longhaul.batches x where x.state <> 'closed' and x.remote_id is null and x.lease_until < clock_timestamp() and left(x.batcher, 1) <> '@'
     order by x.lease_until limit p_limit for update skip locked
  loop
    update longhaul.batches x set state = 'closed', closed_at = clock_timestamp() where x.batch_id = b.batch_id;
    with back as (
      update longhaul.batch_items i
         set state = case when i.lost + sent.n > 4 then 'failed' else 'waiting' end, batch_id = null, answer = case when i.lost + sent.n > 4 then p_lost end,
             due_at = clock_timestamp(), lost = i.lost + sent.n, alone = i.alone or i.lost + sent.n > 1,
             input_tokens = i.input_tokens + sent.n * i.est_input, output_tokens = i.output_tokens + sent.n * i.est_output, nano_usd = i.nano_usd + sent.n * i.est_nano_usd
        from (select case when b.state = 'sent' then 1 else 0 end as n) sent where i.batch_id = b.batch_id and i.state = 'taken'
      returning i.item_id, i.run_id, i.parked and i.state = 'failed' as sleeps
    ) select array_agg(k.run_id order by k.item_id), array_agg('batch:' || k.item_id order by k.item_id) into runs, keys from back k where k.sleeps;
    perform longhaul.tell_items(runs, keys);
    all_runs := all_runs || coalesce(runs, '{}');
  end loop;
  return query select array(
    select u.b from unnest(p_batchers) u(b)
     where (select true from longhaul.batch_items i where i.state = 'waiting' and i.batcher = u.b and i.due_at <= clock_timestamp() order by i.due_at limit 1)), all_runs;
end $function$;

create or replace function longhaul.minus(a spend, b spend)
 returns spend
 language sql
 immutable
as $function$
  select (a.input - b.input, a.output - b.output, a.nano_usd - b.nano_usd, a.steps - b.steps)::longhaul.spend
$function$;

create or replace function longhaul.more_of(a spend, b spend)
 returns spend
 language sql
 immutable
as $function$
  select (greatest(a.input, b.input), greatest(a.output, b.output), greatest(a.nano_usd, b.nano_usd), greatest(a.steps, b.steps))::longhaul.spend
$function$;

create or replace function longhaul.ms_since(p_then timestamptz, p_now timestamptz)
 returns bigint
 language sql
 immutable
as $function$
  select case when p_then is not null then greatest(extract(epoch from p_now - p_then) * 1000, 0)::bigint end
$function$;

create or replace function longhaul.next_period(p_period text)
 returns timestamptz
 language sql
 stable
as $function$
  select (date_trunc(p_period, clock_timestamp() at time zone 'UTC') + ('1 ' || p_period)::interval) at time zone 'UTC'
$function$;

create or replace function longhaul.now_ms()
 returns double precision
 language sql
as $function$ select extract(epoch from clock_timestamp())::float8 * 1000 $function$;

create or replace function longhaul.offer(parked integer[], shut integer[], further integer[])
 returns void
 language plpgsql
as $function$
declare turn int[];
begin
  turn := array(select l.turn_id from longhaul.lanes l where l.lane_id = any(shut));
  perform 1 from longhaul.turns t
    where t.turn_id = any(parked || turn || array(select l.turn_id from longhaul.lanes l where l.lane_id = any(further))) order by t.turn_id for no key update;
  if shut is not null then
    with opened as (
      update longhaul.lanes l set open = true where l.lane_id = any(shut) and l.ready > 0 and not l.open returning l.turn_id
    )
    update longhaul.turns t set lanes = t.lanes + c.n from (select o.turn_id, count(*)::int as n from opened o group by 1) c
     where t.turn_id = c.turn_id and t.turn_id = any(turn);
  end if;
  update longhaul.turns t set runnable = true, vtime = greatest(t.vtime, longhaul.present(t.queue, t.build, t.band))
   where t.turn_id = any(parked || turn) and t.lanes > 0 and not t.runnable;
end $function$;

create or replace function longhaul.offer_tenants(p_tenant text[])
 returns void
 language plpgsql
as $function$
begin
  perform longhaul.offer(array(select t.turn_id from longhaul.turns t where t.tenant_id = any(p_tenant)), null, null);
end $function$;

create or replace function longhaul.open_account(p_account uuid)
 returns void
 language plpgsql
as $function$
begin
  if exists (select from longhaul.budget_accounts a where a.account_id = p_account) then return; end if;
  insert into longhaul.budget_accounts (account_id, budget_id, tenant_id)
  select r.run_id, r.budget_id, r.tenant_id from longhaul.runs r where r.run_id = p_account
  union all select b.budget_id, b.budget_id, b.tenant_id from longhaul.budgets b where b.budget_id = p_account and b.kind || '' = 'open'
  on conflict do nothing;
end $function$;

create or replace function longhaul.open_budget(p_budget uuid, p_tenant text, p_declared text)
 returns void
 language plpgsql
as $function$
declare d jsonb := p_declared::jsonb;
begin
  insert into longhaul.budgets (budget_id, parent_id, tenant_id, kind, wall_ms, ends_at, limits)
  values (p_budget, (select t.budget_id from longhaul.tenants t where t.tenant_id = p_tenant), p_tenant, 'open', (d->>'wall_ms')::bigint,
          clock_timestamp() + (d->>'wall_ms')::bigint * interval '1 millisecond', longhaul.limits_of(d))
  on conflict do nothing;
end $function$;

create or replace function longhaul.open_call(p_call jsonb, p_account uuid, p_worker uuid, p_epoch integer, p_need spend, p_want spend, p_first boolean, p_blocker uuid, p_keep spend)
 returns drawn
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare d longhaul.drawn; again boolean;
begin
  again := exists (select from longhaul.calls c where c.call_id = (p_call->>'call_id')::uuid);
  if p_account is null then
    d.verdict := 'done'; d.granted := longhaul.none(); d.tight := false;
  else
    d := longhaul.draw(p_account, p_worker, p_epoch, case when again then longhaul.none() else p_need end, p_want, p_first, p_blocker, p_keep);
    if d.verdict <> 'done' then return d; end if;
  end if;
  if not again then perform longhaul.write_calls(jsonb_build_array(p_call), p_account, p_epoch); end if;
  return d;
end $function$;

create or replace function longhaul.open_calls(p_worker uuid, p_run uuid[], p_epoch integer[], p_first boolean[], p_calls jsonb)
 returns table(place integer)
 language plpgsql
 set enable_nestloop to 'off'
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare held uuid[]; fresh uuid[];
begin
  held := array(
    select l.run_id from longhaul.live l
     where l.run_id = any(p_run) and l.worker_id = p_worker
       and exists (select from unnest(p_run, p_epoch) u(run_id, epoch) where u.run_id = l.run_id and u.epoch = l.epoch)
     order by l.run_id desc for key share of l);
  fresh := array(select distinct u.run_id from unnest(p_run, p_first) u(run_id, first) where u.first and u.run_id = any(held) order by 1);
  if cardinality(fresh) > 0 then perform longhaul.begin_accounts(p_worker, fresh); end if;
  return query
  with opened as materialized (
    select u.place::int as place, u.run_id, u.epoch from unnest(p_run, p_epoch) with ordinality u(run_id, epoch, place)
      join longhaul.live l on l.run_id = u.run_id and l.epoch = u.epoch and l.run_id = any(held)
  ), written as (
    insert into longhaul.calls (call_id, run_id, root_id, account_id, est_input, est_output, est_nano_usd, epoch, attempt, tenant_id, call_key, step_key, agent, feature, alias, provider, model)
    select c.call_id, o.run_id, c.root_id, o.run_id, c.est_input, c.est_output, c.est_nano_usd, o.epoch, c.attempt, c.tenant_id, c.call_key, c.step_key, c.agent, c.feature, c.alias, c.provider, c.model
      from opened o join rows from (jsonb_to_recordset(p_calls) as (
             call_id uuid, root_id uuid, est_input bigint, est_output bigint, est_nano_usd bigint, attempt smallint, tenant_id text, call_key text, step_key text, agent text,
             feature text, alias text, provider text, model text)) with ordinality c(call_id, root_id, est_input, est_output, est_nano_usd, attempt, tenant_id, call_key, step_key, agent,
             feature, alias, provider, model, place) on c.place = o.place
    on conflict do nothing
  )
  select o.place from opened o;
end $function$;

create or replace function longhaul.open_item(p_call jsonb, p_account uuid, p_worker uuid, p_epoch integer, p_need spend, p_want spend, p_first boolean, p_blocker uuid, p_keep spend, p_item jsonb)
 returns drawn
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare d longhaul.drawn;
begin
  d := longhaul.open_call(p_call, p_account, p_worker, p_epoch, p_need, p_want, p_first, p_blocker, p_keep);
  if d.verdict <> 'done' then return d; end if;
  update longhaul.calls c set epoch = null where c.call_id = (p_call->>'call_id')::uuid and c.state = 'open' and c.epoch is not null;
  perform longhaul.enter_item(p_item);
  return d;
end $function$;

create or replace function longhaul.open_outside(p_calls jsonb, p_needs spend[], p_account uuid)
 returns setof drawn
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare d longhaul.drawn; need longhaul.spend; i int;
begin
  if not exists (select from longhaul.calls c where c.call_id = any(array(select x.call_id from jsonb_to_recordset(p_calls) x(call_id uuid))))
     and (p_account is null or longhaul.draw_plenty(p_account, (select longhaul.total(n) from unnest(p_needs) n))) then
    perform longhaul.write_calls(p_calls, p_account, null);
    d.verdict := 'done'; d.tight := false;
    foreach need in array p_needs loop
      d.granted := need;
      return next d;
    end loop;
    return;
  end if;
  for i in 1 .. cardinality(p_needs) loop
    return next longhaul.open_call(p_calls->(i - 1), p_account, null, null, p_needs[i], p_needs[i], p_account is not null, null, longhaul.none());
  end loop;
end $function$;

create or replace function longhaul.pause_tenant(p_tenant text, p_paused boolean)
 returns boolean
 language plpgsql
as $function$
begin
  update longhaul.tenants t set paused = p_paused where t.tenant_id = p_tenant;
  if not found then return false; end if;
  perform longhaul.offer_tenants(array[p_tenant]);
  return true;
end $function$;

create or replace function longhaul.plus(a spend, b spend)
 returns spend
 language sql
 immutable
as $function$
  select (a.input + b.input, a.output + b.output, a.nano_usd + b.nano_usd, a.steps + b.steps)::longhaul.spend
$function$;

create or replace function longhaul.present(p_queue text, p_build text, p_band smallint)
 returns bigint
 language sql
 stable
as $function$
  select coalesce((select m.vtime from longhaul.turns m
                    where m.queue = p_queue and m.build = p_build and m.band = p_band and m.runnable
                    order by m.vtime limit 1), 0)
$function$;

create or replace function longhaul.pressure(p_queues text[], p_build text, out runnable bigint, out oldest_ms bigint)
 returns record
 language plpgsql
 stable
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare present timestamptz := clock_timestamp(); oldest timestamptz;
begin
with turn as materialized (
  select t.turn_id, greatest(n.cap - n.in_flight, 0) as room from longhaul.turns t join longhaul.tenants n using (tenant_id)
   where t.runnable and t.ready > 0 and not n.paused and (p_queues is null or t.queue = any(p_queues)) and (p_build is null or t.build = p_build)
), lane as materialized (
  select k.turn_id, k.room, l.lane_id, l.head_at, l.agent_gate, a.cap - a.in_flight as agent_room,
         greatest(least(l.ready, k.room, a.cap - a.in_flight, g.cap - g.in_flight), 0) as can
    from turn k join longhaul.lanes l using (turn_id)
    left join longhaul.gates a on a.gate_id = l.agent_gate left join longhaul.gates g on g.gate_id = l.key_gate
   where l.ready > 0 and l.open
), front as materialized (
  select x.lane_id, (select r.at from longhaul.ready r where r.lane_id = x.lane_id order by r.prio, r.run_id limit 1) as at
    from (select l.lane_id from lane l where l.can > 0 order by l.head_at limit 50) x
)
select coalesce((select sum(least(x.can, x.room)) from (
           select sum(l.can) as can, min(l.room) as room from lane l where l.agent_gate is null group by l.turn_id
           union all select sum(l.can), min(l.agent_room) from lane l where l.agent_gate is not null group by l.agent_gate) x), 0),
       (select min(coalesce(f.at, l.head_at)) from lane l left join front f using (lane_id) where l.can > 0)
  into runnable, oldest;
oldest_ms := longhaul.ms_since(oldest, present);
end $function$;

create or replace function longhaul.promote(p_limit integer)
 returns integer
 language plpgsql
as $function$
-- a value, not a call: only then does the index on due_at stop at the first that is not due
declare present timestamptz := clock_timestamp(); due uuid[]; woken uuid[]; entering uuid[]; starts uuid[]; items longhaul.item[];
begin
  select array_agg(x.run_id) into due from (
    select l.run_id from longhaul.live l
     where l.run_id = any(array(select d.run_id from longhaul.later d where d.due_at <= present order by d.due_at limit p_limit))
     order by l.run_id desc for update skip locked) x;
  if due is null then return 0; end if;
  with gone as (
    delete from longhaul.later d where d.run_id = any(due) and d.due_at <= present returning d.run_id
  ) select array_agg(g.run_id) into woken from gone g;
  if woken is null then return 0; end if;
  delete from longhaul.waits w where w.run_id = any(woken);
  update longhaul.live l set state = 'queued', need = 0 where l.run_id = any(woken) and l.state = 'waiting';
  -- a run that never started enters its thread only now; one that did start has never left it
  select array_agg(l.run_id) into entering from longhaul.live l where l.run_id = any(woken) and l.thread_no is not null and l.epoch = 0;
  if entering is not null then
    select longhaul.enter_thread(array_agg(l.thread_no), array_agg(r.thread_seq), array_agg(l.run_id)) into starts
      from longhaul.live l join longhaul.runs r using (run_id) where l.run_id = any(entering) and r.run_id = any(entering);
  end if;
  items := array(
    select (l.lane_id, l.prio, l.run_id)::longhaul.item from longhaul.live l
     where l.run_id = any(woken) and l.state = 'queued' and not l.isolate
       and (entering is null or l.run_id <> all(entering) or l.run_id = any(starts)));
  perform longhaul.push(items);
  return cardinality(woken);
end $function$;

create or replace function longhaul.prune(p_tenant text, p_until timestamptz, p_failed_until timestamptz, p_failed boolean, p_at timestamptz, p_id uuid, p_limit integer, p_dry boolean)
 returns table(looked integer, trees integer, runs integer, entries bigint, last_at timestamptz, last_id uuid)
 language plpgsql
as $function$
declare ahead refcursor; c record; t record; seen uuid[] := '{}'; roots uuid[] := '{}'; examined int := 0;
begin
  looked := 0; trees := 0; runs := 0; entries := 0; last_at := p_at; last_id := p_id;
  if p_tenant is not null then
    open ahead for select r.run_id, r.root_id, p_at as finished_at from longhaul.runs r
      where r.tenant_id = p_tenant and r.run_id > p_id order by r.run_id limit p_limit;
  elsif p_failed then
    open ahead for select e.run_id, r.root_id, e.finished_at from (
        select o.run_id, o.finished_at from longhaul.outcomes o
         where o.status = 'failed' and (o.finished_at, o.run_id) > (p_at, p_id) and o.finished_at <= p_failed_until
         order by o.finished_at, o.run_id limit p_limit) e
      cross join lateral (select x.root_id from longhaul.runs x where x.run_id = e.run_id offset 0) r order by e.finished_at, e.run_id;
  else
    open ahead for select e.run_id, r.root_id, e.finished_at from (
        select o.run_id, o.finished_at from longhaul.outcomes o
         where o.status <> 'failed' and (o.finished_at, o.run_id) > (p_at, p_id) and o.finished_at <= p_until
         order by o.finished_at, o.run_id limit p_limit) e
      cross join lateral (select x.root_id from longhaul.runs x where x.run_id = e.run_id offset 0) r order by e.finished_at, e.run_id;
  end if;
  loop
    fetch ahead into c;
    exit when not found;
    looked := looked + 1; last_at := c.finished_at; last_id := c.run_id;
    -- where every run of a tree is met and none is dropped, it counts once
    continue when c.root_id = any(seen) or ((p_dry or p_tenant is not null) and c.root_id <> c.run_id);
    seen := seen || c.root_id;
    select count(*)::int as n, sum(o.entries) as entries,
           bool_and(coalesce(o.finished_at <= case o.status when 'failed' then p_failed_until else p_until end, false)) as may_go
      into t
      from (select c.root_id as run_id
            union all select m.run_id from longhaul.runs m where m.root_id = c.root_id and m.root_id <> m.run_id
               and exists (select from longhaul.outcomes e where e.run_id = c.root_id)) m
      left join lateral (
        select x.run_id, x.entries, x.finished_at, x.status from longhaul.outcomes x where x.run_id = m.run_id offset 0) o on true;
    examined := examined + t.n;
    if t.may_go then
      roots := roots || c.root_id; trees := trees + 1; runs := runs + t.n; entries := entries + t.entries;
    end if;
    exit when runs >= p_limit or examined >= 20000;
  end loop;
  close ahead;
  if not p_dry and trees > 0 then runs := longhaul.drop_trees(roots); end if;
  return next;
end $function$;

create or replace function longhaul.prune_calls(p_until timestamptz, p_limit integer)
 returns integer
 language plpgsql
as $function$
declare n int; idle uuid[];
begin
  delete from longhaul.calls c where c.ctid = any(array(
    select x.ctid from longhaul.calls x where x.run_id is null and x.opened_at <= p_until and x.state <> 'open' order by x.opened_at limit p_limit));
  get diagnostics n = row_count;
  if n > 0 then return n; end if;
  idle := array(
    select b.budget_id from longhaul.budgets b
     where b.kind = 'open' and b.created_at <= p_until and coalesce(b.ends_at <= p_until, true)
       -- no "not exists", which is planned as a join with all calls
       and (select true from longhaul.calls c where c.account_id = b.budget_id limit 1) is null
     order by b.created_at limit p_limit);
  if idle <> '{}' then perform longhaul.drop_accounts(idle); end if;
  return cardinality(idle);
end $function$;

create or replace function longhaul.prune_threads(p_tenant text, p_until timestamptz, p_limit integer)
 returns integer
 language plpgsql
as $function$
declare ids bigint[]; n int;
begin
  ids := array(
    select t.thread_no from longhaul.threads t
     where t.updated_at <= p_until and t.active_run is null and (p_tenant is null or t.tenant_id = p_tenant)
       and not exists (select from longhaul.runs r where r.thread_id = t.thread_id and r.tenant_id = t.tenant_id offset 0)
     limit p_limit);
  if cardinality(ids) = 0 then return 0; end if;
  perform set_config('lock_timeout', '50ms', true);
  begin
    lock table longhaul.threads in share row exclusive mode;
  exception when lock_not_available then return null;
  end;
  with gone as (
    delete from longhaul.threads t
     where t.thread_no = any(ids) and t.updated_at <= p_until and t.active_run is null
       and not exists (select from longhaul.runs r where r.thread_id = t.thread_id and r.tenant_id = t.tenant_id offset 0)
    returning t.tenant_id, t.state_blob
  ), loose as (
    insert into longhaul.loose_blobs (tenant_id, hash) select distinct g.tenant_id, g.state_blob from gone g where g.state_blob is not null order by 1, 2 on conflict do nothing
  ) select count(*)::int into n from gone;
  return n;
end $function$;

create or replace function longhaul.purge_rows(p_tenant text, p_limit integer)
 returns integer
 language plpgsql
as $function$
declare t record; n int := 0;
begin
  lock table longhaul.tenants in share row exclusive mode;
  if exists (select from longhaul.runs r where r.tenant_id = p_tenant) or exists (select from longhaul.intake i where i.tenant_id = p_tenant)
    or exists (select from longhaul.leftovers l where l.tenant_id = p_tenant) then return null; end if;
  delete from longhaul.raises x where x.budget_id = any(array(select b.budget_id from longhaul.budgets b where b.tenant_id = p_tenant));
  if exists (select from longhaul.budget_accounts a where a.tenant_id = p_tenant) then
    -- with what they counted: nothing is left that counts what is gone
    update longhaul.budgets b set held = longhaul.none(), spent = longhaul.none(), before = longhaul.none(), dropped = longhaul.none() where b.tenant_id = p_tenant;
    delete from longhaul.budget_accounts a where a.tenant_id = p_tenant;
    get diagnostics n = row_count;
    return n;
  end if;
  if exists (select from longhaul.api_keys k where k.tenant_id = p_tenant) then
    -- that there has been a key is what tells servers to ask for one: a key that opens nothing stays in place of those that go
    insert into longhaul.api_keys (key_id, tenant_id, secret_hash, name, scopes, created_by, revoked_at, revoked_by)
    values ('00000000000', '', decode(repeat('00', 32), 'hex'), 'in place of keys that were dropped', '{runs:read}', 'prune', clock_timestamp(), 'prune')
    on conflict do nothing;
    update longhaul.api_keys k set replaced_by = null where k.tenant_id = p_tenant and k.replaced_by is not null;
  end if;
  for t in
    with recursive tables as materialized (
      select c.oid, c.oid::regclass::text as name,
             -- what counts others goes after them, and nothing is left that names what is gone
             array_position(array['lanes', 'turns', 'gates', 'tenants', 'budgets'], c.relname::text collate "default") as place,
             array(select a.attname::text collate "default" from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
             (select a.attname::text collate "default" from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
               where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1) as key
        from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = (select r.relnamespace from pg_class r where r.oid = 'longhaul.runs'::regclass)
    ), owned as (
      select o.oid, o.name, o.place, o.key, 0 as level, format('tenant_id = %L', p_tenant) as rule from tables o where 'tenant_id' = any(o.columns)
      union all
      select h.oid, h.name, h.place, h.key, o.level + 1, format('%I in (select %I from %s where %s)', o.key, o.key, o.name, o.rule)
        from owned o join tables h on o.key = any(h.columns) and o.key ~ '_(id|no)$' and o.key <> 'run_id' and h.oid <> o.oid and 'tenant_id' <> all(h.columns) where o.level < 4
    ) select o.name, o.rule from owned o order by o.level desc, o.place nulls first, o.name
  loop
    execute format('delete from %s where ctid = any(array(select ctid from %s where %s limit %s))', t.name, t.name, t.rule, p_limit);
    get diagnostics n = row_count;
    -- what hangs on others goes first, all of it
    if n > 0 then return n; end if;
  end loop;
  return 0;
end $function$;

create or replace function longhaul.push(items item[])
 returns void
 language plpgsql
as $function$
declare lane int[]; turn int[]; changed int;
begin
  if items is null or cardinality(items) = 0 then return; end if;
  lane := array(select distinct i.lane_id from unnest(items) i);
  turn := array(select l.turn_id from longhaul.lanes l where l.lane_id = any(lane));
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for no key update;
  insert into longhaul.ready (lane_id, prio, run_id) select i.lane_id, i.prio, i.run_id from unnest(items) i;
  with added as materialized (
    select i.lane_id, count(*)::int as n, min(i.prio) as prio, (array_agg(i.run_id order by i.prio, i.run_id))[1] as front from unnest(items) i group by 1
  ), was as materialized (   -- an empty lane opens; one with runs that is shut stays so: only a freed slot opens it
    select l.lane_id, l.turn_id, l.ready = 0 as empty, a.n, a.prio, a.front from longhaul.lanes l join added a using (lane_id) where l.lane_id = any(lane)
  ), filled as (
    update longhaul.lanes l
       set ready = l.ready + w.n, open = w.empty or l.open, prio = case when w.empty then w.prio else least(l.prio, w.prio) end,
           front = case when w.empty or w.prio < l.prio then w.front when w.prio = l.prio then least(l.front, w.front) else l.front end,
           head_at = case when w.empty then clock_timestamp() else l.head_at end
      from was w where l.lane_id = w.lane_id and l.lane_id = any(lane) returning l.lane_id
  ), told as (
    update longhaul.turns t
       set ready = t.ready + c.n, lanes = t.lanes + c.opened,
           -- open lanes and not runnable means parked by the tenant's cap: only a freed slot un-parks it
           runnable = t.runnable or (t.lanes = 0 and c.opened > 0),
           vtime = case when t.lanes = 0 then greatest(t.vtime, longhaul.present(t.queue, t.build, t.band)) else t.vtime end
      from (select w.turn_id, sum(w.n)::int as n, count(*) filter (where w.empty)::int as opened from was w group by 1) c
     where t.turn_id = c.turn_id and t.turn_id = any(turn)
  )
  select count(*) into changed from filled;
  -- a lane that was idle for long may be cleared away between a look at it and its lock: then the whole statement is tried again
  if changed < cardinality(lane) then raise exception 'a lane has just been cleared away' using errcode = 'serialization_failure'; end if;
end $function$;

create or replace function longhaul.quota_headroom(p_keys text[], p_amounts double precision[], p_declared integer)
 returns quota_answer
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare q longhaul.quotas; amount float8; ready float8; present float8 := longhaul.now_ms(); n int := 0; answer longhaul.quota_answer; wait float8 := 0;
begin
  for q in select x.* from longhaul.quotas x where x.key = any(p_keys) order by x.key loop
    n := n + q.declared::int;
    amount := p_amounts[array_position(p_keys, q.key)];
    ready := q.blocked_until;
    if q.kind = 'rate' and amount > 0 then
      ready := greatest(ready, q.line + least(amount * q.emission_ms, q.burst_ms) - q.burst_ms);
    elsif q.kind = 'window' and amount > q.limit_ then
      return ('impossible', null, null, q.key, q.limit_)::longhaul.quota_answer;
    elsif q.kind = 'window' then
      ready := greatest(ready, (select v.ends_at from longhaul.quota_windows v where v.key = q.key and v.ends_at > present and v.used + amount > q.limit_));
    elsif q.kind = 'slots' and (select count(*) from longhaul.call_slots s where s.key = q.key and s.expires_at > present) >= q.limit_ then
      ready := greatest(ready, present + least(greatest(q.emission_ms, 50), 30000));
    end if;
    if ready - present > wait then
      wait := ready - present;
      answer.key := q.key;
      answer.limit_ := q.limit_;
    end if;
  end loop;
  answer.verdict := case when n < p_declared then 'missing' when wait > 0 then 'wait' else 'go' end;
  answer.ready_at := present + wait;
  answer.wait_ms := wait;
  return answer;
end $function$;

create or replace function longhaul.raise_budget(p_tenant text, p_budget uuid, p_raise uuid, p_by text, p_amount spend, p_wall_ms bigint)
 returns text
 language plpgsql
as $function$
begin
  perform 1 from longhaul.budgets b where b.budget_id = p_budget and b.tenant_id = p_tenant for no key update;
  if not found then return null; end if;
  insert into longhaul.raises (raise_id, budget_id, raised_by, amount, wall_ms) values (p_raise, p_budget, p_by, p_amount, p_wall_ms) on conflict do nothing;
  if not found then return 'before'; end if;
  update longhaul.budgets b
     set limits = longhaul.plus(b.limits, p_amount), wall_ms = b.wall_ms + p_wall_ms,
         ends_at = case when p_wall_ms > 0 then greatest(b.ends_at, clock_timestamp()) + p_wall_ms * interval '1 millisecond' else b.ends_at end
   where b.budget_id = p_budget;
  return 'raised';
end $function$;

create or replace function longhaul.receive(p_run uuid[], p_kind text[], p_key text[], p_body text[], p_blob text[], p_bad boolean[])
 returns item[]
 language plpgsql
 set enable_nestloop to 'off'
as $function$
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
end $function$;

create or replace function longhaul.reconcile()
 returns integer
 language plpgsql
as $function$
declare t text; g int; wrong int := 0;
begin
  for t in
    select x.tenant_id from longhaul.tenants x left join (
      select n.tenant_id, count(*) as n from longhaul.live l join longhaul.lanes n using (lane_id) where l.state = 'running' group by 1) c using (tenant_id)
     where x.in_flight <> coalesce(c.n, 0) order by 1 limit 100
  loop
    perform 1 from longhaul.tenants x where x.tenant_id = t for update;
    update longhaul.tenants x
       set in_flight = (select count(*) from longhaul.live l join longhaul.lanes n using (lane_id) where l.state = 'running' and n.tenant_id = t)
     where x.tenant_id = t;
    perform longhaul.offer_tenants(array[t]);
    wrong := wrong + 1;
  end loop;
  for g in
    select x.gate_id from longhaul.gates x left join (
      select v.gate_id, count(*) as n from longhaul.live l cross join lateral (values (l.agent_gate), (l.key_gate)) v(gate_id) where l.state = 'running' group by 1) c using (gate_id)
     where x.in_flight <> coalesce(c.n, 0) order by 1 limit 100
  loop
    perform 1 from longhaul.gates x where x.gate_id = g for no key update;
    update longhaul.gates x set in_flight = (select count(*) from longhaul.live l where l.state = 'running' and g in (l.agent_gate, l.key_gate)) where x.gate_id = g;
    perform longhaul.offer(null, longhaul.shut_by(array[g], array[1000]), null);
    wrong := wrong + 1;
  end loop;
  return wrong;
end $function$;

create or replace function longhaul.release_slots(freed integer[], freed_gates integer[], ended integer[], items item[])
 returns void
 language plpgsql
as $function$
declare parked int[]; shut int[];
begin
  parked := longhaul.free_tenants(freed, ended);
  shut := longhaul.free_gates(freed_gates);
  if parked is not null or shut is not null then
    perform longhaul.offer(parked, shut, array(select i.lane_id from unnest(items) i));
  end if;
  perform longhaul.push(items);
end $function$;

create or replace function longhaul.renew_slots(p_slots jsonb, p_slot_ms double precision)
 returns void
 language plpgsql
as $function$
declare present float8;
begin
  perform 1 from longhaul.quotas q where q.key = any(array(select x ->> 'key' from jsonb_array_elements(p_slots) x)) order by q.key for update;
  present := longhaul.now_ms();
  update longhaul.call_slots s set expires_at = present + p_slot_ms
    from jsonb_to_recordset(p_slots) d(key text, holder uuid) where s.key = d.key and s.holder = d.holder;
  with back as (
    insert into longhaul.call_slots (key, holder, expires_at)
    select d.key, d.holder, present + p_slot_ms from jsonb_to_recordset(p_slots) d(key text, holder uuid)
     where exists (select from longhaul.quotas q where q.key = d.key and q.kind = 'slots') on conflict do nothing returning key)
  update longhaul.quotas q set used = q.used + b.n from (select key, count(*)::int as n from back group by 1) b where q.key = b.key;
end $function$;

create or replace function longhaul.reopen_gates()
 returns integer
 language plpgsql
as $function$
declare shut int[];
begin
  select longhaul.shut_by(array_agg(g.gate_id), array_agg(g.cap - g.in_flight)) into shut from longhaul.gates g
   where g.tenant_id = '' and g.in_flight < g.cap and (select true from longhaul.lanes l where l.agent_gate = g.gate_id and l.ready > 0 and not l.open limit 1);
  if shut is null then return 0; end if;
  perform longhaul.offer(null, shut, null);
  return cardinality(shut);
end $function$;

create or replace function longhaul.reserve_quota(p_call text, p_target text, p_keys text[], p_amounts double precision[], p_declared integer, p_book boolean, p_holder uuid, p_slot_ms double precision, p_horizon_ms double precision, p_cost_key text[], p_cost_delta double precision[], p_cost_gone double precision[], p_told jsonb)
 returns quota_answer
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare
  -- later than that a promise is worth nothing; so far ahead a call may be paid for before it goes
  late_max constant float8 := 1000;
  firm_max constant float8 := 5000;
  -- between two calls that wait for the same moment, where no rate keeps them apart
  gap constant float8 := 50;
  slot_wait_max constant float8 := 30000;
  asked longhaul.quotas[]; q longhaul.quotas; mine longhaul.bookings; w longhaul.quota_windows; answer longhaul.quota_answer;
  present float8; n int; told int := coalesce(cardinality(p_cost_key), 0); declared int := 0; i int; j int; amount float8; delta float8; cost float8; gate float8; behind float8; ready float8; base float8; pace float8 := 0;
  due boolean; firm boolean; hard boolean := false; goes boolean;
  costs float8[] := '{}'; gates float8[] := '{}'; lines float8[] := '{}'; day_used float8[]; day_ends float8[];
begin
  if p_told is not null then perform longhaul.settle_quotas(p_told, p_keys); end if;
  asked := array(select x from longhaul.quotas x where x.key = any(p_keys) order by x.key for update);
  n := coalesce(cardinality(asked), 0);
  present := longhaul.now_ms();
  select * into mine from longhaul.bookings b where b.call_key = p_call and b.target = p_target;
  due := found and mine.ready_at <= present;
  firm := due and mine.firm and present - mine.ready_at <= late_max;
  if found and not due then
    answer := ('wait', mine.ready_at, mine.ready_at - present, mine.because, null);
  end if;

  -- When each of them lets the call go: by what has gone (gates), and, for whoever has no place, by what was promised (lines).
  ready := present;
  base := present;
  for i in 1 .. n loop
    q := asked[i];
    amount := p_amounts[array_position(p_keys, q.key)];
    declared := declared + q.declared::int;
    cost := 0;
    gate := q.blocked_until;
    behind := 0;
    delta := 0;
    for j in 1 .. told loop
      -- what was given back of a call before the last idle moment is time that nobody can use any more
      if p_cost_key[j] = q.key and (q.kind <> 'rate' or p_cost_delta[j] > 0 or p_cost_gone[j] >= q.busy_since) then
        delta := delta + p_cost_delta[j];
      end if;
    end loop;
    if amount > q.limit_ and not q.declared then
      -- a guess at what a provider allows refuses nobody
      amount := q.limit_;
    elsif amount > q.limit_ and answer.verdict is null then
      answer := ('impossible', null, null, q.key, q.limit_);
    end if;
    if q.kind = 'rate' then
      if delta <> 0 and q.emission_ms > 0 then
        q.tat := greatest(q.tat + delta * q.emission_ms, least(q.tat, present));
        q.line := greatest(q.line + delta * q.emission_ms, q.tat);
        asked[i] := q;
      end if;
      cost := amount * q.emission_ms;
      pace := greatest(pace, cost);
      if cost > 0 and not firm then gate := greatest(gate, q.tat + cost - q.burst_ms); end if;
      behind := case when cost > 0 then q.line + cost - q.burst_ms when q.emission_ms = 0 then q.line else 0 end;
      base := greatest(base, q.blocked_until);
    elsif q.kind = 'window' then
      select * into w from longhaul.quota_windows x where x.key = q.key for update;
      if not found or w.ends_at <= present then
        w.used := 0;
        w.ends_at := longhaul.day_end_ms(q.zone);
      end if;
      w.used := greatest(0, w.used + delta);
      if amount > 0 and w.used + amount > q.limit_ then
        gate := greatest(gate, w.ends_at);
        behind := q.line;
        base := greatest(base, w.ends_at);
      end if;
      day_used[i] := w.used;
      day_ends[i] := w.ends_at;
    elsif amount > 0 then
      if q.used >= q.limit_ then
        with gone as (delete from longhaul.call_slots s where s.key = q.key and s.expires_at <= present returning 1)
        select q.used - count(*) into q.used from gone;
        asked[i] := q;
        -- about when the next one ends; not all at the same moment
        if q.used >= q.limit_ then
          gate := greatest(gate, present + least(greatest(q.emission_ms, gap), slot_wait_max) * (0.5 + random()));
          behind := q.line;
        end if;
      end if;
    end if;
    hard := hard or (gate > present and q.kind <> 'rate') or q.blocked_until > present;
    costs := costs || cost;
    gates := gates || gate;
    lines := lines || behind;
    if not due then gate := greatest(gate, behind); end if;
    if gate > ready then
      ready := gate;
      if answer.verdict is null then
        answer.key := q.key;
        answer.limit_ := q.limit_;
      end if;
    end if;
  end loop;

  if declared < p_declared then
    answer.verdict := 'missing';
  elsif answer.verdict is null and ready <= present then
    answer := ('go', present, 0, null, null);
  elsif answer.verdict is null then
    answer.verdict := 'wait';
    if p_book and due and not hard and ready - present <= firm_max then
      -- Others were late or went before it: it comes a little later, and is paid for now, so that no two of them come for the same room.
      firm := true;
    elsif p_book then
      firm := false;
      if due then
        -- Its turn has passed: to the end of the line where it could not pass, but for those who only wait for somebody to end.
        for i in 1 .. n loop
          if asked[i].kind <> 'slots' and gates[i] > present and lines[i] > ready then
            ready := lines[i];
            answer.key := asked[i].key;
            answer.limit_ := asked[i].limit_;
          end if;
        end loop;
      end if;
      if ready - base > p_horizon_ms then
        p_book := false;
        ready := base + p_horizon_ms * (0.95 + 0.1 * random());
      end if;
    end if;
    answer.ready_at := ready;
    answer.wait_ms := ready - present;
  end if;
  goes := answer.verdict = 'go';
  p_book := p_book and answer.verdict = 'wait' and (mine.call_key is null or due);

  for i in 1 .. n loop
    q := asked[i];
    if q.kind <> 'rate' then
      amount := p_amounts[array_position(p_keys, q.key)];
      if q.kind = 'window' and (goes and amount > 0 or q.key = any(p_cost_key)) then
        -- a day's count may be some calls short after a crash: that is cheaper than a write to the disk for each call
        perform set_config('synchronous_commit', 'off', true);
        insert into longhaul.quota_windows as v (key, ends_at, used) values (q.key, day_ends[i], day_used[i] + case when goes then amount else 0 end)
        on conflict (key) do update set used = excluded.used, ends_at = excluded.ends_at;
      elsif q.kind = 'slots' and goes and amount > 0 then
        insert into longhaul.call_slots (key, holder, expires_at) values (q.key, p_holder, present + p_slot_ms);
        q.used := q.used + 1;
      end if;
    end if;
    if goes and costs[i] > 0 then
      if firm then
        -- it was paid for, as of the moment when it was to go
        q.tat := q.tat + present - mine.ready_at;
        q.line := greatest(q.line, q.tat);
      else
        if q.tat < present then q.busy_since := present; end if;
        q.tat := greatest(q.tat, present) + costs[i];
        q.line := case when due then greatest(q.line, q.tat) else greatest(q.line, present) + costs[i] end;
      end if;
    elsif p_book and firm and costs[i] > 0 then
      if q.tat < ready then q.busy_since := ready; end if;
      q.tat := greatest(q.tat, ready) + costs[i];
      q.line := greatest(q.line, q.tat);
    elsif p_book and not firm then
      -- Who comes for the second time pays again only where the time that it had paid for has passed unused.
      if q.kind = 'slots' then
        if not due and gates[i] > present then q.line := greatest(q.line, present) + least(q.emission_ms, slot_wait_max); end if;
      elsif costs[i] > 0 then
        if not due or gates[i] > present then q.line := greatest(q.line, present) + costs[i]; end if;
      elsif gates[i] > present or (not due and lines[i] > present) then
        q.line := greatest(q.line, gates[i]) + greatest(pace, gap);
      end if;
    end if;
    asked[i] := q;
  end loop;
  update longhaul.quotas x set tat = u.tat, line = u.line, busy_since = u.busy_since, used = u.used
    from unnest(asked) u where x.key = u.key and (x.tat <> u.tat or x.line <> u.line or x.used <> u.used);

  if goes and due then
    delete from longhaul.bookings b where b.call_key = p_call;
  elsif p_book then
    insert into longhaul.bookings as b (call_key, target, ready_at, firm, because, keys, costs)
    values (p_call, p_target, ready, firm, answer.key, array(select x.key from unnest(asked) x), costs)
    on conflict (call_key, target) do update set ready_at = excluded.ready_at, firm = excluded.firm, because = excluded.because, keys = excluded.keys, costs = excluded.costs;
  end if;
  return answer;
end $function$;

create or replace function longhaul.reserve_quotas(p_asks jsonb, p_slot_ms double precision, p_horizon_ms double precision, p_told jsonb)
 returns setof quota_answer
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
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
end $function$;

create or replace function longhaul.resolve_approval(p_tenant text, p_approval uuid, p_status text, p_by text, p_answer text)
 returns text
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
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
end $function$;

create or replace function longhaul.resume(p_run uuid, p_by text)
 returns boolean
 language plpgsql
as $function$
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
end $function$;

create or replace function longhaul.retain(p_keep_ms bigint, p_keep_failed_ms bigint, p_keep_threads_ms bigint, p_limit integer, p_share double precision, p_every_ms integer)
 returns table(did text, n integer, next_ms integer)
 language plpgsql
as $function$
declare present timestamptz := clock_timestamp(); s longhaul.retention; w record; pause interval; behind_ms float8 := 0;
  keep_until timestamptz := present - p_keep_ms * interval '1 millisecond'; failed_until timestamptz := present - p_keep_failed_ms * interval '1 millisecond';
begin
  select * into s from longhaul.retention r where r.next_at <= present for update skip locked;
  if not found then return; end if;
  if s.began_at not between present - interval '1 day' and present then
    s.began_at := present; s.blob_tenant := ''; s.blob_hash := ''; s.idle_threads := p_keep_threads_ms is not null;
    s.ended_at := '-infinity'; s.failed_at := '-infinity';
    s.ended_id := '00000000-0000-0000-0000-000000000000'; s.failed_id := s.ended_id;
    delete from longhaul.workers x where x.seen_at < present - interval '3 days'
       and not exists (select from longhaul.live l where l.worker_id = x.worker_id and l.state = 'running');
  end if;
  n := longhaul.clear_leftovers(5000, 50);
  if n is not null then did := 'leftovers'; end if;
  if did is null then
    select * into w from longhaul.prune(null, keep_until, failed_until, false, s.ended_at, s.ended_id, p_limit, false);
    if w.looked > 0 then did := 'runs'; n := w.runs; s.ended_at := w.last_at; s.ended_id := w.last_id; behind_ms := extract(epoch from keep_until - w.last_at) * 1000; end if;
  end if;
  if did is null then
    select * into w from longhaul.prune(null, keep_until, failed_until, true, s.failed_at, s.failed_id, p_limit, false);
    if w.looked > 0 then did := 'runs'; n := w.runs; s.failed_at := w.last_at; s.failed_id := w.last_id; behind_ms := extract(epoch from failed_until - w.last_at) * 1000; end if;
  end if;
  if did is null then
    n := longhaul.prune_calls(keep_until, p_limit);
    if n > 0 then did := 'calls'; end if;
  end if;
  if did is null and s.blob_tenant is not null then
    select array_agg(b.tenant_id) as tenants, array_agg(b.hash) as hashes into w from (
      select x.tenant_id, x.hash from longhaul.blobs x where (x.tenant_id, x.hash) > (s.blob_tenant, s.blob_hash) order by 1, 2 limit p_limit) b;
    s.blob_tenant := w.tenants[cardinality(w.tenants)]; s.blob_hash := w.hashes[cardinality(w.hashes)];
    if w.tenants is not null then did := 'blobs'; n := longhaul.drop_blobs(w.tenants, w.hashes); end if;
  end if;
  if did is null and s.idle_threads then
    n := longhaul.prune_threads(null, present - p_keep_threads_ms * interval '1 millisecond', p_limit);
    if n > 0 then did := 'threads'; end if;
    s.idle_threads := n is distinct from 0;
  end if;
  pause := case when did is null then p_every_ms * interval '1 millisecond' else (clock_timestamp() - present) * (1 / least(1, p_share * (1 + least(1, behind_ms / 60000))) - 1) end;
  update longhaul.retention r
     set next_at = clock_timestamp() + pause, began_at = s.began_at, ended_at = s.ended_at, ended_id = s.ended_id,
         failed_at = s.failed_at, failed_id = s.failed_id, blob_tenant = s.blob_tenant, blob_hash = s.blob_hash, idle_threads = s.idle_threads;
  next_ms := case when did is not null then ceil(extract(epoch from pause) * 1000)::int end;
  return next;
end $function$;

create or replace function longhaul.return_hold(p_run uuid, p_worker uuid, p_epoch integer, p_keep spend)
 returns boolean
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
begin
  perform 1 from longhaul.live l where l.run_id = p_run and l.epoch = p_epoch and l.worker_id = p_worker for key share;
  if not found then return false; end if;
  perform 1 from longhaul.budget_accounts x where x.account_id = p_run for no key update;
  if found then perform longhaul.roll(array[p_run], true, p_keep); end if;
  return true;
end $function$;

create or replace function longhaul.revive(p_new uuid, p_source uuid, p_keep integer[], p_new_input boolean, p_input text, p_input_blob text, p_letter_only boolean)
 returns boolean
 language plpgsql
as $function$
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
end $function$;

create or replace function longhaul.roll(p_account uuid[], p_return boolean, p_keep spend)
 returns void
 language plpgsql
as $function$
declare above uuid[];
begin
  perform longhaul.count_steps(p_account);
  above := array(
    select distinct u.b from longhaul.budget_accounts a cross join lateral unnest(longhaul.budgets_above(a.budget_id)) u(b) where a.account_id = any(p_account));
  perform 1 from longhaul.budgets b where b.budget_id = any(above) order by b.budget_id for no key update;
  update longhaul.budgets b set before = b.spent, period_ends_at = longhaul.next_period(b.period)
   where b.budget_id = any(above) and b.period_ends_at <= clock_timestamp();
  with a as materialized (
    select x.account_id, x.budget_id, x.held, longhaul.minus(x.spent, x.rolled) as used, longhaul.under_way(x.account_id) as open
      from longhaul.budget_accounts x where x.account_id = any(p_account)
  ), n as materialized (
    select a.account_id, a.budget_id, a.held, a.used,
           case when a.budget_id is null then a.held
                when p_return then longhaul.less_of(a.held, longhaul.plus(a.open, p_keep)) else longhaul.more_of(longhaul.minus(a.held, a.used), a.open) end as left_over
      from a
  ), moved as (
    update longhaul.budget_accounts x set held = n.left_over, rolled = x.spent from n where x.account_id = n.account_id and x.account_id = any(p_account)
  )
  update longhaul.budgets b set held = longhaul.plus(b.held, s.held), spent = longhaul.plus(b.spent, s.used)
    from (select u.b, longhaul.total(longhaul.minus(n.left_over, n.held)) as held, longhaul.total(n.used) as used
            from n cross join lateral unnest(longhaul.budgets_above(n.budget_id)) u(b) group by 1) s
   where b.budget_id = s.b and b.budget_id = any(above);
end $function$;

create or replace function longhaul.scale(p_queues text[], p_build text, p_min integer, p_max integer, p_slots integer, p_sla_ms bigint, p_target integer, out desired integer, out depth bigint, out runnable bigint, out waking bigint, out in_flight bigint, out oldest_ms bigint, out workers bigint)
 returns record
 language plpgsql
 stable
as $function$
begin
  if p_min < 0 or p_max < p_min or p_slots < 1 or p_sla_ms < 1 or p_target < 1 or num_nulls(p_min, p_max, p_slots, p_sla_ms, p_target) > 0 then
    raise exception 'no scale from % to % workers of % slots, with % runs per slot and % ms', p_min, p_max, p_slots, p_target, p_sla_ms
      using errcode = 'invalid_parameter_value', hint = 'Give 0 <= min <= max, and slots, sla_ms and target of at least 1.';
  end if;
  select coalesce(sum(t.depth), 0), coalesce(sum(t.open), 0), max(t.oldest_ms) into depth, runnable, oldest_ms from longhaul.totals(p_queues, p_build) t;
  select coalesce(sum(f.running), 0) into in_flight from longhaul.in_flight(p_queues, p_build) f;
  select count(*) into workers from longhaul.workers w
   where w.state = 'active' and w.seen_at > clock_timestamp() - interval '30 seconds'
     and (p_queues is null or w.queues && p_queues) and (p_build is null or w.build = p_build);
  waking := longhaul.waking(p_queues, p_build);
  desired := longhaul.workers_wanted(runnable + waking, in_flight, oldest_ms, workers, p_min, p_max, p_slots, p_target, p_sla_ms);
  if runnable > 0 and desired > p_min then
    select p.runnable, p.oldest_ms into runnable, oldest_ms from longhaul.pressure(p_queues, p_build) p;
    desired := longhaul.workers_wanted(runnable + waking, in_flight, oldest_ms, workers, p_min, p_max, p_slots, p_target, p_sla_ms);
  end if;
end $function$;

create or replace function longhaul.seek_answer(p_key bytea, p_tenant text, p_owner uuid, p_lease_ms double precision, p_cache_ms double precision, p_share boolean)
 returns table(role text, value text, seen timestamptz)
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare a longhaul.answers; present timestamptz := clock_timestamp(); mine boolean;
begin
  select * into a from longhaul.answers x where x.answer_key = p_key and x.tenant_id = p_tenant;
  if a.state = 'done' and a.expires_at > present and a.made_at > present - p_cache_ms * interval '1 millisecond' then
    return query select 'done', a.value, present;
    return;
  end if;
  if a.state = 'pending' and a.lease_until > present and a.owner <> p_owner then
    return query select case when p_share then 'pending' else 'alone' end, null::text, present;
    return;
  end if;
  perform set_config('synchronous_commit', 'off', true);
  insert into longhaul.answers as x (answer_key, tenant_id, state, owner, lease_until, expires_at)
  values (p_key, p_tenant, 'pending', p_owner, present + p_lease_ms * interval '1 millisecond', present + interval '1 day')
  on conflict (answer_key) do update
     set state = 'pending', owner = p_owner, lease_until = excluded.lease_until, expires_at = excluded.expires_at, value = null, made_at = null
   -- another may have been quicker: with the call, or with the whole answer
   where x.tenant_id = p_tenant and not (x.state = 'pending' and x.lease_until > present and x.owner <> p_owner)
     and not (x.state = 'done' and x.made_at > present)
  returning true into mine;
  return query select case when mine then 'lead' when p_share then 'pending' else 'alone' end, null::text, present;
end $function$;

create or replace function longhaul.set_agent(p_agent text, p_concurrency integer, p_per_key integer)
 returns boolean
 language plpgsql
as $function$
declare a longhaul.agents; turn int[];
begin
  insert into longhaul.agents (agent) values (p_agent) on conflict do nothing;
  select * into a from longhaul.agents x where x.agent = p_agent;
  if a.concurrency is not distinct from p_concurrency and a.per_key is not distinct from p_per_key then return false; end if;
  perform 1 from longhaul.agents x where x.agent = p_agent for update;
  update longhaul.agents x set concurrency = p_concurrency, per_key = p_per_key where x.agent = p_agent;
  insert into longhaul.gates (agent, cap) select p_agent, p_concurrency where p_concurrency is not null on conflict do nothing;
  insert into longhaul.gates (agent, tenant_id, key, cap)
  select distinct l.agent, l.tenant_id, l.key, p_per_key from longhaul.lanes l where l.agent = p_agent and p_per_key is not null
   order by 2, 3 on conflict do nothing;
  perform 1 from longhaul.gates g where g.agent = p_agent order by g.gate_id for no key update;
  update longhaul.gates g
     set cap = coalesce(case when g.tenant_id = '' then p_concurrency else p_per_key end, case when g.key = '' then 2147483647 else 1 end)
   where g.agent = p_agent;
  turn := array(select distinct l.turn_id from longhaul.lanes l where l.agent = p_agent);
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for no key update;
  update longhaul.lanes l
     set agent_gate = case when p_concurrency is not null then (select g.gate_id from longhaul.gates g where g.agent = p_agent and g.tenant_id = '' and g.key = '') end,
         key_gate = case when p_per_key is not null or l.key <> ''
                         then (select g.gate_id from longhaul.gates g where g.agent = l.agent and g.tenant_id = l.tenant_id and g.key = l.key) end
   where l.agent = p_agent;
  perform longhaul.offer(null, array(select l.lane_id from longhaul.lanes l where l.agent = p_agent and l.ready > 0 and not l.open), null);
  return true;
end $function$;

create or replace function longhaul.set_plan(p_plan text, p_concurrency integer, p_weight integer, p_band smallint, p_unfinished_max integer, p_submits_per_minute integer, p_budget jsonb)
 returns boolean
 language plpgsql
as $function$
declare existed boolean;
begin
  perform 1 from longhaul.plans p where p.plan = p_plan for update;
  existed := found;
  insert into longhaul.plans (plan, concurrency, weight, band, unfinished_max, submits_per_minute, budget)
  values (p_plan, p_concurrency, p_weight, p_band, p_unfinished_max, p_submits_per_minute, p_budget)
  on conflict (plan) do update set concurrency = excluded.concurrency, weight = excluded.weight, band = excluded.band,
                                   unfinished_max = excluded.unfinished_max, submits_per_minute = excluded.submits_per_minute,
                                   budget = excluded.budget;
  perform longhaul.follow_plan(array(select t.tenant_id from longhaul.tenants t where t.plan = p_plan), p_plan);
  return existed;
end $function$;

create or replace function longhaul.set_tenant_plan(p_tenant text, p_plan text)
 returns boolean
 language plpgsql
as $function$
begin
  perform 1 from longhaul.plans p where p.plan = p_plan for share;
  if not found then return false; end if;
  insert into longhaul.tenants (tenant_id) values (p_tenant) on conflict do nothing;
  perform longhaul.follow_plan(array[p_tenant], p_plan);
  return true;
end $function$;

create or replace function longhaul.settle(p_worker uuid, p_run uuid[], p_epoch integer[], p_first integer[], p_count integer[], p_move text[], p_inbox integer[], p_need integer[], p_due timestamptz[], p_active_ms bigint[], p_status text[], p_reason text[], p_output text[], p_output_blob text[], p_failure text[], e_run uuid[], e_seq integer[], e_epoch integer[], e_kind smallint[], e_key text[], e_body text[], e_blob text[], c_run uuid[], c_seq integer[], w_run uuid[], w_key text[], w_due timestamptz[], w_fail_fast boolean[], w_label text[])
 returns table(run_id uuid, verdict text)
 language plpgsql
 set enable_nestloop to 'off'
 set plan_cache_mode to 'force_generic_plan'
as $function$
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
end $function$;

create or replace function longhaul.settle_batch(p_batch uuid, p_results jsonb)
 returns uuid[]
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare told uuid[]; keys text[];
begin
  update longhaul.batches b set state = 'closed', closed_at = clock_timestamp(),
         input_tokens = b.input_tokens + t.input, output_tokens = b.output_tokens + t.output, nano_usd = b.nano_usd + t.nano
    from (select coalesce(sum(r.input_tokens), 0) as input, coalesce(sum(r.output_tokens), 0) as output, coalesce(sum(r.nano_usd), 0) as nano
            from jsonb_to_recordset(p_results) r(input_tokens bigint, output_tokens bigint, nano_usd bigint)) t
   where b.batch_id = p_batch and b.state <> 'closed';
  if not found then return null; end if;
  with settled as (
    update longhaul.batch_items i
       set state = r.state, batch_id = null, answer = case when r.state in ('done', 'failed') then r.answer end,
           alone = i.alone or coalesce(r.alone, false), tries = i.tries + 1,
           due_at = clock_timestamp() + coalesce(r.delay_ms, 0) * interval '1 millisecond',
           input_tokens = i.input_tokens + coalesce(r.input_tokens, 0), output_tokens = i.output_tokens + coalesce(r.output_tokens, 0),
           cache_read_tokens = i.cache_read_tokens + coalesce(r.cache_read_tokens, 0), cache_write_tokens = i.cache_write_tokens + coalesce(r.cache_write_tokens, 0),
           reasoning_tokens = i.reasoning_tokens + coalesce(r.reasoning_tokens, 0), nano_usd = i.nano_usd + coalesce(r.nano_usd, 0),
           price_confidence = coalesce(r.price_confidence, i.price_confidence)
      from jsonb_to_recordset(p_results) r(item_id uuid, state text, answer text, alone boolean, delay_ms float8, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,
                                           cache_write_tokens bigint, reasoning_tokens bigint, nano_usd bigint, price_confidence text)
     where i.item_id = r.item_id and i.batch_id = p_batch and i.state = 'taken'
    returning i.item_id, i.run_id, i.parked and i.state <> 'waiting' as sleeps
  ) select array_agg(s.run_id order by s.item_id), array_agg('batch:' || s.item_id order by s.item_id) into told, keys from settled s where s.sleeps;
  perform longhaul.tell_items(told, keys);
  return coalesce(told, '{}');
end $function$;

create or replace function longhaul.settle_quotas(p_told jsonb, p_also text[])
 returns void
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare present float8;
begin
  perform 1 from longhaul.quotas q
    where q.key = any(p_also || array(select x ->> 'key' from jsonb_each(p_told) e cross join jsonb_array_elements(e.value) x))
    order by q.key for update;
  present := longhaul.now_ms();
  if p_told ? 'paces' then
    insert into longhaul.quotas as q (key, kind, declared, limit_, emission_ms, burst_ms)
    select distinct on (d.key) d.key, 'rate', false, d."limit", d.emission, d.burst
      from jsonb_to_recordset(p_told -> 'paces') d(key text, "limit" float8, emission float8, burst float8) order by d.key
    on conflict (key) do update set limit_ = excluded.limit_, emission_ms = excluded.emission_ms, burst_ms = excluded.burst_ms where q.kind = 'rate';
  end if;
  if p_told ? 'costs' then
    -- What was given back of a call before the last idle moment is time that nobody can use any more.
    update longhaul.quotas q
       set tat = n.tat, line = greatest(q.line + n.cost, n.tat)
      from (select x.key, sum(d.delta * x.emission_ms) as cost,
                   greatest(max(x.tat) + sum(d.delta * x.emission_ms), least(max(x.tat), present)) as tat
              from jsonb_to_recordset(p_told -> 'costs') d(key text, delta float8, gone float8) join longhaul.quotas x on x.key = d.key
             where x.kind = 'rate' and (d.delta > 0 or d.gone >= x.busy_since) group by x.key) n
     where q.key = n.key;
    update longhaul.quota_windows w set used = greatest(0, w.used + n.delta)
      from (select x.key, sum(d.delta) as delta
              from jsonb_to_recordset(p_told -> 'costs') d(key text, delta float8, gone float8) join longhaul.quota_windows x on x.key = d.key
             where d.gone > x.ends_at - 86400000 group by x.key order by x.key) n
     where w.key = n.key;
    if found then perform set_config('synchronous_commit', 'off', true); end if;
  end if;
  if p_told ? 'left' then
    update longhaul.quotas q set tat = n.tat, line = greatest(q.line, n.tat)
      from (select x.key, max(present + x.burst_ms - d."left" * x.emission_ms) as tat
              from jsonb_to_recordset(p_told -> 'left') d(key text, "left" float8) join longhaul.quotas x on x.key = d.key
             where x.kind = 'rate' and x.emission_ms > 0 group by x.key) n
     where q.key = n.key and q.tat < n.tat;
  end if;
  if p_told ? 'slots' then
    with given as (select d.key, d.holder, d.held from jsonb_to_recordset(p_told -> 'slots') d(key text, holder uuid, held float8)),
    gone as (delete from longhaul.call_slots s using given g where s.key = g.key and s.holder = g.holder returning s.key)
    update longhaul.quotas q
       set used = q.used - n.n,
           emission_ms = case when n.held is null then q.emission_ms else 0.9 * q.emission_ms + 0.1 * n.held / q.limit_ end
      from (select g.key, avg(g.held) as held, (select count(*) from gone o where o.key = g.key)::int as n from given g group by g.key) n
     where q.key = n.key and q.kind = 'slots';
  end if;
  if p_told ? 'outcomes' then perform longhaul.count_outcomes(p_told -> 'outcomes'); end if;
end $function$;

create or replace function longhaul.share_run(p_tenant text, p_agent text, p_hash bytea, p_run uuid, p_ttl_ms double precision)
 returns uuid
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare s longhaul.recent_runs;
begin
  insert into longhaul.recent_runs as x (tenant_id, agent, input_hash, run_id, expires_at)
  values (p_tenant, p_agent, p_hash, p_run, clock_timestamp() + p_ttl_ms * interval '1 millisecond')
  on conflict (tenant_id, agent, input_hash) do update set run_id = x.run_id
  returning * into s;
  if s.run_id = p_run then return p_run; end if;
  if s.created_at > clock_timestamp() - p_ttl_ms * interval '1 millisecond'
     and (exists (select from longhaul.live l where l.run_id = s.run_id and l.cancel is null)
          or exists (select from longhaul.outcomes o where o.run_id = s.run_id and o.status = 'succeeded')) then
    return s.run_id;
  end if;
  update longhaul.recent_runs x
     set run_id = p_run, created_at = clock_timestamp(), expires_at = clock_timestamp() + p_ttl_ms * interval '1 millisecond'
   where x.tenant_id = p_tenant and x.agent = p_agent and x.input_hash = p_hash;
  return p_run;
end $function$;

create or replace function longhaul.shut_by(p_gate integer[], p_n integer[])
 returns integer[]
 language sql
 stable
as $function$
  select array_agg(l.lane_id) from unnest(p_gate, p_n) g(gate_id, n) cross join lateral (
    select x.lane_id from longhaul.lanes x where x.key_gate = g.gate_id and x.ready > 0 and not x.open
    union all
    (select x.lane_id from longhaul.lanes x
      where x.agent_gate = g.gate_id and x.ready > 0 and not x.open
        and (select t.runnable or t.lanes = 0 from longhaul.turns t where t.turn_id = x.turn_id)
        and coalesce((select k.in_flight < k.cap from longhaul.gates k where k.gate_id = x.key_gate), true)
      order by x.place limit g.n + 4)) l
$function$;

create or replace function longhaul.sick_targets()
 returns jsonb
 language sql
as $function$
  select jsonb_agg(jsonb_build_object('target', b.target, 'until', greatest(b.open_until, least(b.probe_until, longhaul.now_ms() + 1000))))
    from longhaul.breakers b where b.open_until is not null
$function$;

create or replace function longhaul.submit(p_run uuid[], p_root uuid[], p_parent uuid[], p_parent_key text[], p_depth smallint[], p_detached boolean[], p_forked uuid[], p_tenant text[], p_agent text[], p_build text[], p_queue text[], p_band smallint[], p_key text[], p_priority smallint[], p_thread uuid[], p_reject_busy boolean[], p_idempotency text[], p_request_hash text[], p_input text[], p_input_blob text[], p_options text[], p_metadata text[], p_run_at timestamptz[], p_start_by timestamptz[], p_declared text[], p_above uuid[], p_judge boolean)
 returns table(asked_id uuid, run_id uuid, existing boolean, same_request boolean, refused text, retry_ms integer)
 language plpgsql
 set enable_nestloop to 'off'
 set plan_cache_mode to 'force_generic_plan'
as $function$
#variable_conflict use_column
declare lane int[]; busy uuid[]; away uuid[]; away_why text[]; away_ms int[]; added uuid[]; starts uuid[]; items longhaul.item[]; entering uuid[];
begin
  -- whoever forgets a tenant (purge_rows) keeps submits out meanwhile, also those that find everything there
  lock table longhaul.tenants in row exclusive mode;
  lane := longhaul.lanes_for(p_tenant, p_agent, p_build, p_queue, p_band, p_key);

  if exists (select 1 from unnest(p_thread) t where t is not null) then
    insert into longhaul.threads (tenant_id, thread_id)
    select distinct u.t, u.th from unnest(p_tenant, p_thread) u(t, th) where u.th is not null order by 1, 2
    on conflict do nothing;
    perform 1 from longhaul.threads t join (select distinct u.t, u.th from unnest(p_tenant, p_thread) u(t, th)) u
        on t.tenant_id = u.t and t.thread_id = u.th and t.tenant_id = any(p_tenant) and t.thread_id = any(p_thread) order by t.thread_no for update of t;
    select array_agg(u.r) into busy from unnest(p_run, p_tenant, p_thread, p_reject_busy, p_idempotency) u(r, tn, th, rj, ik)
      join longhaul.threads t on t.tenant_id = u.tn and t.thread_id = u.th and t.tenant_id = any(p_tenant) and t.thread_id = any(p_thread)
     where u.rj and not exists (select 1 from longhaul.runs x where (x.tenant_id = u.tn and x.idempotency_key = u.ik) or x.run_id = u.r)
       and (t.active_run is not null
            -- or somebody comes before it in this very batch
            or exists (select 1 from unnest(p_run, p_tenant, p_thread, p_idempotency, p_run_at) e(r, tn, th, ik, ra)
                        where e.tn = u.tn and e.th = u.th and e.r < u.r and (e.ik is null or e.ik is distinct from u.ik)
                          and (e.ra is null or e.ra <= clock_timestamp())));
  end if;

  if p_judge and exists (
    select from longhaul.tenants t where t.tenant_id = any(p_tenant) and (t.unfinished_max < 2147483647 or t.submits_per_minute is not null)) then
    select array_agg(w.run_id), array_agg(w.refused), array_agg(w.retry_ms) into away, away_why, away_ms
      from longhaul.turn_away(p_run, p_parent, p_tenant, p_idempotency) w;
  end if;

  with asked as materialized (
    select u.*, n.budget_id as tenants_budget, t.thread_no, t.next_seq - 1 + row_number() over (partition by t.thread_no order by u.run) as seq
      from unnest(p_run, p_root, p_parent, p_parent_key, p_depth, p_detached, p_forked, p_tenant, p_agent, p_build, p_queue, lane, p_key,
                  p_priority, p_thread, p_idempotency, p_request_hash, p_input, p_input_blob, p_options, p_metadata, p_run_at, p_start_by, p_declared, p_above)
           u(run, root, parent, parent_key, depth, detached, forked, tenant, agent, build, queue, lane, key,
             priority, thread, idempotency, request_hash, input, input_blob, options, metadata, run_at, start_by, declared, above)
      left join longhaul.tenants n on n.tenant_id = u.tenant and n.tenant_id = any(p_tenant)
      left join longhaul.threads t on t.tenant_id = u.tenant and t.thread_id = u.thread and t.tenant_id = any(p_tenant) and t.thread_id = any(p_thread)
     where (busy is null or u.run <> all(busy)) and (away is null or u.run <> all(away))
  ), kept as (
    insert into longhaul.runs (run_id, root_id, parent_id, parent_key, depth, detached, forked_from, tenant_id, agent, build, queue, priority,
                               thread_id, thread_seq, lane_id, concurrency_key, idempotency_key, request_hash, input, input_blob, options, metadata, run_at, budget_id)
    select a.run, a.root, a.parent, a.parent_key, a.depth, a.detached, a.forked, a.tenant, a.agent, a.build, a.queue, a.priority,
           a.thread, case when a.thread is null then null else a.seq end, a.lane, a.key, a.idempotency, a.request_hash, a.input, a.input_blob,
           a.options::jsonb, a.metadata::jsonb, a.run_at,
           case when a.declared is null then coalesce(a.above, a.tenants_budget) else a.run end
      from asked a on conflict do nothing returning runs.run_id
  ), born as (
    insert into longhaul.live (run_id, parent_id, thread_no, lane_id, prio, state)
    select a.run, a.parent, a.thread_no, a.lane, a.priority, 'queued' from asked a join kept k on k.run_id = a.run
  ), counted as (
    update longhaul.threads t set next_seq = t.next_seq + n.n, agent = n.agent, updated_at = clock_timestamp()
      from (select a.thread_no, count(*) n, max(a.agent) agent from asked a join kept k on k.run_id = a.run where a.thread_no is not null group by 1) n
     where t.thread_no = n.thread_no and t.thread_no = any(array(select a.thread_no from asked a))
  ), delayed as (
    insert into longhaul.later (run_id, due_at)
    select a.run, a.run_at from asked a join kept k on k.run_id = a.run where a.run_at > clock_timestamp() returning later.run_id
  ), expiring as (
    insert into longhaul.expiries (run_id, start_by)
    select a.run, a.start_by from asked a join kept k on k.run_id = a.run where a.start_by is not null
  )
  select array_agg(k.run_id), array_agg((a.lane, a.priority, a.run)::longhaul.item) filter (where a.thread is null and d.run_id is null),
         array_agg(a.run) filter (where a.thread is not null and d.run_id is null)
    into added, items, entering
    from kept k join asked a on a.run = k.run_id left join delayed d on d.run_id = k.run_id;

  if entering is not null then
    select longhaul.enter_thread(array_agg(v.thread_no), array_agg(r.thread_seq), array_agg(r.run_id)) into starts
      from longhaul.runs r join longhaul.live v using (run_id) where r.run_id = any(entering) and v.run_id = any(entering);
    if starts is not null then
      items := items || array(select (v.lane_id, v.prio, v.run_id)::longhaul.item from longhaul.live v where v.run_id = any(starts));
    end if;
  end if;
  if added is not null then
    perform 1 from longhaul.tenants t where t.tenant_id = any(p_tenant) order by t.tenant_id for update;
    update longhaul.tenants t set unfinished = t.unfinished + n.n
      from (select u.tn, count(*)::int as n from unnest(p_run, p_tenant) u(r, tn) join unnest(added) k(r) using (r) group by 1) n
     where t.tenant_id = n.tn and t.tenant_id = any(p_tenant);
  end if;
  if cardinality(added) > coalesce(cardinality(items), 0) then
    -- runs that enter their lanes later hold them now, so that nobody clears them away
    perform 1 from longhaul.lanes l where l.lane_id = any(lane) order by l.lane_id for key share;
    if (select count(*) from longhaul.lanes l where l.lane_id = any(lane)) < (select count(distinct x) from unnest(lane) x) then
      raise exception 'a lane has just been cleared away' using errcode = 'serialization_failure';
    end if;
  end if;
  perform longhaul.push(items);
  if added is not null and exists (select from unnest(p_declared) d where d is not null) then
    perform longhaul.declare_budgets(array_agg(u.r), array_agg(u.tn), array_agg(u.a), array_agg(u.d))
       from unnest(p_run, p_tenant, p_above, p_declared) u(r, tn, a, d) where u.r = any(added);
  end if;

  -- what was asked for and is not new is looked up; the rest is known
  return query
    select u.r, coalesce(x.run_id, u.r), k.run_id is null, k.run_id is not null or x.request_hash is not distinct from u.h,
           case when busy is not null and u.r = any(busy) then 'busy' when away is not null then away_why[array_position(away, u.r)] end,
           case when away is not null then away_ms[array_position(away, u.r)] end
      from unnest(p_run, p_tenant, p_idempotency, p_request_hash) u(r, tn, ik, h)
      left join unnest(added) k(run_id) on k.run_id = u.r
      left join lateral (
        select y.run_id, y.request_hash from longhaul.runs y
         where k.run_id is null
           and y.run_id = case when u.ik is null then u.r
                               else (select z.run_id from longhaul.runs z where z.tenant_id = u.tn and z.idempotency_key = u.ik) end offset 0) x on true;
end $function$;

create or replace function longhaul.suspects(p_worker uuid, p_queues text[], p_build text)
 returns uuid[]
 language sql
 stable
as $function$
  select array(
    select l.run_id from longhaul.live l join longhaul.lanes n using (lane_id) join longhaul.turns t using (turn_id)
      join longhaul.tenants o on o.tenant_id = t.tenant_id
     where l.isolate and l.state = 'queued' and t.queue = any(p_queues) and t.build = p_build and not o.paused and o.in_flight < o.cap
       and not exists (select from longhaul.gates g where g.gate_id in (n.agent_gate, n.key_gate) and g.in_flight >= g.cap)
     order by hashtextextended(l.run_id::text || p_worker, 0) limit 8);
$function$;

create or replace function longhaul.sweep(p_limit integer, p_crashes_max integer, p_can_isolate boolean)
 returns table(run_id uuid, worker_id uuid, became text)
 language plpgsql
as $function$
#variable_conflict use_column
declare lost longhaul.live[]; stopped uuid[]; apart uuid[]; items longhaul.item[];
begin
  select array_agg(x) into lost from (
    select l.* from longhaul.live l where l.state = 'running' and l.expires_at < clock_timestamp()
     order by l.run_id desc limit p_limit for update skip locked) x;
  if lost is null then return; end if;
  select array_agg(x.run_id) into stopped from unnest(lost) x where x.cancel is not null;
  select array_agg(x.run_id) into apart from unnest(lost) x
   where not p_can_isolate and x.cancel is null and not x.isolate and x.journal_seq = x.claim_seq and x.crashes + 1 >= p_crashes_max
     and exists (select 1 from unnest(lost) y where y.worker_id = x.worker_id and y.run_id <> x.run_id and y.journal_seq = y.claim_seq);
  update longhaul.live l
     set epoch = l.epoch + 1, journal_seq = l.journal_seq + 1, worker_id = null, expires_at = null, claimed_at = null, agent_gate = null, key_gate = null, crashes = v.crashes,
         state = case when v.paused then 'paused' else 'queued' end,
         isolate = not v.paused and p_can_isolate and v.crashes >= p_crashes_max,
         pause_reason = case when v.paused then 'quarantined: the process that ran it died ' || v.crashes || ' times without progress' end,
         active_ms = l.active_ms + greatest(0, extract(epoch from (l.expires_at - l.claimed_at)) * 1000)::bigint
    from (select x.run_id, case when x.journal_seq > x.claim_seq then 0 else x.crashes + 1 end as crashes,
                 x.journal_seq = x.claim_seq
                 and (x.isolate or (not p_can_isolate and x.crashes >= p_crashes_max and (apart is null or x.run_id <> all(apart)))) as paused
            from unnest(lost) x) v
   where l.run_id = v.run_id and l.run_id = any(array(select x.run_id from unnest(lost) x)) and (stopped is null or l.run_id <> all(stopped));
  insert into longhaul.journal (run_id, seq, epoch, kind, body)
  select x.run_id, x.journal_seq + 1, x.epoch + 1, 4, '{"worker":"' || x.worker_id || '"}' from unnest(lost) x
   where stopped is null or x.run_id <> all(stopped);
  if stopped is not null then
    update longhaul.live l set state = 'queued', worker_id = null, expires_at = null, agent_gate = null, key_gate = null where l.run_id = any(stopped);
    items := longhaul.end_idle(stopped, 'cancelled', null);
  end if;
  insert into longhaul.later (run_id, due_at)
  -- far enough apart for a process to start and end between two of them
  select l.run_id, clock_timestamp() + random() * least(l.crashes * cardinality(apart), 300) * interval '1 second'
    from longhaul.live l where l.run_id = any(apart);
  items := items || array(
    select (l.lane_id, l.prio, l.run_id)::longhaul.item from longhaul.live l
     where l.run_id = any(array(select x.run_id from unnest(lost) x)) and l.state = 'queued' and not l.isolate
       and (apart is null or l.run_id <> all(apart)));
  perform longhaul.release_slots(
    array(select x.lane_id from unnest(lost) x), longhaul.gates_of(lost, array(select x.run_id from unnest(lost) x)),
    array(select x.lane_id from unnest(lost) x where x.run_id = any(stopped)), items);
  -- what they did not use goes back; the calls they had under way stay covered, whoever goes on with them finds them
  perform longhaul.leave_accounts(array(select x.run_id from unnest(lost) x), stopped);
  return query
    select x.run_id, x.worker_id, case when l.run_id is null then 'cancelled' when l.isolate then 'isolated' else l.state end
      from unnest(lost) x left join longhaul.live l on l.run_id = x.run_id and l.run_id = any(array(select y.run_id from unnest(lost) y));
end $function$;

create or replace function longhaul.sweep_tokens(p_older_ms integer)
 returns integer
 language plpgsql
as $function$
declare n int;
begin
  perform set_config('synchronous_commit', 'off', true);
  delete from longhaul.tokens t
   where t.at < clock_timestamp() - p_older_ms * interval '1 millisecond'
     and not exists (select from longhaul.live l where l.run_id = t.run_id and l.epoch = t.epoch and l.state = 'running');
  get diagnostics n = row_count;
  return n;
end $function$;

create or replace function longhaul.take(p_account uuid, p_need spend, p_want spend)
 returns drawn
 language plpgsql
as $function$
declare a longhaul.budget_accounts; above uuid[]; d longhaul.drawn; r record; room longhaul.spend; share longhaul.spend;
begin
  select * into a from longhaul.budget_accounts x where x.account_id = p_account;
  d.verdict := 'done'; d.granted := longhaul.none(); d.tight := false;
  if a.budget_id is null then return d; end if;
  above := longhaul.budgets_above(a.budget_id);
  select b.budget_id, l.dimension, l.allowed, l.used, l.set_aside, l.asked, b.on_exceeded, l.asked > l.allowed - l.used as final into r
    from longhaul.budgets b cross join lateral (
      select 'wallMinutes' as dimension, b.wall_ms as allowed, (extract(epoch from clock_timestamp() - b.ends_at) * 1000)::bigint + b.wall_ms as used, 0::bigint as set_aside, 1::bigint as asked
       where b.ends_at <= clock_timestamp() and p_need <> longhaul.none()
      union all select x.* from (values
        ('inputTokens', (b.limits).input, (b.spent).input - (b.before).input, (b.held).input, (p_need).input),
        ('outputTokens', (b.limits).output, (b.spent).output - (b.before).output, (b.held).output, (p_need).output),
        ('usd', (b.limits).nano_usd, (b.spent).nano_usd - (b.before).nano_usd, (b.held).nano_usd, (p_need).nano_usd),
        ('steps', (b.limits).steps, (b.spent).steps - (b.before).steps, (b.held).steps, (p_need).steps)) x(dimension, allowed, used, set_aside, asked)
       where x.asked > 0 and x.asked > x.allowed - x.used - x.set_aside) l
   where b.budget_id = any(above) order by final desc, array_position(above, b.budget_id) limit 1;
  if found then
    d.verdict := 'refused'; d.budget_id := r.budget_id; d.dimension := r.dimension; d.allowed := r.allowed; d.used := r.used; d.set_aside := r.set_aside;
    d.asked := r.asked; d.on_exceeded := r.on_exceeded; d.final := r.final;
    return d;
  end if;
  -- what is free, and how much of it one of many may take; a run that has its budget to itself may take it all
  with b as (
    select longhaul.minus(longhaul.plus(x.limits, x.before), longhaul.plus(x.spent, x.held)) as free,
           case when x.budget_id = p_account and not exists (select from longhaul.budgets c where c.parent_id = x.budget_id)
                 and not exists (select from longhaul.budget_accounts o where o.budget_id = x.budget_id and o.account_id <> p_account) then 1 else 16 end as part
      from longhaul.budgets x where x.budget_id = any(above)
  )
  select (min((b.free).input), min((b.free).output), min((b.free).nano_usd), min((b.free).steps))::longhaul.spend as room,
         (min((b.free).input / b.part), min((b.free).output / b.part), min((b.free).nano_usd / b.part), min((b.free).steps / b.part))::longhaul.spend as share
    into r from b;
  room := r.room; share := r.share;
  d.granted := longhaul.more_of(p_need, longhaul.less_of(p_want, share));
  d.granted := (case when (p_need).input > 0 then (d.granted).input else 0 end, case when (p_need).output > 0 then (d.granted).output else 0 end,
                case when (p_need).nano_usd > 0 then (d.granted).nano_usd else 0 end, case when (p_need).steps > 0 then (d.granted).steps else 0 end)::longhaul.spend;
  d.tight := coalesce((room).input / 16 < (p_want).input, false) or coalesce((room).output / 16 < (p_want).output, false)
          or coalesce((room).nano_usd / 16 < (p_want).nano_usd, false) or coalesce((room).steps / 16 < (p_want).steps, false);
  update longhaul.budgets b set held = longhaul.plus(b.held, d.granted) where b.budget_id = any(above);
  update longhaul.budget_accounts x set held = longhaul.plus(x.held, d.granted) where x.account_id = p_account;
  return d;
end $function$;

create or replace function longhaul.take_batch(p_batch uuid, p_batcher text, p_tenant text, p_max integer, p_bytes bigint, p_lease_ms double precision)
 returns table(item_id uuid, run_id uuid, tenant_id text, payload text, tries integer, lost integer, deadline_at timestamptz)
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
#variable_conflict use_column
declare f record; ids uuid[];
begin
  if p_tenant is null then
    select i.item_id, i.tenant_id, i.alone into f from longhaul.batch_items i
     where i.state = 'waiting' and i.batcher = p_batcher and i.due_at <= clock_timestamp() + interval '5 milliseconds'
       and exists (select from longhaul.live l where l.run_id = i.run_id) order by i.due_at limit 1 for update of i skip locked;
  else
    select i.item_id, i.tenant_id, i.alone into f from longhaul.batch_items i
     where i.state = 'waiting' and i.batcher = p_batcher and i.tenant_id = p_tenant
       and exists (select from longhaul.live l where l.run_id = i.run_id) order by i.created_at limit 1 for update of i skip locked;
  end if;
  if f.item_id is null then return; end if;
  ids := array[f.item_id];
  if not f.alone then
    ids := array(
      select y.item_id from (
        select x.item_id, sum(x.bytes) over (order by x.created_at, x.item_id) as sum, row_number() over (order by x.created_at, x.item_id) as place from (
          select i.item_id, i.created_at, octet_length(i.payload) as bytes from longhaul.batch_items i
           where i.state = 'waiting' and i.batcher = p_batcher and i.tenant_id = f.tenant_id and not i.alone
             and exists (select from longhaul.live l where l.run_id = i.run_id)
           order by i.created_at limit p_max for update of i skip locked) x) y
       where y.sum <= p_bytes or y.place = 1);
  end if;
  insert into longhaul.batches (batch_id, tenant_id, batcher, items, lease_until)
  values (p_batch, f.tenant_id, p_batcher, cardinality(ids), clock_timestamp() + p_lease_ms * interval '1 millisecond');
  return query
    update longhaul.batch_items i set state = 'taken', batch_id = p_batch where i.item_id = any(ids)
    returning i.item_id, i.run_id, i.tenant_id, i.payload, i.tries::int, i.lost::int, i.deadline_at;
end $function$;

create or replace function longhaul.take_hold(p_account uuid, p_worker uuid, p_epoch integer, p_need spend, p_want spend, p_first boolean, p_blocker uuid, p_keep spend)
 returns drawn
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
begin
  return longhaul.draw(p_account, p_worker, p_epoch, p_need, p_want, p_first, p_blocker, p_keep);
end $function$;

create or replace function longhaul.take_intake(p_limit integer)
 returns integer
 language plpgsql
as $function$
declare taken longhaul.intake[];
begin
  with gone as (
    delete from longhaul.intake i using (
      select x.run_id from longhaul.intake x order by x.run_id limit p_limit for update skip locked) y
     where i.run_id = y.run_id returning i.*
  ) select array_agg(g::longhaul.intake order by g.run_id) into taken from gone g;
  if taken is null then return 0; end if;
  -- a statement of its own: a planner leaves out a join whose result nobody reads, and the runs with it
  perform longhaul.submit(
    array(select t.run_id from unnest(taken) t), array(select t.run_id from unnest(taken) t), array(select null::uuid from unnest(taken) t),
    array(select null::text from unnest(taken) t), array(select 0::smallint from unnest(taken) t), array(select false from unnest(taken) t),
    array(select null::uuid from unnest(taken) t), array(select t.tenant_id from unnest(taken) t), array(select t.agent from unnest(taken) t),
    array(select t.build from unnest(taken) t), array(select t.queue from unnest(taken) t), array(select t.band from unnest(taken) t),
    array(select t.key from unnest(taken) t), array(select t.priority from unnest(taken) t), array(select t.thread_id from unnest(taken) t),
    array(select false from unnest(taken) t), array(select null::text from unnest(taken) t), array(select null::text from unnest(taken) t),
    array(select t.input from unnest(taken) t), array(select t.input_blob from unnest(taken) t), array(select t.options::text from unnest(taken) t),
    array(select t.metadata::text from unnest(taken) t), array(select t.run_at from unnest(taken) t), array(select t.start_by from unnest(taken) t),
    array(select t.budget from unnest(taken) t), array(select null::uuid from unnest(taken) t),
    -- it was acknowledged with its transaction: too late to turn it away
    false);
  return cardinality(taken);
end $function$;

create or replace function longhaul.tell_items(p_run uuid[], p_key text[])
 returns void
 language plpgsql
as $function$
declare n int := cardinality(p_run);
begin
  if n is null or n = 0 then return; end if;
  perform longhaul.push(longhaul.receive(p_run, array_fill('signal'::text, array[n]), p_key, array_fill('null'::text, array[n]), array_fill(null::text, array[n]), array_fill(false, array[n])));
end $function$;

create or replace function longhaul.terms(p_budget uuid)
 returns table(wall_at timestamptz, wall_ms bigint, wall_budget uuid, counts_usd boolean, counts_steps boolean)
 language plpgsql
 stable strict
as $function$
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
end $function$;

create or replace function longhaul.tick(p_worker uuid, p_queues text[], p_build text, p_limit integer, p_crashes_max integer, p_can_isolate boolean)
 returns table(did text, runnable boolean, isolated uuid[], children uuid[], next_ms integer)
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
declare did text;
begin
  update longhaul.workers w set seen_at = clock_timestamp() where w.worker_id = p_worker and w.seen_at < clock_timestamp() - interval '5 seconds';
  if longhaul.promote(p_limit) > 0 then did := 'promoted';
  elsif exists (select 1 from longhaul.intake) then
    if longhaul.take_intake(p_limit) > 0 then did := 'taken'; end if;
  elsif longhaul.expire(p_limit) > 0 then did := 'expired';
  elsif exists (select 1 from longhaul.live l where l.state = 'running' and l.expires_at < clock_timestamp()) then
    if (select count(*) from longhaul.sweep(p_limit, p_crashes_max, p_can_isolate)) > 0 then did := 'swept'; end if;
  end if;
  if did is null then perform longhaul.reopen_gates(); end if;
  return query select did,
    exists (select 1 from longhaul.turns t where t.runnable and t.queue = any(p_queues) and t.build = p_build),
    case when p_can_isolate then longhaul.suspects(p_worker, p_queues, p_build) else '{}' end,
    case when exists (select 1 from longhaul.cancel_cascade) then longhaul.cascade_children(100) else '{}' end,
    (select least(extract(epoch from min(d.due_at) - clock_timestamp()) * 1000, 3600000)::int from longhaul.later d having min(d.due_at) is not null);
end $function$;

create or replace function longhaul.totals(p_queues text[], p_build text)
 returns table(queue text, build text, depth bigint, open bigint, oldest_ms bigint, held_ms bigint, workers bigint, slots bigint)
 language plpgsql
 stable
 set plan_cache_mode to 'force_generic_plan'
as $function$
#variable_conflict use_column
declare present timestamptz := clock_timestamp();
begin
return query
with waiting as materialized (
  select t.queue, t.build, sum(l.ready)::bigint as depth, sum(l.ready) filter (where l.open and t.runnable)::bigint as open,
         min(l.head_at) filter (where l.open and t.runnable) as oldest, min(l.head_at) filter (where not (l.open and t.runnable)) as held
    from longhaul.lanes l join longhaul.turns t using (turn_id)
   where l.ready > 0 and (p_queues is null or t.queue = any(p_queues)) and (p_build is null or t.build = p_build) group by 1, 2
), serving as materialized (
  select q.queue, w.build, count(*) as n, sum(w.slots)::bigint as slots from longhaul.workers w cross join unnest(w.queues) q(queue)
   where w.state = 'active' and w.seen_at > present - interval '30 seconds'
     and (p_queues is null or q.queue = any(p_queues)) and (p_build is null or w.build = p_build) group by 1, 2
)
select queue, build, coalesce(w.depth, 0), coalesce(w.open, 0), longhaul.ms_since(w.oldest, present), longhaul.ms_since(w.held, present),
       coalesce(s.n, 0), coalesce(s.slots, 0)
  from waiting w full join serving s using (queue, build) order by 1, 2;
end $function$;

create or replace function longhaul.turn_away(p_run uuid[], p_parent uuid[], p_tenant text[], p_idempotency text[])
 returns table(run_id uuid, refused text, retry_ms integer)
 language plpgsql
as $function$
#variable_conflict use_column
declare present timestamptz;
begin
  perform 1 from longhaul.tenants t where t.tenant_id = any(p_tenant) order by t.tenant_id for update;
  present := clock_timestamp();
  return query
  with asked as materialized (
    select u.run, u.tenant, row_number() over (partition by u.tenant order by u.place)::int as n
      from unnest(p_run, p_parent, p_tenant, p_idempotency) with ordinality u(run, parent, tenant, idempotency, place)
     where u.parent is null and not exists (select from longhaul.runs x where x.run_id = u.run)
       and not exists (select from longhaul.runs x where x.tenant_id = u.tenant and x.idempotency_key = u.idempotency)
  ), judged as materialized (   -- a minute's worth may come at once, then one by one (GCRA)
    select a.run, t.tenant_id, t.unfinished + a.n > t.unfinished_max as is_full, t.submits_per_minute as rate, greatest(t.rate_at, present) as full_at,
           extract(epoch from greatest(t.rate_at, present) - present) * 1000 + (a.n::float8 / t.submits_per_minute - 1) * 60000 as early_ms
      from asked a join longhaul.tenants t on t.tenant_id = a.tenant and t.tenant_id = any(p_tenant)
  ), spent as (
    update longhaul.tenants t set rate_at = c.full_at + c.n * interval '60 seconds' / c.rate
      from (select j.tenant_id, j.full_at, j.rate, count(*) as n from judged j where not j.is_full and j.early_ms <= 0 group by 1, 2, 3) c
     where t.tenant_id = c.tenant_id and t.tenant_id = any(p_tenant)
  )
  select j.run, case when j.is_full then 'full' else 'rate' end, case when j.is_full then 5000 else ceil(j.early_ms)::int end
    from judged j where j.is_full or j.early_ms > 0;
end $function$;

create or replace function longhaul.under_way(p_account uuid)
 returns spend
 language sql
 stable
as $function$
  select longhaul.total((c.est_input, c.est_output, c.est_nano_usd, 0)::longhaul.spend) from longhaul.calls c where c.account_id = p_account and c.state = 'open'
$function$;

create or replace function longhaul.unready(p_run uuid[])
 returns void
 language plpgsql
as $function$
declare turn int[];
begin
  turn := array(select n.turn_id from longhaul.lanes n where n.lane_id = any(array(select l.lane_id from longhaul.live l where l.run_id = any(p_run))));
  perform 1 from longhaul.turns t where t.turn_id = any(turn) order by t.turn_id for no key update;
  with gone as (
    delete from longhaul.ready r where r.ctid = any(array(
      select y.ctid from longhaul.live l cross join lateral (
        select x.ctid from longhaul.ready x where x.lane_id = l.lane_id and x.prio = l.prio and x.run_id = l.run_id offset 0) y
       where l.run_id = any(p_run))) returning r.lane_id
  ), was as materialized (
    select l.lane_id, l.turn_id, c.n, l.open and l.ready = c.n as closes
      from longhaul.lanes l join (select g.lane_id, count(*)::int as n from gone g group by 1) c using (lane_id)
     where l.lane_id = any(array(select g.lane_id from gone g))
  ), emptied as (
    update longhaul.lanes l set ready = l.ready - w.n, open = l.open and not w.closes from was w
     where l.lane_id = w.lane_id and l.lane_id = any(array(select x.lane_id from was x))
  )
  update longhaul.turns t set ready = t.ready - c.n, lanes = t.lanes - c.closed, runnable = t.runnable and t.lanes > c.closed
    from (select w.turn_id, sum(w.n)::int as n, count(*) filter (where w.closes)::int as closed from was w group by 1) c
   where t.turn_id = c.turn_id and t.turn_id = any(turn);
end $function$;

create or replace function longhaul.waking(p_queues text[], p_build text)
 returns bigint
 language plpgsql
 stable
as $function$
declare soon uuid[]; n bigint;
begin
  soon := array(select d.run_id from longhaul.later d where d.due_at <= clock_timestamp() + interval '15 seconds' order by d.due_at limit 1000);
  select count(*) into n from (
    select l.lane_id from longhaul.live l where l.run_id = any(soon)
    union all select l.lane_id from longhaul.live l where l.isolate and l.state = 'queued') x
    join longhaul.lanes l using (lane_id) join longhaul.turns t using (turn_id)
   where (p_queues is null or t.queue = any(p_queues)) and (p_build is null or t.build = p_build);
  return n + (cardinality(soon) = 1000)::int + (
    select count(*) from (select 1 from longhaul.intake i
     where (p_queues is null or i.queue = any(p_queues)) and (p_build is null or i.build = p_build) limit 1000) x);
end $function$;

create or replace function longhaul.watch(p_sla_ms bigint)
 returns table(queue text, build text, kind text, raised boolean, depth bigint, oldest_ms bigint, workers bigint, sla_ms bigint, raised_at timestamptz)
 language plpgsql
as $function$
#variable_conflict use_column
declare found_load record; was record; age bigint; seen jsonb := '{}';
begin
  for found_load in select * from longhaul.totals(null, null) loop
    seen := seen || jsonb_build_object(jsonb_build_array(found_load.queue, found_load.build)::text, to_jsonb(found_load));
    age := greatest(found_load.oldest_ms, found_load.held_ms);
    if found_load.workers = 0 and age > p_sla_ms then
      return query insert into longhaul.alerts as a (queue, build, kind, sla_ms) values (found_load.queue, found_load.build, 'unserved', p_sla_ms)
        on conflict do nothing returning a.queue, a.build, a.kind, true, found_load.depth, age, found_load.workers, a.sla_ms, a.raised_at;
    elsif found_load.workers > 0 and found_load.oldest_ms > p_sla_ms
      and not exists (select from longhaul.alerts a where a.queue = found_load.queue and a.build = found_load.build and a.kind = 'late') then
      select p.oldest_ms into age from longhaul.pressure(array[found_load.queue], found_load.build) p;
      if age > p_sla_ms then
        return query insert into longhaul.alerts as a (queue, build, kind, sla_ms) values (found_load.queue, found_load.build, 'late', p_sla_ms)
          on conflict do nothing returning a.queue, a.build, a.kind, true, found_load.depth, age, found_load.workers, a.sla_ms, a.raised_at;
      end if;
    end if;
  end loop;
  for was in select a.*, seen -> jsonb_build_array(a.queue, a.build)::text as load from longhaul.alerts a loop
    age := (was.load ->> 'oldest_ms')::bigint;
    if was.kind = 'unserved' then
      continue when coalesce((was.load ->> 'depth')::bigint, 0) > 0 and (was.load ->> 'workers')::bigint = 0;
    elsif age > was.sla_ms / 2 then
      select p.oldest_ms into age from longhaul.pressure(array[was.queue], was.build) p;
      continue when age > was.sla_ms / 2;
    end if;
    return query delete from longhaul.alerts a where a.queue = was.queue and a.build = was.build and a.kind = was.kind
      returning a.queue, a.build, a.kind, false, coalesce((was.load ->> 'depth')::bigint, 0), age, coalesce((was.load ->> 'workers')::bigint, 0), a.sla_ms, a.raised_at;
  end loop;
end $function$;

create or replace function longhaul.workers_wanted(p_depth bigint, p_in_flight bigint, p_oldest_ms bigint, p_workers bigint, p_min integer, p_max integer, p_slots integer, p_target integer, p_sla_ms bigint)
 returns integer
 language sql
 immutable
as $function$
  select least(greatest(
           (p_depth + p_target::bigint * p_slots - 1) / (p_target::bigint * p_slots), (p_in_flight + p_slots - 1) / p_slots,
           case when p_depth > 0 and p_oldest_ms > p_sla_ms then p_workers + greatest((p_workers + 3) / 4, 1) else 0 end,
           p_min), p_max)::int
$function$;

create or replace function longhaul.write_calls(p_calls jsonb, p_account uuid, p_epoch integer)
 returns void
 language plpgsql
as $function$
begin
  insert into longhaul.calls (call_id, run_id, root_id, account_id, est_input, est_output, est_nano_usd, epoch, attempt, tenant_id, call_key, step_key, agent, feature, alias, provider, model)
  select c.call_id, c.run_id, c.root_id, p_account, c.est_input, c.est_output, c.est_nano_usd, p_epoch, c.attempt, c.tenant_id, c.call_key, c.step_key, c.agent, c.feature, c.alias, c.provider, c.model
    from jsonb_to_recordset(p_calls) c(call_id uuid, run_id uuid, root_id uuid, est_input bigint, est_output bigint, est_nano_usd bigint, attempt smallint, tenant_id text,
                                       call_key text, step_key text, agent text, feature text, alias text, provider text, model text)
  on conflict do nothing;
end $function$;

create or replace function longhaul.write_tokens(b_run uuid[], b_epoch integer[], b_n integer[], b_take integer[], b_pos integer[], b_after_seq integer[], b_attempt smallint[], b_key text[], b_body text[], d_run uuid[], d_epoch integer[], d_key text[])
 returns void
 language plpgsql
 set plan_cache_mode to 'force_generic_plan'
as $function$
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
end $function$;

create aggregate longhaul.total(spend) (sfunc = plus, stype = spend, initcond = '(0,0,0,0)');
