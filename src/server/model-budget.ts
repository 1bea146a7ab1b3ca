// Whether a budget that a request names is its tenant's, and one to draw on from outside. It stays so, so it is asked once.
import { fail } from "../domain/errors.ts";
import type { Services } from "./services.ts";

const KNOWN_MAX = 10_000;
const known = new WeakMap<object, Set<string>>();

/** @throws BUDGET_NOT_FOUND */
export async function drawnOn(services: Services, tenant: string, budgetId: string | null): Promise<string | null> {
  if (budgetId === null) return null;
  const ours = knownTo(services);
  const name = `${budgetId} ${tenant}`;
  if (ours.has(name)) return budgetId;
  const budget = await services.longhaul.tenant(tenant).budget(budgetId);
  if (budget === null || budget.kind !== "open") throw fail("BUDGET_NOT_FOUND", { budget: budgetId });
  const [oldest] = ours;
  if (ours.size >= KNOWN_MAX && oldest !== undefined) ours.delete(oldest);
  ours.add(name);
  return budgetId;
}

function knownTo(services: Services): Set<string> {
  const found = known.get(services);
  if (found !== undefined) return found;
  const fresh = new Set<string>();
  known.set(services, fresh);
  return fresh;
}
