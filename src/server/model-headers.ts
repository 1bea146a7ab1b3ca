// What a call cost and how its answer came about, as headers of a reply, and as a comment at the end of a stream.
import type { BudgetView } from "../domain/budget.ts";
import { NANO_PER_USD, type NanoUsd } from "../domain/usage.ts";
import type { Performed, Target } from "../gateway/roles.ts";
import type { ModelRequest } from "./model-call.ts";
import { type Ctx, tenantOf } from "./request.ts";
import type { Services } from "./services.ts";

/** What is left of the budget that the request named; null when it named none. */
export async function budgetLeft(services: Services, c: Ctx, { budgetId }: ModelRequest): Promise<BudgetView | null> {
  return budgetId === null ? null : tenantOf(c, services.longhaul).budget(budgetId);
}

/** Before the answer is whole: who gives it. */
export function targetHeaders(target: Target, attempt: number): Record<string, string> {
  return { "x-longhaul-model": `${target.provider}/${target.model}`, "x-longhaul-attempts": String(attempt) };
}

export function answerHeaders(answer: Performed<unknown>, budget: BudgetView | null): Record<string, string> {
  const { target, attempts, source, spend } = answer;
  const origin = { "x-longhaul-cache": CACHE_WORDS[source], "x-longhaul-cost-usd": usdText(spend.nanoUsd) };
  return Object.assign(targetHeaders(target, attempts), origin, budgetHeaders(budget));
}

/** A comment, which no client takes for anything: headers have long been sent when a stream knows its cost. */
export function answerComment(answer: Performed<unknown>, budget: BudgetView | null): string {
  const said = Object.entries(answerHeaders(answer, budget)).map(
    ([name, value]) => `${name.replace("x-longhaul-", "")}=${value}`,
  );
  return `: longhaul ${said.join(" ")}\n\n`;
}

const CACHE_WORDS: Readonly<Record<Performed<unknown>["source"], string>> = {
  provider: "miss",
  cache: "hit",
  coalesced: "coalesced",
  batch: "miss",
};

function budgetHeaders(budget: BudgetView | null): Record<string, string> {
  if (budget === null) return {};
  const { usd, inputTokens, outputTokens, steps } = budget.remaining;
  const left = { usd, "input-tokens": inputTokens, "output-tokens": outputTokens, steps };
  return Object.fromEntries(
    Object.entries(left)
      .filter(([, amount]) => amount !== undefined)
      .map(([name, amount]) => [`x-longhaul-budget-remaining-${name}`, String(amount)]),
  );
}

/** `0.000123`: never with an exponent, exact. */
export function usdText(nano: NanoUsd): string {
  const [whole, part] = [nano / BigInt(NANO_PER_USD), nano % BigInt(NANO_PER_USD)];
  const decimals = part.toString().padStart(9, "0").replace(/0+$/, "");
  return decimals === "" ? `${whole}` : `${whole}.${decimals}`;
}
