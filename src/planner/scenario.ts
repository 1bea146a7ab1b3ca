// What is simulated: a load, a fleet, limits, for how long, and who looks on.
import type { FleetSpec } from "./fleet.ts";
import type { ProviderLimits } from "./provider.ts";
import type { Arrivals, Workload } from "./workload.ts";

export interface Scenario {
  readonly workload: Workload;
  readonly fleet: FleetSpec;
  /** Default: none. */
  readonly limits?: ProviderLimits;
  /** What the database can write; only for the part of it that is used. Default: not known. */
  readonly databaseStepsPerSecond?: number | null;
  /** Simulated time; Infinity: until the last of `arrivals` has ended. */
  readonly durationMs: number;
  /** Nothing is measured before: an empty system makes nobody wait. Default 0. */
  readonly warmupMs?: number;
  /** The same seed gives the same figures. Default 1. */
  readonly seed?: number;
  /** These and no others, instead of those that the workload makes. */
  readonly arrivals?: Arrivals;
  readonly probe?: Probe;
}

/** Looks on, for tests. */
export interface Probe {
  readonly onClaim?: (tenant: number, inFlight: number, nowMs: number) => void;
  readonly onCall?: (goesMs: number) => void;
}
