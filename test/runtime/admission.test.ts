// Saying no early: a process whose submits pile up, a database that gives no connection, an installation that is full.
import { describe, expect, test } from "vitest";
import { POOL_WAIT_MS_MAX, SUBMITS_WAITING_BYTES_MAX, SUBMITS_WAITING_MAX } from "../../src/domain/limits.ts";
import { agent, connect } from "../../src/index.ts";
import { Admission } from "../../src/runtime/admission.ts";
import { Batcher } from "../../src/store/batch.ts";
import { openDatabase } from "../../src/store/database.ts";
import { rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();
const echo = agent({ name: "echo", run: (_ctx, input) => input });
const database = (poolWaitMs = 0, unfinished: readonly number[] = []) => {
  const counts = [...unfinished];
  let asked = 0;
  return {
    poolWaitMs,
    query: async <Row>(): Promise<Row[]> => {
      asked += 1;
      return [{ n: counts.length > 1 ? counts.shift() : counts[0] } as Row];
    },
    get asked() {
      return asked;
    },
  };
};
const backlog = (items = 0, bytes = 0) => ({ waiting: { items, bytes } });

describe("a process", () => {
  test.each([
    ["with too many submits waiting", database(), backlog(SUBMITS_WAITING_MAX, 0)],
    ["with too many bytes waiting", database(), backlog(1, SUBMITS_WAITING_BYTES_MAX)],
    ["whose pool gives no connection", database(POOL_WAIT_MS_MAX + 1), backlog()],
  ])("%s takes no more, at once", async (_, db, waiting) => {
    const admission = new Admission(db, waiting, 1_000);
    const error = await rejection(admission.admit());
    expect(error).toMatchObject({ code: "OVERLOADED", status: 503, retryable: true, details: { retryAfterMs: 1_000 } });
    expect(await admission.view()).toMatchObject({ accepts: false, code: "OVERLOADED" });
    expect(db.asked).toBe(0);
  });

  test("knows how many items and bytes wait to be sent", async () => {
    let answer = (_: number[]): void => undefined;
    const batcher = new Batcher<string, number>({
      send: () => new Promise((resolve) => (answer = resolve)),
      inFlightMax: 1,
      itemsMax: 2,
      bytesOf: (item) => item.length,
    });
    const results = ["a", "bb", "ccc"].map((item) => batcher.add(item));
    expect(batcher.waiting).toEqual({ items: 3, bytes: 6 });
    await until(() => batcher.waiting.items === 1);
    expect(batcher.waiting.bytes).toBe(3);
    answer([1, 2]);
    await until(() => batcher.waiting.items === 0);
    answer([3]);
    expect(await Promise.all(results)).toEqual([1, 2, 3]);
    expect(batcher.waiting).toEqual({ items: 0, bytes: 0 });
  });

  test("knows how long somebody waits for a connection", async () => {
    const db = openDatabase({ url: stage.url, max: 1 });
    expect(db.poolWaitMs).toBe(0);
    const holder = await db.pool.connect();
    const waiting = db.query("select 1");
    await until(() => db.poolWaitMs > 20);
    holder.release();
    await waiting;
    expect(db.poolWaitMs).toBe(0);
    await db.end();
  });
});

describe("an installation with a limit", () => {
  test("asks the database once in a while, and counts what it lets in meanwhile", async () => {
    const db = database(0, [7]);
    const admission = new Admission(db, backlog(), 10);
    await Promise.all([admission.admit(), admission.admit(), admission.admit()]);
    expect(await rejection(admission.admit())).toMatchObject({
      code: "SYSTEM_FULL",
      status: 503,
      retryable: true,
      details: { retryAfterMs: 5_000 },
    });
    expect(db.asked).toBe(1);
    expect(await admission.view()).toEqual({ accepts: false, code: "SYSTEM_FULL", unfinished: 10, unfinishedMax: 10 });
  });

  test("takes no more when it is full, lets children in, and goes on when runs have ended", async () => {
    const child = agent({ name: "child", run: (_ctx, n) => n });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        await ctx.signal("go");
        return ctx.map("m", [1, 2, 3], child);
      },
    });
    const before = await stage.client();
    const running = (await before.admission()).unfinished;
    expect(running).toBeNull();
    const [{ n: unfinished } = { n: 0 }] = await stage.db.query<{ n: number }>(
      "select coalesce(sum(unfinished), 0)::bigint as n from longhaul.tenants",
    );
    const longhaul = await stage.worker([echo, child, parent], {}, { limits: { unfinishedMax: unfinished + 1 } });
    const handle = await longhaul.submit(parent, null);
    expect(await rejection(longhaul.submit(echo, 1))).toMatchObject({ code: "SYSTEM_FULL" });
    expect(await longhaul.admission()).toMatchObject({ accepts: false, code: "SYSTEM_FULL" });
    const [answer] = await longhaul.submitMany([{ agent: echo, input: 1 }]);
    expect(answer).toMatchObject({ error: { code: "SYSTEM_FULL" } });
    await longhaul.signal(handle.runId, "go");
    expect(await handle.result()).toEqual([1, 2, 3]);
    const next = await until(() => longhaul.submit(echo, 2).catch(() => null));
    expect(await next.result()).toBe(2);
  });

  test.each([-1, Number.NaN, 1.5, Number.POSITIVE_INFINITY])("of %d is refused", async (unfinishedMax) => {
    expect(await rejection(connect({ url: stage.url, migrate: false, limits: { unfinishedMax } }))).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("connect({ limits.unfinishedMax })"),
    });
  });
});
