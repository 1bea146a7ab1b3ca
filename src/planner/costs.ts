// What it costs in a month, part by part.
import type { Assumptions } from "./assumptions.ts";
import type { Demand } from "./demand.ts";
import type { Postgres } from "./postgres.ts";
import type { Shape } from "./shapes.ts";

/** USD per month. */
export interface Costs {
  readonly modelUsd: number;
  readonly workersUsd: number;
  readonly serversUsd: number;
  readonly postgresUsd: number;
  readonly storageUsd: number;
  readonly totalUsd: number;
}

export function costsOf(
  demand: Demand,
  workers: number,
  shape: Shape,
  { clusters, size }: Postgres,
  assumptions: Assumptions,
): Costs {
  const apart = shape.name === "many machines" || shape.name === "many clusters";
  const parts = {
    modelUsd: (demand.tokensPerMonth / 1e6) * assumptions.usdPerMillionTokens,
    // A machine for n workers costs what n machines for one do; there the server runs beside them.
    workersUsd: workers * assumptions.workerUsdPerMonth,
    serversUsd: apart ? clusters * assumptions.servers * assumptions.serverUsdPerMonth : 0,
    postgresUsd: clusters * size.usdPerMonth,
    storageUsd: demand.storageGb * assumptions.storageUsdPerGbMonth,
  };
  return { ...parts, totalUsd: Object.values(parts).reduce((sum, usd) => sum + usd, 0) };
}
