// From what the configuration says of a provider to the quotas that one call needs: their keys, and how much of each.
import { createHash } from "node:crypto";
import { hasLoneSurrogate } from "../domain/text.ts";
import type { TokenUsage } from "../domain/usage.ts";
import { type Pace, requestPace, tokenPace } from "./pace.ts";
import { matches } from "./pattern.ts";
import type { Estimate } from "./roles.ts";

const DIMENSIONS = ["rpm", "rpd", "tpm", "tpd", "itpm", "otpm", "concurrent"] as const;
/** What a quota counts. */
export type QuotaDimension = (typeof DIMENSIONS)[number];

/** One bucket: what all models that match the pattern share. */
export interface QuotaRule {
  readonly pattern: string;
  readonly limits: { readonly [Dimension in QuotaDimension]?: number | undefined } & { readonly countCached: boolean };
}

/** A provider as far as its limits go. Two of the same name, organisation and project are the same account. */
export interface LimitedProvider {
  readonly name: string;
  readonly kind: string;
  readonly organisation: string | null;
  readonly project: string | null;
  readonly limits: readonly QuotaRule[];
}

/** One quota of the configuration. */
export interface Quota {
  readonly key: string;
  readonly kind: "rate" | "window" | "slots";
  readonly dimension: QuotaDimension;
  readonly pattern: string;
  readonly limit: number;
  readonly countCached: boolean;
  readonly pace: Pace;
  readonly zone: string | null;
}

const KINDS: Readonly<Record<QuotaDimension, Quota["kind"]>> = {
  rpm: "rate",
  rpd: "window",
  tpm: "rate",
  tpd: "window",
  itpm: "rate",
  otpm: "rate",
  concurrent: "slots",
};

/** What people call them. */
export const DIMENSION_NAMES: Readonly<Record<QuotaDimension, string>> = {
  rpm: "requests per minute",
  rpd: "requests per day",
  tpm: "tokens per minute",
  tpd: "tokens per day",
  itpm: "input tokens per minute",
  otpm: "output tokens per minute",
  concurrent: "calls at once",
};

/** A call is thought to take so long, before any has ended. */
const HELD_MS = 2_000;
/** Longer keys are kept as their hash: an index entry has its limits, and a model's name may come from anybody. */
const KEY_CHARS_MAX = 400;
/** Google's days begin where it does; the others do not say, or say UTC. */
const ZONES: Readonly<Record<string, string>> = { google: "America/Los_Angeles" };

/** The quotas that a provider declares, in all. */
export function quotasOf(provider: LimitedProvider, minuteMs: number): Quota[] {
  return provider.limits.flatMap((rule) =>
    DIMENSIONS.flatMap((dimension) => quota(provider, rule, dimension, minuteMs)),
  );
}

function quota(provider: LimitedProvider, rule: QuotaRule, dimension: QuotaDimension, minuteMs: number): Quota[] {
  const limit = rule.limits[dimension];
  if (limit === undefined) return [];
  const kind = KINDS[dimension];
  return [
    {
      key: quotaKey(provider, rule.pattern, dimension),
      kind,
      dimension,
      pattern: rule.pattern,
      limit,
      countCached: rule.limits.countCached,
      pace: paceOf(dimension, limit, minuteMs),
      zone: kind === "window" ? (ZONES[provider.kind] ?? "UTC") : null,
    },
  ];
}

export function paceOf(dimension: QuotaDimension, limit: number, minuteMs: number): Pace {
  if (dimension === "concurrent") return { emissionMs: HELD_MS / limit, burstMs: 0 };
  if (KINDS[dimension] === "window") return { emissionMs: 0, burstMs: 0 };
  return dimension === "rpm" ? requestPace(limit, minuteMs) : tokenPace(limit, minuteMs);
}

/** Those of them in which a call of this model counts. */
export function quotasFor(quotas: readonly Quota[], model: string): Quota[] {
  return quotas.filter(({ pattern }) => matches(pattern, model));
}

/** Different parts never make the same key, whatever characters they are of. `gate`: what a provider's "not before" closes. */
export function quotaKey(
  { name, organisation, project }: Pick<LimitedProvider, "name" | "organisation" | "project">,
  pattern: string,
  dimension: QuotaDimension | "gate",
): string {
  return plainKey(JSON.stringify([name, organisation, project, pattern, dimension]));
}

/** The text itself, where an index can hold it; else its hash. */
export function plainKey(text: string): string {
  if (text.length <= KEY_CHARS_MAX && !text.includes("\0") && !hasLoneSurrogate(text)) return text;
  return createHash("sha256").update(text).digest("hex");
}

/** How much a call counts: before it, by the estimate; after it, by what was used. */
export function amountOf(dimension: QuotaDimension, counted: Estimate | TokenUsage, countCached: boolean): number {
  const { inputTokens, outputTokens } = counted;
  const cached = !countCached && "cacheReadTokens" in counted ? counted.cacheReadTokens : 0;
  const input = Math.max(0, inputTokens - cached);
  switch (dimension) {
    case "rpm":
    case "rpd":
    case "concurrent":
      return 1;
    case "itpm":
      return input;
    case "otpm":
      return outputTokens;
    case "tpm":
    case "tpd":
      return input + outputTokens;
  }
}
