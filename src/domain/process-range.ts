// How many worker processes: a number, or a range within which the load decides.

export interface ProcessRange {
  readonly min: number;
  readonly max: number;
}

/** Processes on one machine, at most. */
export const PROCESSES_MAX = 64;

export const PROCESS_RANGE_EXPECTED = `a whole number from 1 to ${PROCESSES_MAX}, or a range such as 1..8 within 0..${PROCESSES_MAX}`;

/** Reads `4` or `1..8`. Only a range may begin with 0: then there are none while there is nothing to do. Null for anything else. */
export function processRange(raw: unknown): ProcessRange | null {
  const [, from, , to] = /^(\d{1,4})(\.\.(\d{1,4}))?$/.exec(String(raw).trim()) ?? [];
  if (from === undefined || (typeof raw !== "string" && typeof raw !== "number")) return null;
  const min = Number(from);
  const max = to === undefined ? min : Number(to);
  const fits = max >= 1 && max <= PROCESSES_MAX && min <= max && (to !== undefined || min >= 1);
  return fits ? { min, max } : null;
}
