// The simplest shape of installation that carries the load, how to start it, and why it is this one.

import { WORKER_SLOTS_DEFAULT } from "../domain/limits.ts";
import { amount } from "./amount.ts";
import type { Assumptions } from "./assumptions.ts";
import type { Demand } from "./demand.ts";
import { embeddedSize, type Postgres, partsOf } from "./postgres.ts";
import type { PostgresSize } from "./postgres-sizes.ts";

/** From simple to not so simple. */
export const SHAPES = ["one command", "one machine", "many machines", "many clusters"] as const;
export type ShapeName = (typeof SHAPES)[number];

export interface Shape {
  readonly name: ShapeName;
  /** What to type. */
  readonly commands: readonly string[];
  /** Why this, in one sentence. */
  readonly reason: string;
}

const DATABASE = "DATABASE_URL=postgres://…";

export function shapeOf(
  workers: number,
  slots: number,
  demand: Demand,
  postgres: Postgres,
  assumptions: Assumptions,
): Shape {
  const name = nameOf(workers, postgres, assumptions);
  const facts = { workers, slots, demand, postgres, assumptions };
  return { name, commands: commandsOf(name, workers, slots, postgres), reason: reasonOf(name, facts) };
}

function nameOf(workers: number, { clusters }: Postgres, { workersPerMachineMax }: Assumptions): ShapeName {
  if (clusters > 1) return "many clusters";
  if (workers > workersPerMachineMax) return "many machines";
  return workers > 1 ? "one machine" : "one command";
}

function commandsOf(name: ShapeName, workers: number, slots: number, { embedded, clusters }: Postgres): string[] {
  const database = embedded ? "" : `${DATABASE} `;
  const withSlots = slots === WORKER_SLOTS_DEFAULT ? "" : ` --slots ${slots}`;
  if (name === "one command") return [`${database}longhaul start${withSlots}`];
  if (name === "one machine") return [`${database}longhaul start --workers ${workers}${withSlots}`];
  const perCluster = name === "many clusters" ? " per cluster, for its part of the tenants" : "";
  return [
    `${database}longhaul server  # 2 or more${perCluster}`,
    `${database}longhaul worker${withSlots}  # × ${Math.ceil(workers / clusters)}${perCluster}`,
  ];
}

interface Facts {
  readonly workers: number;
  readonly slots: number;
  readonly demand: Demand;
  readonly postgres: Postgres;
  readonly assumptions: Assumptions;
}

function reasonOf(name: ShapeName, facts: Facts): string {
  const { workers, slots, demand, postgres, assumptions } = facts;
  const atOnce = `${amount(demand.runsAtOnce)} runs at once in the busy hour`;
  const take = `take ${workers} workers with ${slots} slots`;
  if (name === "one command") return `One worker with ${slots} slots carries the ${atOnce}${databaseReason(facts)}.`;
  if (name === "one machine") return `The ${atOnce} ${take}, which one machine carries${databaseReason(facts)}.`;
  if (name === "many machines")
    return `The ${atOnce} ${take}: more than the ${assumptions.workersPerMachineMax} that one machine should carry.`;
  const { size, clusters } = postgres;
  return `${most(demand, size, assumptions)} are more than one PostgreSQL takes (${size.name}): the tenants are spread over ${clusters} clusters.`;
}

function databaseReason({ demand, postgres, assumptions }: Facts): string {
  if (postgres.embedded) return `, and the embedded PostgreSQL its ${amount(demand.stepsPerSecond)} steps a second`;
  return `; ${most(demand, embeddedSize(assumptions), assumptions)} are too much for the embedded PostgreSQL`;
}

/** What fills a database of this size most. */
function most(demand: Demand, size: PostgresSize, assumptions: Assumptions): string {
  const { steps, wal, storage } = partsOf(demand, size, assumptions);
  if (storage >= steps && storage >= wal) return `${amount(demand.storageGb)} GB of runs that are kept`;
  if (wal > steps) return `${amount(demand.walMbPerSecond)} MB of log a second`;
  return `${amount(demand.stepsPerSecond)} steps a second`;
}
