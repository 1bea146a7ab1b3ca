// Values above the inline limit: once per tenant and content.
import type { Queryable } from "./database.ts";

/** Stores encoded values under their content hashes. Safe to repeat. */
export async function putBlobs(
  db: Queryable,
  blobs: readonly { readonly tenant: string; readonly hash: string; readonly body: string }[],
): Promise<void> {
  await db.query(
    `insert into longhaul.blobs (tenant_id, hash, body) select * from unnest($1::text[], $2::text[], $3::text[]) on conflict do nothing`,
    [blobs.map((b) => b.tenant), blobs.map((b) => b.hash), blobs.map((b) => b.body)],
    "lh_put_blobs",
  );
}

/** The encoded value under a hash, or null. */
export async function getBlob(db: Queryable, tenant: string, hash: string): Promise<string | null> {
  const [row] = await db.query<{ body: string }>(
    "select body from longhaul.blobs where tenant_id = $1 and hash = $2",
    [tenant, hash],
    "lh_get_blob",
  );
  return row?.body ?? null;
}
