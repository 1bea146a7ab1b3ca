// Quotas: what goes never exceeds a limit in any window, and whoever must wait is told one moment, and goes then.
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NO_TOKENS } from "../../src/domain/usage.ts";
import type { Booking } from "../../src/gateway/parts.ts";
import { forgetQuotas } from "../../src/store/quotas.ts";
import { rejection } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import {
  type Desk,
  type Go,
  MINUTE_MS,
  mostIn,
  openDesk,
  provider,
  TARGET,
  untilGo,
  type Went,
} from "./quota-stage.ts";

let fresh: FreshDatabase;
const desks: Desk[] = [];
const desk = (...args: Parameters<typeof openDesk> extends [string, ...infer Rest] ? Rest : never): Desk => {
  const opened = openDesk(fresh.url, ...args);
  desks.push(opened);
  return opened;
};
beforeEach(async () => {
  fresh = await freshDatabase();
});
afterEach(async () => {
  await Promise.all(desks.splice(0).map((one) => one.close()));
  await fresh.drop();
});

/** Asks once. */
function ask(one: Desk, callKey: string, inputTokens = 0, book = true): Promise<Booking> {
  return one.quotas.reserve({ callKey, target: TARGET, estimate: { inputTokens, outputTokens: 0 }, book });
}

const waitOf = (answer: Booking): number => (answer.is === "wait" ? answer.readyAtMs - Date.now() : 0);
/** The clock of a call is ours, the moment it went the database's: so much may lie between two that kept their distance. */
const BLUR_MS = 60;

describe("no window exceeds the limit", () => {
  test("of requests, whoever asks; and the wait is told once", async () => {
    const limit = 60;
    const four = Array.from({ length: 4 }, () => desk([provider({ "*": { rpm: limit } })]));
    const went: Went[] = [];
    let asked = 0;
    const untilMs = Date.now() + 2 * MINUTE_MS;
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const one = four[i % 4] as Desk;
        for (let n = 0; Date.now() < untilMs; n++) {
          const passed = await untilGo(one, { callKey: `${i}/${n}` });
          asked += passed.asked;
          went.push({ atMs: Date.now(), amount: 1 });
          passed.go.release(null);
        }
      }),
    );
    expect(mostIn(MINUTE_MS - BLUR_MS, went)).toBeLessThanOrEqual(limit);
    expect(went.length).toBeGreaterThan(limit * 1.7);
    expect(asked).toBeLessThan(went.length * 2.3);
  });

  test("of tokens in calls of all sizes, together with one of requests that some of the calls share", async () => {
    const [tpm, rpm] = [100_000, 60];
    const shared = provider({ "*": { tpm }, "gpt-5*": { rpm } });
    const three = Array.from({ length: 3 }, () => desk([shared]));
    const went: (Went & { model: string })[] = [];
    const untilMs = Date.now() + 2 * MINUTE_MS;
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const one = three[i % 3] as Desk;
        const model = i % 2 === 0 ? "gpt-5" : "o9";
        for (let n = 0; Date.now() < untilMs; n++) {
          // Many small ones, which the requests hold up, and now and then one that needs a third of all.
          const inputTokens = Math.ceil(Math.random() ** 6 * 33_000);
          const target = { provider: "openai", model };
          const { go } = await untilGo(one, { callKey: `${i}/${n}`, target, estimate: { inputTokens } });
          went.push({ atMs: Date.now(), amount: inputTokens, model });
          go.release(null);
        }
      }),
    );
    const requests = went.filter(({ model }) => model === "gpt-5").map(({ atMs }) => ({ atMs, amount: 1 }));
    expect(mostIn(MINUTE_MS - BLUR_MS, went)).toBeLessThanOrEqual(tpm);
    expect(mostIn(MINUTE_MS - BLUR_MS, requests)).toBeLessThanOrEqual(rpm);
    expect(went.length).toBeGreaterThan(30);
  });

  test("when everybody comes late, all at once, to the moments they were told", async () => {
    const limit = 50;
    const one = desk([provider({ "*": { rpm: limit } })]);
    const callKeys = Array.from({ length: 40 }, (_, i) => `call ${i}`);
    for (const callKey of callKeys) await ask(one, callKey);
    await pause(MINUTE_MS);
    const went: Went[] = [];
    await Promise.all(
      callKeys.map(async (callKey) => {
        await untilGo(one, { callKey });
        went.push({ atMs: Date.now(), amount: 1 });
      }),
    );
    expect(mostIn(MINUTE_MS - BLUR_MS, went)).toBeLessThanOrEqual(limit);
    // No crowd at once either: a tenth, and what comes while we look.
    expect(mostIn(MINUTE_MS / 10, went)).toBeLessThanOrEqual(limit * 0.2 + 2);
  });

  test("when calls use less than they thought, which they get back", async () => {
    const tpm = 100_000;
    const one = desk([provider({ "*": { tpm } })]);
    const went: Went[] = [];
    let thought = 0;
    const untilMs = Date.now() + 2 * MINUTE_MS;
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        for (let n = 0; Date.now() < untilMs; n++) {
          const used = Math.ceil(Math.random() * 2_000);
          const inputTokens = Math.ceil(used * (1 + 2 * Math.random()));
          const { go } = await untilGo(one, { callKey: `${i}/${n}`, estimate: { inputTokens } });
          went.push({ atMs: Date.now(), amount: used });
          thought += inputTokens;
          await pause(Math.random() * 100);
          go.release({ ...NO_TOKENS, inputTokens: used });
        }
      }),
    );
    expect(mostIn(MINUTE_MS - BLUR_MS, went)).toBeLessThanOrEqual(tpm);
    // More than would have gone if all had used what they thought.
    expect(thought).toBeGreaterThan(2.2 * tpm);
  });
});

describe("a place in the line", () => {
  const slow = [provider({ "*": { rpm: 10 } })];

  test("is found again by the same call in another process, at the moment that it was told", async () => {
    const one = desk(slow);
    while ((await ask(one, "first")).is === "go");
    const told = await ask(one, "mine");
    expect(told).toMatchObject({ is: "wait", reason: "quota openai/* (requests per minute)" });
    const other = desk(slow);
    const again = await ask(other, "mine");
    expect(again).toEqual(told);
    await pause(Math.max(0, waitOf(told)) + 5);
    expect((await ask(other, "mine")).is).toBe("go");
  });

  test("is behind all that were taken before, and newcomers are behind it", async () => {
    const one = desk(slow);
    while ((await ask(one, "first")).is === "go");
    const waits: number[] = [];
    for (let i = 0; i < 5; i++) waits.push(waitOf(await ask(one, `call ${i}`)));
    for (const [i, wait] of waits.entries()) if (i > 0) expect(wait).toBeGreaterThan((waits[i - 1] ?? 0) + 150);
    await pause(Math.max(0, waits[0] ?? 0) + 5);
    // It is the turn of the first, even if somebody else asks first.
    expect((await ask(one, "newcomer")).is).toBe("wait");
    expect((await ask(one, "call 0")).is).toBe("go");
  });

  test("that is given up is for the next", async () => {
    // Far apart, so that none of them comes while this looks.
    const one = desk([provider({ "*": { rpm: 2 } })]);
    while ((await ask(one, "first")).is === "go");
    for (let i = 0; i < 5; i++) await ask(one, `call ${i}`);
    const readyAt = async (): Promise<number> => {
      const told = await ask(one, "asks only", 0, false);
      return told.is === "wait" ? told.readyAtMs : 0;
    };
    const before = await readyAt();
    for (let i = 0; i < 5; i++) one.quotas.cancel(`call ${i}`);
    await expect.poll(readyAt).toBeLessThan(before - 4 * (MINUTE_MS / 2));
    const left = (): Promise<unknown[]> => one.db.query("select from longhaul.bookings where call_key like 'call%'");
    await expect.poll(left).toEqual([]);
  });

  test("of a call that never comes back harms nobody, and is forgotten", async () => {
    const one = desk(slow);
    while ((await ask(one, "first")).is === "go");
    for (let i = 0; i < 3; i++) await ask(one, `gone ${i}`);
    const startMs = Date.now();
    const { asked } = await untilGo(one, { callKey: "mine" });
    expect(asked).toBe(2);
    expect(Date.now() - startMs).toBeLessThan(MINUTE_MS);
    await one.db.query("update longhaul.bookings set ready_at = ready_at - 700000");
    expect(await forgetQuotas(one.db)).toBeGreaterThan(0);
    expect(await one.db.query("select from longhaul.bookings")).toEqual([]);
  });

  test("at another target is left when the call goes elsewhere", async () => {
    const one = desk([provider({ "*": { rpm: 10 } }), provider({ "*": { rpm: 10 } }, "anthropic")]);
    while ((await ask(one, "first")).is === "go");
    await ask(one, "mine");
    const elsewhere = { provider: "anthropic", model: "claude" };
    const estimate = { inputTokens: 1, outputTokens: 1 };
    const answer = await one.quotas.reserve({ callKey: "mine", target: elsewhere, estimate, book: false });
    expect(answer.is).toBe("go");
    await pause(100);
    expect(await one.db.query("select from longhaul.bookings where call_key = 'mine'")).toEqual([]);
  });

  test("is not taken by who only asks", async () => {
    const one = desk(slow);
    while ((await ask(one, "first", 0, false)).is === "go");
    const waits = [];
    for (let i = 0; i < 5; i++) waits.push(waitOf(await ask(one, `call ${i}`, 0, false)));
    expect(Math.max(...waits) - Math.min(...waits)).toBeLessThan(200);
    expect(await one.db.query("select from longhaul.bookings")).toEqual([]);
  });

  test("is given up to an hour ahead; who comes after that is told to come back then", async () => {
    const one = desk([provider({ "*": { rpm: 10 } })], { horizonMs: 1_000 });
    const waits: number[] = [];
    for (let i = 0; i < 30; i++) waits.push(waitOf(await ask(one, `call ${i}`)));
    expect(Math.max(...waits)).toBeLessThan(1_100);
    const [row] = await one.db.query<{ n: number }>("select count(*) as n from longhaul.bookings");
    expect(row?.n).toBeLessThan(8);
  });

  test("does not keep other models out that share another limit with it", async () => {
    const one = desk([provider({ "*": { rpm: 6_000 }, "gpt-5": { rpm: 10 } })]);
    for (let i = 0; i < 100; i++) await ask(one, `call ${i}`);
    const target = { provider: "openai", model: "o9" };
    const estimate = { inputTokens: 1, outputTokens: 1 };
    const answer = await one.quotas.reserve({ callKey: "other", target, estimate, book: true });
    expect(waitOf(answer)).toBeLessThan(50);
  });
});

describe("a provider that says not before", () => {
  test("is obeyed by everybody, for an hour if need be, and only its own calls wait", async () => {
    const [one, other] = [desk([provider({ "*": { rpm: 600 } })]), desk([provider({ "*": { rpm: 600 } })])];
    one.quotas.block(TARGET, Date.now() + 3_600_000);
    expect(waitOf(await ask(one, "mine"))).toBeGreaterThan(3_590_000);
    const told = await ask(other, "other's");
    expect(waitOf(told)).toBeGreaterThan(3_590_000);
    expect(waitOf(told)).toBeLessThan(3_610_000);
    expect(told).toMatchObject({ reason: "quota openai/gpt-5" });
    const target = { provider: "openai", model: "o9" };
    const estimate = { inputTokens: 1, outputTokens: 1 };
    expect((await other.quotas.reserve({ callKey: "o9", target, estimate, book: true })).is).toBe("go");
  });

  test("who had a moment before that comes, hears of it, and has a later one", async () => {
    const one = desk([provider({ "*": { rpm: 30 } })]);
    while ((await ask(one, "first")).is === "go");
    const told = await ask(one, "mine");
    one.quotas.block(TARGET, Date.now() + 1_000);
    await pause(Math.max(0, waitOf(told)) + 5);
    const again = await ask(one, "mine");
    expect(waitOf(again)).toBeGreaterThan(500);
    await pause(waitOf(again) + 5);
    expect((await ask(one, "mine")).is).toBe("go");
  });

  test("20 workers do not come all at once when it is over", async () => {
    const limit = 200;
    const twenty = Array.from({ length: 20 }, () => desk([provider({ "*": { rpm: limit } })]));
    const endMs = Date.now() + 1_500;
    twenty[0]?.quotas.block(TARGET, endMs);
    await ask(twenty[0] as Desk, "waits for the block to be known", 0, false);
    const went: Went[] = [];
    await Promise.all(
      twenty.flatMap((one, i) =>
        Array.from({ length: 3 }, async (_, n) => {
          await untilGo(one, { callKey: `${i}/${n}` });
          went.push({ atMs: Date.now(), amount: 1 });
        }),
      ),
    );
    expect(Math.min(...went.map(({ atMs }) => atMs))).toBeGreaterThan(endMs - BLUR_MS);
    // 90 in a second is the pace of the limit; each has a moment of its own.
    expect(mostIn(100, went)).toBeLessThan(20);
    expect(Math.max(...went.map(({ atMs }) => atMs))).toBeLessThan(endMs + 6_000);
  });

  test("without any limit known they go one by one all the same", async () => {
    const five = Array.from({ length: 5 }, () => desk([provider({})]));
    const endMs = Date.now() + 700;
    five[0]?.quotas.block(TARGET, endMs);
    await ask(five[0] as Desk, "waits for the block to be known", 0, false);
    const went: Went[] = [];
    await Promise.all(
      five.flatMap((one, i) =>
        Array.from({ length: 4 }, async (_, n) => {
          await untilGo(one, { callKey: `${i}/${n}` });
          went.push({ atMs: Date.now(), amount: 1 });
        }),
      ),
    );
    expect(mostIn(100, went)).toBeLessThan(8);
    await pause(200);
    expect((await ask(five[0] as Desk, "later")).is).toBe("go");
  });
});

describe("days", () => {
  const dayEnd = (one: Desk, zone: string): Promise<number> =>
    one.db.query<{ at: number }>("select longhaul.day_end_ms($1) as at", [zone]).then(([row]) => row?.at ?? Number.NaN);

  test("are counted, and begin anew at midnight UTC", async () => {
    const one = desk([provider({ "*": { rpd: 3 } })]);
    for (let i = 0; i < 3; i++) expect((await ask(one, `call ${i}`)).is).toBe("go");
    const told = await ask(one, "mine");
    const midnight = await dayEnd(one, "UTC");
    expect(told).toMatchObject({ is: "wait", reason: "quota openai/* (requests per day)" });
    expect((told as { readyAtMs: number }).readyAtMs).toBe(midnight);
    // Each of those who wait for it has a moment of its own.
    expect(((await ask(one, "next")) as { readyAtMs: number }).readyAtMs).toBeGreaterThan(midnight);
    await one.db.query("update longhaul.quota_windows set ends_at = ends_at - 86400000");
    await one.db.query("update longhaul.bookings set ready_at = ready_at - 86400000");
    expect((await ask(one, "mine")).is).toBe("go");
    const [row] = await one.db.query("select used, ends_at from longhaul.quota_windows");
    expect(row).toEqual({ used: 1, ends_at: midnight });
  });

  test("of Google begin where Google is", async () => {
    const one = desk([{ ...provider({ "*": { tpd: 100 } }), kind: "google" }]);
    await ask(one, "one", 90);
    const told = await ask(one, "mine", 20);
    expect((told as { readyAtMs: number }).readyAtMs).toBe(await dayEnd(one, "America/Los_Angeles"));
    // What still fits goes.
    expect((await ask(one, "small", 10)).is).toBe("go");
  });

  test("are corrected by what was really used, and outlive a crash of the database", async () => {
    const one = desk([provider({ "*": { tpd: 100 } })]);
    ((await ask(one, "one", 90)) as Go).release({ ...NO_TOKENS, inputTokens: 30 });
    await one.settlement.flush();
    expect((await ask(one, "two", 70)).is).toBe("go");
    await one.db.query("truncate longhaul.quotas, longhaul.bookings, longhaul.call_slots");
    expect((await ask(one, "three", 1)).is).toBe("wait");
  });
});

describe("calls at once", () => {
  test("as many as there may be, then whoever comes waits until one has ended", async () => {
    const one = desk([provider({ "*": { concurrent: 2 } })]);
    const [first] = [await ask(one, "a"), await ask(one, "b")];
    expect(await ask(one, "c")).toMatchObject({ is: "wait", reason: "quota openai/* (calls at once)" });
    (first as Go).release(null);
    (first as Go).release(null);
    await one.settlement.flush();
    expect((await ask(one, "d")).is).toBe("go");
    expect((await ask(one, "e")).is).toBe("wait");
    expect(await one.db.query("select used from longhaul.quotas where kind = 'slots'")).toEqual([{ used: 2 }]);
  });

  test("those of a process that died are free after a while; those of one that lives are kept", async () => {
    const limits = [provider({ "*": { concurrent: 2 } })];
    const [dies, lives] = [desk(limits, { slotMs: 400 }), desk(limits, { slotMs: 400 })];
    await ask(dies, "dies");
    const mine = await ask(lives, "lives");
    // Its heart stops.
    await dies.quotas.close();
    expect((await ask(lives, "waits")).is).toBe("wait");
    await pause(600);
    expect((await ask(lives, "goes")).is).toBe("go");
    expect((await ask(lives, "waits too")).is).toBe("wait");
    (mine as Go).release(null);
  });

  test("never more, however many ask", async () => {
    const limit = 3;
    const four = Array.from({ length: 4 }, () => desk([provider({ "*": { concurrent: limit } })]));
    let [flying, most] = [0, 0];
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const one = four[i % 4] as Desk;
        const { go } = await untilGo(one, { callKey: `${i}` });
        flying += 1;
        most = Math.max(most, flying);
        await pause(20 + Math.random() * 40);
        flying -= 1;
        go.release(null);
      }),
    );
    expect(most).toBe(limit);
    await Promise.all(four.map((one) => one.settlement.flush()));
    expect(await four[0]?.db.query("select used from longhaul.quotas where kind = 'slots'")).toEqual([{ used: 0 }]);
  });
});

describe("a crash of the database", () => {
  test("empties what is not logged: quotas begin anew with nothing left, new ones with everything", async () => {
    const one = desk([provider({ "*": { rpm: 100, tpm: 100_000 } })]);
    expect((await ask(one, "a", 9_000)).is).toBe("go");
    await one.db.query("truncate longhaul.quotas, longhaul.bookings, longhaul.call_slots");
    const told = await ask(one, "b", 9_000);
    expect(told.is).toBe("wait");
    expect((await ask(one, "c", 1)).is).toBe("wait");
    await pause(Math.max(0, waitOf(told)) + 5);
    expect((await ask(one, "b", 9_000)).is).toBe("go");
  });

  test("calls that are in flight through it take their slots again", async () => {
    const one = desk([provider({ "*": { concurrent: 2 } })], { slotMs: 300 });
    const flying = await ask(one, "a");
    await one.db.query("truncate longhaul.quotas, longhaul.bookings, longhaul.call_slots");
    // Nobody knows how many fly: none starts before they have said so.
    expect((await ask(one, "b")).is).toBe("wait");
    await pause(400);
    expect((await ask(one, "c")).is).toBe("go");
    expect((await ask(one, "d")).is).toBe("wait");
    (flying as Go).release(null);
  });
});

describe("what cannot be", () => {
  test("a call larger than its limit is refused, with the way out", async () => {
    const one = desk([provider({ "*": { tpm: 10_000, tpd: 50_000 } })]);
    const refused = await rejection(ask(one, "huge", 10_001));
    expect(refused).toMatchObject({ code: "QUOTA_IMPOSSIBLE", retryable: false });
    expect(refused.message).toContain("10001 against openai/* (tokens per minute)");
    expect(refused.hint).toContain("maxOutputTokens");
    // One of exactly the limit has to have the minute for itself, and goes.
    expect((await ask(one, "large", 10_000)).is).toBe("go");
  });

  test("names that are hostile are names like all others", async () => {
    const names = [
      "'; drop table longhaul.quotas; --",
      "*",
      "__proto__",
      "a\u0000b",
      "\ud800",
      "x".repeat(70_000),
      ']",["',
    ];
    for (const name of names) {
      const own = { ...provider({ [name]: { rpm: 1 } }, name), organisation: name, project: name };
      const one = desk([own]);
      const target = { provider: name, model: name };
      const estimate = { inputTokens: 1, outputTokens: 1 };
      const reserve = (callKey: string): Promise<Booking> =>
        one.quotas.reserve({ callKey, target, estimate, book: true });
      expect((await reserve(name)).is).toBe("go");
      expect((await reserve(`${name}2`)).is).toBe("wait");
      expect((await reserve(`${name}2`)).is).toBe("wait");
      one.quotas.block(target, Date.now() + 100);
      one.quotas.observe(target, [{ dimension: "tpm", limit: 100, remaining: 1 }]);
      await one.quotas.headroom(target, { calls: 1, inputTokens: 1, outputTokens: 1 });
    }
    const [row] = await fresh.db.query<{ n: number }>("select count(*) as n from longhaul.quotas where declared");
    expect(row?.n).toBe(names.length);
  });

  test("a provider without limits costs a statement, and nothing is kept of it", async () => {
    const one = desk([]);
    for (let i = 0; i < 20; i++) expect((await ask(one, `call ${i}`, 1_000_000)).is).toBe("go");
    expect(await one.db.query("select from longhaul.quotas")).toEqual([]);
  });
});

describe("what responses say", () => {
  test("a limit that nobody configured is learned, and kept", async () => {
    const one = desk([]);
    expect((await ask(one, "a", 900)).is).toBe("go");
    one.quotas.observe(TARGET, [{ dimension: "tpm", limit: 1_000, remaining: 100 }]);
    await one.settlement.flush();
    expect(await ask(one, "b", 900)).toMatchObject({ is: "wait", reason: "quota openai/gpt-5 (tokens per minute)" });
    expect((await ask(one, "c", 50)).is).toBe("wait");
    // It is a guess: what is larger than it is held up, and never refused.
    expect((await ask(one, "d", 5_000)).is).toBe("wait");
  });

  test("what the database will not hear is dropped; what it could not hear is told when it is back", async () => {
    const one = desk([provider({ "*": { tpm: 100_000 } })]);
    const go = (await ask(one, "a", 1_000)) as Go;
    one.settlement.add({
      outcomes: [{ target: "\u0000", succeeded: 1, failed: 1, window: 1, least: 1, rate: 1, open: 1 }],
    });
    await one.settlement.flush();
    expect((await ask(one, "b", 1)).is).toBe("go");
    await one.db.query("update longhaul.quotas set tat = 0, busy_since = 0, line = greatest(line, 0)");
    const query = one.db.query;
    Object.assign(one.db, { query: () => Promise.reject(new Error("Connection terminated")) });
    go.release({ ...NO_TOKENS, inputTokens: 2_000 });
    await one.settlement.flush();
    Object.assign(one.db, { query });
    await one.settlement.flush();
    const [row] = await one.db.query<{ tat: number }>("select tat from longhaul.quotas where key like '%tpm%'");
    expect(row?.tat).toBeGreaterThan(0);
  });

  test("one that is lower than ours is obeyed, one that is higher is not", async () => {
    const one = desk([provider({ "gpt-5": { tpm: 10_000 } })]);
    await ask(one, "a", 10);
    one.quotas.observe(TARGET, [{ dimension: "tpm", limit: 20_000, remaining: null }]);
    await one.settlement.flush();
    await expect(ask(one, "b", 15_000)).rejects.toMatchObject({ code: "QUOTA_IMPOSSIBLE" });
    one.quotas.observe(TARGET, [{ dimension: "tpm", limit: 5_000, remaining: null }]);
    await one.settlement.flush();
    await expect(ask(one, "c", 6_000)).rejects.toMatchObject({ code: "QUOTA_IMPOSSIBLE" });
    one.quotas.observe(TARGET, [{ dimension: "tpm", limit: 20_000, remaining: null }]);
    await one.settlement.flush();
    expect((await ask(one, "d", 6_000)).is).not.toBe("impossible");
  });

  test("that nearly nothing is left, because others share the account, makes everybody wait", async () => {
    const one = desk([provider({ "gpt-5": { rpm: 100 } })]);
    expect((await ask(one, "a")).is).toBe("go");
    one.quotas.observe(TARGET, [{ dimension: "rpm", limit: 100, remaining: 0 }]);
    await one.settlement.flush();
    expect(waitOf(await ask(one, "b"))).toBeGreaterThan(5);
  });

  test("input from the provider's cache is given back where it does not count", async () => {
    const [limits] = provider({ "*": { itpm: 1_000 } }).limits;
    const uncounted = { ...provider({}), limits: [{ pattern: "*", limits: { itpm: 1_000, countCached: false } }] };
    expect(limits?.limits.countCached).toBe(true);
    const one = desk([uncounted]);
    const first = (await ask(one, "a", 1_000)) as Go;
    first.release({ ...NO_TOKENS, inputTokens: 1_000, cacheReadTokens: 990 });
    await one.settlement.flush();
    const second = await ask(one, "b", 400);
    expect(waitOf(second)).toBeLessThan(300);
  });
});

describe("before a run starts", () => {
  test("there is room, or the moment when there will be, and nothing is booked", async () => {
    const one = desk([provider({ "*": { rpm: 10, tpd: 1_000 } })]);
    const needs = { calls: 40, inputTokens: 300, outputTokens: 100 };
    expect(await one.quotas.headroom(TARGET, needs)).toEqual({ ok: true, readyAtMs: null, blocking: null });
    for (let i = 0; i < 6; i++) await ask(one, `call ${i}`, 10);
    const told = await one.quotas.headroom(TARGET, needs);
    expect(told).toMatchObject({ ok: false, blocking: "quota openai/* (requests per minute)" });
    expect(told.readyAtMs).toBeGreaterThan(Date.now());
    await ask(one, "much", 800);
    await pause(50);
    const [row] = await one.db.query("select count(*) as n from longhaul.bookings");
    await one.quotas.headroom(TARGET, needs);
    expect(await one.db.query("select count(*) as n from longhaul.bookings")).toEqual([row]);
  });

  test("more than a day has is refused", async () => {
    const one = desk([provider({ "*": { tpd: 1_000 } })]);
    const needs = { calls: 1, inputTokens: 2_000, outputTokens: 0 };
    expect(await rejection(one.quotas.headroom(TARGET, needs))).toMatchObject({ code: "QUOTA_IMPOSSIBLE" });
  });
});

test("a call costs one statement, in which what became of the last one rides", async () => {
  const one = desk([provider({ "*": { rpm: 100_000, tpm: 1_000_000_000, concurrent: 5 } })]);
  ((await ask(one, "first", 10)) as Go).release({ ...NO_TOKENS, inputTokens: 5 });
  let statements = 0;
  const query = one.db.query.bind(one.db);
  Object.assign(one.db, {
    query: (...args: Parameters<typeof query>) => {
      statements += 1;
      return query(...args);
    },
  });
  for (let i = 0; i < 10; i++) ((await ask(one, `call ${i}`, 10)) as Go).release({ ...NO_TOKENS, inputTokens: 5 });
  expect(statements).toBe(10);
  await pause(200);
  expect(statements).toBe(11);
  expect(await query("select used from longhaul.quotas where kind = 'slots'")).toEqual([{ used: 0 }]);
});
