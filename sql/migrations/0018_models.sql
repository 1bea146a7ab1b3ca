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
