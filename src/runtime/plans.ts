// The verbs on plans.
import { BANDS, bandNumber } from "../domain/band.ts";
import { budgetRow } from "../domain/budget-check.ts";
import { fail } from "../domain/errors.ts";
import { checkKey } from "../domain/key.ts";
import { checkPlan, type Plan, type PlanBudget, type PlanInput } from "../domain/plan.ts";
import { toUsd } from "../domain/usage.ts";
import { deletePlan, type PlanRow, readPlans, setPlan } from "../store/plans.ts";
import { answering, type Installation } from "./installation.ts";
import type { Plans, PlanView } from "./limits-api.ts";

export class PlanVerbs implements Plans {
  readonly #installation: Installation;

  constructor(installation: Installation) {
    this.#installation = installation;
  }

  async list(): Promise<PlanView[]> {
    const rows = await answering(() => readPlans(this.#installation.db));
    return rows.map(({ tenants, ...row }) => ({ ...planOf(row), tenants }));
  }

  async set(name: string, limits: PlanInput): Promise<PlanView> {
    const plan = checkPlan(name, limits);
    await answering(() => setPlan(this.#installation.db, rowOf(plan)));
    wakeWorkers(this.#installation);
    const stored = (await this.list()).find((one) => one.plan === plan.plan);
    if (stored === undefined) throw unknownPlan(plan.plan);
    return stored;
  }

  async delete(name: string): Promise<{ plan: string; tenants: number }> {
    const plan = checkKey("plan", name);
    if (plan === "default") throw fail("PLAN_FIXED");
    const tenants = await answering(() => deletePlan(this.#installation.db, plan));
    if (tenants === null) throw unknownPlan(plan);
    wakeWorkers(this.#installation);
    return { plan, tenants };
  }
}

/** What was parked may start now: those who wait for something to do look at once. */
export function wakeWorkers({ doorbell }: Pick<Installation, "doorbell">): void {
  doorbell.ring("ready", "limits");
}

export function unknownPlan(plan: string): Error {
  return fail("PLAN_UNKNOWN", { plan: JSON.stringify(plan.slice(0, 100)) });
}

export function rowOf({ plan, concurrency, weight, band, unfinishedMax, submitsPerMinute, budget }: Plan): PlanRow {
  return {
    plan,
    concurrency,
    weight,
    band: bandNumber(band),
    unfinished_max: unfinishedMax,
    submits_per_minute: submitsPerMinute,
    budget: budget === null ? null : { ...JSON.parse(budgetRow(budget)), per: budget.per },
  };
}

function planOf({ plan, concurrency, weight, band, unfinished_max, submits_per_minute, budget = null }: PlanRow): Plan {
  return {
    plan,
    concurrency,
    weight,
    band: band === null ? null : (BANDS[band] ?? null),
    unfinishedMax: unfinished_max,
    submitsPerMinute: submits_per_minute,
    budget: budgetOf(budget),
  };
}

function budgetOf(row: PlanRow["budget"] | null): PlanBudget | null {
  if (row == null) return null;
  const { input, output, nano_usd: nano, steps, per } = row;
  const usd = nano === undefined ? undefined : toUsd(BigInt(nano));
  const limits = { inputTokens: input, outputTokens: output, usd, steps };
  const given = Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
  return { ...given, per: per as PlanBudget["per"] };
}
