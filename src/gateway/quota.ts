// Quotas of the providers, as one process uses them: a call asks once, and goes, or learns the moment at which it may go.
import { randomUUID } from "node:crypto";
import { fail } from "../domain/errors.ts";
import type { TokenUsage } from "../domain/usage.ts";
import type { Database } from "../store/database.ts";
import {
  blockQuota,
  cancelBookings,
  declareQuotas,
  type QuotaAnswerRow,
  quotaHeadroom,
  reserveQuota,
  type Told,
} from "../store/quotas.ts";
import { learnedPace } from "./pace.ts";
import type { Booking, Limiter, LimitTold } from "./parts.ts";
import { type LimitedProvider, paceOf, plainKey, type QuotaDimension, quotaKey } from "./quota-keys.ts";
import { type Needs, type QuotaPlan, QuotaPlans } from "./quota-plan.ts";
import type { Estimate, Target } from "./roles.ts";
import type { Settlement } from "./settlement.ts";
import { SlotKeeper } from "./slots.ts";

export interface QuotasOptions {
  readonly db: Database;
  readonly settlement: Settlement;
  readonly providers: Iterable<LimitedProvider>;
  /** The database's clock, as this process estimates it. */
  readonly clock: { now(): number };
  /** How long a slot of a process that died stays taken. Default 60 s; a call that lasts longer keeps it. */
  readonly slotMs?: number;
  /** How far ahead a call gets a place in a line. Default 1 h; beyond that it comes back then, and asks again. */
  readonly horizonMs?: number;
  /** How long a minute is; tests have little time. */
  readonly minuteMs?: number;
  readonly log?: (level: "debug" | "warn", message: string, fields?: Record<string, unknown>) => void;
}

export interface Headroom {
  readonly ok: boolean;
  /** On the database's clock; null when there is room now. */
  readonly readyAtMs: number | null;
  /** The quota that has no room, for people. */
  readonly blocking: string | null;
}

const SLOT_MS = 60_000;
const HORIZON_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** A longer "not before" is a mistake in a header. */
const BLOCK_MS_MAX = 86_400_000;
/** Times that quotas are declared again because a crash of the database has emptied its tables. */
const DECLARES_MAX = 3;
/** Calls with a place in a line that are remembered here, to give it up when they go elsewhere. */
const PLACES_MAX = 10_000;
const LEARNED: readonly string[] = ["rpm", "tpm", "itpm", "otpm"] satisfies QuotaDimension[];

export class Quotas implements Omit<Limiter, "observe"> {
  readonly #options: QuotasOptions;
  readonly #minuteMs: number;
  readonly #slotMs: number;
  readonly #plans: QuotaPlans;
  readonly #slots: SlotKeeper;
  readonly #blocks = new Map<string, Promise<void>>();
  /** Call key to the target in whose line it has a place. */
  readonly #places = new Map<string, string>();
  #declared: Promise<void> | null = null;

  constructor(options: QuotasOptions) {
    this.#options = options;
    this.#minuteMs = options.minuteMs ?? MINUTE_MS;
    this.#slotMs = options.slotMs ?? SLOT_MS;
    this.#plans = new QuotaPlans(options.providers, this.#minuteMs);
    this.#slots = new SlotKeeper(options.db, this.#slotMs);
  }

  /**
   * Lets a call go, or says when: with `book` it has a place in the line then, and the same call key finds it again, in whatever process.
   *
   * @throws QUOTA_IMPOSSIBLE when it is larger than what a limit ever lets through
   */
  async reserve(ask: {
    readonly callKey: string;
    readonly target: Target;
    readonly estimate: Estimate;
    readonly book: boolean;
  }): Promise<Booking> {
    const { target, estimate } = ask;
    const callKey = plainKey(ask.callKey);
    const plan = this.#plans.of(target);
    await this.#blocks.get(plan.target);
    const amounts = plan.amounts(estimate);
    const holder = randomUUID();
    const row = await this.#ask(plan, (declared, told, news) =>
      reserveQuota(
        this.#options.db,
        {
          ...{ callKey, target: plan.target, keys: plan.keys, amounts, declared, book: ask.book, holder },
          ...{ slotMs: this.#slotMs, horizonMs: this.#options.horizonMs ?? HORIZON_MS, news },
        },
        told,
      ),
    );
    if (row.verdict === "impossible") throw this.#impossible(plan, row, amounts);
    if (row.verdict === "wait") {
      if (ask.book) this.#remember(callKey, plan.target);
      return { is: "wait", readyAtMs: Math.ceil(row.ready_at ?? 0), reason: plan.reason(row.key) };
    }
    this.#leaveOtherLines(callKey, plan.target);
    return { is: "go", release: this.#release(plan, amounts, holder, row.ready_at ?? 0) };
  }

  /** The call will not be made: its place in the line goes to those behind it. Forgotten, it lapses. */
  cancel(callKey: string): void {
    const key = plainKey(callKey);
    if (this.#places.delete(key)) this.#cancel(key);
  }

  /** A provider said "not before": nobody calls this target until then. When the time has come they go one by one. */
  block(target: Target, untilMs: number): void {
    const { target: name, gate } = this.#plans.of(target);
    const forMs = Math.min(Math.max(untilMs - this.#options.clock.now(), 0), BLOCK_MS_MAX);
    const blocked = blockQuota(this.#options.db, gate, forMs)
      .catch((error) => this.#options.log?.("warn", "a limit could not be made known", { target: name, error }))
      .finally(() => {
        if (this.#blocks.get(name) === blocked) this.#blocks.delete(name);
      });
    this.#blocks.set(name, blocked);
  }

  /** What a response says about limits: one that is lower than ours is obeyed, one that we did not know is learned. */
  observe(target: Target, limits: readonly LimitTold[]): void {
    const plan = this.#plans.of(target);
    for (const { dimension, limit, remaining } of limits) {
      if (LEARNED.includes(dimension)) this.#learn(plan, dimension as QuotaDimension, limit, remaining);
    }
  }

  /**
   * Whether a run that will need so much may start; books nothing. Per minute: nobody waits. Per day: so much is left.
   *
   * @throws QUOTA_IMPOSSIBLE
   */
  async headroom(target: Target, needs: Needs): Promise<Headroom> {
    const plan = this.#plans.of(target);
    const amounts = plan.needs(needs);
    const row = await this.#ask(plan, async (declared, told) => {
      if (told !== null) this.#options.settlement.add(told);
      return { ...(await quotaHeadroom(this.#options.db, plan.keys, amounts, declared)), sick: null };
    });
    if (row.verdict === "impossible") throw this.#impossible(plan, row, amounts);
    if (row.verdict === "go") return { ok: true, readyAtMs: null, blocking: null };
    return { ok: false, readyAtMs: row.ready_at, blocking: plan.reason(row.key) };
  }

  async close(): Promise<void> {
    this.#slots.close();
    await Promise.all(this.#blocks.values());
  }

  /** Asks, with what is to be told riding along; declares the quotas first, and again if the database has lost them. */
  async #ask(
    plan: QuotaPlan,
    send: (declared: number, told: Told | null, news: boolean) => Promise<QuotaAnswerRow>,
  ): Promise<QuotaAnswerRow> {
    const { settlement, log } = this.#options;
    for (let declares = 0; ; declares++) {
      await this.#declare();
      const news = settlement.wantsNews;
      const told = settlement.ride();
      let row: QuotaAnswerRow;
      try {
        row = await send(plan.declared, told, news);
      } catch (error) {
        if (told !== null) settlement.putBack(told, error);
        throw error;
      }
      if (row.sick !== null) settlement.onNews(row.sick);
      if (row.verdict !== "missing") return row;
      if (declares === DECLARES_MAX) throw new Error("quotas are gone as soon as they are declared");
      log?.("warn", "the database has lost the state of quotas: they begin anew, with nothing left");
      this.#declared = null;
    }
  }

  #declare(): Promise<void> {
    const { db } = this.#options;
    const all = this.#plans.all;
    this.#declared ??= (all.length === 0 ? Promise.resolve() : declareQuotas(db, all, this.#slotMs)).catch((error) => {
      this.#declared = null;
      throw error;
    });
    return this.#declared;
  }

  #release(
    plan: QuotaPlan,
    amounts: readonly number[],
    holder: string,
    gone: number,
  ): (actual: TokenUsage | null) => void {
    const sinceMs = performance.now();
    const slots = plan.slots.map((key) => ({ key, holder }));
    this.#slots.hold(holder, slots);
    let isOver = false;
    return (actual) => {
      if (isOver) return;
      isOver = true;
      this.#slots.letGo(holder);
      const held = performance.now() - sinceMs;
      const costs =
        actual === null ? [] : plan.differences(amounts, actual).map((difference) => ({ ...difference, gone }));
      const told: Told = {
        ...(costs.length === 0 ? {} : { costs }),
        ...(slots.length === 0 ? {} : { slots: slots.map((slot) => ({ ...slot, held })) }),
      };
      if (costs.length + slots.length > 0) this.#options.settlement.add(told);
    };
  }

  #learn(plan: QuotaPlan, dimension: QuotaDimension, told: number | null, remaining: number | null): void {
    const declared = plan.exact(dimension);
    const limit = Math.min(told ?? Number.POSITIVE_INFINITY, declared?.limit ?? Number.POSITIVE_INFINITY);
    const key = quotaKey(plan.provider, plan.model, dimension);
    if (told !== null && limit > 0 && limit !== (plan.limits.get(key) ?? declared?.limit)) {
      const isLower = declared !== undefined && limit < declared.limit;
      const text = isLower ? "a provider's limit is lower than the configured one" : "a provider's limit is known";
      this.#options.log?.(isLower ? "warn" : "debug", text, { target: plan.target, dimension, limit });
      plan.limits.set(key, limit);
      if (declared === undefined) plan.learn(key, dimension);
      const pace =
        declared === undefined ? learnedPace(limit, this.#minuteMs) : paceOf(dimension, limit, this.#minuteMs);
      this.#options.settlement.add({ paces: [{ key, limit, emission: pace.emissionMs, burst: pace.burstMs }] });
    }
    // Of much it does not matter how much: only a bucket that is nearly empty holds anybody up.
    const known = plan.limits.get(key) ?? declared?.limit;
    if (remaining !== null && known !== undefined && remaining < known / 2)
      this.#options.settlement.add({ left: [{ key, left: remaining }] });
  }

  #remember(callKey: string, target: string): void {
    const before = this.#places.get(callKey);
    if (before !== undefined && before !== target) this.#cancel(callKey);
    this.#places.set(callKey, target);
    const [oldest] = this.#places.keys();
    if (this.#places.size > PLACES_MAX && oldest !== undefined) this.#places.delete(oldest);
  }

  #leaveOtherLines(callKey: string, target: string): void {
    const place = this.#places.get(callKey);
    if (place === undefined) return;
    this.#places.delete(callKey);
    if (place !== target) this.#cancel(callKey);
  }

  #cancel(callKey: string): void {
    // What is lost is a place that lapses by itself.
    void cancelBookings(this.#options.db, [callKey]).catch(() => undefined);
  }

  #impossible(plan: QuotaPlan, row: QuotaAnswerRow, amounts: readonly number[]): Error {
    const amount = amounts[plan.keys.indexOf(row.key ?? "")] ?? 0;
    const facts = { quota: plan.nameOf(row.key), amount: Math.ceil(amount), limit: row.limit_ ?? 0 };
    return fail("QUOTA_IMPOSSIBLE", facts, { details: { target: plan.target, ...facts } });
  }
}
