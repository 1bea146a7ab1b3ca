// What a call of a certain size may cost at most, before anybody makes it: the dearest of the targets that may serve it.
import type { Attribution } from "../domain/model-call.ts";
import type { Spend } from "../domain/usage.ts";
import type { Parts } from "./parts.ts";
import { unknownPrice } from "./prices.ts";
import type { Target } from "./roles.ts";
import { routeOf } from "./route.ts";

export interface QuoteSize {
  readonly model: string;
  readonly inputBytes: number;
  readonly maxOutputTokens: number;
}

export interface Quote {
  readonly alias: string | null;
  /** The first that will be asked. */
  readonly target: Target;
  readonly need: Spend;
}

/** `countsUsd`: a price that nobody knows is refused. @throws MODEL_UNKNOWN, MODEL_ROUTE_INVALID, PRICE_UNKNOWN */
export async function quoteOf(
  { settings, estimator, prices }: Parts,
  { model, inputBytes, maxOutputTokens }: QuoteSize,
  { tenant, agent, feature, step }: Attribution,
  countsUsd: boolean,
): Promise<Quote> {
  const input = { inputBytes, maxOutputTokens, feature };
  const estimate = estimator.estimate({ provider: "", model }, input);
  const { alias, targets } = routeOf(settings, model, { estimate, step, agent, feature, tenant, hasTools: false });
  let need: Spend = { inputTokens: 0, outputTokens: 0, nanoUsd: 0n, steps: 0 };
  for (const target of targets) {
    const price = await prices.of(target);
    if (countsUsd && price.confidence === "unknown") throw unknownPrice(target);
    const one = estimator.estimate(target, input);
    const nanoUsd = price.atMost(one);
    need = {
      inputTokens: Math.max(need.inputTokens, one.inputTokens),
      outputTokens: Math.max(need.outputTokens, one.outputTokens),
      nanoUsd: moreOf(nanoUsd, need.nanoUsd),
      steps: 0,
    };
  }
  return { alias, target: targets[0], need };
}

function moreOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
