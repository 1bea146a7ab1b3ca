// The sizes of PostgreSQL that can be rented, as assumed until somebody says better.
import { fail } from "../domain/errors.ts";
import { requireNumber } from "./checks.ts";

export interface PostgresSize {
  readonly name: string;
  /** Durable steps per second, when many runs write at once. */
  readonly stepsPerSecond: number;
  /** Write-ahead log that its disk takes. */
  readonly walMbPerSecond: number;
  readonly storageGbMax: number;
  /** With a standby; storage is priced apart. */
  readonly usdPerMonth: number;
}

/**
 * Cautious readings of our own measurements (10,000 to 100,000 rows per second in batches on two cores with a local disk), for disks
 * that answer in a millisecond over a network.
 */
export const MANAGED_POSTGRES: readonly PostgresSize[] = [
  { name: "2 cores, 8 GB", stepsPerSecond: 3_000, walMbPerSecond: 20, storageGbMax: 2_000, usdPerMonth: 260 },
  { name: "4 cores, 16 GB", stepsPerSecond: 6_000, walMbPerSecond: 40, storageGbMax: 8_000, usdPerMonth: 520 },
  { name: "8 cores, 32 GB", stepsPerSecond: 12_000, walMbPerSecond: 80, storageGbMax: 16_000, usdPerMonth: 1_040 },
  { name: "16 cores, 64 GB", stepsPerSecond: 24_000, walMbPerSecond: 160, storageGbMax: 32_000, usdPerMonth: 2_080 },
  { name: "32 cores, 128 GB", stepsPerSecond: 40_000, walMbPerSecond: 250, storageGbMax: 64_000, usdPerMonth: 4_160 },
];

/** @throws CAPACITY_INVALID */
export function checkPostgres(value: unknown): void {
  if (!Array.isArray(value) || value.length === 0)
    throw fail("CAPACITY_INVALID", {
      what: "postgres",
      value: JSON.stringify(value) ?? "nothing",
      expected: "a list of sizes",
    });
  for (const size of value as readonly Partial<PostgresSize>[]) {
    const of = (name: keyof PostgresSize) => `${name} of a PostgreSQL`;
    for (const name of ["stepsPerSecond", "walMbPerSecond", "storageGbMax"] as const)
      requireNumber(of(name), size?.[name], { min: 0, aboveMin: true });
    requireNumber(of("usdPerMonth"), size?.usdPerMonth, { min: 0 });
    if (typeof size.name !== "string")
      throw fail("CAPACITY_INVALID", { what: of("name"), value: String(size.name), expected: "a text" });
  }
}
