// Circuit breakers: one target, many processes, and one probe.
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BreakerRules, Breakers } from "../../src/gateway/breaker.ts";
import { Quotas } from "../../src/gateway/quota.ts";
import { Settlement } from "../../src/gateway/settlement.ts";
import type { Database } from "../../src/store/database.ts";
import { forgetQuotas } from "../../src/store/quotas.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

const SICK = { provider: "openai", model: "sick" };
const WELL = { provider: "openai", model: "well" };
const RULES: Partial<BreakerRules> = {
  callsMin: 6,
  windowMs: 1_000,
  openMs: 5_000,
  openMsMax: 15_000,
  probeMs: 60_000,
};
const clock = { now: () => Date.now() };

interface Process {
  readonly breakers: Breakers;
  readonly quotas: Quotas;
  readonly settlement: Settlement;
}

let fresh: FreshDatabase;
let db: Database;
let all: Process[];
beforeEach(async () => {
  fresh = await freshDatabase();
  db = fresh.db;
  all = [];
});
afterEach(async () => {
  for (const { settlement } of all) await settlement.flush();
  await fresh.drop();
});

function start(): Process {
  const settlement = new Settlement({ db });
  const quotas = new Quotas({ db, settlement, providers: [], clock });
  const one = { breakers: new Breakers({ db, settlement, clock, rules: RULES }), quotas, settlement };
  all.push(one);
  return one;
}

async function report({ breakers, settlement }: Process, successes: number, failures: number): Promise<void> {
  for (let i = 0; i < successes; i++) breakers.report(SICK, "success");
  for (let i = 0; i < failures; i++) breakers.report(SICK, "failure");
  await settlement.flush();
}

/** Lets time pass. */
async function pass(moment: "open_until" | "probe_until"): Promise<void> {
  await db.query(`update longhaul.breakers set ${moment} = 1`);
}

/** Statements about quotas bring the news along, now and then. */
async function news({ quotas }: Process): Promise<void> {
  await pause(260);
  const estimate = { inputTokens: 1, outputTokens: 1 };
  await quotas.reserve({ callKey: "c", target: WELL, estimate, book: false });
}

test("opens when too large a part of enough calls failed, in all processes together", async () => {
  const [one, other] = [start(), start()];
  await report(one, 3, 2);
  expect(await one.breakers.ask(SICK)).toBe("go");
  await report(other, 0, 1);
  expect(await one.breakers.ask(SICK)).toBe("go");
  await news(one);
  const asked = await one.breakers.ask(SICK);
  expect(asked).toMatchObject({ openUntilMs: expect.any(Number) });
  expect((asked as { openUntilMs: number }).openUntilMs).toBeGreaterThan(Date.now());
  expect(await other.breakers.ask(SICK)).toEqual(asked);
  expect(await one.breakers.ask(WELL)).toBe("go");
  // A process that has just begun asks.
  expect(await start().breakers.ask(SICK)).toEqual(asked);
});

test("stays closed while most calls succeed, and forgets what is long ago", async () => {
  const one = start();
  await report(one, 20, 19);
  expect(await start().breakers.ask(SICK)).toBe("go");
  await db.query("update longhaul.breakers set window_at = window_at - 5000");
  await report(one, 0, 5);
  expect(await start().breakers.ask(SICK)).toBe("go");
  await report(one, 0, 1);
  expect(await start().breakers.ask(SICK)).not.toBe("go");
});

test("neutral outcomes, such as a full limit, count neither way", async () => {
  const one = start();
  for (let i = 0; i < 100; i++) one.breakers.report(SICK, "neutral");
  await report(one, 0, 5);
  for (let i = 0; i < 100; i++) one.breakers.report(SICK, "neutral");
  await one.settlement.flush();
  expect(await db.query("select failed, succeeded from longhaul.breakers")).toEqual([{ failed: 5, succeeded: 0 }]);
  expect(await start().breakers.ask(SICK)).toBe("go");
});

test("when its time is over one call alone tries; if it succeeds all go", async () => {
  const ten = Array.from({ length: 10 }, start);
  await report(start(), 0, 6);
  await pass("open_until");
  const answers = await Promise.all(ten.map(({ breakers }) => breakers.ask(SICK)));
  expect(answers.filter((answer) => answer === "probe")).toHaveLength(1);
  expect(answers.filter((answer) => answer === "go")).toHaveLength(0);
  for (const answer of answers)
    if (typeof answer === "object") expect(answer.openUntilMs).toBeLessThan(Date.now() + 1_500);
  const probing = ten[answers.indexOf("probe")] as Process;
  probing.breakers.report(SICK, "success");
  await pause(100);
  expect(await probing.breakers.ask(SICK)).toBe("go");
  expect(await start().breakers.ask(SICK)).toBe("go");
  for (const one of ten) await news(one);
  expect(new Set(await Promise.all(ten.map(({ breakers }) => breakers.ask(SICK))))).toEqual(new Set(["go"]));
});

test("a probe that fails opens it for twice as long", async () => {
  const one = start();
  await report(one, 0, 6);
  for (const openMs of [10_000, 15_000]) {
    await pass("open_until");
    await news(one);
    expect(await one.breakers.ask(SICK)).toBe("probe");
    one.breakers.report(SICK, "failure");
    await pause(80);
    const [row] = await db.query<{ left: number }>(
      "select open_until - longhaul.now_ms() as left from longhaul.breakers",
    );
    expect(row?.left).toBeGreaterThan(openMs - 3_000);
    expect(row?.left).toBeLessThanOrEqual(openMs);
  }
});

test("a probe that says nothing lets another try at once; one that never ends, after a while", async () => {
  const [one, other] = [start(), start()];
  await report(one, 0, 6);
  await pass("open_until");
  await news(one);
  expect(await one.breakers.ask(SICK)).toBe("probe");
  one.breakers.report(SICK, "neutral");
  await pause(100);
  expect(await other.breakers.ask(SICK)).toBe("probe");
  await news(one);
  expect(await one.breakers.ask(SICK)).not.toBe("probe");
  await pass("probe_until");
  await news(one);
  expect(await one.breakers.ask(SICK)).toBe("probe");
});

test("closed circuits cost no statement while calls are made, and are forgotten", async () => {
  const one = start();
  await report(one, 0, 1);
  await news(one);
  let statements = 0;
  const query = db.query.bind(db);
  Object.assign(db, {
    query: (...args: Parameters<typeof query>) => {
      statements += 1;
      return query(...args);
    },
  });
  for (let i = 0; i < 10; i++) expect(await one.breakers.ask(SICK)).toBe("go");
  expect(statements).toBe(0);
  await query("update longhaul.breakers set window_at = 1");
  await forgetQuotas(db);
  expect(await query("select from longhaul.breakers")).toEqual([]);
});
