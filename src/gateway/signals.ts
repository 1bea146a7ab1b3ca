// What response headers say about limits: how much there is, how much is left, when it refills, when to come back.
import { ProviderClock } from "./times.ts";

export const LIMIT_DIMENSIONS = ["rpm", "rph", "rpd", "tpm", "tph", "tpd", "itpm", "otpm"] as const;
export type LimitDimension = (typeof LIMIT_DIMENSIONS)[number];

/** What a provider says about one of its limits; null where it does not say. */
export interface LimitSignal {
  readonly dimension: LimitDimension;
  readonly limit: number | null;
  readonly remaining: number | null;
  /** When it is full again, in milliseconds since 1970 on this process's clock. */
  readonly resetAtMs: number | null;
}

export interface Signals {
  /** When to come back: what the provider says, else when what is used up refills; null when nothing says. */
  readonly retryAtMs: number | null;
  readonly limits: readonly LimitSignal[];
}

/** Lower-case names, as a provider's response carries them. */
export type Headers = Readonly<Record<string, string | undefined>>;

interface Dialect {
  readonly dimension: LimitDimension;
  /** Name of the header that says what is `limit`, `remaining` or `reset`. */
  header(what: "limit" | "remaining" | "reset"): string;
}

const anthropic = (unit: string, dimension: LimitDimension): Dialect => ({
  dimension,
  header: (what) => `anthropic-ratelimit-${unit}-${what}`,
});
const common = (unit: string, dimension: LimitDimension): Dialect => ({
  dimension,
  header: (what) => `x-ratelimit-${what}-${unit}`,
});

const ANTHROPIC = [anthropic("requests", "rpm"), anthropic("input-tokens", "itpm"), anthropic("output-tokens", "otpm")];
/** Cerebras, Mistral and others say the window in the name. */
const WITH_WINDOW = [
  ...[common("requests-minute", "rpm"), common("requests-hour", "rph"), common("requests-day", "rpd")],
  ...[
    common("req-minute", "rpm"),
    common("tokens-minute", "tpm"),
    common("tokens-hour", "tph"),
    common("tokens-day", "tpd"),
  ],
];
const OPENAI = [common("requests", "rpm"), common("tokens", "tpm")];
/** Groq's "requests" are those of a day. */
const GROQ = [common("requests", "rpd"), common("tokens", "tpm")];

/** A minute's limit that takes longer than that to fill is a day's: small OpenAI accounts are told theirs without being told so. */
const MINUTE_RESET_MS_MAX = 90_000;

/** Reads whatever is there, whoever sent it: the names of the headers tell them apart. */
export function readSignals(headers: Headers, nowMs: number): Signals {
  const clock = new ProviderClock(nowMs, headers["date"]);
  const isGroq = Object.keys(headers).some((name) => name.startsWith("x-groq"));
  const limits = [...ANTHROPIC, ...WITH_WINDOW, ...(isGroq ? GROQ : OPENAI)].flatMap((dialect) => {
    return readLimit(dialect, headers, clock) ?? [];
  });
  return { retryAtMs: readRetryAt(headers, clock) ?? refillOf(limits), limits };
}

function readLimit({ dimension, header }: Dialect, headers: Headers, clock: ProviderClock): LimitSignal | null {
  const limit = readCount(headers[header("limit")]);
  const remaining = readCount(headers[header("remaining")]);
  if (limit === null && remaining === null) return null;
  const resetAtMs = clock.read(headers[header("reset")]);
  return { dimension: dailyIfSlow(dimension, resetAtMs, clock.nowMs), limit, remaining, resetAtMs };
}

function dailyIfSlow(dimension: LimitDimension, resetAtMs: number | null, nowMs: number): LimitDimension {
  if (resetAtMs === null || resetAtMs - nowMs <= MINUTE_RESET_MS_MAX) return dimension;
  if (dimension === "rpm") return "rpd";
  return dimension === "tpm" ? "tpd" : dimension;
}

function readRetryAt(headers: Headers, clock: ProviderClock): number | null {
  const ms = headers["retry-after-ms"];
  const inMs = ms === undefined ? null : clock.after(`${ms.trim()}ms`);
  return inMs ?? clock.read(headers["retry-after"]);
}

/** The last of those that are used up: before that one refills, nothing goes. */
function refillOf(limits: readonly LimitSignal[]): number | null {
  const usedUp = limits.filter(({ remaining }) => remaining === 0).map(({ resetAtMs }) => resetAtMs ?? 0);
  const last = Math.max(0, ...usedUp);
  return last === 0 ? null : last;
}

function readCount(text: string | undefined): number | null {
  if (text === undefined || !/^\s*\d{1,15}(\.\d+)?\s*$/.test(text)) return null;
  return Math.floor(Number(text));
}
