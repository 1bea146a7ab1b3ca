// Lengths of time as people write them, and back into words.
import { fail } from "./errors.ts";
import { DURATION_CHARS_MAX, DURATION_MS_MAX } from "./limits.ts";

export interface DurationParts {
  readonly weeks?: number;
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
}

/** `"3 days"`, `"1h 30m"`, `"PT5M"`, `{ minutes: 5 }`, or a number of milliseconds. */
export type DurationInput = string | number | DurationParts;

type Unit = keyof DurationParts;

/** From long to short: the order in which a text names them. */
const UNIT_MS: Readonly<Record<Unit, number>> = {
  weeks: 604_800_000,
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1,
};

const UNITS = Object.keys(UNIT_MS) as Unit[];

const UNIT_NAMES: ReadonlyMap<string, Unit> = new Map(
  Object.entries({
    weeks: "w wk wks week weeks",
    days: "d day days",
    hours: "h hr hrs hour hours",
    minutes: "m min mins minute minutes",
    seconds: "s sec secs second seconds",
    milliseconds: "ms msec msecs millisecond milliseconds",
  }).flatMap(([unit, names]) => names.split(" ").map((name): [string, Unit] => [name, unit as Unit])),
);

const NUMBER = String.raw`(\d{1,15}(?:\.\d{1,9})?)`;
const PART = new RegExp(String.raw`${NUMBER} ?([a-z]{1,12})(?:$|,? (?:and )?|(?=\d))`, "y");
const ISO = new RegExp(`^p(?:${NUMBER}w)?(?:${NUMBER}d)?(t(?=\\d)(?:${NUMBER}h)?(?:${NUMBER}m)?(?:${NUMBER}s)?)?$`);

/**
 * Whole milliseconds of a duration: zero or more, at most ten years. Months and years have no fixed length and are refused.
 * @throws DURATION_INVALID for anything else, and says what was expected.
 */
export function durationMs(input: DurationInput): number {
  const ms = Math.round(exactMs(input));
  if (ms > DURATION_MS_MAX) return refuse(input, "it is longer than ten years");
  return ms;
}

function exactMs(input: unknown): number {
  if (typeof input === "string") return textMs(input);
  if (typeof input === "number") return amountOf(input, input);
  if (typeof input !== "object" || input === null || Array.isArray(input)) return refuse(input, "it is not a duration");
  return partsMs(input);
}

function partsMs(parts: object): number {
  const given = Object.entries(parts).filter(([, amount]) => amount !== undefined);
  if (given.length === 0) return refuse(parts, "it names no unit");
  return given.reduce((sum, [unit, amount]) => {
    if (!Object.hasOwn(UNIT_MS, unit)) return refuse(parts, `${JSON.stringify(unit.slice(0, 50))} is not a unit`);
    return sum + amountOf(amount, parts) * UNIT_MS[unit as Unit];
  }, 0);
}

function amountOf(amount: unknown, input: unknown): number {
  if (typeof amount !== "number" || Number.isNaN(amount)) return refuse(input, "it is not a number");
  return amount < 0 ? refuse(input, "it is negative") : amount;
}

function textMs(text: string): number {
  if (text.length > DURATION_CHARS_MAX) return refuse(text, `it has more than ${DURATION_CHARS_MAX} characters`);
  const words = text.trim().toLowerCase();
  if (words.startsWith("p")) return isoMs(words, text);
  let sum = 0;
  let last = -1;
  PART.lastIndex = 0;
  while (PART.lastIndex < words.length || last === -1) {
    const [, amount, name = ""] = PART.exec(words) ?? refuse(text, "it is not numbers with units");
    const unit = UNIT_NAMES.get(name);
    if (unit === undefined) return refuse(text, `${JSON.stringify(name)} is not a unit`);
    if (UNITS.indexOf(unit) <= last) return refuse(text, "its units do not go from long to short, each once");
    last = UNITS.indexOf(unit);
    sum += Number(amount) * UNIT_MS[unit];
  }
  return sum;
}

function isoMs(words: string, text: string): number {
  const match = ISO.exec(words);
  if (match === null || words === "p") return refuse(text, "it is not an ISO 8601 duration of weeks to seconds");
  const [, weeks, days, , hours, minutes, seconds] = match.map((amount) => Number(amount ?? 0));
  return partsMs({ weeks, days, hours, minutes, seconds });
}

function refuse(input: unknown, reason: string): never {
  const shown = typeof input === "string" ? JSON.stringify(input.slice(0, 50)) : describe(input);
  throw fail("DURATION_INVALID", { input: shown, reason });
}

function describe(input: unknown): string {
  if (typeof input === "number") return String(input);
  return typeof input === "object" && input !== null ? "an object" : `a value of type ${typeof input}`;
}

/** Shortest unit that a text shows next to its longest: finer than that is noise. */
const SHOWN: readonly { readonly unit: Unit; readonly one: string; readonly many: string }[] = [
  { unit: "days", one: "day", many: "days" },
  { unit: "hours", one: "h", many: "h" },
  { unit: "minutes", one: "min", many: "min" },
  { unit: "seconds", one: "s", many: "s" },
  { unit: "milliseconds", one: "ms", many: "ms" },
];

/**
 * A duration in at most two units for people: `250 ms`, `4.2 s`, `1 min 30 s`, `3 days`, `2 days 4 h`. Rounded, never cut;
 * `durationMs` reads it back. Milliseconds may be negative or fractional.
 */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "unknown";
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (Math.round(ms) < 1_000) return `${Math.round(ms)} ms`;
  if (Math.round(ms / 100) < 100) return `${Math.round(ms / 100) / 10} s`;
  return twoUnits(ms);
}

function twoUnits(ms: number): string {
  for (let index = 0; index < SHOWN.length - 2; index++) {
    const [long, short] = [SHOWN[index], SHOWN[index + 1]];
    if (long === undefined || short === undefined) break;
    const shorts = Math.round(ms / UNIT_MS[short.unit]);
    const perLong = UNIT_MS[long.unit] / UNIT_MS[short.unit];
    if (shorts < perLong) continue;
    const parts = [countText(Math.floor(shorts / perLong), long), countText(shorts % perLong, short)];
    return parts.filter((part) => part !== "").join(" ");
  }
  return `${Math.round(ms / 1_000)} s`;
}

function countText(count: number, names: (typeof SHOWN)[number]): string {
  return count === 0 ? "" : `${count} ${count === 1 ? names.one : names.many}`;
}
