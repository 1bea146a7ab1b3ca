// Values above the inline limit: once per tenant and content, stored by the statement that writes the row which refers to them.
import type { Queryable, SqlValue } from "./database.ts";

/** A large value on its way into the database, beside the row that names its hash. */
export interface Apart {
  readonly tenant: string;
  readonly hash: string;
  /** Encoded. */
  readonly body: string;
}

/**
 * Runs a statement that writes references, and stores the values they refer to in the same one: a value is there as long as somebody
 * refers to it, and whoever drops those without references skips it while the lock is held. A value that is there already is locked
 * and left as it is; sorted, after everything else that the statement locks, so that two of them cannot wait for each other.
 */
export function queryWithBlobs<Row>(
  db: Queryable,
  text: string,
  values: readonly SqlValue[],
  name: string,
  blobs: readonly (Apart | undefined)[],
): Promise<Row[]> {
  const once = [...new Map(blobs.flatMap((blob) => (blob === undefined ? [] : [[keyOf(blob), blob]]))).values()];
  if (once.length === 0) return db.query<Row>(text, values, name);
  const [tenants, hashes, bodies] = [1, 2, 3].map((place) => `$${values.length + place}::text[]`);
  const put = `insert into longhaul.blobs (tenant_id, hash, body) select * from unnest(${tenants}, ${hashes}, ${bodies}) order by 1, 2
    on conflict (tenant_id, hash) do update set body = excluded.body where false`;
  const columns = [once.map((blob) => blob.tenant), once.map((blob) => blob.hash), once.map((blob) => blob.body)];
  return db.query<Row>(`with apart as (${put}) ${text}`, [...values, ...columns], `${name}_apart`);
}

const keyOf = ({ tenant, hash }: Apart): string => JSON.stringify([tenant, hash]);

/** The encoded value under a hash, or null. */
export async function getBlob(db: Queryable, tenant: string, hash: string): Promise<string | null> {
  const [row] = await db.query<{ body: string }>(
    "select body from longhaul.blobs where tenant_id = $1 and hash = $2",
    [tenant, hash],
    "lh_get_blob",
  );
  return row?.body ?? null;
}
