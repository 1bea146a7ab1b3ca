// Quotas where two things happen at once, or half of one: what was booked is given back or found again, counted once, and held by nobody for good.
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NO_TOKENS } from "../../src/domain/usage.ts";
import type { Booking } from "../../src/gateway/parts.ts";
import type { Target } from "../../src/gateway/roles.ts";
import { type Gate, gate, rejection, until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type Desk, type Go, MINUTE_MS, openDesk, provider, TARGET } from "./quota-stage.ts";

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

const ELSEWHERE: Target = { provider: "anthropic", model: "claude" };
const SLOW = [provider({ "*": { rpm: 10 } }), provider({ "*": { rpm: 10 } }, "anthropic")];

function ask(one: Desk, callKey: string, inputTokens = 0, target = TARGET): Promise<Booking> {
  return one.quotas.reserve({ callKey, target, estimate: { inputTokens, outputTokens: 0 }, book: true });
}

const waitOf = (answer: Booking): number => (answer.is === "wait" ? answer.readyAtMs - Date.now() : 0);

/** Time enough to look at places before their time has come. */
const LONG = { minuteMs: 30_000 };

/** Asks until the bucket is empty. */
async function drained(one: Desk, target = TARGET): Promise<void> {
  while ((await ask(one, "first", 0, target)).is === "go");
}

type Send = () => Promise<unknown[]>;

/** What becomes of the statements of this process whose name begins so. Gives how to leave them alone again. */
function meddle(one: Desk, name: string, how: (send: Send) => Promise<unknown[]>): () => void {
  const query = one.db.query.bind(one.db);
  const meddled = (text: string, values?: readonly unknown[], of?: string): Promise<unknown[]> => {
    const send = (): Promise<unknown[]> => query(text, values, of);
    return of?.startsWith(name) ? how(send) : send();
  };
  Object.assign(one.db, { query: meddled });
  return () => Object.assign(one.db, { query });
}

/** The first statement of that name waits at a door. */
function doorAt(one: Desk, name: string): Gate & { readonly reached: Promise<void> } {
  const [door, at] = [gate(), gate()];
  const undo = meddle(one, name, async (send) => {
    undo();
    at.open();
    await door.opened;
    return send();
  });
  return { ...door, reached: at.opened };
}

/** It reaches the database, and its answer is lost. */
function loseAnswer(one: Desk, name: string): void {
  const undo = meddle(one, name, async (send) => {
    undo();
    await send();
    throw new Error("Connection terminated unexpectedly");
  });
}

const failing = (code: string): Error => Object.assign(new Error(`SQLSTATE ${code}`), { code });

const slots = (): Promise<{ used: number; n: number }[]> =>
  fresh.db.query(
    "select q.used, (select count(*)::int from longhaul.call_slots s where s.key = q.key) as n from longhaul.quotas q where kind = 'slots'",
  );
const usedToday = (): Promise<number | undefined> =>
  fresh.db.query<{ used: number }>("select used from longhaul.quota_windows").then(([row]) => row?.used);
const places = (): Promise<{ target: string }[]> =>
  fresh.db.query("select target from longhaul.bookings where call_key = 'mine'");

describe("a place in a line", () => {
  test("stays when the one at another target is given up for it", async () => {
    const one = desk(SLOW, LONG);
    await drained(one);
    await drained(one, ELSEWHERE);
    expect((await ask(one, "mine")).is).toBe("wait");
    const told = await ask(one, "mine", 0, ELSEWHERE);
    await until(async () => (await places()).length === 1);
    expect((await places())[0]?.target).toContain("anthropic");
    expect(await ask(one, "mine", 0, ELSEWHERE)).toEqual(told);
  });

  test("that is given up is gone before the same call takes one again", async () => {
    const one = desk(SLOW, LONG);
    await drained(one);
    await ask(one, "mine");
    const door = doorAt(one, "lh_cancel");
    one.quotas.cancel("mine");
    const again = ask(one, "mine");
    await door.reached;
    await pause(50);
    await ask(one, "behind");
    door.open();
    const told = await again;
    expect(told.is).toBe("wait");
    await pause(50);
    expect(await ask(one, "mine")).toEqual(told);
    expect(await places()).toHaveLength(1);
  });

  test("that was taken since, by another process, is not given up with the old one", async () => {
    const [one, other] = [desk(SLOW, LONG), desk(SLOW, LONG)];
    await drained(one);
    await ask(one, "mine");
    const door = doorAt(one, "lh_cancel");
    one.quotas.cancel("mine");
    await door.reached;
    await fresh.db.query("delete from longhaul.bookings where call_key = 'mine'");
    const told = await ask(other, "mine");
    await ask(other, "behind");
    door.open();
    await one.quotas.close();
    expect(await ask(other, "mine")).toEqual(told);
  });

  test("of two calls of one key at once is for one of them: the other comes after it", async () => {
    const [one, other] = [desk(SLOW), desk(SLOW)];
    await drained(one);
    const [first, second] = await Promise.all([ask(one, "mine"), ask(other, "mine")]);
    expect(first).toEqual(second);
    await pause(Math.max(0, waitOf(first)) + 5);
    const both = await Promise.all([ask(one, "mine"), ask(other, "mine")]);
    expect(both.map(({ is }) => is).sort()).toEqual(["go", "wait"]);
  });
});

describe("a slot among the calls at once", () => {
  const limits = [provider({ "*": { concurrent: 1 } })];

  test("is not taken again by a renewal that was under way when the call ended", async () => {
    const one = desk(limits, { slotMs: 150 });
    const go = (await ask(one, "a")) as Go;
    const door = doorAt(one, "lh_renew_slots");
    await door.reached;
    go.release(null);
    await one.settlement.flush();
    door.open();
    await until(async () => (await slots())[0]?.used === 0);
    await pause(60);
    await one.settlement.flush();
    expect(await slots()).toEqual([{ used: 0, n: 0 }]);
  });

  test("is given back when it is not known whether it was granted", async () => {
    const one = desk(limits);
    await ask(desk(limits), "declares").then((go) => (go as Go).release(null));
    await desks[1]?.settlement.flush();
    loseAnswer(one, "lh_reserve_quota");
    // It is asked again, and finds that free which the lost answer had granted.
    const go = (await ask(one, "a")) as Go;
    expect(go.is).toBe("go");
    expect(await slots()).toEqual([{ used: 1, n: 1 }]);
    go.release(null);
    await one.settlement.flush();
    expect(await slots()).toEqual([{ used: 0, n: 0 }]);
  });

  test("is given back once the database can do it again", async () => {
    const one = desk(limits);
    const go = (await ask(one, "a")) as Go;
    const undo = meddle(one, "lh_settle_quotas", () => Promise.reject(failing("57014")));
    go.release(null);
    await one.settlement.flush();
    undo();
    await one.settlement.flush();
    expect(await slots()).toEqual([{ used: 0, n: 0 }]);
  });

  test("is free when a call was never sent, and nothing of it counts", async () => {
    const one = desk([provider({ "*": { concurrent: 1, rpd: 10 } })]);
    const go = (await ask(one, "a")) as Go;
    expect(await usedToday()).toBe(1);
    go.undo();
    go.release(null);
    await one.settlement.flush();
    expect(await usedToday()).toBe(0);
    expect(await slots()).toEqual([{ used: 0, n: 0 }]);
  });
});

describe("what calls used", () => {
  const limits = [provider({ "*": { tpd: 1_000 } })];

  test("is not given back twice when the answer of the statement that told it was lost", async () => {
    const one = desk(limits);
    const go = (await ask(one, "a", 100)) as Go;
    go.release({ ...NO_TOKENS, inputTokens: 40 });
    loseAnswer(one, "lh_reserve_quota");
    expect((await ask(one, "b", 10)).is).toBe("go");
    await one.settlement.flush();
    // What was granted with the lost answer stays counted: nobody knows that it was not.
    expect(await usedToday()).toBe(60);
  });

  test("is given back later when the database was not there at all", async () => {
    const one = desk(limits);
    const go = (await ask(one, "a", 100)) as Go;
    go.release({ ...NO_TOKENS, inputTokens: 40 });
    const undo = meddle(one, "lh_settle_quotas", () => Promise.reject(failing("ECONNREFUSED")));
    await one.settlement.flush();
    undo();
    await one.settlement.flush();
    expect(await usedToday()).toBe(40);
  });

  test("is told once when a look at the room fails", async () => {
    const one = desk(limits);
    const go = (await ask(one, "a", 100)) as Go;
    go.release({ ...NO_TOKENS, inputTokens: 150 });
    const undo = meddle(one, "lh_quota_headroom", () => Promise.reject(failing("08006")));
    await expect(one.quotas.headroom(TARGET, { calls: 1, inputTokens: 1, outputTokens: 0 })).rejects.toThrow("08006");
    undo();
    await one.settlement.flush();
    expect(await usedToday()).toBe(150);
  });

  test("harms no call in whose statement it rides, whatever is wrong with it", async () => {
    const one = desk(limits);
    const bad = { target: "\u0000", succeeded: 1, failed: 1, window: 1, least: 1, rate: 1, open: 1 };
    one.settlement.add({ outcomes: [bad] });
    expect((await ask(one, "a", 10)).is).toBe("go");
    expect(await usedToday()).toBe(10);
  });

  test("has been told when a flush is over, whoever else flushes", async () => {
    const one = desk(limits);
    const [first, second] = [(await ask(one, "a", 10)) as Go, (await ask(one, "b", 10)) as Go];
    let underWay = 0;
    meddle(one, "lh_settle_quotas", async (send) => {
      underWay += 1;
      await pause(30);
      const rows = await send();
      underWay -= 1;
      return rows;
    });
    first.release({ ...NO_TOKENS, inputTokens: 5 });
    const flushes = [one.settlement.flush()];
    second.release({ ...NO_TOKENS, inputTokens: 5 });
    flushes.push(one.settlement.flush(), one.settlement.flush());
    await flushes[2];
    expect(underWay).toBe(0);
    expect(await usedToday()).toBe(10);
  });
});

describe("a provider's not before", () => {
  test("holds although a shorter one comes after it", async () => {
    const one = desk(SLOW);
    await ask(one, "declares");
    const door = doorAt(one, "lh_block_quota");
    one.quotas.block(TARGET, Date.now() + 3_600_000);
    await door.reached;
    one.quotas.block(TARGET, Date.now() + 500);
    const told = ask(one, "mine");
    await pause(50);
    door.open();
    expect(waitOf(await told)).toBeGreaterThan(3_500_000);
  });

  test("is said again when the database put it off", async () => {
    const one = desk(SLOW);
    const undo = meddle(one, "lh_block_quota", () => {
      undo();
      return Promise.reject(failing("55P03"));
    });
    one.quotas.block(TARGET, Date.now() + 3_600_000);
    expect(waitOf(await ask(one, "mine"))).toBeGreaterThan(3_500_000);
  });
});

describe("limits that change meanwhile", () => {
  test("one that was learned and forgotten is learned again", async () => {
    const one = desk([]);
    const learned = (): Promise<unknown[]> => fresh.db.query("select from longhaul.quotas where key like '%tpm%'");
    const hear = async (): Promise<void> => {
      one.quotas.observe(TARGET, [{ dimension: "tpm", limit: 1_000, remaining: 990 }]);
      await one.settlement.flush();
    };
    await hear();
    expect(await learned()).toHaveLength(1);
    await fresh.db.query("delete from longhaul.quotas");
    await hear();
    await pause(MINUTE_MS);
    await hear();
    expect(await learned()).toHaveLength(1);
  });

  test("one that is lower than ours holds again after a new process has declared ours", async () => {
    const limits = [provider({ "gpt-5": { tpm: 10_000 } })];
    const one = desk(limits);
    const hear = async (): Promise<void> => {
      one.quotas.observe(TARGET, [{ dimension: "tpm", limit: 5_000, remaining: 5_000 }]);
      await one.settlement.flush();
    };
    await ask(one, "a", 1);
    await hear();
    await ask(desk(limits), "b", 1);
    await pause(MINUTE_MS);
    await hear();
    expect(await rejection(ask(one, "c", 6_000))).toMatchObject({ code: "QUOTA_IMPOSSIBLE" });
  });

  test("one that a provider tells after a crash, before it is declared again, begins with nothing left", async () => {
    const one = desk([provider({ "gpt-5": { tpm: 10_000 } })]);
    await ask(one, "a", 1);
    await fresh.db.query("truncate longhaul.quotas, longhaul.bookings, longhaul.call_slots");
    one.quotas.observe(TARGET, [{ dimension: "tpm", limit: 9_000, remaining: 9_000 }]);
    await one.settlement.flush();
    expect(waitOf(await ask(one, "b", 4_000))).toBeGreaterThan(100);
  });

  test("a limit declared lower while calls wait holds for those who wait", async () => {
    const one = desk([provider({ "*": { rpm: 60 } })]);
    await drained(one);
    const told = await ask(one, "mine");
    await ask(desk([provider({ "*": { rpm: 6 } })]), "declares the lower one");
    await pause(Math.max(0, waitOf(told)) + 5);
    const again = await ask(one, "mine");
    if (again.is === "go") expect(waitOf(await ask(one, "next"))).toBeGreaterThan(200);
    else expect(waitOf(again)).toBeGreaterThan(0);
  });
});

test("when quotas cannot be declared everybody who waits for it hears so, and the next one tries again", async () => {
  const one = desk(SLOW);
  const undo = meddle(one, "lh_declare_quotas", () => Promise.reject(failing("42501")));
  const all = await Promise.allSettled(Array.from({ length: 5 }, (_, i) => ask(one, `call ${i}`)));
  expect(all.map(({ status }) => status)).toEqual(Array(5).fill("rejected"));
  undo();
  expect((await ask(one, "a")).is).toBe("go");
});

test("when the database has lost all quotas they are declared once for everybody who finds out", async () => {
  const one = desk(SLOW);
  await ask(one, "a");
  await fresh.db.query("truncate longhaul.quotas, longhaul.bookings, longhaul.call_slots");
  let declared = 0;
  meddle(one, "lh_declare_quotas", async (send) => {
    declared += 1;
    return send();
  });
  await Promise.all(Array.from({ length: 20 }, (_, i) => ask(one, `call ${i}`)));
  // Four connections: one of them may hear it late.
  expect(declared).toBeLessThanOrEqual(2);
});
