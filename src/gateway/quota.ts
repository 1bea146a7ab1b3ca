// Quotas of the providers, as one process uses them: a call asks once, and goes, or learns the moment at which it may go.
import { randomUUID } from "node:crypto";
import { fail } from "../domain/errors.ts";
import { Batcher } from "../store/batch.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost, isRetryable, isUnsent } from "../store/driver-errors.ts";
import { untilAnswered } from "../store/patience.ts";
import {
  blockQuota,
  declareQuotas,
  type QuotaAnswerRow,
  type QuotaAsk,
  quotaHeadroom,
  reserveQuotas,
  type Told,
} from "../store/quotas.ts";
import { learnedPace } from "./pace.ts";
import type { Booking, Limiter, LimitTold } from "./parts.ts";
import { Places } from "./places.ts";
import { type LimitedProvider, paceOf, plainKey, type QuotaDimension, quotaKey } from "./quota-keys.ts";
import { type Difference, type Needs, type QuotaPlan, QuotaPlans } from "./quota-plan.ts";
import type { Estimate, Target } from "./roles.ts";
import type { Settlement } from "./settlement.ts";
import { SlotKeeper } from "./slots.ts";

export interface QuotasOptions {
  readonly db: Database;
  /** How long a call waits for a database that does not answer. Default 10 s. */
  readonly patienceMs?: number;
  readonly settlement: Settlement;
  readonly providers: Iterable<LimitedProvider>;
  /** The database's clock, as this process estimates it. */
  readonly clock: { now(): number };
  /** How long a slot of a process that died stays taken. Default 30 s; a call that lasts longer keeps it. */
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

/** What one call asks; how long slots last, and whether there is news, is said with the statement. */
type Ask = Omit<QuotaAsk, "slotMs" | "horizonMs" | "news">;

/** Calls of one statement, which keeps the rows of their quotas locked; and statements under way: those of one quota wait for each other. */
const TOGETHER = {
  itemsMax: 64,
  inFlightMax: 2,
  isShared: (error: unknown) => isConnectionLost(error) || isRetryable(error),
};
/** As long as a process may stand still before it is killed: until then its calls may be out. */
const SLOT_MS = 30_000;
const HORIZON_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** A longer "not before" is a mistake in a header. */
const BLOCK_MS_MAX = 86_400_000;
/** Times that quotas are declared again because a crash of the database has emptied its tables. */
const DECLARES_MAX = 3;
/** After somebody had to wait for a limit, others will have to for so long. */
const BUSY_MS = 10_000;
const LEARNED: readonly string[] = ["rpm", "tpm", "itpm", "otpm"] satisfies QuotaDimension[];

export class Quotas implements Omit<Limiter, "observe"> {
  readonly #options: QuotasOptions;
  readonly #minuteMs: number;
  readonly #slotMs: number;
  readonly #plans: QuotaPlans;
  readonly #slots: SlotKeeper;
  readonly #blocks = new Map<string, Promise<unknown>>();
  readonly #places: Places;
  readonly #asks: Batcher<Ask, QuotaAnswerRow>;
  #declaring: Promise<void> | null = null;

  constructor(options: QuotasOptions) {
    this.#options = options;
    this.#minuteMs = options.minuteMs ?? MINUTE_MS;
    this.#slotMs = options.slotMs ?? SLOT_MS;
    this.#plans = new QuotaPlans(options.providers, this.#minuteMs);
    this.#slots = new SlotKeeper(options.db, this.#slotMs);
    this.#places = new Places(options.db);
    this.#asks = new Batcher({ ...TOGETHER, send: (asks) => this.#askTogether(asks) });
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
    await Promise.all([this.#blocks.get(plan.target), this.#places.settled(callKey)]);
    const amounts = plan.amounts(estimate);
    const { row, holder } = await untilAnswered(
      () => this.#reserve(plan, { callKey, amounts, book: ask.book }),
      this.#options.patienceMs,
    );
    if (row.verdict === "impossible") throw this.#impossible(plan, row, amounts);
    if (row.verdict === "wait") {
      plan.waitedMs = performance.now();
      const ready = row.ready_at ?? 0;
      if (ask.book) this.#places.took({ call: callKey, target: plan.target, ready });
      return { is: "wait", readyAtMs: Math.ceil(ready), reason: plan.reason(row.key) };
    }
    this.#places.went(callKey, plan.target);
    return { is: "go", ...this.#ends(plan, amounts, holder, row.ready_at ?? 0) };
  }

  isClear(target: Target): boolean {
    return performance.now() - this.#plans.of(target).waitedMs > BUSY_MS;
  }

  /** The call will not be made: its place in the line goes to those behind it. Forgotten, it lapses. */
  cancel(callKey: string): void {
    this.#places.leave(plainKey(callKey));
  }

  /** A provider said "not before": nobody calls this target until then. When the time has come they go one by one. */
  block(target: Target, untilMs: number): void {
    const plan = this.#plans.of(target);
    const { target: name, gate } = plan;
    plan.waitedMs = performance.now();
    const forMs = Math.min(Math.max(untilMs - this.#options.clock.now(), 0), BLOCK_MS_MAX);
    const made = blockQuota(this.#options.db, gate, forMs).catch((error) =>
      this.#options.log?.("warn", "a limit could not be made known", { target: name, error }),
    );
    const all = Promise.all([this.#blocks.get(name), made]).finally(() => {
      if (this.#blocks.get(name) === all) this.#blocks.delete(name);
    });
    this.#blocks.set(name, all);
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
    const { db, patienceMs } = this.#options;
    const row = await untilAnswered(
      () => this.#declared(plan, () => quotaHeadroom(db, plan.keys, amounts, plan.declared)),
      patienceMs,
    );
    if (row.verdict === "impossible") throw this.#impossible(plan, row, amounts);
    if (row.verdict === "go") return { ok: true, readyAtMs: null, blocking: null };
    return { ok: false, readyAtMs: row.ready_at, blocking: plan.reason(row.key) };
  }

  async close(): Promise<void> {
    await Promise.all([this.#slots.close(), this.#places.close(), ...this.#blocks.values()]);
  }

  async #reserve(
    plan: QuotaPlan,
    ask: Pick<QuotaAsk, "callKey" | "amounts" | "book">,
  ): Promise<{ readonly row: QuotaAnswerRow; readonly holder: string }> {
    const { target, keys, declared } = plan;
    const holder = randomUUID();
    try {
      const row = await this.#declared(plan, () => this.#asks.add({ holder, target, keys, declared, ...ask }));
      return { row, holder };
    } catch (error) {
      // It may have been let through, and nobody will ever say that it is over.
      if (isConnectionLost(error) && !isUnsent(error)) this.#freeSlots(plan, holder, null);
      throw error;
    }
  }

  /** Sends with what is to be told riding along: if that is what the database will not hear, then without. */
  async #askTogether(asks: readonly Ask[]): Promise<QuotaAnswerRow[]> {
    const { settlement } = this.#options;
    const news = settlement.wantsNews;
    const told = settlement.ride();
    try {
      const rows = await this.#send(asks, told, news);
      settlement.arrived();
      const sick = rows[0]?.sick ?? null;
      if (sick !== null) settlement.onNews(sick);
      return rows;
    } catch (error) {
      if (told === null || settlement.putBack(told, error) === "kept") throw error;
      return this.#send(asks, null, false);
    }
  }

  #send(asks: readonly Ask[], told: Told | null, news: boolean): Promise<QuotaAnswerRow[]> {
    const { db, horizonMs = HORIZON_MS } = this.#options;
    const [first, ...others] = asks.map((ask) => ({ slotMs: this.#slotMs, horizonMs, news, ...ask }));
    return first === undefined ? Promise.resolve([]) : reserveQuotas(db, [first, ...others], told);
  }

  /** Asks; declares the quotas first, and again if the database has lost them. */
  async #declared<Row extends Pick<QuotaAnswerRow, "verdict">>(plan: QuotaPlan, ask: () => Promise<Row>): Promise<Row> {
    for (let declares = 0; ; declares++) {
      const declaring = this.#declare();
      await declaring;
      const row = await ask();
      if (row.verdict !== "missing") return row;
      if (declares === DECLARES_MAX) throw new Error("quotas are gone as soon as they are declared");
      // Somebody else may have found out before.
      if (this.#declaring !== declaring) continue;
      const { target } = plan;
      this.#options.log?.("warn", "the database has lost the state of quotas: they begin anew, empty", { target });
      this.#declaring = null;
    }
  }

  #declare(): Promise<void> {
    const { db } = this.#options;
    const all = this.#plans.all;
    this.#declaring ??= (all.length === 0 ? Promise.resolve() : declareQuotas(db, all, this.#slotMs)).catch((error) => {
      this.#declaring = null;
      throw error;
    });
    return this.#declaring;
  }

  /** The two ways in which a call that went can be over, of which the first one counts. */
  #ends(
    plan: QuotaPlan,
    amounts: readonly number[],
    holder: string,
    gone: number,
  ): Pick<Extract<Booking, { is: "go" }>, "release" | "undo"> {
    const sinceMs = performance.now();
    this.#slots.hold(
      holder,
      plan.slots.map((key) => ({ key, holder })),
    );
    let isOver = false;
    const end = (differences: readonly Difference[], heldMs: number | null): void => {
      if (isOver) return;
      isOver = true;
      if (differences.length > 0)
        this.#options.settlement.add({ costs: differences.map((difference) => ({ gone, ...difference })) });
      this.#freeSlots(plan, holder, heldMs);
    };
    return {
      release: (actual) => end(actual === null ? [] : plan.differences(amounts, actual), performance.now() - sinceMs),
      undo: () => end(plan.nothing(amounts), null),
    };
  }

  /** `heldMs`: how long they were held, if that says how long calls last. */
  #freeSlots(plan: QuotaPlan, holder: string, heldMs: number | null): void {
    const renewing = this.#slots.letGo(holder);
    const slots = plan.slots.map((key) => ({ key, holder, held: heldMs }));
    if (slots.length === 0) return;
    const tell = (): void => this.#options.settlement.add({ slots });
    if (renewing === null) tell();
    else void renewing.then(tell);
  }

  #learn(plan: QuotaPlan, dimension: QuotaDimension, told: number | null, remaining: number | null): void {
    const declared = plan.exact(dimension);
    const limit = Math.min(told ?? Number.POSITIVE_INFINITY, declared?.limit ?? Number.POSITIVE_INFINITY);
    const key = quotaKey(plan.provider, plan.model, dimension);
    const before = plan.limits.get(key);
    const isNews = limit !== (before?.limit ?? declared?.limit);
    const isOld = before !== undefined && performance.now() - before.toldMs > this.#minuteMs;
    if (told !== null && limit > 0 && (isNews || isOld)) {
      const isLower = declared !== undefined && limit < declared.limit;
      const text = isLower ? "a provider's limit is lower than the configured one" : "a provider's limit is known";
      if (isNews) this.#options.log?.(isLower ? "warn" : "debug", text, { target: plan.target, dimension, limit });
      // Again and again: the database may have lost it, or another process have declared ours.
      plan.limits.set(key, { limit, toldMs: performance.now() });
      if (declared === undefined) plan.learn(key, dimension);
      const pace =
        declared === undefined ? learnedPace(limit, this.#minuteMs) : paceOf(dimension, limit, this.#minuteMs);
      this.#options.settlement.add({ paces: [{ key, limit, emission: pace.emissionMs, burst: pace.burstMs }] });
    }
    // Of much it does not matter how much: only a bucket that is nearly empty holds anybody up.
    const known = plan.limits.get(key)?.limit ?? declared?.limit;
    if (remaining !== null && known !== undefined && remaining < known / 2)
      this.#options.settlement.add({ left: [{ key, left: remaining }] });
  }

  #impossible(plan: QuotaPlan, row: Omit<QuotaAnswerRow, "sick">, amounts: readonly number[]): Error {
    const amount = amounts[plan.keys.indexOf(row.key ?? "")] ?? 0;
    const facts = { quota: plan.nameOf(row.key), amount: Math.ceil(amount), limit: row.limit_ ?? 0 };
    return fail("QUOTA_IMPOSSIBLE", facts, { details: { target: plan.target, ...facts } });
  }
}
