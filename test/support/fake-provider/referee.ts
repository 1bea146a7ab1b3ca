// The outside referee of quotas: keeps every limit as a true sliding window for each key and model, refuses like the real
// providers do, and counts each time when somebody would have gone beyond.
import type { LimitedBy } from "./fault.ts";
import type { RateStates } from "./rate-headers.ts";
import { SlidingWindow } from "./sliding-window.ts";

export interface ModelLimits {
  readonly rpm?: number;
  readonly tpm?: number;
  readonly itpm?: number;
  readonly otpm?: number;
  readonly rpd?: number;
  readonly tpd?: number;
  readonly concurrent?: number;
  /** Length of a "minute", for tests that cannot wait. Default: 60,000. */
  readonly minuteMs?: number;
  /** What a call counts as: what it really uses, or its input and all of its `max_tokens`. Default: actual. */
  readonly basis?: "actual" | "max";
  /** False: only counts violations and answers all the same. */
  readonly enforce?: boolean;
  /** Refused requests count against the requests too, as with some providers. Default: false. */
  readonly countRefused?: boolean;
}

export interface Need {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly maxOutputTokens: number | null;
}

export interface Violation {
  readonly key: string;
  readonly model: string;
  readonly by: LimitedBy | "concurrent";
  readonly per: "minute" | "day";
  readonly atMs: number;
  /** What the window would have held. */
  readonly wanted: number;
  readonly limit: number;
  /** Null: it can never fit. */
  readonly waitMs: number | null;
}

export interface Verdict {
  readonly admitted: boolean;
  readonly rates: RateStates | null;
  readonly violation: Violation | null;
}

interface Watched {
  readonly by: LimitedBy;
  readonly per: "minute" | "day";
  readonly window: SlidingWindow;
}

interface Account {
  readonly limits: ModelLimits;
  readonly watched: readonly Watched[];
  inFlight: number;
  mostInFlight: number;
}

export interface WindowReport {
  readonly key: string;
  readonly model: string;
  readonly by: LimitedBy;
  readonly per: "minute" | "day";
  readonly limit: number;
  /** The most that any sliding window ever held. */
  readonly fullest: number;
  readonly usedNow: number;
}

const FREE: Verdict = { admitted: true, rates: null, violation: null };
const DAY_MS = 86_400_000;

export class Referee {
  readonly violations: Violation[] = [];
  readonly #limits: readonly (readonly [RegExp, ModelLimits])[];
  readonly #accounts = new Map<string, Account | null>();

  /** By model; `*` stands for anything, and the first that fits holds. */
  constructor(limits: Readonly<Record<string, ModelLimits>>) {
    this.#limits = Object.entries(limits).map(([glob, of]) => [globToRegExp(glob), of] as const);
  }

  /** Somebody wants to make a call, and makes it if it is admitted. */
  admit(key: string, model: string, need: Need, nowMs: number): Verdict {
    const account = this.#account(key, model);
    if (account === null) return FREE;
    const violation = this.#violationOf(account, key, model, need, nowMs);
    if (violation !== null) this.violations.push(violation);
    const admitted = violation === null || account.limits.enforce === false;
    for (const { by, window } of account.watched) {
      if (admitted) window.take(nowMs, amountOf(by, need, account.limits));
      else if (account.limits.countRefused === true && by === "requests") window.take(nowMs, 1);
    }
    if (admitted) {
      account.inFlight += 1;
      account.mostInFlight = Math.max(account.mostInFlight, account.inFlight);
    }
    return { admitted, violation, rates: ratesOf(account, nowMs) };
  }

  /** An admitted call is over. */
  release(key: string, model: string): void {
    const account = this.#account(key, model);
    if (account !== null) account.inFlight -= 1;
  }

  /** Somebody else uses the same key: what they take, nobody here can know. */
  use(key: string, model: string, need: Need, nowMs: number): void {
    const account = this.#account(key, model);
    for (const { by, window } of account?.watched ?? []) window.take(nowMs, amountOf(by, need, account?.limits ?? {}));
  }

  report(nowMs: number): WindowReport[] {
    return [...this.#accounts].flatMap(([name, account]) => {
      const [key = "", model = ""] = name.split("\n");
      return (account?.watched ?? []).map(({ by, per, window }) => {
        return { key, model, by, per, limit: window.limit, fullest: window.fullest, usedNow: window.used(nowMs) };
      });
    });
  }

  #account(key: string, model: string): Account | null {
    const name = `${key}\n${model}`;
    let account = this.#accounts.get(name);
    if (account === undefined) {
      const limits = this.#limits.find(([glob]) => glob.test(model))?.[1];
      account = limits === undefined ? null : { limits, watched: watchedOf(limits), inFlight: 0, mostInFlight: 0 };
      this.#accounts.set(name, account);
    }
    return account;
  }

  #violationOf(account: Account, key: string, model: string, need: Need, nowMs: number): Violation | null {
    for (const { by, per, window } of account.watched) {
      const amount = amountOf(by, need, account.limits);
      const wanted = window.used(nowMs) + amount;
      if (wanted <= window.limit) continue;
      return { key, model, by, per, atMs: nowMs, wanted, limit: window.limit, waitMs: window.waitMs(nowMs, amount) };
    }
    const { concurrent } = account.limits;
    if (concurrent === undefined || account.inFlight < concurrent) return null;
    const wanted = account.inFlight + 1;
    return { key, model, by: "concurrent", per: "minute", atMs: nowMs, wanted, limit: concurrent, waitMs: 0 };
  }
}

export function globToRegExp(glob: string): RegExp {
  return new RegExp(`^${glob.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
}

function watchedOf(limits: ModelLimits): Watched[] {
  const minuteMs = limits.minuteMs ?? 60_000;
  const all: [LimitedBy, "minute" | "day", number | undefined][] = [
    ["requests", "minute", limits.rpm],
    ["inputTokens", "minute", limits.itpm],
    ["outputTokens", "minute", limits.otpm],
    ["tokens", "minute", limits.tpm],
    ["requests", "day", limits.rpd],
    ["tokens", "day", limits.tpd],
  ];
  return all.flatMap(([by, per, limit]) => {
    return limit === undefined
      ? []
      : [{ by, per, window: new SlidingWindow(limit, per === "day" ? DAY_MS : minuteMs) }];
  });
}

function amountOf(by: LimitedBy, need: Need, { basis }: ModelLimits): number {
  const output = basis === "max" ? (need.maxOutputTokens ?? need.outputTokens) : need.outputTokens;
  switch (by) {
    case "requests":
      return 1;
    case "inputTokens":
      return need.inputTokens;
    case "outputTokens":
      return output;
    case "tokens":
      return need.inputTokens + output;
  }
}

/** The figures for the headers; of two limits on the same thing, the one of the minute. */
function ratesOf(account: Account, nowMs: number): RateStates {
  const rates: RateStates = {};
  for (const { by, window } of account.watched) {
    rates[by] ??= { limit: window.limit, remaining: window.limit - window.used(nowMs), resetMs: window.resetMs(nowMs) };
  }
  return rates;
}
