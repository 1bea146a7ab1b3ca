// Judging the numbers that people plan with: a plan made of NaN or of a typing error is worse than none.
import { fail } from "../domain/errors.ts";

export interface Range {
  /** Default: no limit. */
  readonly min?: number;
  readonly max?: number;
  /** Default false. */
  readonly whole?: boolean;
  /** Default false: `min` itself is allowed. */
  readonly aboveMin?: boolean;
}

/** Gives the number back. @throws CAPACITY_INVALID */
export function requireNumber(what: string, value: unknown, range: Range): number {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, whole = false, aboveMin = false } = range;
  const fits =
    typeof value === "number" &&
    Number.isFinite(value) &&
    (aboveMin ? value > min : value >= min) &&
    value <= max &&
    (!whole || Number.isInteger(value));
  if (fits) return value;
  throw fail("CAPACITY_INVALID", { what, value: String(value).slice(0, 50), expected: expectation(range) });
}

function expectation({ min, max, whole = false, aboveMin = false }: Range): string {
  const kind = whole ? "a whole number" : "a number";
  const least = min === undefined ? "" : aboveMin ? ` above ${shown(min)}` : ` of at least ${shown(min)}`;
  const most = max === undefined ? "" : `${least === "" ? " of" : " and"} at most ${shown(max)}`;
  return `${kind}${least}${most}`;
}

function shown(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}
