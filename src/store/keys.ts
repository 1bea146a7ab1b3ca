// Statements on API keys. All that a caller may have sent twice is safe to repeat: ids are made before.
import type { Queryable } from "./database.ts";

export interface KeyRow {
  readonly key_id: string;
  readonly tenant_id: string;
  readonly name: string | null;
  readonly scopes: string[];
  readonly created_at: Date;
  readonly created_by: string;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
  readonly revoked_by: string | null;
  readonly replaced_by: string | null;
  readonly last_used_at: Date | null;
  readonly state: "active" | "expired" | "revoked";
}

/** Everything but the hash, and where the key stands on the database's clock. */
const COLUMNS = `k.key_id, k.tenant_id, k.name, k.scopes, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.revoked_by, k.replaced_by,
  k.last_used_at, case when k.revoked_at is not null then 'revoked' when k.expires_at <= clock_timestamp() then 'expired' else 'active' end as state`;

export interface NewKeyRow {
  readonly keyId: string;
  readonly tenant: string;
  readonly secretHash: Buffer;
  readonly name: string | null;
  readonly scopes: readonly string[];
  readonly createdBy: string;
  /** From now, on the database's clock. */
  readonly lifeMs: number | null;
}

export async function insertKey(db: Queryable, key: NewKeyRow): Promise<void> {
  await db.query(
    `insert into longhaul.api_keys (key_id, tenant_id, secret_hash, name, scopes, created_by, expires_at)
     values ($1, $2, $3, $4, $5::text[], $6, clock_timestamp() + $7::float8 * interval '1 ms')
     on conflict (key_id) do nothing`,
    [key.keyId, key.tenant, key.secretHash, key.name, key.scopes, key.createdBy, key.lifeMs],
  );
}

export async function readKey(db: Queryable, keyId: string): Promise<KeyRow | null> {
  const [row] = await db.query<KeyRow>(`select ${COLUMNS} from longhaul.api_keys k where k.key_id = $1`, [keyId]);
  return row ?? null;
}

/** Newest first. Without a tenant: those of all. */
export function listKeys(
  db: Queryable,
  filter: { readonly tenant: string | null; readonly limit: number; readonly offset: number },
): Promise<KeyRow[]> {
  return db.query<KeyRow>(
    `select ${COLUMNS} from longhaul.api_keys k where $1::text is null or k.tenant_id = $1
      order by k.created_at desc, k.key_id desc limit $2 offset $3`,
    [filter.tenant, filter.limit, filter.offset],
  );
}

/**
 * Makes the successor of a living key, with the same rights and the same length of life, and lets the old one end after the grace.
 * Both or nothing, in one statement under the old key's row lock. Nothing when the old one has ended or has a successor.
 */
export async function replaceKey(
  db: Queryable,
  old: string,
  successor: Pick<NewKeyRow, "keyId" | "secretHash" | "createdBy">,
  graceMs: number,
): Promise<void> {
  await db.query(
    `with old as materialized (
       select k.* from longhaul.api_keys k
        where k.key_id = $1 and k.revoked_at is null and k.replaced_by is null
          and (k.expires_at is null or k.expires_at > clock_timestamp()) for update
     ), made as (
       insert into longhaul.api_keys (key_id, tenant_id, secret_hash, name, scopes, created_by, expires_at)
       select $2, o.tenant_id, $3, o.name, o.scopes, $4, clock_timestamp() + (o.expires_at - o.created_at) from old o
       returning key_id
     )
     update longhaul.api_keys k
        set replaced_by = m.key_id, expires_at = least(k.expires_at, clock_timestamp() + $5::float8 * interval '1 ms')
       from made m where k.key_id = $1`,
    [old, successor.keyId, successor.secretHash, successor.createdBy, graceMs],
  );
}

/** The first revocation holds; a second one changes nothing. */
export async function revokeKey(db: Queryable, keyId: string, by: string): Promise<void> {
  await db.query(
    "update longhaul.api_keys set revoked_at = clock_timestamp(), revoked_by = $2 where key_id = $1 and revoked_at is null",
    [keyId, by],
  );
}

/** What a server needs to know of a key that comes with a request. */
export interface HeldKeyRow {
  readonly key_id: string;
  readonly tenant_id: string;
  readonly secret_hash: Buffer;
  readonly name: string | null;
  readonly scopes: string[];
  readonly revoked: boolean;
  /** Until it expires; null: it does not. */
  readonly left_ms: number | null;
}

export function readHeldKeys(db: Queryable, keyIds: readonly string[]): Promise<HeldKeyRow[]> {
  return db.query<HeldKeyRow>(
    `select k.key_id, k.tenant_id, k.secret_hash, k.name, k.scopes, k.revoked_at is not null as revoked,
       (extract(epoch from k.expires_at - clock_timestamp()) * 1000)::float8 as left_ms
       from longhaul.api_keys k where k.key_id = any($1::text[])`,
    [keyIds],
    "lh_held_keys",
  );
}

/** Whether this installation has ever had a key, whatever became of it. */
export async function hasKeys(db: Queryable): Promise<boolean> {
  const [row] = await db.query<{ any: boolean }>(
    'select exists (select 1 from longhaul.api_keys) as "any"',
    [],
    "lh_has_keys",
  );
  return row?.any ?? false;
}

/** Notes that keys were used: for each at most once a minute, whatever the number of processes. */
export async function touchKeys(db: Queryable, keyIds: readonly string[]): Promise<void> {
  await db.query(
    `update longhaul.api_keys set last_used_at = clock_timestamp()
      where key_id = any($1::text[]) and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')`,
    [keyIds],
    "lh_touch_keys",
  );
}
