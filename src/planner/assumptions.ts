// What the planner assumes where nobody has measured: prices, sizes of machines, what a run costs. All of it can be overridden.
import { fail } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";
import { requireNumber } from "./checks.ts";
import { checkPostgres, MANAGED_POSTGRES, type PostgresSize } from "./postgres-sizes.ts";

/** Prices are round figures of late 2026 for orientation, in USD without tax; they are nobody's offer. */
export interface Assumptions {
  /** Input and output tokens together, at their usual mix, for a model of the middle class. */
  readonly usdPerMillionTokens: number;
  /** A machine for one worker process: 2 cores. */
  readonly workerUsdPerMonth: number;
  readonly workerMemoryMb: number;
  /** What a worker needs before it executes anything: Node.js, the agents' code, its packages. */
  readonly workerBaseMb: number;
  /** What a run holds while it is active: messages, tool results, sockets. Measure yours: it decides how many slots fit. */
  readonly memoryPerRunMb: number;
  /** What the one thread of a worker spends on a step: prompt, TLS, parsing, validation, journal. */
  readonly cpuMsPerStep: number;
  /** Part of a worker's thread, and of a database, that is planned with; the rest is for the unforeseen. */
  readonly loadMax: number;
  /** Part of all slots that the busy hour may fill: workers die and are deployed, and what queues at 99 % takes hours to go away. */
  readonly workerLoadMax: number;
  /** Workers that one machine carries with `longhaul start --workers`. */
  readonly workersPerMachineMax: number;
  /** Processes of `longhaul server` beside many machines, and what each costs. */
  readonly servers: number;
  readonly serverUsdPerMonth: number;
  /** Journaled steps per model call: the call, and a tool that it asks for. */
  readonly stepsPerCall: number;
  /** What a step leaves in the tables, indexes included. */
  readonly bytesPerStep: number;
  /** What a step writes to the log of the database, as a multiple of that. */
  readonly walPerByte: number;
  /** How long ended runs are kept. */
  readonly retentionDays: number;
  /** Steps per second of the embedded PostgreSQL on the machine of the workers (`npm run bench -- steps` measures yours). */
  readonly embeddedStepsPerSecond: number;
  /** What one likes to keep on the disk of a machine without a standby. */
  readonly embeddedStorageGb: number;
  readonly storageUsdPerGbMonth: number;
  /** What can be rented, from small to large, with a standby. */
  readonly postgres: readonly PostgresSize[];
}

export const ASSUMPTIONS: Assumptions = {
  usdPerMillionTokens: 2,
  workerUsdPerMonth: 50,
  workerMemoryMb: 4_096,
  workerBaseMb: 300,
  memoryPerRunMb: 20,
  cpuMsPerStep: 5,
  loadMax: 0.6,
  workerLoadMax: 0.85,
  workersPerMachineMax: 8,
  servers: 2,
  serverUsdPerMonth: 30,
  stepsPerCall: 2,
  bytesPerStep: 3_000,
  walPerByte: 1.5,
  retentionDays: 30,
  embeddedStepsPerSecond: 1_000,
  embeddedStorageGb: 100,
  storageUsdPerGbMonth: 0.25,
  postgres: MANAGED_POSTGRES,
};

/** The assumptions with some of them changed. @throws CAPACITY_INVALID for a name that there is not, or a value that cannot be */
export function assume(changes: Readonly<Record<string, unknown>>): Assumptions {
  const names = Object.keys(ASSUMPTIONS);
  for (const [name, value] of Object.entries(changes)) {
    if (name === "postgres") checkPostgres(value);
    else if (names.includes(name)) checkOne(name, value);
    else throw unknown(name, names);
  }
  return { ...ASSUMPTIONS, ...(changes as Partial<Assumptions>) };
}

const WHOLE = new Set(["servers", "workersPerMachineMax"]);
/** They divide: nothing of them makes no sense. */
const POSITIVE = new Set([
  "memoryPerRunMb",
  "workerMemoryMb",
  "loadMax",
  "workerLoadMax",
  "workersPerMachineMax",
  "stepsPerCall",
]);

function checkOne(name: string, value: unknown): void {
  const max = name.endsWith("oadMax") ? 1 : 1e9;
  requireNumber(name, value, { min: 0, max, whole: WHOLE.has(name), aboveMin: POSITIVE.has(name) });
}

function unknown(name: string, names: readonly string[]): Error {
  const meant = nearest(name, names);
  const expected = meant === undefined ? `one of ${names.join(", ")}` : `${meant}, if that is what was meant`;
  return fail("CAPACITY_INVALID", { what: "An assumption", value: name.slice(0, 50), expected });
}
