// Which PostgreSQL carries the steps of the busy hour: the embedded one, one that is rented, or several of those.
import type { Assumptions } from "./assumptions.ts";
import type { Demand } from "./demand.ts";
import type { PostgresSize } from "./postgres-sizes.ts";

export interface Postgres {
  readonly embedded: boolean;
  readonly clusters: number;
  /** Each cluster. */
  readonly size: PostgresSize;
}

/** @param oneMachine Whether everything else runs on one machine: nobody else reaches an embedded database. */
export function choosePostgres(demand: Demand, assumptions: Assumptions, oneMachine: boolean): Postgres {
  const embedded = embeddedSize(assumptions);
  if (oneMachine && partOf(demand, embedded, assumptions) <= 1) return { embedded: true, clusters: 1, size: embedded };
  const { postgres } = assumptions;
  const enough = postgres.find((size) => partOf(demand, size, assumptions) <= 1);
  if (enough !== undefined) return { embedded: false, clusters: 1, size: enough };
  const size = postgres.at(-1) ?? embedded;
  return { embedded: false, clusters: Math.ceil(partOf(demand, size, assumptions)), size };
}

/** How much of what is planned with each of these limits the demand takes; 1 is all of it. */
export function partsOf(
  { stepsPerSecond, walMbPerSecond, storageGb }: Demand,
  size: PostgresSize,
  { loadMax }: Assumptions,
): { readonly steps: number; readonly wal: number; readonly storage: number } {
  return {
    steps: stepsPerSecond / (size.stepsPerSecond * loadMax),
    wal: walMbPerSecond / (size.walMbPerSecond * loadMax),
    storage: storageGb / size.storageGbMax,
  };
}

const partOf = (demand: Demand, size: PostgresSize, assumptions: Assumptions): number =>
  Math.max(...Object.values(partsOf(demand, size, assumptions)));

/** A disk of a machine takes more than the embedded database writes: its steps bind first. */
export function embeddedSize({ embeddedStepsPerSecond, embeddedStorageGb }: Assumptions): PostgresSize {
  return {
    name: "embedded",
    stepsPerSecond: embeddedStepsPerSecond,
    walMbPerSecond: 20,
    storageGbMax: embeddedStorageGb,
    usdPerMonth: 0,
  };
}
