// What calls cost: the user's own prices first, then the price list; and how sure that is.
import { fail } from "../domain/errors.ts";
import type { NanoUsd, TokenUsage } from "../domain/usage.ts";
import { matches } from "./pattern.ts";
import { PriceList } from "./price-list.ts";
import { costAtMost, costOf, listedRates, overrideRates, type RateTable } from "./rates.ts";
import type { Estimate, Target } from "./roles.ts";
import type { GatewaySettings, ProviderSettings } from "./settings.ts";

/** `exact`: the list names the model · `fuzzy`: it names one like it · `override`: the user's · `unknown`: nobody says, it counts as 0. */
export type PriceConfidence = "exact" | "fuzzy" | "override" | "unknown";

export interface Price {
  readonly confidence: PriceConfidence;
  /** Where it comes from, with its version; empty when it is unknown. */
  readonly id: string;
  /** What a call cost, exact in billionths of a dollar, rounded up. */
  cost(usage: TokenUsage): NanoUsd;
  /** The most that a call of this size can cost: what is set aside for it. */
  atMost(estimate: Estimate): NanoUsd;
}

const UNKNOWN: Price = { confidence: "unknown", id: "", cost: () => 0n, atMost: () => 0n };
/** Some prices change with the hour. */
const REMEMBERED_MS = 60_000;
/** Models are words of the user where any name is passed on to a provider. */
const REMEMBERED_MAX = 2_000;

export class Prices {
  readonly #settings: Pick<GatewaySettings, "providers" | "prices">;
  readonly #now: () => number;
  readonly #remembered = new Map<string, { readonly price: Price; readonly untilMs: number }>();
  #list: Promise<PriceList> | null = null;

  constructor(settings: Pick<GatewaySettings, "providers" | "prices">, now: () => number = Date.now) {
    this.#settings = settings;
    this.#now = now;
  }

  async of(target: Target): Promise<Price> {
    const name = `${target.provider}/${target.model}`;
    const nowMs = this.#now();
    const known = this.#remembered.get(name);
    if (known !== undefined && nowMs < known.untilMs) return known.price;
    const price = this.#override(name) ?? (await this.#listed(target, new Date(nowMs)));
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(name, { price, untilMs: nowMs + REMEMBERED_MS });
    return price;
  }

  #override(name: string): Price | null {
    const found = this.#settings.prices.find(({ pattern }) => matches(pattern, name));
    return found === undefined ? null : priceOf("override", `config/${found.pattern}`, overrideRates(found.price));
  }

  async #listed({ provider, model }: Target, at: Date): Promise<Price> {
    const settings = this.#settings.providers.get(provider);
    if (settings === undefined) return UNKNOWN;
    this.#list ??= PriceList.load();
    const list = await this.#list;
    const providerId = listedProvider(list, settings);
    const found = providerId === null ? null : list.find(providerId, model, at);
    if (found === null) return UNKNOWN;
    const rates = listedRates(found.prices, /\bfree\b/i.test(model) && Object.keys(found.prices).length === 0);
    return rates === null ? UNKNOWN : priceOf(found.isExact ? "exact" : "fuzzy", found.id, rates);
  }
}

/**
 * Whose prices hold: what the configuration says; else whoever owns the address; else the maker, for a provider of a maker's own
 * kind (behind a proxy it costs what it costs there); else the provider of that name.
 */
function listedProvider(list: PriceList, settings: ProviderSettings): string | null {
  const { kind, name, pricedAs } = settings;
  if (pricedAs !== null) return list.providerId(pricedAs, null);
  const byAddress = kind === "own" ? null : list.providerId(null, settings.baseUrl);
  const isMaker = kind === "openai" || kind === "anthropic" || kind === "google";
  return byAddress ?? list.providerId(isMaker ? kind : name, null);
}

function priceOf(confidence: PriceConfidence, id: string, rates: RateTable): Price {
  return {
    confidence,
    id,
    cost: (usage) => costOf(rates, usage),
    atMost: (estimate) => costAtMost(rates, estimate),
  };
}

/** For a call that a budget in US dollars is asked to hold although nobody knows its price. */
export function unknownPrice({ provider, model }: Target): Error {
  return fail("PRICE_UNKNOWN", { model: `${provider}/${model}` });
}
