// The gateway's configuration with everything said: checked, defaults filled in, durations in milliseconds.
import type { Limits, PriceOverride, ProviderKind, RouteFacts, RouteRule } from "./config.ts";

export interface BuiltInSettings {
  readonly name: string;
  readonly kind: ProviderKind;
  readonly apiKey: string | null;
  readonly apiKeyEnv: string | null;
  readonly baseUrl: string | null;
  readonly organisation: string | null;
  readonly project: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly api: "responses" | "chat";
  readonly limits: readonly LimitRule[];
  readonly pricedAs: string | null;
}

export interface OwnSettings {
  readonly name: string;
  readonly kind: "own";
  model(id: string): unknown;
  readonly embedding: ((id: string) => unknown) | null;
  readonly organisation: string | null;
  readonly project: string | null;
  readonly limits: readonly LimitRule[];
  readonly pricedAs: string | null;
}

export type ProviderSettings = BuiltInSettings | OwnSettings;

/** One bucket: what all models that match the pattern share. */
export interface LimitRule {
  readonly pattern: string;
  readonly limits: Limits & { readonly countCached: boolean };
}

/** What an alias says about how calls are made; null leaves it to whatever it leads to. */
export interface PolicySettings {
  readonly attempts: number | null;
  readonly timeoutMs: number | null;
  readonly idleMs: number | null;
  readonly onPartial: "reset" | "fail" | null;
}

export interface AliasSettings {
  readonly policy: PolicySettings;
  readonly route:
    | { readonly by: "order"; readonly try: readonly string[] }
    | { readonly by: "rules"; readonly rules: readonly RouteRule[] }
    | { readonly by: "function"; readonly choose: (facts: RouteFacts) => unknown };
}

export interface GatewaySettings {
  readonly providers: ReadonlyMap<string, ProviderSettings>;
  readonly aliases: ReadonlyMap<string, AliasSettings>;
  /** In the order in which they are asked: names before patterns. */
  readonly prices: readonly { readonly pattern: string; readonly price: PriceOverride }[];
  readonly defaults: { readonly [Key in keyof PolicySettings]: NonNullable<PolicySettings[Key]> };
  readonly holdMs: number;
  readonly cache: { readonly ttlMs: number; readonly coalesce: boolean };
  readonly connections: number;
  readonly outputTokensDefault: number;
  readonly tokenizer: ((model: string, text: string) => unknown) | null;
}

export const DEFAULT_POLICY: GatewaySettings["defaults"] = {
  attempts: 4,
  timeoutMs: 600_000,
  idleMs: 120_000,
  onPartial: "reset",
};
/** Short enough that a worker's slot is not wasted, long enough for the usual ripple of a full minute window. */
export const HOLD_MS = 8_000;
export const CACHE_TTL_MS = 86_400_000;
/** As many calls as one process has runs in flight, and then some: a call that waits for a connection looks like a slow provider. */
export const CONNECTIONS = 1_024;
export const OUTPUT_TOKENS_DEFAULT = 4_096;
