// What a project says about its models in longhaul.config.ts, under `gateway`: providers, aliases, limits, prices.
import type { DurationInput } from "../domain/duration.ts";

export const PROVIDER_KINDS = ["openai", "anthropic", "google", "openai-compatible"] as const;
export type ProviderKind = (typeof PROVIDER_KINDS)[number];

/**
 * What a provider lets through. Each pattern under `limits` is one bucket, shared by all the models that it matches and
 * by every process: `{ "*": { rpm: 500 }, "claude-sonnet-*": { itpm: 2_000_000, otpm: 400_000 } }` counts a call to Sonnet in both.
 */
export interface Limits {
  /** Requests in any 60 seconds. Default: no limit. */
  readonly rpm?: number | undefined;
  /** Requests in a day. Default: no limit. */
  readonly rpd?: number | undefined;
  /** Tokens in any 60 seconds, input and output together. Default: no limit. */
  readonly tpm?: number | undefined;
  /** Tokens in a day, input and output together. Default: no limit. */
  readonly tpd?: number | undefined;
  /** Input tokens in any 60 seconds, where the provider counts them apart. Default: no limit. */
  readonly itpm?: number | undefined;
  /** Output tokens in any 60 seconds, where the provider counts them apart. Default: no limit. */
  readonly otpm?: number | undefined;
  /** Calls in flight at once. Default: no limit. */
  readonly concurrent?: number | undefined;
  /** Whether input read from the provider's cache counts. Default: not for Anthropic, else it does. */
  readonly countCached?: boolean | undefined;
}

/** By pattern of model names, in which `*` stands for anything. */
export type LimitTable = Readonly<Record<string, Limits>>;

/** A provider that Longhaul talks to through its AI SDK package, which is installed beside it. */
export interface BuiltInProvider {
  /** Which API it speaks. Default: its name, where that is `openai`, `anthropic` or `google`. */
  readonly kind?: ProviderKind | undefined;
  /** The key itself, better kept in the environment. Default: what `apiKeyEnv` names. */
  readonly apiKey?: string | undefined;
  /** Variable that holds the key. Default: the provider's usual one, as OPENAI_API_KEY. */
  readonly apiKeyEnv?: string | undefined;
  /** Where its API is, with scheme and path. Default: the provider's own, or what its usual variable says, as OPENAI_BASE_URL. */
  readonly baseUrl?: string | undefined;
  /** The account that the provider counts under, as org-123. Quotas are kept apart by it. Default: the key's own. */
  readonly organisation?: string | undefined;
  /** Part of the organisation, as proj_123. Quotas are kept apart by it. Default: the key's own. */
  readonly project?: string | undefined;
  /** Sent with every request. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Of kind `openai`: which of its two APIs is spoken. Default `responses`. */
  readonly api?: "responses" | "chat" | undefined;
  /** What the provider lets through, by pattern of model names. Default: what it says in its answers. */
  readonly limits?: LimitTable | undefined;
  /** Whose price list holds, by its id in genai-prices: for a proxy, `openai`. Default: found by kind, address and name. */
  readonly pricedAs?: string | undefined;
}

/** A provider of the user's own: whatever gives AI SDK models (specification v2, v3 or v4). */
export interface OwnProvider {
  /** From the name after the slash to a model. */
  model(id: string): unknown;
  /** From the name after the slash to an embedding model. Default: it has none. */
  embedding?(id: string): unknown;
  /** What the provider lets through, by pattern of model names. Default: what it says in its answers. */
  readonly limits?: LimitTable | undefined;
  /** The account that the provider counts under. Quotas are kept apart by it. Default: none. */
  readonly organisation?: string | undefined;
  /** Part of the organisation. Quotas are kept apart by it. Default: none. */
  readonly project?: string | undefined;
  /** Whose price list holds, by its id in genai-prices. Default: found by the provider's name. */
  readonly pricedAs?: string | undefined;
}

export type ProviderConfig = BuiltInProvider | OwnProvider;

/** What a rule may look at. */
export interface RouteFacts {
  /** Tokens that the call will take, estimated: input by its bytes, output by its limit or by experience. */
  readonly estimate: { readonly inputTokens: number; readonly outputTokens: number };
  /** The step's name in the agent's code; null outside of runs. */
  readonly step: string | null;
  /** The agent's name; null outside of runs. */
  readonly agent: string | null;
  /** What the call is for, where it says so. */
  readonly feature: string | null;
  /** Whose call it is. */
  readonly tenant: string;
  /** Whether the model may call tools. */
  readonly hasTools: boolean;
}

/** All that is said must hold. `step`, `agent`, `feature` and `tenant` are patterns in which `*` stands for anything. */
export interface RouteCondition {
  /** The step's name in the agent's code. */
  readonly step?: string | undefined;
  /** The agent's name. */
  readonly agent?: string | undefined;
  /** What the call is for. */
  readonly feature?: string | undefined;
  /** Whose call it is. */
  readonly tenant?: string | undefined;
  /** Whether the model may call tools. */
  readonly hasTools?: boolean | undefined;
  /** At most so many estimated input tokens, from 0 on. */
  readonly inputTokensMax?: number | undefined;
}

/** The first rule that holds decides; the last one has no `when`. */
export interface RouteRule {
  /** Default: always. */
  readonly when?: RouteCondition | undefined;
  /** An alias, or `provider/model`. */
  readonly use: string;
}

/** How a call is made, wherever it goes. What an alias does not say, the alias that it leads to does, then the default. */
export interface CallPolicy {
  /** Attempts of one call, over retries and targets together. Default 4. */
  readonly attempts?: number | undefined;
  /** Longest time of one attempt. Default 10 minutes. */
  readonly timeout?: DurationInput | undefined;
  /** Longest silence of a stream. Default 2 minutes. */
  readonly idle?: DurationInput | undefined;
  /** What happens when a stream breaks after it has shown something: `reset` (default) begins anew, visibly; `fail` gives up. */
  readonly onPartial?: "reset" | "fail" | undefined;
}

/** Targets in the order in which they are tried; each an alias or `provider/model`. */
export interface TryAlias extends CallPolicy {
  /** At least one. */
  readonly try: readonly string[];
}

/** Who serves the call is decided call by call: by the first rule that holds, or by a function that names an alias or a model. */
export interface RouteAlias extends CallPolicy {
  /** Rules, or a function that is asked for every call and gives an alias or `provider/model`. */
  readonly route: readonly RouteRule[] | ((facts: RouteFacts) => string);
}

export type AliasConfig = string | TryAlias | RouteAlias;

/** US dollars per million tokens. Cached input without a price of its own costs what other input does. */
export interface PriceOverride {
  /** Input tokens. */
  readonly inputPerMillionUsd: number;
  /** Output tokens, reasoning included. */
  readonly outputPerMillionUsd: number;
  /** Input tokens that the provider read from its cache. Default: as input. */
  readonly cacheReadPerMillionUsd?: number | undefined;
  /** Input tokens that the provider wrote to its cache. Default: as input. */
  readonly cacheWritePerMillionUsd?: number | undefined;
}

export interface GatewayConfig {
  /** By name: `openai`, `anthropic` and `google` are there without being named, with their keys from the environment. */
  readonly providers?: Readonly<Record<string, ProviderConfig>> | undefined;
  /** Aliases by name: `smart`, `cheap`. */
  readonly models?: Readonly<Record<string, AliasConfig>> | undefined;
  /** By `provider/model`; `*` stands for anything. */
  readonly prices?: Readonly<Record<string, PriceOverride>> | undefined;
  /** What holds for every call whose alias says nothing else. */
  readonly defaults?: CallPolicy | undefined;
  /** Longest wait for a quota in place; beyond it the run itself waits. Default 8 seconds. */
  readonly hold?: DurationInput | undefined;
  readonly cache?:
    | {
        /** How long an answer is kept, where a call asks for the cache without saying. Default 1 day. */
        readonly ttl?: DurationInput | undefined;
        /** Identical calls in flight share one answer, where the cache is used. Default true. */
        readonly coalesce?: boolean | undefined;
      }
    | undefined;
  readonly http?:
    | {
        /** Connections of one process to one provider. Default 1,024. */
        readonly connections?: number | undefined;
      }
    | undefined;
  /** Output tokens that are assumed where neither the call nor experience says. Default 4,096. */
  readonly outputTokensDefault?: number | undefined;
  /** Counts tokens better than bytes do. It is called in the event loop, and left alone when it is slow or throws. */
  readonly tokenizer?: ((model: string, text: string) => number) | undefined;
}
