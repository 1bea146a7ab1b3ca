// Circuit breakers, one per target, shared by all processes: who is sick is left alone for a while, then one call alone tries.
import { randomUUID } from "node:crypto";
import { askProbe, endProbe, sickTargets } from "../store/breakers.ts";
import type { Database } from "../store/database.ts";
import { untilAnswered } from "../store/patience.ts";
import type { SickTarget } from "../store/quotas.ts";
import { type BreakerDesk, nameOf } from "./parts.ts";
import { plainKey } from "./quota-keys.ts";
import type { Target } from "./roles.ts";
import type { Settlement } from "./settlement.ts";

export interface BreakerRules {
  /** Part of the calls that must fail. Default 0.5. */
  readonly failureRate: number;
  /** Calls there must be before that means anything. Default 10. */
  readonly callsMin: number;
  /** Of the last one or two of these. Default 30 s. */
  readonly windowMs: number;
  /** How long it stays open. Default 15 s; twice as long after each probe that failed, up to `openMsMax`, 5 min. */
  readonly openMs: number;
  readonly openMsMax: number;
  /** How long one call alone may try before another does. Default 60 s. */
  readonly probeMs: number;
}

export interface BreakersOptions {
  readonly db: Database;
  /** How long a call waits for a database that does not answer. Default 10 s. */
  readonly patienceMs?: number;
  readonly settlement: Settlement;
  /** The database's clock. */
  readonly clock: { now(): number };
  readonly rules?: Partial<BreakerRules>;
  readonly log?: (level: "warn", message: string, fields?: Record<string, unknown>) => void;
}

const RULES: BreakerRules = {
  failureRate: 0.5,
  callsMin: 10,
  windowMs: 30_000,
  openMs: 15_000,
  openMsMax: 300_000,
  probeMs: 60_000,
};
/** Every statement about quotas brings the news along; who has sent none for so long asks. */
const NEWS_MS = 5_000;

export class Breakers implements BreakerDesk {
  readonly #options: BreakersOptions;
  readonly #rules: BreakerRules;
  /** Until when nobody need ask. */
  #open = new Map<string, number>();
  #heardMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;
  /** The probes of this process. */
  readonly #probes = new Map<string, string>();

  constructor(options: BreakersOptions) {
    this.#options = options;
    this.#rules = { ...RULES, ...options.rules };
    options.settlement.onNews = (sick) => this.#hear(sick);
  }

  /** `probe`: this call alone tries, and how it ends must be reported. A closed circuit costs no statement. */
  async ask(target: Target): Promise<"go" | "probe" | { readonly openUntilMs: number }> {
    const name = plainKey(nameOf(target));
    if (performance.now() - this.#heardMs > NEWS_MS) await this.#lookAround();
    const until = this.#open.get(name);
    if (until === undefined) return "go";
    if (until > this.#options.clock.now()) return { openUntilMs: until };
    const by = randomUUID();
    const { db, patienceMs } = this.#options;
    const { verdict, until_ms } = await untilAnswered(() => askProbe(db, name, by, this.#rules.probeMs), patienceMs);
    if (verdict === "open") {
      this.#open.set(name, until_ms ?? 0);
      return { openUntilMs: until_ms ?? 0 };
    }
    if (verdict === "probe") {
      this.#probes.set(name, by);
      return "probe";
    }
    this.#open.delete(name);
    return "go";
  }

  /** `neutral` says nothing of the target's health: a limit, a bad request, a cancel. It lets another call try. */
  report(target: Target, outcome: "success" | "failure" | "neutral"): void {
    const name = plainKey(nameOf(target));
    const probe = this.#probes.get(name);
    if (probe !== undefined) this.#endProbe(name, probe, outcome);
    else if (outcome !== "neutral") {
      const { windowMs, callsMin, failureRate, openMs } = this.#rules;
      const [succeeded, failed] = outcome === "success" ? [1, 0] : [0, 1];
      const bad = { window: windowMs, least: callsMin, rate: failureRate, open: openMs };
      this.#options.settlement.add({ outcomes: [{ target: name, succeeded, failed, ...bad }] });
    }
  }

  #endProbe(name: string, probe: string, outcome: "success" | "failure" | "neutral"): void {
    this.#probes.delete(name);
    if (outcome === "success") this.#open.delete(name);
    endProbe(this.#options.db, name, probe, outcome, this.#rules.openMsMax)
      .then(() => this.#lookAround())
      // Its time runs out by itself.
      .catch((error) => this.#options.log?.("warn", "how a probe ended could not be told", { target: name, error }));
  }

  #lookAround(): Promise<void> {
    const { db, patienceMs } = this.#options;
    this.#asking ??= untilAnswered(() => sickTargets(db), patienceMs)
      .then((sick) => this.#hear(sick))
      .finally(() => {
        this.#asking = null;
      });
    return this.#asking;
  }

  #hear(sick: readonly SickTarget[]): void {
    const open = new Map(sick.map(({ target, until }) => [target, until]));
    for (const name of open.keys()) {
      if (!this.#open.has(name))
        this.#options.log?.("warn", "a target is left alone: too many of its calls fail", { target: name });
    }
    this.#open = open;
    this.#heardMs = performance.now();
  }
}
