// A stage for tests of quotas: processes of their own with short minutes, calls that wait for their turn, and what went when.
import { setTimeout as pause } from "node:timers/promises";
import type { Booking } from "../../src/gateway/parts.ts";
import { Quotas, type QuotasOptions } from "../../src/gateway/quota.ts";
import type { LimitedProvider, QuotaRule } from "../../src/gateway/quota-keys.ts";
import type { Estimate, Target } from "../../src/gateway/roles.ts";
import { Settlement } from "../../src/gateway/settlement.ts";
import { type Database, openDatabase } from "../../src/store/database.ts";

export const MINUTE_MS = 2_000;
export const TARGET: Target = { provider: "openai", model: "gpt-5" };

export type Limits = Omit<QuotaRule["limits"], "countCached">;

/** One provider whose models that match the patterns share these limits. */
export function provider(limits: Readonly<Record<string, Limits>>, name = "openai"): LimitedProvider {
  const rules = Object.entries(limits).map(([pattern, one]) => ({ pattern, limits: { countCached: true, ...one } }));
  return { name, kind: "openai", organisation: null, project: null, limits: rules };
}

export interface Desk {
  readonly db: Database;
  readonly quotas: Quotas;
  readonly settlement: Settlement;
  close(): Promise<void>;
}

/** The part of one process, with connections of its own. */
export function openDesk(
  url: string,
  providers: readonly LimitedProvider[],
  options: Partial<QuotasOptions> = {},
): Desk {
  const db = openDatabase({ url, max: 4 });
  const settlement = new Settlement({ db });
  const clock = { now: () => Date.now() };
  const quotas = new Quotas({ db, settlement, providers, clock, minuteMs: MINUTE_MS, ...options });
  const close = async (): Promise<void> => {
    await quotas.close();
    await settlement.flush();
    await db.end();
  };
  return { db, quotas, settlement, close };
}

export type Go = Extract<Booking, { is: "go" }>;

/** Asks until it may go, waiting as long as it is told. Answers how often it asked. */
export async function untilGo(
  { quotas }: Desk,
  ask: { callKey: string; target?: Target; estimate?: Partial<Estimate> },
): Promise<{ readonly go: Go; readonly asked: number; readonly waits: number[] }> {
  const waits: number[] = [];
  const estimate = { inputTokens: 0, outputTokens: 0, ...ask.estimate };
  for (let asked = 1; ; asked++) {
    const answer = await quotas.reserve({ callKey: ask.callKey, target: ask.target ?? TARGET, estimate, book: true });
    if (answer.is === "go") return { go: answer, asked, waits };
    const waitMs = answer.readyAtMs - Date.now();
    waits.push(waitMs);
    await pause(Math.max(0, waitMs) + 1);
  }
}

export interface Went {
  readonly atMs: number;
  readonly amount: number;
}

/** The most that went in any half-open window of this length. */
export function mostIn(windowMs: number, went: readonly Went[]): number {
  const sorted = [...went].sort((a, b) => a.atMs - b.atMs);
  let [first, sum, most] = [0, 0, 0];
  for (const { atMs, amount } of sorted) {
    sum += amount;
    for (let oldest = sorted[first]; oldest !== undefined && oldest.atMs <= atMs - windowMs; oldest = sorted[first]) {
      sum -= oldest.amount;
      first += 1;
    }
    most = Math.max(most, sum);
  }
  return most;
}
