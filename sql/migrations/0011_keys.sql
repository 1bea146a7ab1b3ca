-- API keys: who may ask for what, as which tenant. Not marked as compatible on purpose: a server of an older version does not know
-- this table and would go on letting everybody in.
--
-- Of a key's secret only the SHA-256 is kept. A slow hash, as for passwords, would protect nothing: nobody can guess 256 random
-- bits, however fast a guess is, and every request pays for the hash. A row is never deleted: that an installation has had a key
-- is what tells it to ask for one.

create table longhaul.api_keys (
  key_id       text primary key constraint key_id_is_letters_and_digits check (key_id ~ '^[0-9A-Za-z]{11}$'),
  tenant_id    text not null,
  secret_hash  bytea not null constraint only_the_hash_is_kept check (octet_length(secret_hash) = 32),
  name         text,
  scopes       text[] not null
    constraint scopes_are_known check (scopes <@ array['runs:read', 'runs:write', 'approvals', 'models', 'admin'])
    constraint key_opens_something check (cardinality(scopes) > 0),
  created_at   timestamptz not null default clock_timestamp(),
  created_by   text not null,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  revoked_by   text,
  replaced_by  text constraint replaced_by_a_key references longhaul.api_keys (key_id),
  last_used_at timestamptz,
  constraint expires_after_creation check (expires_at > created_at),
  constraint somebody_revoked_it check ((revoked_at is null) = (revoked_by is null)),
  constraint replaced_key_ends check (replaced_by is null or expires_at is not null or revoked_at is not null)
) with (fillfactor = 70);
create index api_keys_newest on longhaul.api_keys (created_at desc, key_id desc);
create index api_keys_of_tenant on longhaul.api_keys (tenant_id, created_at desc, key_id desc);
