// Quotas: what goes never exceeds a limit in any window, and whoever must wait is told one moment, and goes then.
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type Desk, MINUTE_MS, mostIn, openDesk, provider, TARGET, untilGo, type Went } from "./quota-stage.ts";

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

const goneAt = async (one: Desk): Promise<number> => {
  const [row] = await one.db.query<{ now: number }>("select longhaul.now_ms() as now");
  return row?.now ?? 0;
};

describe("no window exceeds the limit", () => {
  test("of requests, whoever asks", async () => {
    const limit = 60;
    const four = Array.from({ length: 4 }, () => desk([provider({ "*": { rpm: limit } })]));
    const went: Went[] = [];
    let asked = 0;
    const untilMs = Date.now() + 3 * MINUTE_MS;
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const one = four[i % 4] as Desk;
        for (let n = 0; Date.now() < untilMs; n++) {
          const passed = await untilGo(one, { callKey: `${i}/${n}` });
          asked += passed.asked;
          went.push({ atMs: Date.now(), amount: 1 });
          passed.go.release(null);
        }
      }),
    );
    console.log("requests", went.length, "asked", asked, "most", mostIn(MINUTE_MS - 60, went));
    expect(mostIn(MINUTE_MS - 60, went)).toBeLessThanOrEqual(limit);
    expect(went.length).toBeGreaterThan(limit * 2.4);
    expect(asked).toBeLessThan(went.length * 2.2);
  });

  test("of tokens, in calls of all sizes, and of requests beside it", async () => {
    const [tpm, rpm] = [100_000, 100];
    const four = Array.from({ length: 4 }, () => desk([provider({ "*": { tpm, rpm } })]));
    const went: Went[] = [];
    let asked = 0;
    const untilMs = Date.now() + 4 * MINUTE_MS;
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const one = four[i % 4] as Desk;
        for (let n = 0; Date.now() < untilMs; n++) {
          const inputTokens = Math.ceil(Math.random() ** 4 * 30_000);
          const { go, asked: times } = await untilGo(one, { callKey: `${i}/${n}`, estimate: { inputTokens } });
          asked += times;
          went.push({ atMs: Date.now(), amount: inputTokens });
          go.release(null);
        }
      }),
    );
    const sum = went.reduce((all, { amount }) => all + amount, 0);
    console.log("tokens", sum, "calls", went.length, "asked", asked, "most", mostIn(MINUTE_MS - 60, went));
    expect(mostIn(MINUTE_MS - 60, went)).toBeLessThanOrEqual(tpm);
    expect(
      mostIn(
        MINUTE_MS - 60,
        went.map((one) => ({ ...one, amount: 1 })),
      ),
    ).toBeLessThanOrEqual(rpm);
  });
});
