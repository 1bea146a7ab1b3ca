// The account of quotas under many hands: it never locks itself up, and what it counts is what there is.
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import {
  blockQuota,
  cancelPlaces,
  type DeclaredQuota,
  declareQuotas,
  forgetQuotas,
  type QuotaAnswerRow,
  type QuotaAsk,
  type QuotaPlace,
  renewSlots,
  reserveQuotas,
  settleQuotas,
} from "../../src/store/quotas.ts";
import { until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fresh: FreshDatabase;
let db: Database;
beforeEach(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, max: 24 });
});
afterEach(async () => {
  expect(await checkInvariants(fresh.db)).toEqual([]);
  await db.end();
  await fresh.drop();
});

const KEYS = Array.from({ length: 8 }, (_, i) => `key ${i}`);
const quotas: DeclaredQuota[] = KEYS.map((key, i) => ({
  key,
  zone: i === 6 ? "UTC" : null,
  kind: i < 6 ? "rate" : i === 6 ? "window" : "slots",
  limit: i === 7 ? 20 : 1_000_000,
  emission: i === 7 ? 50 : 0.01,
  burst: i < 6 ? 100 : 0,
}));

function some<T>(list: readonly T[]): T[] {
  return [...list].sort(() => Math.random() - 0.5).slice(0, 1 + Math.floor(Math.random() * list.length));
}

const one = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;

async function first(rows: Promise<readonly QuotaAnswerRow[]>): Promise<QuotaAnswerRow> {
  return (await rows)[0] as QuotaAnswerRow;
}

async function deadlocks(): Promise<number> {
  const text = "select deadlocks as n from pg_stat_database where datname = current_database()";
  const [row] = await fresh.db.query<{ n: number }>(text);
  return row?.n ?? Number.NaN;
}

test("many ask, settle, cancel, block, declare and forget at once, on keys in any order, and never wait for each other", async () => {
  await declareQuotas(db, quotas, 60_000);
  const held: { key: string; holder: string }[] = [];
  const taken: QuotaPlace[] = [];
  const ask = async (i: number): Promise<void> => {
    const told = () => ({
      costs: some(KEYS).map((key) => ({ key, delta: Math.random() * 10 - 5, gone: Date.now() - 10 })),
      slots: held.splice(0, 3).map((slot) => ({ ...slot, held: 5 })),
      left: some(KEYS).map((key) => ({ key, left: 999_999 })),
      outcomes: [{ target: one(["x", "y"]), succeeded: 1, failed: 1, window: 1_000, least: 100_000, rate: 2, open: 1 }],
    });
    const asks = Array.from({ length: one([1, 1, 2, 5]) }, (_, n) => {
      const keys = some(KEYS);
      const amounts = keys.map(() => 1 + Math.random() * 20);
      return {
        callKey: `call ${(i + n) % 40}`,
        target: one(["x", "y"]),
        keys,
        amounts,
        declared: keys.length,
        book: Math.random() < 0.7,
        holder: randomUUID(),
        slotMs: 60_000,
        horizonMs: 60_000,
        news: true,
      };
    }) as unknown as [QuotaAsk, ...QuotaAsk[]];
    const rows = await reserveQuotas(db, asks, Math.random() < 0.5 ? told() : null);
    for (const [n, { callKey: call, target, keys, holder }] of asks.entries()) {
      const row = rows[n];
      if (row?.verdict === "go" && keys.includes("key 7")) held.push({ key: "key 7", holder });
      if (row?.verdict === "wait") taken.push({ call, target, ready: row.ready_at ?? 0 });
      expect(["go", "wait", "impossible"]).toContain(row?.verdict);
    }
  };
  const others: (() => Promise<unknown>)[] = [
    () => settleQuotas(db, { costs: some(KEYS).map((key) => ({ key, delta: 1, gone: Date.now() })) }),
    () => cancelPlaces(db, some(taken.splice(0, 10))),
    () => blockQuota(db, one(KEYS), 1),
    () => declareQuotas(db, some(quotas), 60_000),
    () => renewSlots(db, held.slice(0, 5), 60_000),
    () => forgetQuotas(db),
  ];
  await Promise.all(
    Array.from({ length: 24 }, async (_, hand) => {
      for (let i = 0; i < 60; i++) await (i % 6 === hand % 6 ? one(others)() : ask(hand * 100 + i));
    }),
  );
  expect(await deadlocks()).toBe(0);
  await settleQuotas(db, { slots: held.map((slot) => ({ ...slot, held: 5 })) });
  // Some may have been renewed while they were given back: their time runs out.
  await db.query("update longhaul.call_slots set expires_at = 1");
  await forgetQuotas(db);
  expect(await db.query("select used from longhaul.quotas where kind = 'slots'")).toEqual([{ used: 0 }]);
  const [row] = await db.query<{ n: number }>("select count(*) as n from longhaul.quotas where tat > 0");
  expect(row?.n).toBeGreaterThan(5);
});

test("a call with an amount of a rate that is not limited yet, and of keys that are not there, goes", async () => {
  await declareQuotas(db, quotas.slice(0, 1), 60_000);
  await blockQuota(db, "gate", 0);
  const ask = {
    callKey: "c",
    target: "t",
    keys: ["key 0", "gate", "not there"],
    amounts: [1, 0, 1_000],
    declared: 1,
    book: true,
    holder: randomUUID(),
    slotMs: 1,
    horizonMs: 1,
    news: false,
  };
  expect(await first(reserveQuotas(db, [ask], null))).toMatchObject({ verdict: "go", wait_ms: 0 });
  expect(await first(reserveQuotas(db, [{ ...ask, declared: 2 }], null))).toMatchObject({ verdict: "missing" });
});

test("calls that ask together get what they would get one after the other, in their order", async () => {
  await declareQuotas(db, [{ ...(quotas[7] as DeclaredQuota), limit: 3 }], 60_000);
  const asks = Array.from({ length: 5 }, (_, i) => ({
    callKey: `call ${i}`,
    target: "t",
    keys: ["key 7"],
    amounts: [1],
    declared: 1,
    book: true,
    holder: randomUUID(),
    slotMs: 60_000,
    horizonMs: 60_000,
    news: true,
  })) as unknown as [QuotaAsk, ...QuotaAsk[]];
  const rows = await reserveQuotas(db, asks, { slots: [] });
  expect(rows.map(({ verdict }) => verdict)).toEqual(["go", "go", "go", "wait", "wait"]);
  expect(rows.map(({ sick }) => sick)).toEqual([[], null, null, null, null]);
});

test("a limit that is declared anew holds at once, and what has gone stays counted", async () => {
  const quota = { ...(quotas[0] as DeclaredQuota), emission: 1_000, burst: 1_000, limit: 60 };
  await declareQuotas(db, [quota], 60_000);
  const ask = {
    target: "t",
    keys: [quota.key],
    amounts: [1],
    declared: 1,
    book: true,
    holder: randomUUID(),
    slotMs: 1,
    horizonMs: 60_000,
    news: false,
  };
  expect(await first(reserveQuotas(db, [{ ...ask, callKey: "a" }], null))).toMatchObject({ verdict: "go" });
  await declareQuotas(db, [{ ...quota, emission: 5_000, burst: 5_000 }], 60_000);
  const row = await first(reserveQuotas(db, [{ ...ask, callKey: "b" }], null));
  expect(row.verdict).toBe("wait");
  expect(row.wait_ms).toBeGreaterThan(800);
  expect(row.wait_ms).toBeLessThan(1_001);
});

test("what nobody comes back for is cleared away; what was declared is not", async () => {
  await declareQuotas(db, quotas, 60_000);
  await blockQuota(db, "learned", 0);
  await db.query("update longhaul.quotas set line = 1, blocked_until = 1 where key = 'learned'");
  await db.query(
    "insert into longhaul.call_slots (key, holder, expires_at) select 'key 7', gen_random_uuid(), 1 from generate_series(1, 3)",
  );
  await db.query("update longhaul.quotas set used = 3 where key = 'key 7'");
  await forgetQuotas(db);
  const rows = await db.query<{ key: string; used: number }>("select key, used from longhaul.quotas order by key");
  expect(rows).toEqual(KEYS.map((key) => ({ key, used: 0 })));
});

/** Holds a lock like a call that is being let through, until what waits for it waits, and then wants what that may have locked before. */
async function whileLocked(other: (on: Database) => Promise<unknown>, then: string): Promise<void> {
  const waits = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  let waiting: Promise<unknown> = Promise.resolve();
  await db.transaction(async (tx) => {
    await tx.query("select from longhaul.quotas where key = 'key 7' for update");
    waiting = other(db);
    await until(async () => (await fresh.db.query(waits)).length > 0);
    await tx.query(then);
  });
  await waiting;
}

test("renewing slots waits for nobody who waits for it", async () => {
  await declareQuotas(db, quotas, 60_000);
  const [lives, lost] = [randomUUID(), randomUUID()];
  await db.query("insert into longhaul.call_slots values ('key 7', $1, 1)", [lives]);
  await db.query("update longhaul.quotas set used = 1 where key = 'key 7'");
  const both = JSON.stringify([lives, lost].map((holder) => ({ key: "key 7", holder })));
  await whileLocked(
    (on) => on.query("select longhaul.renew_slots($1::jsonb, 60000)", [both]),
    "with gone as (delete from longhaul.call_slots returning 1) update longhaul.quotas set used = used - (select count(*) from gone) where key = 'key 7'",
  );
  expect(await db.query("select used from longhaul.quotas where key = 'key 7'")).toEqual([{ used: 2 }]);
});

test("forgetting waits for nobody who waits for it", async () => {
  await declareQuotas(db, quotas, 60_000);
  await db.query("insert into longhaul.call_slots values ('key 7', gen_random_uuid(), 1)");
  await db.query("update longhaul.quotas set used = 1 where key = 'key 7'");
  await db.query("insert into longhaul.bookings values ('late', 'x', 1, false, '', '{}', '{}')");
  await whileLocked((on) => on.query("select longhaul.forget_quotas()"), "delete from longhaul.bookings");
  expect(await db.query("select used from longhaul.quotas where key = 'key 7'")).toEqual([{ used: 0 }]);
});
