// How long a key lives, as people say it: a length of time, or a day to come.
import { type DurationInput, durationMs } from "../domain/duration.ts";
import { fail } from "../domain/errors.ts";
import { DURATION_MS_MAX } from "../domain/limits.ts";

/** 2030-01-31, or the same with a time of day: UTC unless it names another offset. */
const DATE = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?$/;

/** Milliseconds from `nowMs` on. @throws EXPIRY_INVALID, DURATION_INVALID */
export function lifeMs(expires: DurationInput | Date, nowMs: number): number {
  const at = momentOf(expires);
  const left = at === null ? durationMs(expires as DurationInput) : at.getTime() - nowMs;
  if (Number.isNaN(left)) throw invalid(expires, "there is no such day");
  if (left <= 0) throw invalid(expires, "it is not in the future");
  if (left > DURATION_MS_MAX) throw invalid(expires, "it is more than ten years away");
  return left;
}

function momentOf(expires: DurationInput | Date): Date | null {
  if (expires instanceof Date) return expires;
  if (typeof expires !== "string" || !DATE.test(expires)) return null;
  return new Date(/T.*(?:Z|[+-]\d\d:\d\d)$/.test(expires) || !expires.includes("T") ? expires : `${expires}Z`);
}

function invalid(expires: DurationInput | Date, reason: string) {
  const value = expires instanceof Date ? String(expires) : JSON.stringify(expires);
  return fail("EXPIRY_INVALID", { value, reason });
}
