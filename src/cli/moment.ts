// Moments as people write them on the command line: how long ago, or when.
import { durationMs } from "../domain/duration.ts";
import { isLonghaulError } from "../domain/errors.ts";
import { mistake } from "./mistake.ts";

/** A duration counts back from now. @throws COMMAND_INVALID */
export function momentOf(text: string, flag = "--since"): Date {
  const day = /^\d{4}-\d\d/.test(text) ? new Date(text) : null;
  if (day !== null && !Number.isNaN(day.getTime())) return day;
  try {
    return new Date(Date.now() - durationMs(text));
  } catch (error) {
    if (!isLonghaulError(error)) throw error;
    throw mistake(`${flag} ${text} is no moment`, 'Write "2 hours", 2030-01-31 or 2030-01-31T12:00:00Z.');
  }
}
