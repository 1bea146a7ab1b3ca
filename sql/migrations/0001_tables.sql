-- Where everything lives. A run's place is its state: `runs` says what was asked and never changes, `live` says what is
-- happening and disappears at the end, `outcomes` says how it ended and never changes. Only `live`, `tenants`, `gates`, `turns` and
-- `lanes` are updated in place; they are narrow and have room in their pages, so that most of those updates stay there (HOT).
--
-- Lock order, everywhere: live (youngest run first: ids descend, a child's id is always greater than its parent's) -> threads
-- -> tenants -> gates -> turns, each class in one sorted pass. Claims lock turns first and therefore only ever SKIP LOCKED.
-- Decide only on values that came out of FOR UPDATE or of a SET expression on the locked row. Gates, turns and lanes are locked FOR NO KEY
-- UPDATE, so that a submit can keep one from being cleared away (FOR KEY SHARE) while others count in it.

-- What a tenant may have: how many runs in flight, its share, its band, how much it may queue. Null means no limit.
-- `configured` is what the config file said last: a change there wins, and so does a later one by hand.
create table longhaul.plans (
  plan               text primary key,
  concurrency        int constraint concurrency_not_negative check (concurrency >= 0),
  weight             int not null default 1 constraint weight_in_range check (weight between 1 and 1000),
  band               smallint constraint band_in_range check (band between 0 and 2),
  unfinished_max     int constraint unfinished_max_not_negative check (unfinished_max >= 0),
  submits_per_minute int constraint submits_per_minute_positive check (submits_per_minute > 0),
  -- what each of its tenants may spend per day or month (0014)
  budget             jsonb,
  configured         jsonb
);
insert into longhaul.plans (plan) values ('default');

-- Whose work it is, with what its plan allows and what it uses at this moment.
create table longhaul.tenants (
  tenant_id          text primary key,
  plan               text not null default 'default',
  cap                int not null default 2147483647 constraint cap_not_negative check (cap >= 0),
  in_flight          int not null default 0 constraint in_flight_not_negative check (in_flight >= 0),
  unfinished         int not null default 0 constraint unfinished_not_negative check (unfinished >= 0),
  unfinished_max     int not null default 2147483647,
  weight             int not null default 1 constraint weight_in_range check (weight between 1 and 1000),
  band               smallint constraint band_in_range check (band between 0 and 2),
  paused             boolean not null default false,
  submits_per_minute int,
  -- when the bucket of submits will be full again (GCRA, ITU-T I.371)
  rate_at            timestamptz,
  -- once it has had one it keeps it, with or without limits
  budget_id          uuid
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index tenants_of_plan on longhaul.tenants (plan);

-- What agents say of themselves when a worker registers: how many runs at once, in all and for one key of one tenant.
create table longhaul.agents (
  agent       text primary key,
  concurrency int constraint concurrency_not_negative check (concurrency >= 0),
  per_key     int constraint per_key_not_negative check (per_key >= 0)
);

-- A limit that lanes share: of an agent (tenant and key empty), or of one key of a tenant's runs of an agent.
create table longhaul.gates (
  gate_id   int generated always as identity primary key,
  agent     text not null,
  tenant_id text not null default '',
  key       text not null default '',
  cap       int not null constraint cap_not_negative check (cap >= 0),
  in_flight int not null default 0 constraint in_flight_not_negative check (in_flight >= 0),
  unique (agent, tenant_id, key)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create index gates_of_agents on longhaul.gates (gate_id) where tenant_id = '';

-- Where the scheduler is fair: a tenant's turn in the line of a (queue, build, band). vtime = fair-share clock; lanes = how many
-- of its lanes are open; runnable = some are, and the tenant is not parked by its cap. Its row lock guards its lanes.
create table longhaul.turns (
  turn_id   int generated always as identity primary key,
  queue     text not null,
  tenant_id text not null,
  build     text not null,
  band      smallint not null constraint band_in_range check (band between 0 and 2),
  ready     int not null default 0 constraint ready_not_negative check (ready >= 0),
  lanes     int not null default 0 constraint lanes_not_negative check (lanes >= 0),
  runnable  boolean not null default false,
  vtime     bigint not null default 0,
  unique (queue, tenant_id, build, band),
  constraint runnable_has_lanes check (lanes > 0 or not runnable)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index turns_next on longhaul.turns (queue, build, band, vtime) where runnable;
create index turns_of_tenant on longhaul.turns (tenant_id);

-- What a tenant's turn picks from: its runs of one agent and concurrency key. open = has ready runs and no gate has shut it;
-- prio = of its first run, or lower; place = the turn's clock when it was last served.
create table longhaul.lanes (
  lane_id    int generated always as identity primary key,
  turn_id    int not null,
  tenant_id  text not null,
  agent      text not null,
  key        text not null default '',
  agent_gate int,
  key_gate   int,
  ready      int not null default 0 constraint ready_not_negative check (ready >= 0),
  prio       smallint not null default 0,
  open       boolean not null default false,
  place      bigint not null default 0,
  head_at    timestamptz,
  unique (turn_id, agent, key),
  constraint open_has_ready check (ready > 0 or not open),
  constraint keyed_lane_has_gate check (key = '' or key_gate is not null)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index lanes_next on longhaul.lanes (turn_id, prio, place) where open;
create index lanes_shut on longhaul.lanes (agent_gate, place) where agent_gate is not null and ready > 0 and not open;
create index lanes_of_agent on longhaul.lanes (agent);
create index lanes_of_key on longhaul.lanes (key_gate) where key_gate is not null;

-- One execution of an agent as it was asked for. Insert only.
create table longhaul.runs (
  run_id          uuid primary key,
  root_id         uuid not null,
  parent_id       uuid,
  thread_id       uuid,
  forked_from     uuid,
  -- the nearest above it: its own, an ancestor's or its tenant's; null: nothing limits what it spends
  budget_id       uuid,
  created_at      timestamptz not null default clock_timestamp(),
  run_at          timestamptz,
  thread_seq      bigint,
  lane_id         int not null,
  depth           smallint not null default 0,
  priority        smallint not null default 100,
  tenant_id       text not null,
  agent           text not null,
  build           text not null,
  queue           text not null,
  concurrency_key text not null default '',
  idempotency_key text,
  request_hash    text,
  parent_key      text,
  detached        boolean not null default false,
  input           text,
  input_blob      text,
  options         jsonb not null default '{}',
  metadata        jsonb not null default '{}',
  constraint one_place_for_input check (input is null or input_blob is null)
);
create unique index one_run_per_idempotency_key on longhaul.runs (tenant_id, idempotency_key) where idempotency_key is not null;
create index runs_newest on longhaul.runs (tenant_id, run_id);
create index runs_of_thread on longhaul.runs (thread_id, thread_seq) where thread_id is not null;
create index runs_of_parent on longhaul.runs (parent_id) where parent_id is not null;
create index runs_of_root on longhaul.runs (root_id) where parent_id is not null;

-- One narrow row per unfinished run: state, lease and fence in one. Whoever moves a run locks this row.
create table longhaul.live (
  run_id       uuid primary key,
  parent_id    uuid,
  worker_id    uuid,
  expires_at   timestamptz,
  claimed_at   timestamptz,
  thread_no    bigint,
  active_ms    bigint not null default 0,
  lane_id      int not null,
  epoch        int not null default 0,
  journal_seq  int not null default 0,
  claim_seq    int not null default 0,
  inbox_seq    int not null default 0,
  need         int not null default 0,
  agent_gate   int,
  key_gate     int,
  prio         smallint not null default 100,
  crashes      smallint not null default 0,
  isolate      boolean not null default false,
  state        text not null constraint state_is_known check (state in ('queued', 'running', 'waiting', 'paused')),
  cancel       text,
  pause_reason text,
  constraint lease_iff_running check ((state = 'running') = (worker_id is not null) and (state = 'running') = (expires_at is not null)),
  constraint reason_iff_paused check ((state = 'paused') = (pause_reason is not null)),
  constraint passes_gates_running check (state = 'running' or (agent_gate is null and key_gate is null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index live_running on longhaul.live (worker_id) where state = 'running';
create index live_isolated on longhaul.live (run_id) where isolate and state = 'queued';
create index live_paused on longhaul.live (run_id) where state = 'paused';
create index live_children on longhaul.live (parent_id) where parent_id is not null;

-- How a run ended. Insert only: the primary key is what makes an end final.
create table longhaul.outcomes (
  run_id      uuid primary key,
  finished_at timestamptz not null default clock_timestamp(),
  active_ms   bigint not null default 0,
  epoch       int not null,
  entries     int not null,
  tenant_id   text not null,
  status      text not null constraint status_is_final check (status in ('succeeded', 'failed', 'cancelled')),
  reason      text,
  output      text,
  output_blob text,
  failure     text,
  constraint failure_iff_failed check ((status = 'failed') = (failure is not null))
);
create index outcomes_newest on longhaul.outcomes (tenant_id, status, run_id);

-- Runs that can be claimed this moment, and nothing else.
create table longhaul.ready (
  run_id  uuid not null,
  at      timestamptz not null default clock_timestamp(),
  lane_id int not null,
  prio    smallint not null,
  primary key (lane_id, prio, run_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- Delayed starts, retry backoff and the earliest timer of a waiting run: at most one row per run.
create table longhaul.later (
  run_id uuid primary key,
  due_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.02);
create index later_due on longhaul.later (due_at);

-- Runs that are worth nothing any more when nobody has started them in time.
create table longhaul.expiries (
  run_id   uuid primary key,
  start_by timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.02);
create index expiries_due on longhaul.expiries (start_by);

-- Runs that failed for good and have nobody above them who would deal with it: until somebody retries or discards them.
create table longhaul.dead_letters (
  run_id    uuid primary key,
  died_at   timestamptz not null default clock_timestamp(),
  tenant_id text not null,
  agent     text not null,
  queue     text not null,
  code      text not null
);
create index dead_letters_newest on longhaul.dead_letters (tenant_id, run_id);

-- The run's append-only log. Only the holder of the lease appends; a run nobody holds is appended to under its live row's lock.
create table longhaul.journal (
  run_id uuid not null,
  at     timestamptz not null default clock_timestamp(),
  seq    int not null constraint seq_from_one check (seq > 0),
  epoch  int not null,
  kind   smallint not null,
  key    text,
  body   text,
  blob   text,
  primary key (run_id, seq)
);

-- What others tell a run: signals, answers, outcomes of children. Its worker journals what it consumes and deletes the row.
create table longhaul.inbox (
  run_id uuid not null,
  at     timestamptz not null default clock_timestamp(),
  seq    int not null,
  kind   text not null constraint message_is_known check (kind in ('signal', 'answer', 'child', 'nudge')),
  key    text not null,
  body   text,
  blob   text,
  primary key (run_id, seq)
);

-- What a waiting run waits for. A message whose key matches removes the row and counts against live.need.
create table longhaul.waits (
  run_id    uuid not null,
  key       text not null,
  due_at    timestamptz,
  fail_fast boolean not null default false,
  label     text not null,
  primary key (run_id, key)
);

-- Questions to people, resolved exactly once.
create table longhaul.approvals (
  approval_id  uuid primary key,
  run_id       uuid not null,
  requested_at timestamptz not null default clock_timestamp(),
  expires_at   timestamptz,
  resolved_at  timestamptz,
  tenant_id    text not null,
  step_key     text not null,
  kind         text not null constraint approval_kind_is_known check (kind in ('approval', 'interrupt')),
  name         text not null,
  request      text,
  request_blob text,
  request_hash text not null,
  status       text not null default 'pending'
    constraint approval_status_is_known check (status in ('pending', 'approved', 'denied', 'expired', 'cancelled')),
  resolved_by  text,
  answer       text,
  constraint resolved_iff_not_pending check ((status = 'pending') = (resolved_at is null))
);
create index approvals_pending on longhaul.approvals (tenant_id, approval_id) where status = 'pending';
create index approvals_of_run on longhaul.approvals (run_id);

create table longhaul.threads (
  thread_no  bigint generated always as identity primary key,
  tenant_id  text not null,
  thread_id  uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  next_seq   bigint not null default 1,
  active_run uuid,
  agent      text,
  state      text,
  state_blob text,
  metadata   jsonb not null default '{}',
  unique (tenant_id, thread_id)
) with (fillfactor = 70);

-- Runs that wait for their turn in a thread.
create table longhaul.thread_queue (
  thread_no bigint not null,
  seq       bigint not null,
  run_id    uuid not null,
  primary key (thread_no, seq)
);

-- Values above the inline limit, once per tenant and content.
create table longhaul.blobs (
  tenant_id  text not null,
  hash       text not null,
  created_at timestamptz not null default clock_timestamp(),
  body       text not null,
  primary key (tenant_id, hash)
);

create table longhaul.workers (
  worker_id  uuid primary key,
  started_at timestamptz not null default clock_timestamp(),
  seen_at    timestamptz not null default clock_timestamp(),
  pid        int not null,
  slots      int not null,
  host       text not null,
  build      text not null,
  queues     text[] not null,
  agents     text[] not null,
  version    text not null,
  state      text not null default 'active' constraint worker_state_is_known check (state in ('active', 'draining', 'stopped', 'lost'))
) with (fillfactor = 70);

-- Submits that take part in the caller's own transaction: append only, so that a long foreign transaction blocks nobody.
create table longhaul.intake (
  run_id     uuid primary key,
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
  metadata   jsonb not null
);

-- Parents that ended before their children: the children are still to be cancelled, one level per transaction.
create table longhaul.cancel_cascade (parent_id uuid primary key);

create type longhaul.item as (lane_id int, prio smallint, run_id uuid);
