// What a call of one target counts against: the quotas of the configuration that mean it, its own gate, and what was learned about it.
import type { TokenUsage } from "../domain/usage.ts";
import type { DeclaredQuota } from "../store/quotas.ts";
import {
  amountOf,
  DIMENSION_NAMES,
  type LimitedProvider,
  type Quota,
  type QuotaDimension,
  quotaKey,
  quotasFor,
  quotasOf,
} from "./quota-keys.ts";
import type { Estimate, Target } from "./roles.ts";

/** What a whole run will need. */
export interface Needs {
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** How much more, or less, of a quota was used than was counted. */
export interface Difference {
  readonly key: string;
  readonly delta: number;
}

/** Models come from clients, who may invent them. */
const PLANS_MAX = 2_000;

/** The plans of all targets, made when first asked for. */
export class QuotaPlans {
  readonly #providers = new Map<string, { readonly provider: LimitedProvider; readonly quotas: readonly Quota[] }>();
  readonly #plans = new Map<string, QuotaPlan>();

  constructor(providers: Iterable<LimitedProvider>, minuteMs: number) {
    for (const provider of providers)
      this.#providers.set(provider.name, { provider, quotas: quotasOf(provider, minuteMs) });
  }

  /** Everything to declare. */
  get all(): DeclaredQuota[] {
    return [...this.#providers.values()].flatMap(({ quotas }) =>
      quotas.map(({ key, kind, limit, pace, zone }) => ({
        key,
        kind,
        limit,
        emission: pace.emissionMs,
        burst: pace.burstMs,
        zone,
      })),
    );
  }

  of(target: Target): QuotaPlan {
    const name = JSON.stringify([target.provider, target.model]);
    const known = this.#plans.get(name);
    if (known !== undefined) return known;
    const found = this.#providers.get(target.provider);
    const nobody = { name: target.provider, kind: "own", organisation: null, project: null, limits: [] };
    const plan = new QuotaPlan(found?.provider ?? nobody, target.model, quotasFor(found?.quotas ?? [], target.model));
    const [oldest] = this.#plans.keys();
    if (this.#plans.size >= PLANS_MAX && oldest !== undefined) this.#plans.delete(oldest);
    this.#plans.set(name, plan);
    return plan;
  }
}

interface Counting {
  readonly key: string;
  /** Null: the gate, which counts nothing. */
  readonly dimension: QuotaDimension | null;
  readonly countCached: boolean;
}

export class QuotaPlan {
  readonly provider: LimitedProvider;
  readonly model: string;
  /** Names it in the database. */
  readonly target: string;
  readonly gate: string;
  /** How many of the keys are the configuration's. */
  readonly declared: number;
  /** Limits as a provider told them, by key, and when the database was last told (`performance.now()`). */
  readonly limits = new Map<string, { readonly limit: number; readonly toldMs: number }>();
  /** When somebody here last had to wait for it (`performance.now()`). */
  waitedMs = Number.NEGATIVE_INFINITY;
  readonly #quotas: readonly Quota[];
  readonly #counting: Counting[];

  constructor(provider: LimitedProvider, model: string, quotas: readonly Quota[]) {
    this.provider = provider;
    this.model = model;
    this.#quotas = quotas;
    this.declared = quotas.length;
    this.gate = quotaKey(provider, model, "gate");
    // One target of two accounts is two: of a name as long as a client likes, its hash.
    this.target = this.gate;
    this.#counting = [...quotas, { key: this.gate, dimension: null, countCached: true }];
  }

  get keys(): string[] {
    return this.#counting.map(({ key }) => key);
  }

  /** Keys of the limits of calls in flight. */
  get slots(): string[] {
    return this.#quotas.filter(({ kind }) => kind === "slots").map(({ key }) => key);
  }

  amounts(estimate: Estimate): number[] {
    return this.#counting.map(({ dimension, countCached }) => {
      return dimension === null ? 0 : amountOf(dimension, estimate, countCached);
    });
  }

  /** Of a whole run. */
  needs({ calls, ...tokens }: Needs): number[] {
    return this.#counting.map(({ dimension }) => {
      if (dimension === null) return 0;
      return dimension === "rpm" || dimension === "rpd" ? calls : amountOf(dimension, tokens, true);
    });
  }

  /** What was used, less what was counted. */
  differences(amounts: readonly number[], actual: TokenUsage): Difference[] {
    return this.#counting.flatMap(({ key, dimension, countCached }, place) => {
      if (dimension === null || dimension === "concurrent") return [];
      const delta = amountOf(dimension, actual, countCached) - (amounts[place] ?? 0);
      return delta === 0 ? [] : [{ key, delta }];
    });
  }

  /** All that was counted, for a call that was not made. */
  nothing(amounts: readonly number[]): Difference[] {
    return this.#counting.flatMap(({ key, dimension }, place) => {
      const amount = amounts[place] ?? 0;
      return dimension === null || dimension === "concurrent" || amount === 0 ? [] : [{ key, delta: -amount }];
    });
  }

  /** The quota that means this model and no other. */
  exact(dimension: QuotaDimension): Quota | undefined {
    return this.#quotas.find((quota) => quota.dimension === dimension && quota.pattern === this.model);
  }

  /** A limit of this model that the provider told and nobody configured. */
  learn(key: string, dimension: QuotaDimension): void {
    if (this.#counting.some((counting) => counting.key === key)) return;
    const [first] = this.provider.limits;
    const countCached = first?.limits.countCached ?? this.provider.kind !== "anthropic";
    this.#counting.push({ key, dimension, countCached });
  }

  /** `openai/gpt-5* (tokens per minute)`, for people. */
  nameOf(key: string | null): string {
    const quota = this.#quotas.find((one) => one.key === key);
    const counting = this.#counting.find((one) => one.key === key);
    const name = `${this.provider.name}/${quota?.pattern ?? this.model}`;
    const dimension = counting?.dimension ?? null;
    return dimension === null ? name : `${name} (${DIMENSION_NAMES[dimension]})`;
  }

  /** Why a call waits. */
  reason(key: string | null): string {
    return `quota ${this.nameOf(key)}`;
  }
}
