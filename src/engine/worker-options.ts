// What a worker is told when it is made.
import type { Database } from "../store/database.ts";
import type { RetentionPolicy } from "../store/retention.ts";
import type { Doorbell } from "./doorbell.ts";
import type { Programs } from "./execution.ts";
import type { Isolate } from "./isolation.ts";
import type { ExecutionSettings } from "./roles.ts";
import type { LiveTokens } from "./tokens.ts";

export type Logger = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Record<string, unknown>,
) => void;

export interface WorkerOptions {
  readonly db: Database;
  readonly doorbell: Doorbell;
  readonly tokens: LiveTokens;
  readonly programs: Programs;
  readonly workerId: string;
  readonly version: string;
  readonly build: string;
  readonly queues: readonly string[];
  /** Runs at once of those queues that must not fill all slots. */
  readonly queueSlots: ReadonlyMap<string, number>;
  readonly slots: number;
  readonly leaseMs: number;
  readonly drainMs: number;
  readonly stallMs: number;
  readonly endWhenStalled: boolean;
  readonly tickMs: number;
  /** How long, and how many, waiting runs are kept live. */
  readonly warmMs: number;
  readonly warmMax: number;
  readonly settings: ExecutionSettings;
  /** What is old enough to be dropped; null: nothing ever, by this worker. */
  readonly retention: RetentionPolicy | null;
  /** How often it looks for that. */
  readonly retentionEveryMs: number;
  /** Without it a poisonous run is paused one crash earlier. */
  readonly isolate: Isolate | null;
  /** Run this one run and nothing else. */
  readonly onlyRun: string | null;
  readonly log: Logger;
}
