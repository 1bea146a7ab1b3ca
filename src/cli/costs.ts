// Commands on what runs and model calls have cost, of all tenants or of one.
import type { ConcentrationReport, CostGroup, CostReport } from "../domain/costs.ts";
import type { Billing, ChargePage } from "../runtime/costs-api.ts";
import type { Context } from "./context.ts";
import { withInstallation } from "./installation.ts";
import { mistake } from "./mistake.ts";
import { momentOf } from "./moment.ts";

interface PeriodFlags {
  readonly tenant?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly limit?: number | undefined;
}

export interface CostsInput extends PeriodFlags {
  readonly by?: CostGroup | undefined;
  readonly report?: "lines" | "concentration" | undefined;
}

export type Costs = CostReport | ConcentrationReport;

/** @throws COMMAND_INVALID */
export function costs({ by, report, ...flags }: CostsInput, context: Context): Promise<Costs> {
  if (report === "concentration" && by !== undefined)
    throw mistake("--by and --report concentration do not go together", "Give one or the other.");
  const period = periodOf(flags);
  return books<Costs>(flags, context, (billing) =>
    report === "concentration"
      ? billing.concentration(period)
      : billing.costs({ ...period, ...(by === undefined ? {} : { by }) }),
  );
}

export interface ChargesInput extends PeriodFlags {
  readonly pending?: boolean | undefined;
  readonly after?: string | undefined;
}

/** @throws COMMAND_INVALID */
export function charges({ pending, after, ...flags }: ChargesInput, context: Context): Promise<ChargePage> {
  return books(flags, context, (billing) => billing.charges({ ...periodOf(flags), pending, after }));
}

export interface Acknowledged {
  readonly acknowledged: readonly string[];
}

export function ackCharges({ runs }: { runs: string }, context: Context): Promise<Acknowledged> {
  const runIds = runs.split(",").map((run) => run.trim());
  return withInstallation(context, async (_, { longhaul }) => ({ acknowledged: await longhaul.billing.ack(runIds) }));
}

function books<Result>(
  { tenant }: PeriodFlags,
  context: Context,
  read: (billing: Pick<Billing, "costs" | "concentration" | "charges">) => Promise<Result>,
): Promise<Result> {
  return withInstallation(context, (_, { longhaul }) =>
    read(tenant === undefined ? longhaul.billing : longhaul.tenant(tenant)),
  );
}

function periodOf({ since, until, limit }: PeriodFlags) {
  return {
    since: since === undefined ? undefined : momentOf(since),
    until: until === undefined ? undefined : momentOf(until, "--until"),
    limit,
  };
}
