// Makes a call smaller when all of it does not fit the budget: the answer may be as long as there is money for.
import { isLonghaulError } from "../domain/errors.ts";
import { NANO_PER_USD } from "../domain/usage.ts";
import type { Price } from "./prices.ts";
import type { Estimate } from "./roles.ts";

/** An answer that may be no longer than this says nothing. */
const OUTPUT_TOKENS_MIN = 16;

/** The output tokens for which there is room after this refusal; null when less output does not help, or it is too little to be of use. */
export function fittingOutput(refusal: unknown, estimate: Estimate, price: Price): number | null {
  if (!isLonghaulError(refusal, "BUDGET_EXCEEDED")) return null;
  const { dimension, limit, spent } = refusal.details as { dimension: string; limit: number; spent: number };
  const fits =
    dimension === "outputTokens"
      ? Math.floor(limit - spent)
      : dimension === "usd"
        ? affordable(BigInt(Math.floor((limit - spent) * NANO_PER_USD)), estimate, price)
        : 0;
  return fits >= OUTPUT_TOKENS_MIN && fits < estimate.outputTokens ? fits : null;
}

/** The longest output for this money: prices have steps, so it is looked for. */
function affordable(nanoUsd: bigint, { inputTokens, outputTokens }: Estimate, price: Price): number {
  let least = 0;
  let most = outputTokens;
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (price.atMost({ inputTokens, outputTokens: middle }) <= nanoUsd) least = middle;
    else most = middle - 1;
  }
  return least;
}
