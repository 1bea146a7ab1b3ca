// The billing ledger: one charge per run that ended and had made calls or spent something.
import type { NanoUsd } from "../domain/usage.ts";
import type { Queryable } from "./database.ts";

export interface Charge {
  readonly runId: string;
  readonly rootId: string;
  readonly tenant: string;
  readonly agent: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly nanoUsd: NanoUsd;
  readonly steps: number;
  /** Attempts at models, failed ones and those that cost nothing included. */
  readonly calls: number;
  readonly finishedAt: Date;
  /** When somebody took note of it; null: not yet. */
  readonly deliveredAt: Date | null;
}

export interface ChargeFilter {
  readonly tenant?: string | undefined;
  /** Runs that ended at this moment or later. */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly pending?: boolean | undefined;
  readonly limit: number;
  /** Only what comes after the charge of this run. */
  readonly after?: string | undefined;
}

interface ChargeRow {
  readonly run_id: string;
  readonly root_id: string;
  readonly tenant_id: string;
  readonly agent: string;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly nano_usd: string;
  readonly steps: number;
  readonly calls: number;
  readonly finished_at: Date;
  readonly delivered_at: Date | null;
}

const COLUMNS = `run_id, root_id, tenant_id, agent, input_tokens, output_tokens, nano_usd::text, steps, calls, finished_at, delivered_at`;

/** In the order in which their runs ended. */
export async function readCharges(db: Queryable, filter: ChargeFilter): Promise<Charge[]> {
  const { tenant, since, until, pending, limit, after } = filter;
  const rows = await db.query<ChargeRow>(
    `select ${COLUMNS} from longhaul.charges c
      where ($1::text is null or c.tenant_id = $1) and ($2::timestamptz is null or c.finished_at >= $2) and ($3::timestamptz is null or c.finished_at < $3)
        and (not $4 or c.delivered_at is null) and ($5::uuid is null or (c.finished_at, c.run_id) > (select x.finished_at, x.run_id from longhaul.charges x where x.run_id = $5))
      order by c.finished_at, c.run_id limit $6`,
    [tenant ?? null, since ?? null, until ?? null, pending ?? false, after ?? null, limit],
  );
  return rows.map(chargeOf);
}

/** Somebody took note of these. Answers those that nobody had taken note of before. */
export async function ackCharges(db: Queryable, runIds: readonly string[]): Promise<string[]> {
  const rows = await db.query<{ run_id: string }>(
    "update longhaul.charges set delivered_at = clock_timestamp() where run_id = any($1::uuid[]) and delivered_at is null returning run_id",
    [runIds],
  );
  return rows.map((row) => row.run_id);
}

function chargeOf(row: ChargeRow): Charge {
  return {
    runId: row.run_id,
    rootId: row.root_id,
    tenant: row.tenant_id,
    agent: row.agent,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    nanoUsd: BigInt(row.nano_usd),
    steps: row.steps,
    calls: row.calls,
    finishedAt: row.finished_at,
    deliveredAt: row.delivered_at,
  };
}
