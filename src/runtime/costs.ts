// Costs and charges as the verbs give them: of one tenant, or of all.
import type { ConcentrationReport, CostReport } from "../domain/costs.ts";
import { COST_GROUPS } from "../domain/costs.ts";
import { type DurationInput, durationMs } from "../domain/duration.ts";
import { fail } from "../domain/errors.ts";
import { CHARGES_PAGE_MAX, COST_CALLS_MAX, COST_ROWS_DEFAULT, COST_ROWS_MAX } from "../domain/limits.ts";
import { nearest } from "../domain/nearest.ts";
import { toUsd } from "../domain/usage.ts";
import { ackCharges, type Charge, readCharges } from "../store/charges.ts";
import { type CostQuestion, readConcentration, readCosts } from "../store/costs.ts";
import type { Database } from "../store/database.ts";
import type { Billing, ChargePage, ChargeView, CostOptions, CostPeriod, ListCharges } from "./costs-api.ts";
import { answering } from "./installation.ts";
import { isUuid } from "./uuid.ts";

/** Runs that a report on concentration names. */
const TOP_DEFAULT = 10;
const SINCE_DEFAULT: DurationInput = { days: 7 };

export class BillingVerbs implements Billing {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  costs(options: CostOptions = {}): Promise<CostReport> {
    return costsOf(this.#db, null, options);
  }

  concentration(options: CostPeriod = {}): Promise<ConcentrationReport> {
    return concentrationOf(this.#db, null, options);
  }

  charges(filter: ListCharges = {}): Promise<ChargePage> {
    return chargesOf(this.#db, null, filter);
  }

  async ack(runIds: readonly string[]): Promise<string[]> {
    const known = runIds.filter(isUuid);
    return known.length === 0 ? [] : answering(() => ackCharges(this.#db, known));
  }
}

/** `tenant` null: all. @throws REQUEST_INVALID, DURATION_INVALID */
export async function costsOf(db: Database, tenant: string | null, options: CostOptions): Promise<CostReport> {
  const { by = "model" } = options;
  if (!COST_GROUPS.includes(by)) {
    const meant = nearest(String(by), COST_GROUPS);
    const known = meant === undefined ? `expected one of ${COST_GROUPS.join(", ")}` : `did you mean ${meant}?`;
    throw fail(
      "REQUEST_INVALID",
      { problem: `by: ${known}` },
      { details: { issues: [{ path: "by", message: known }] } },
    );
  }
  return answering(() => readCosts(db, by, question(tenant, options)));
}

/** @throws DURATION_INVALID */
export async function concentrationOf(
  db: Database,
  tenant: string | null,
  options: CostPeriod,
): Promise<ConcentrationReport> {
  const asked = question(tenant, { ...options, limit: options.limit ?? TOP_DEFAULT });
  return answering(() => readConcentration(db, asked));
}

function question(
  tenant: string | null,
  { since = SINCE_DEFAULT, until, limit = COST_ROWS_DEFAULT }: CostPeriod,
): CostQuestion {
  return {
    tenant,
    since: momentOf(since),
    // What the database's clock is ahead of ours belongs to now as well.
    until: until ?? new Date(Date.now() + 60_000),
    callsMax: COST_CALLS_MAX,
    limit: bounded(limit, COST_ROWS_MAX),
  };
}

function momentOf(since: Date | DurationInput): Date {
  return since instanceof Date ? since : new Date(Date.now() - durationMs(since));
}

function bounded(limit: number, most: number): number {
  return Math.min(Math.max(1, Math.floor(limit)), most);
}

/** @throws DURATION_INVALID */
export async function chargesOf(db: Database, tenant: string | null, filter: ListCharges): Promise<ChargePage> {
  const { since, until, pending, limit = COST_ROWS_DEFAULT, after } = filter;
  const size = bounded(limit, CHARGES_PAGE_MAX);
  if (after !== undefined && !isUuid(after)) return { charges: [], next: null };
  const asked = {
    ...(tenant === null ? {} : { tenant }),
    ...(since === undefined ? {} : { since: momentOf(since) }),
    ...(until === undefined ? {} : { until }),
    ...(pending === true ? { pending } : {}),
    ...(after === undefined ? {} : { after }),
    limit: size,
  };
  const found = await answering(() => readCharges(db, asked));
  const last = found.length === size ? found.at(-1) : undefined;
  return { charges: found.map(chargeView), next: last?.runId ?? null };
}

function chargeView({ nanoUsd, finishedAt, deliveredAt, ...charge }: Charge): ChargeView {
  return {
    ...charge,
    usd: toUsd(nanoUsd),
    nanoUsd: String(nanoUsd),
    finishedAt: finishedAt.toISOString(),
    deliveredAt: deliveredAt?.toISOString() ?? null,
  };
}
