// What values a setting takes: each check gives the value, or says in a few words what it should have been.

import { expectedUrl } from "../domain/database-url.ts";
import { durationMs, formatDuration } from "../domain/duration.ts";
import { isLonghaulError } from "../domain/errors.ts";
import { checkKey } from "../domain/key.ts";
import { PROCESS_RANGE_EXPECTED, processRange } from "../domain/process-range.ts";

/** From a flag or a variable the value is text; from the config file it is whatever stands there. */
export type Check<Value> = (raw: unknown) => Checked<Value>;
export type Checked<Value> = { readonly value: Value } | { readonly expected: string };

export const text: Check<string> = (raw) =>
  typeof raw === "string" && raw !== "" ? { value: raw } : { expected: "a text that is not empty" };

export const databaseUrl: Check<string> = (raw) => {
  const expected = expectedUrl(typeof raw === "string" ? raw : "");
  return expected === null ? { value: String(raw) } : { expected };
};

/** A whole number from `min` to `max`, also written as text. */
export function count(min: number, max: number): Check<number> {
  return (raw) => {
    const value = typeof raw === "string" && /^\d+$/.test(raw.trim()) ? Number(raw) : raw;
    const fits = typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
    return fits ? { value } : { expected: `a whole number from ${min} to ${max}` };
  };
}

/** Runs that may be unfinished, in the whole installation. */
export const unfinishedCount = count(0, Number.MAX_SAFE_INTEGER);

/** True or false, also written as text. */
export const yesOrNo: Check<boolean> = (raw) => {
  if (raw === true || raw === "true" || raw === "1") return { value: true };
  if (raw === false || raw === "false" || raw === "0") return { value: false };
  return { expected: "true or false" };
};

/** A number of processes, or a range of them as text. */
export const processes: Check<number | string> = (raw) => {
  const range = processRange(raw);
  if (range === null) return { expected: PROCESS_RANGE_EXPECTED };
  return { value: range.min === range.max ? range.min : `${range.min}..${range.max}` };
};

export const webUrl: Check<string> = (raw) => {
  const fits = typeof raw === "string" && URL.canParse(raw) && /^https?:$/.test(new URL(raw).protocol);
  return fits ? { value: raw } : { expected: "a URL that begins with http:// or https://" };
};

/** A length of time as people write it, not shorter than `minMs`, or `forever`. */
export function keepTime(minMs: number): Check<string> {
  return (raw) => {
    const expected = `a length of time of at least ${formatDuration(minMs)}, such as "30 days", or forever`;
    if (raw === "forever") return { value: "forever" };
    if (typeof raw !== "string") return { expected };
    try {
      return durationMs(raw) < minMs ? { expected } : { value: raw };
    } catch {
      return { expected };
    }
  };
}

export const port = count(0, 65_535);

export function choice<const Value extends string>(values: readonly Value[]): Check<Value> {
  return (raw) => {
    const value = values.find((one) => one === raw);
    return value === undefined ? { expected: `one of ${values.join(", ")}` } : { value };
  };
}

/** An array, or a text of parts separated by commas; at least one part, each one checked. */
export function list(check: Check<string>): Check<readonly string[]> {
  return (raw) => {
    const parts = typeof raw === "string" ? raw.split(",").map((part) => part.trim()) : raw;
    if (!Array.isArray(parts) || parts.length === 0) return { expected: "a list that is not empty" };
    const values: string[] = [];
    for (const part of parts) {
      const checked = check(part);
      if ("expected" in checked) return { expected: `a list in which each is ${checked.expected}` };
      values.push(checked.value);
    }
    return { value: values };
  };
}

export const checkTenant = key("tenant");
export const checkQueue = key("queue");

function key(kind: "tenant" | "queue"): Check<string> {
  return (raw) => {
    if (typeof raw !== "string") return { expected: "a text that is not empty" };
    try {
      checkKey(kind, raw);
      return { value: raw };
    } catch (error) {
      if (!isLonghaulError(error)) throw error;
      return { expected: `a usable ${kind} name: ${error.message}` };
    }
  };
}
