// Divides what many have used together among them, so that nothing is lost and nothing is counted twice.
import { type NanoUsd, NO_TOKENS, type TokenUsage } from "./usage.ts";

/** What one of them bears. */
export interface Share {
  readonly usage: TokenUsage;
  readonly nanoUsd: NanoUsd;
}

/** In proportion to the weights, in whole units: the sum of the parts is the whole. Weights that are all 0 count as equal. */
export function divide(whole: bigint, weights: readonly number[]): bigint[] {
  const given = weights.map((weight) => BigInt(Math.max(0, Math.round(weight))));
  const sum = given.reduce((total, weight) => total + weight, 0n);
  if (sum === 0n)
    return weights.length === 0
      ? []
      : divide(
          whole,
          weights.map(() => 1),
        );
  const parts = given.map((weight) => (whole * weight) / sum);
  const rests = given.map((weight, place) => ({ place, rest: (whole * weight) % sum }));
  rests.sort((a, b) => (a.rest === b.rest ? a.place - b.place : a.rest < b.rest ? 1 : -1));
  let left = whole - parts.reduce((total, part) => total + part, 0n);
  for (const { place } of rests) {
    if (left <= 0n) break;
    parts[place] = (parts[place] ?? 0n) + 1n;
    left -= 1n;
  }
  return parts;
}

/** The same for all that calls cost. */
export function divideShare({ usage, nanoUsd }: Share, weights: readonly number[]): Share[] {
  const names = Object.keys(NO_TOKENS) as (keyof TokenUsage)[];
  const tokens = names.map((name) => [name, divide(BigInt(usage[name]), weights).map(Number)] as const);
  return divide(nanoUsd, weights).map((part, place) => ({
    usage: Object.fromEntries(tokens.map(([name, parts]) => [name, parts[place] ?? 0])) as unknown as TokenUsage,
    nanoUsd: part,
  }));
}
