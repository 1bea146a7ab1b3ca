// What became of calls, on its way to the database: it rides in the next statement that goes there, or goes by itself soon.
import type { Database } from "../store/database.ts";
import { isConnectionLost, isHindered, isRetryable, isUnsent } from "../store/driver-errors.ts";
import { type OutcomeCount, type SickTarget, settleQuotas, type Told } from "../store/quotas.ts";

export interface SettlementOptions {
  readonly db: Database;
  readonly log?: (level: "warn", message: string, fields?: Record<string, unknown>) => void;
}

/** Nothing is told later than that. */
const FLUSH_MS = 100;
/** How many calls went well is worth no more statements than that, as long as calls are made. */
const OUTCOMES_MS = 250;
/** More does not ride: the call that carries it would wait for it. */
const RIDERS_MAX = 100;
/** How long it waits when the database is away. */
const RETRY_MS = 1_000;
/** While the database is away. What is lost then is bounded by time: slots lapse, costs are as estimated. */
const WAITING_MAX = 20_000;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export class Settlement {
  readonly #options: SettlementOptions;
  #costs: NonNullable<Told["costs"]>[number][] = [];
  #slots: NonNullable<Told["slots"]>[number][] = [];
  #paces = new Map<string, NonNullable<Told["paces"]>[number]>();
  #left = new Map<string, number>();
  #outcomes = new Map<string, OutcomeCount>();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | null = null;
  #isAway = false;
  #outcomesSentMs = Number.NEGATIVE_INFINITY;
  /** Told which targets are open whenever a statement says so. */
  onNews: (sick: readonly SickTarget[]) => void = () => undefined;

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  add(told: Told): void {
    if (this.#costs.length + this.#slots.length > WAITING_MAX) return;
    this.#costs.push(...(told.costs ?? []));
    this.#slots.push(...(told.slots ?? []));
    for (const pace of told.paces ?? []) this.#paces.set(pace.key, pace);
    for (const { key, left } of told.left ?? []) this.#left.set(key, Math.min(left, this.#left.get(key) ?? left));
    for (const outcome of told.outcomes ?? []) this.#count(outcome);
    this.#schedule();
  }

  /** Whether it is time to hear which targets are sick. */
  get wantsNews(): boolean {
    return performance.now() - this.#outcomesSentMs > OUTCOMES_MS;
  }

  /** What is waiting, for a statement that goes to the database now; null when that is nothing, or much. */
  ride(): Told | null {
    if (this.#costs.length + this.#slots.length > RIDERS_MAX) return null;
    return this.#take(this.wantsNews);
  }

  /** Sends what is waiting, and is over when everything that was waiting has been told, or could not be. Never rejects. */
  async flush(): Promise<void> {
    while (this.#sending !== null) await this.#sending;
    const told = this.#take(true);
    if (told === null) return;
    this.#sending = this.#send(told);
    await this.#sending;
  }

  /** The database has heard what rode. */
  arrived(): void {
    this.#isAway = false;
  }

  /** What could not be told is told later, unless it is itself what the database will not hear. Answers whether it is. */
  putBack(told: Told, error: unknown): "kept" | "dropped" {
    if (!this.#isAway) this.#options.log?.("warn", "what calls used could not be told to the database", { error });
    this.#isAway = isConnectionLost(error) || isRetryable(error) || isHindered(error);
    if (!this.#isAway) return "dropped";
    const mayHaveBeenHeard = isConnectionLost(error) && !isUnsent(error);
    this.add(mayHaveBeenHeard ? withoutGifts(told) : told);
    return "kept";
  }

  async #send(told: Told): Promise<void> {
    try {
      this.onNews(await settleQuotas(this.#options.db, told));
      this.#isAway = false;
    } catch (error) {
      this.putBack(told, error);
    } finally {
      this.#sending = null;
    }
  }

  #count(outcome: OutcomeCount): void {
    const before = this.#outcomes.get(outcome.target);
    this.#outcomes.set(outcome.target, {
      ...outcome,
      succeeded: outcome.succeeded + (before?.succeeded ?? 0),
      failed: outcome.failed + (before?.failed ?? 0),
    });
  }

  #schedule(): void {
    const waits = this.#costs.length + this.#slots.length + this.#paces.size + this.#left.size > 0;
    if (!waits && this.#outcomes.size === 0) return;
    const inMs = waits ? FLUSH_MS : OUTCOMES_MS;
    this.#timer ??= setTimeout(() => void this.flush(), this.#isAway ? RETRY_MS : inMs);
    // Nobody stays for a database that does not answer.
    if (this.#isAway) this.#timer.unref();
  }

  #take(withOutcomes: boolean): Told | null {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const told: Mutable<Told> = {};
    if (this.#costs.length > 0) told.costs = this.#costs;
    if (this.#slots.length > 0) told.slots = this.#slots;
    if (this.#paces.size > 0) told.paces = [...this.#paces.values()];
    if (this.#left.size > 0) told.left = [...this.#left].map(([key, left]) => ({ key, left }));
    if (withOutcomes) {
      this.#outcomesSentMs = performance.now();
      if (this.#outcomes.size > 0) told.outcomes = [...this.#outcomes.values()];
      this.#outcomes = new Map();
    }
    this.#costs = [];
    this.#slots = [];
    this.#paces = new Map();
    this.#left = new Map();
    this.#schedule();
    return Object.keys(told).length === 0 ? null : told;
  }
}

/** What is given back twice would let too much go. All else may be told twice: slots and limits are the same then, and costs are too high at worst. */
function withoutGifts({ costs = [], ...others }: Told): Told {
  return { ...others, costs: costs.filter(({ delta }) => delta > 0) };
}
