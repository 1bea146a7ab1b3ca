// What Google's errors say about quotas: which one was hit, and when to come back.
import type { ErrorFacts } from "./error-facts.ts";
import { nextPacificMidnight, waitMs } from "./times.ts";

export interface GoogleQuota {
  /** `none`: this project has no quota for the model at all. */
  readonly window: "minute" | "day" | "none" | "unsaid";
  readonly readyAtMs: number | null;
}

/** Null for an error that names none. Where several were hit, the longest counts. */
export function googleQuota({ details }: ErrorFacts, nowMs: number): GoogleQuota | null {
  const violations = details.flatMap((detail) =>
    Array.isArray(detail["violations"]) ? (detail["violations"] as unknown[]) : [],
  );
  const ids = violations.map((violation) => `${read(violation, "quotaId")} ${read(violation, "quotaMetric")}`);
  const delays = details.map((detail) => waitMs(read(detail, "retryDelay")));
  const delayMs = delays.find((delay) => delay !== null) ?? null;
  if (ids.length === 0 && delayMs === null) return null;
  if (violations.some((violation) => read(violation, "quotaValue") === "0")) return { window: "none", readyAtMs: null };
  // A daily quota comes with a delay of seconds as well: it is not true.
  if (ids.some((id) => /per_?day/i.test(id))) return { window: "day", readyAtMs: nextPacificMidnight(nowMs) };
  const readyAtMs = delayMs === null ? null : nowMs + delayMs;
  return { window: ids.some((id) => /per_?minute/i.test(id)) ? "minute" : "unsaid", readyAtMs };
}

function read(value: unknown, key: string): string {
  const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof found === "string" || typeof found === "number" ? String(found) : "";
}
