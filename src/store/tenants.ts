// Statements that say what tenants may have and what they have.
import type { Queryable } from "./database.ts";

export interface TenantRow {
  readonly tenant_id: string;
  readonly plan: string;
  /** The largest int for no limit, as in `unfinished_max`. */
  readonly cap: number;
  readonly in_flight: number;
  readonly ready: number;
  readonly unfinished: number;
  readonly unfinished_max: number;
  readonly submits_per_minute: number | null;
  readonly weight: number;
  readonly band: number | null;
  readonly budget_id: string | null;
  readonly paused: boolean;
}

const TENANT = `select t.tenant_id, t.plan, t.cap, t.in_flight, t.unfinished, t.unfinished_max, t.submits_per_minute, t.weight, t.band, t.budget_id, t.paused,
  coalesce((select sum(u.ready) from longhaul.turns u where u.tenant_id = t.tenant_id), 0)::bigint as ready from longhaul.tenants t`;

export interface TenantFilter {
  readonly plan: string | null;
  readonly paused: boolean | null;
  readonly after: string | null;
  readonly limit: number;
}

/** In the order of their names, byte by byte. */
export function readTenants(db: Queryable, { plan, paused, after, limit }: TenantFilter): Promise<TenantRow[]> {
  return db.query<TenantRow>(
    `${TENANT} where ($1::text is null or t.plan = $1) and ($2::boolean is null or t.paused = $2)
       and ($3::text is null or t.tenant_id collate "C" > $3) order by t.tenant_id collate "C" limit $4`,
    [plan, paused, after, limit],
  );
}

export async function readTenant(db: Queryable, tenant: string): Promise<TenantRow | null> {
  const [row] = await db.query<TenantRow>(`${TENANT} where t.tenant_id = $1`, [tenant]);
  return row ?? null;
}

/** How many runs of all tenants have not ended. */
export async function countUnfinished(db: Queryable): Promise<number> {
  const [row] = await db.query<{ n: number }>(
    "select coalesce(sum(unfinished), 0)::bigint as n from longhaul.tenants",
    [],
    "lh_unfinished",
  );
  return row?.n ?? 0;
}
