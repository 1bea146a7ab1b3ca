// What a token costs, in whole millionths of a billionth of a dollar, and exact sums of it.
import type { ModelPrice } from "@pydantic/genai-prices";
import type { NanoUsd, TokenUsage } from "../domain/usage.ts";
import type { PriceOverride } from "./config.ts";
import type { Estimate } from "./roles.ts";

/** A price in femto-dollars for one token: $1 per million tokens is 10^9 of them. Prices with nine decimals are exact. */
type Femto = bigint;
const FEMTO_PER_TOKEN_AT_ONE_USD = 1_000_000_000;
const FEMTO_PER_NANO = 1_000_000n;

export interface Rates {
  /** The prices hold for requests of more input tokens than that. */
  readonly aboveInputTokens: number;
  readonly input: Femto;
  readonly output: Femto;
  readonly cacheRead: Femto;
  readonly cacheWrite: Femto;
  readonly reasoning: Femto;
  /** For the request as such. */
  readonly request: Femto;
}

/** The first are those of small requests; at least one. */
export type RateTable = readonly [Rates, ...Rates[]];

export function overrideRates(price: PriceOverride): RateTable {
  const input = perMillion(price.inputPerMillionUsd);
  const output = perMillion(price.outputPerMillionUsd);
  const [cacheRead, cacheWrite] = [price.cacheReadPerMillionUsd, price.cacheWritePerMillionUsd].map((usd) =>
    usd === undefined ? input : perMillion(usd),
  ) as [Femto, Femto];
  return [{ aboveInputTokens: 0, input, output, cacheRead, cacheWrite, reasoning: output, request: 0n }];
}

/** The rates of a listed price, or null when it is not a price of tokens: of pages, of hours of sound. */
export function listedRates(prices: ModelPrice, isFree: boolean): RateTable | null {
  if (prices["input_mtok"] === undefined && !isFree) return null;
  const starts = Object.values(prices).flatMap((price) =>
    typeof price === "object" ? price.tiers.map((tier) => tier.start) : [],
  );
  const [first, ...others] = [...new Set([0, ...starts])]
    .sort((a, b) => a - b)
    .map((start) => ratesAbove(prices, start));
  return first === undefined ? null : [first, ...others];
}

function ratesAbove(prices: ModelPrice, start: number): Rates {
  const usd = (name: string): number | null => {
    const price = prices[name];
    if (price === undefined || typeof price === "number") return price ?? null;
    const reached = price.tiers.filter((tier) => start > 0 && tier.start <= start);
    return reached.sort((a, b) => b.start - a.start)[0]?.price ?? price.base;
  };
  const input = perMillion(usd("input_mtok") ?? 0);
  const output = perMillion(usd("output_mtok") ?? 0);
  const or = (name: string, other: Femto): Femto => {
    const price = usd(name);
    return price === null ? other : perMillion(price);
  };
  return {
    aboveInputTokens: start,
    input,
    output,
    cacheRead: or("cache_read_mtok", input),
    cacheWrite: or("cache_write_mtok", input),
    reasoning: or("output_reasoning_mtok", output),
    request: perMillion(usd("requests_kcount") ?? 0) * 1_000n,
  };
}

/** Exact, then rounded up to a whole billionth: a charge is never less than its price. */
export function costOf(table: RateTable, usage: TokenUsage): NanoUsd {
  const rates = ratesFor(table, usage.inputTokens);
  const input = count(usage.inputTokens);
  const cacheRead = least(count(usage.cacheReadTokens), input);
  const cacheWrite = least(count(usage.cacheWriteTokens), input - cacheRead);
  const output = count(usage.outputTokens);
  const reasoning = least(count(usage.reasoningTokens), output);
  return roundUp(
    (input - cacheRead - cacheWrite) * rates.input +
      cacheRead * rates.cacheRead +
      cacheWrite * rates.cacheWrite +
      (output - reasoning) * rates.output +
      reasoning * rates.reasoning +
      rates.request,
  );
}

/** The most that a call of this size can cost: as if all its input were of the dearest sort. */
export function costAtMost(table: RateTable, { inputTokens, outputTokens }: Estimate): NanoUsd {
  const rates = ratesFor(table, inputTokens);
  const input = count(inputTokens) * most(rates.input, rates.cacheWrite, rates.cacheRead);
  return roundUp(input + count(outputTokens) * most(rates.output, rates.reasoning) + rates.request);
}

function ratesFor(table: RateTable, inputTokens: number): Rates {
  return table.findLast((rates) => rates.aboveInputTokens < inputTokens) ?? table[0];
}

function perMillion(usd: number): Femto {
  return BigInt(Math.round(usd * FEMTO_PER_TOKEN_AT_ONE_USD));
}

/** Providers have sent fractions, NaN and negative counts. */
function count(tokens: number): bigint {
  return Number.isFinite(tokens) && tokens > 0 ? BigInt(Math.ceil(tokens)) : 0n;
}

function roundUp(femto: Femto): NanoUsd {
  return (femto + FEMTO_PER_NANO - 1n) / FEMTO_PER_NANO;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function most(...rates: Femto[]): Femto {
  let dearest = 0n;
  for (const rate of rates) if (rate > dearest) dearest = rate;
  return dearest;
}
