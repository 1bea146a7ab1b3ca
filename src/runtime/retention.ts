// How long runs are kept after their end: as people write it, and in milliseconds.
import { type DurationInput, durationMs } from "../domain/duration.ts";
import { RETENTION_FAILED_MS, RETENTION_MS } from "../domain/limits.ts";
import type { RetentionPolicy } from "../store/retention.ts";

export type KeepTime = DurationInput | "forever";

export interface RetentionConfig {
  /** Runs that succeeded or were cancelled. Default 30 days. */
  readonly finished?: KeepTime | undefined;
  /** Runs that failed. Default 90 days. */
  readonly failed?: KeepTime | undefined;
  /** Threads without runs on which nothing happens, with their state. Default `forever`. */
  readonly threads?: KeepTime | undefined;
}

/** `false` keeps everything. @throws DURATION_INVALID */
export function retentionPolicy(config: RetentionConfig | false = {}): RetentionPolicy | null {
  if (config === false) return null;
  return {
    finishedMs: keepMs(config.finished ?? RETENTION_MS),
    failedMs: keepMs(config.failed ?? RETENTION_FAILED_MS),
    threadsMs: keepMs(config.threads ?? "forever"),
  };
}

/** Milliseconds, or null for ever. @throws DURATION_INVALID */
export function keepMs(time: KeepTime): number | null {
  return time === "forever" ? null : durationMs(time);
}
