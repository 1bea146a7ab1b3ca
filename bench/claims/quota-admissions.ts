// Admissions: model calls that ask all the quotas they need in one statement, and give back what they did not use.
import { NO_TOKENS } from "../../src/domain/usage.ts";
import { Quotas } from "../../src/gateway/quota.ts";
import type { LimitedProvider, QuotaRule } from "../../src/gateway/quota-keys.ts";
import { Settlement } from "../../src/gateway/settlement.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import { median, percentile } from "../lab/statistics.ts";
import { seconds, together } from "../queue/crowd.ts";
import { type Database, openStore } from "../queue/store.ts";

const CLIENTS = 16;
const TARGET = { provider: "openai", model: "gpt-5-mini" };
const ESTIMATE = { inputTokens: 1_000, outputTokens: 500 };
const USED = { ...NO_TOKENS, inputTokens: 900, outputTokens: 300 };
/** Nobody waits, and yet each call moves every account. */
const RATE = { rpm: 10_000_000, tpm: 10_000_000_000 };
const DAY = { rpd: 1e9, tpd: 1e12 };

const rule = (pattern: string, limits: Omit<QuotaRule["limits"], "countCached">): QuotaRule => ({
  pattern,
  limits: { countCached: true, ...limits },
});
const RATES = [rule("*", RATE), rule("gpt-5*", RATE)];
const ALL = [...RATES, rule("gpt-5-mini", { ...DAY, concurrent: 1_000 })];

export const quotaAdmissions: Claim = {
  name: "quota-admissions",
  sentence: "2,500 model calls per second are admitted against four shared quotas each, on two cores",
  async measure(lab) {
    const database = await lab.database();
    const db = openStore(database.url, CLIENTS);
    await db.query("create unlogged table counter (key text primary key, n bigint) with (fillfactor = 50)");
    await db.query("insert into counter values ('k', 0)");
    const calls = lab.size(20_000, 1_000);
    const found = { four: [] as number[], all: [] as number[], one: [] as number[], bare: [] as number[] };
    const alone: number[] = [];
    for (let round = 0; round < lab.size(5, 1); round++) {
      lab.say(`${calls} calls against four quotas and against seven, in turns with a bare counter (${round + 1})`);
      found.four.push(await rate(db, RATES, calls, CLIENTS));
      found.all.push(await rate(db, ALL, calls, CLIENTS));
      found.one.push(await rate(db, RATES, calls / 4, 1, alone));
      found.bare.push(await counted(db, calls));
      for (const table of ["quotas", "quota_windows", "call_slots"]) await db.query(`vacuum longhaul.${table}`);
    }
    await db.end();
    await database.drop();
    return figures(found, alone);
  },
};

function figures(
  found: Readonly<Record<"four" | "all" | "one" | "bare", readonly number[]>>,
  alone: readonly number[],
): Measure[] {
  return [
    {
      what: `calls admitted against four quotas, ${CLIENTS} at once`,
      value: median(found.four),
      unit: "calls/s",
      baseline: { what: "one counter, updated by a statement for each call", value: median(found.bare) },
      bar: { of: "value", at: "least", limit: 2_500 },
      note: "one process; each call is released at once, and what it did not use rides in the next statement",
    },
    {
      what: "the same against seven, two of days and one of calls at once",
      value: median(found.all),
      unit: "calls/s",
    },
    { what: "calls admitted one after the other", value: median(found.one), unit: "calls/s" },
    { what: "what one of those waits, p50", value: percentile(alone, 0.5), unit: "ms" },
    { what: "what one of those waits, p99", value: percentile(alone, 0.99), unit: "ms" },
  ];
}

async function rate(
  db: Database,
  limits: readonly QuotaRule[],
  calls: number,
  clients: number,
  times: number[] = [],
): Promise<number> {
  const settlement = new Settlement({ db });
  const providers: LimitedProvider[] = [{ name: "openai", kind: "openai", organisation: "o", project: "p", limits }];
  const quotas = new Quotas({ db, settlement, providers, clock: { now: () => Date.now() } });
  let asked = 0;
  const ask = async (): Promise<void> => {
    asked += 1;
    const startMs = performance.now();
    const booking = await quotas.reserve({ callKey: `${asked}`, target: TARGET, estimate: ESTIMATE, book: true });
    times.push(performance.now() - startMs);
    if (booking.is !== "go") throw new Error(`a call had to wait: ${booking.reason}`);
    booking.release(USED);
  };
  await together(clients, ask);
  asked = 0;
  const took = await seconds(() =>
    together(clients, async () => {
      while (asked < calls) await ask();
    }),
  );
  await quotas.close();
  await settlement.flush();
  return asked / took;
}

async function counted(db: Database, calls: number): Promise<number> {
  let asked = 0;
  const text = "update counter set n = n + 1 where key = $1 returning n";
  const took = await seconds(() =>
    together(CLIENTS, async () => {
      while (asked < calls) {
        asked += 1;
        await db.query(text, ["k"], "bench_counter");
      }
    }),
  );
  return asked / took;
}
