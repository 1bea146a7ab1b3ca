// Who pays for a call outside of runs: the budget that it names, else its tenant's own, else nobody. Known for a while, so that the next
// call need not ask.
import { v5 } from "uuid";
import { fail } from "../domain/errors.ts";
import { openTenantBudget, readOpenBudget } from "../store/budgets.ts";
import type { Queryable } from "../store/database.ts";
import type { Ledger } from "./ledger.ts";
import type { Payer } from "./roles.ts";

/** A plan that gets a budget binds its tenants' calls after this long. */
const KNOWN_MS = 10_000;
const KNOWN_MAX = 10_000;

interface Known {
  readonly payer: Promise<Payer>;
  readonly untilMs: number;
}

export class Payers {
  readonly #db: Queryable;
  readonly #ledger: Ledger;
  readonly #known = new Map<string, Known>();

  constructor(db: Queryable, ledger: Ledger) {
    this.#db = db;
    this.#ledger = ledger;
  }

  /** @throws BUDGET_NOT_FOUND */
  of(tenant: string, budgetId: string | null): Promise<Payer> {
    const name = budgetId === null ? tenant : `${budgetId} ${tenant}`;
    const known = this.#known.get(name);
    if (known !== undefined && known.untilMs > performance.now()) return known.payer;
    const payer = budgetId === null ? this.#ofTenant(tenant) : this.#ofBudget(tenant, budgetId);
    this.#keep(name, payer);
    return payer;
  }

  async #ofBudget(tenant: string, budgetId: string): Promise<Payer> {
    const budget = await readOpenBudget(this.#db, tenant, budgetId);
    if (budget === null) throw fail("BUDGET_NOT_FOUND", { budget: budgetId });
    return this.#ledger.payer(budgetId, budget.countsUsd);
  }

  async #ofTenant(tenant: string): Promise<Payer> {
    const own = v5(tenant, OWN_BUDGETS);
    const budget = await openTenantBudget(this.#db, tenant, own);
    if (budget === null) return this.#ledger.payer(null, false);
    // Old budgets are dropped when nothing is under way on them; this one comes back with the next call.
    return this.#ledger.payer(own, budget.countsUsd, () => openTenantBudget(this.#db, tenant, own));
  }

  #keep(name: string, payer: Promise<Payer>): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
    this.#known.delete(name);
    this.#known.set(name, { payer, untilMs: performance.now() + KNOWN_MS });
    payer.catch(() => this.#known.delete(name));
  }
}

/** Names the budget of a tenant's calls that name none: the same in every process. */
const OWN_BUDGETS = "b3f1a1f0-5c1e-4c57-9d0e-1f6c2f4a7d11";
