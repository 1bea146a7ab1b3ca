// Times as providers write them: `6m0s`, `45.8s`, seconds, RFC 3339, HTTP dates. All answers are this process's own time.

const DAY_MS = 86_400_000;
/** Further off than that is a mistake, or a way to stop somebody for good. */
const WAIT_MS_MAX = 32 * DAY_MS;
const UNIT_MS: Readonly<Record<string, number>> = { d: DAY_MS, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
const PART = /(\d{1,12}(?:\.\d{1,12})?)(ms|[dhms])/g;
const WAIT = /^(?:\d{1,12}(?:\.\d{1,12})?(?:ms|[dhms]))+$/;

/** Milliseconds of `1h2m3.5s`, `12ms`, or a plain number of seconds; null for anything else. */
export function waitMs(text: string | undefined): number | null {
  const written = text?.trim().toLowerCase() ?? "";
  if (/^\d{1,12}(?:\.\d+)?$/.test(written)) return bounded(Number(written) * 1_000);
  if (written.length > 60 || !WAIT.test(written)) return null;
  const parts = [...written.matchAll(PART)].map(([, amount, unit = ""]) => Number(amount) * (UNIT_MS[unit] ?? 0));
  return bounded(parts.reduce((sum, part) => sum + part, 0));
}

/** A provider's clock and ours differ: what it says about times is read against the time at which it said so. */
export class ProviderClock {
  readonly nowMs: number;
  readonly #aheadMs: number;

  /** `date`: the response's own Date header. */
  constructor(nowMs: number, date: string | undefined) {
    this.nowMs = nowMs;
    const theirs = date === undefined ? Number.NaN : Date.parse(date);
    this.#aheadMs = Number.isNaN(theirs) ? 0 : theirs - nowMs;
  }

  /** When it says "in so long". */
  after(text: string | undefined): number | null {
    const ms = waitMs(text);
    return ms === null ? null : this.nowMs + ms;
  }

  /** When it names a moment. */
  at(text: string | undefined): number | null {
    if (text === undefined || !/\d{4}-\d{2}-\d{2}|[a-z]{3},? \d/i.test(text)) return null;
    const theirs = Date.parse(text);
    return Number.isNaN(theirs) ? null : this.nowMs + bounded(theirs - this.#aheadMs - this.nowMs);
  }

  /** Either of them. */
  read(text: string | undefined): number | null {
    return this.after(text) ?? this.at(text);
  }
}

function bounded(ms: number): number {
  return Math.min(WAIT_MS_MAX, Math.max(0, Math.ceil(ms)));
}

/** The next midnight in California, when Google's daily quotas begin anew. */
export function nextPacificMidnight(nowMs: number): number {
  const nextMs = nowMs + DAY_MS - pacificTimeMs(nowMs);
  const driftMs = pacificTimeMs(nextMs);
  // Clocks are changed on that day: an hour too much, or one too few.
  return driftMs > DAY_MS / 2 ? nextMs + DAY_MS - driftMs : nextMs - driftMs;
}

let pacific: Intl.DateTimeFormat | undefined;

/** Made when it is first needed: that takes longer than all else that is loaded here. */
function pacificFormat(): Intl.DateTimeFormat {
  pacific ??= new Intl.DateTimeFormat("en-US", {
    timeZone: "America/Los_Angeles",
    hourCycle: "h23",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  return pacific;
}

/** Since midnight, as a clock on the wall in California shows it. */
function pacificTimeMs(ms: number): number {
  const parts = pacificFormat().formatToParts(ms);
  const read = (type: string): number => Number(parts.find((part) => part.type === type)?.value ?? 0);
  return ((read("hour") * 60 + read("minute")) * 60 + read("second")) * 1_000 + (ms % 1_000);
}
