// The gateway's configuration as it is written, checked whole, and as it is meant.
import { checkModels } from "./check-models.ts";
import { POLICY_KEYS, policy } from "./check-policy.ts";
import { checkProvider, STANDARD_PROVIDERS } from "./check-provider.ts";
import type { GatewayConfig, PriceOverride } from "./config.ts";
import { ConfigCheck, type Place, shown } from "./config-check.ts";
import { bySpecificity } from "./pattern.ts";
import {
  CACHE_TTL_MS,
  CONNECTIONS,
  DEFAULT_POLICY,
  type GatewaySettings,
  HOLD_MS,
  OUTPUT_TOKENS_DEFAULT,
  type ProviderSettings,
} from "./settings.ts";

const KNOWN: readonly string[] = [
  "providers",
  "models",
  "prices",
  "defaults",
  "hold",
  "cache",
  "http",
  "outputTokensDefault",
  "tokenizer",
] satisfies readonly (keyof GatewayConfig)[];
const PRICES: readonly string[] = [
  "inputPerMillionUsd",
  "outputPerMillionUsd",
  "cacheReadPerMillionUsd",
  "cacheWritePerMillionUsd",
] satisfies readonly (keyof PriceOverride)[];
/** Dearer than any model by far: a price beyond it was meant per token, or in cents. */
const PRICE_USD_MAX = 100_000;

/**
 * What the configuration means, with its defaults. Undefined is an empty one: the standard providers with their keys from the
 * environment.
 *
 * @throws CONFIG_INVALID with the place, what is wrong with it, and what would be right.
 */
export function checkGateway(config: unknown, place: Place = (path) => path): GatewaySettings {
  const check = new ConfigCheck(place);
  const written = check.object("gateway", config, KNOWN, '{ models: { smart: "openai/gpt-5" } }');
  const providers = checkProviders(check, written["providers"]);
  const http = check.object("gateway.http", written["http"], ["connections"], "{ connections: 256 }");
  return {
    providers,
    aliases: checkModels(check, "gateway.models", written["models"], providers),
    prices: checkPrices(check, written["prices"]),
    defaults: checkDefaults(check, written["defaults"]),
    holdMs: check.duration("gateway.hold", written["hold"], 0) ?? HOLD_MS,
    cache: checkCache(check, written["cache"]),
    connections: check.count("gateway.http.connections", http["connections"], 1, 65_536) ?? CONNECTIONS,
    outputTokensDefault:
      check.count("gateway.outputTokensDefault", written["outputTokensDefault"]) ?? OUTPUT_TOKENS_DEFAULT,
    tokenizer: checkTokenizer(check, written["tokenizer"]),
  };
}

function checkProviders(check: ConfigCheck, value: unknown): ReadonlyMap<string, ProviderSettings> {
  const path = "gateway.providers";
  const written = new Map(check.table(path, value, '{ openai: { kind: "openai" } }'));
  const names = [...written.keys(), ...STANDARD_PROVIDERS.filter((name) => !written.has(name))];
  return new Map(
    names.map((name) => [name, checkProvider(check, `${path}.${name.slice(0, 100)}`, name, written.get(name))]),
  );
}

function checkPrices(check: ConfigCheck, value: unknown): GatewaySettings["prices"] {
  const path = "gateway.prices";
  const example = '{ "openai/my-model": { inputPerMillionUsd: 1.25, outputPerMillionUsd: 10 } }';
  return check
    .table(path, value, example)
    .map(([pattern, price]) => {
      const place = `${path}[${JSON.stringify(pattern.slice(0, 100))}]`;
      if (!/^[^/\s]+\/\S/.test(pattern)) {
        throw check.invalid(place, "a price is given for provider/model", `Write it as ${example}.`);
      }
      return { pattern, price: checkPrice(check, place, price) };
    })
    .sort((a, b) => bySpecificity(a.pattern, b.pattern));
}

function checkPrice(check: ConfigCheck, path: string, value: unknown): PriceOverride {
  const written = check.object(path, value ?? null, PRICES, "{ inputPerMillionUsd: 1.25, outputPerMillionUsd: 10 }");
  for (const name of PRICES) {
    const price = written[name];
    if (price === undefined && name.startsWith("cache")) continue;
    if (typeof price === "number" && price >= 0 && price <= PRICE_USD_MAX) continue;
    const problem = price === undefined ? "it is missing" : `${shown(price)} is not a price`;
    throw check.invalid(
      `${path}.${name}`,
      problem,
      "Give US dollars per million tokens, as 1.25; 0 where it costs nothing.",
    );
  }
  return written as unknown as PriceOverride;
}

function checkDefaults(check: ConfigCheck, value: unknown): GatewaySettings["defaults"] {
  const written = check.object("gateway.defaults", value, POLICY_KEYS, "{ attempts: 4 }");
  const { attempts, timeoutMs, idleMs, onPartial } = policy(check, "gateway.defaults", written);
  return {
    attempts: attempts ?? DEFAULT_POLICY.attempts,
    timeoutMs: timeoutMs ?? DEFAULT_POLICY.timeoutMs,
    idleMs: idleMs ?? DEFAULT_POLICY.idleMs,
    onPartial: onPartial ?? DEFAULT_POLICY.onPartial,
  };
}

function checkCache(check: ConfigCheck, value: unknown): GatewaySettings["cache"] {
  const written = check.object("gateway.cache", value, ["ttl", "coalesce"], '{ ttl: "1h" }');
  return {
    ttlMs: check.duration("gateway.cache.ttl", written["ttl"], 1) ?? CACHE_TTL_MS,
    coalesce: check.yesOrNo("gateway.cache.coalesce", written["coalesce"]) ?? true,
  };
}

function checkTokenizer(check: ConfigCheck, value: unknown): GatewaySettings["tokenizer"] {
  if (value === undefined) return null;
  if (typeof value === "function") return value as (model: string, text: string) => unknown;
  const fix = "Give (model, text) => number, or leave it out: estimates learn from what calls really use.";
  throw check.invalid("gateway.tokenizer", `${shown(value)} is not a function`, fix);
}
