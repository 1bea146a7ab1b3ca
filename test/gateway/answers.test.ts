// Answers that are shared: identical calls run once, whatever becomes of the one that makes it.
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Answers } from "../../src/gateway/answers.ts";
import { forgetAnswers } from "../../src/store/answers.ts";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

type Ask = Parameters<Answers["lead"]>[0];
type Part = Awaited<ReturnType<Answers["lead"]>>;

let fresh: FreshDatabase;
const open: { db: Database; answers: Answers }[] = [];
beforeEach(async () => {
  fresh = await freshDatabase();
});
afterEach(async () => {
  for (const { db, answers } of open.splice(0)) {
    await answers.close();
    await db.end();
  }
  await fresh.drop();
});

function start(leaseMs?: number): Answers {
  const db = openDatabase({ url: fresh.url, max: 3 });
  const answers = new Answers({ db, ...(leaseMs === undefined ? {} : { leaseMs }) });
  open.push({ db, answers });
  return answers;
}

const asked = (changes: Partial<Ask> = {}): Ask => ({
  tenant: "t",
  key: "k",
  cacheMs: null,
  coalesce: true,
  abort: new AbortController().signal,
  ...changes,
});

function lead(part: Part): Extract<Part, { is: "lead" }> {
  if (part.is !== "lead") throw new Error(`expected to lead, got ${part.text}`);
  return part;
}

describe("calls in flight", () => {
  test("40 identical ones of four processes are one, and all have its answer", async () => {
    const four = Array.from({ length: 4 }, () => start());
    let calls = 0;
    const texts = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const part = await (four[i % 4] as Answers).lead(asked());
        if (part.is === "answer") return `${part.source} ${part.text}`;
        calls += 1;
        // Until all of them have asked, on a busy machine too.
        await pause(1_500);
        await part.publish("the answer");
        return "made";
      }),
    );
    expect(calls).toBe(1);
    expect(texts.filter((text) => text === "coalesced the answer")).toHaveLength(39);
  });

  test("of another tenant, or another key, are others", async () => {
    const one = start();
    lead(await one.lead(asked()));
    lead(await one.lead(asked({ tenant: "u" })));
    lead(await one.lead(asked({ key: "l" })));
  });

  test("that do not share are made by everybody", async () => {
    const one = start();
    lead(await one.lead(asked()));
    lead(await one.lead(asked({ coalesce: false, cacheMs: 1_000 })));
  });

  test("whose maker dies are made by one of those who wait, after its lease", async () => {
    const [dies, one, other] = [start(300), start(300), start(300)];
    lead(await dies.lead(asked()));
    // Its heart stops.
    await dies.close();
    let calls = 0;
    const startMs = performance.now();
    const texts = await Promise.all(
      [one, other, one, other].map(async (answers) => {
        const part = await answers.lead(asked());
        if (part.is === "answer") return part.text;
        calls += 1;
        expect(performance.now() - startMs).toBeGreaterThan(250);
        await pause(50);
        await part.publish("late");
        return "made";
      }),
    );
    expect(calls).toBe(1);
    expect(texts.sort()).toEqual(["late", "late", "late", "made"]);
  });

  test("whose maker lives, however long it takes, are waited for", async () => {
    const [makes, waits] = [start(200), start(200)];
    const part = lead(await makes.lead(asked()));
    const waiting = waits.lead(asked());
    await pause(700);
    await part.publish("at last");
    expect(await waiting).toEqual({ is: "answer", source: "coalesced", text: "at last" });
  });

  test("that fail are made by each who waited, by itself", async () => {
    const [makes, waits] = [start(), start()];
    const part = lead(await makes.lead(asked({ cacheMs: 10_000 })));
    const waiting = [waits, waits, makes].map((answers) => answers.lead(asked({ cacheMs: 10_000 })));
    await pause(1_500);
    await part.withdraw();
    const alone = (await Promise.all(waiting)).map(lead);
    await alone[0]?.withdraw();
    await alone[1]?.publish("mine");
    // What one of them has got is kept for those who come later.
    expect(await makes.lead(asked({ cacheMs: 10_000 }))).toEqual({ is: "answer", source: "cache", text: "mine" });
    await alone[2]?.publish("mine too");
  });

  test("are given up by who is aborted", async () => {
    const [makes, waits] = [start(), start()];
    const part = lead(await makes.lead(asked()));
    const controller = new AbortController();
    const waiting = waits.lead(asked({ abort: controller.signal }));
    await pause(50);
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(waits.lead(asked({ abort: controller.signal }))).rejects.toThrow("enough");
    await part.publish("nobody waits");
  });

  test("that have ended are not shared with those who come later and want no old answer", async () => {
    const one = start();
    await lead(await one.lead(asked())).publish("old");
    lead(await one.lead(asked()));
  });
});

describe("answers that are kept", () => {
  test("will do for as long as the one who asks says, and no longer than they were kept for", async () => {
    const one = start();
    await lead(await one.lead(asked({ cacheMs: 60_000 }))).publish("kept");
    const again = (cacheMs: number | null): Promise<Part> => start().lead(asked({ cacheMs }));
    expect(await again(60_000)).toEqual({ is: "answer", source: "cache", text: "kept" });
    const db = open[0]?.db as Database;
    await db.query("update longhaul.answers set made_at = made_at - interval '5 seconds'");
    expect(await again(10_000)).toMatchObject({ is: "answer" });
    await db.query("update longhaul.answers set expires_at = clock_timestamp()");
    const part = lead(await again(60_000));
    await part.publish("new");
    await db.query("update longhaul.answers set made_at = made_at - interval '5 seconds'");
    lead(await again(4_000));
  });

  test("are never another tenant's", async () => {
    const one = start();
    await lead(await one.lead(asked({ cacheMs: 60_000 }))).publish("secret");
    lead(await one.lead(asked({ tenant: "u", cacheMs: 60_000 })));
    const [row] = await fresh.db.query(
      "select count(distinct answer_key) as n, count(distinct tenant_id) as tenants from longhaul.answers",
    );
    expect(row).toEqual({ n: 2, tenants: 2 });
  });

  test("may be large, and hold any character that text can hold", async () => {
    const one = start();
    const text = `${"x".repeat(3_000_000)} – 𝄞 "'\\ {}`;
    await lead(await one.lead(asked({ cacheMs: 60_000 }))).publish(text);
    expect(await start().lead(asked({ cacheMs: 60_000 }))).toEqual({ is: "answer", source: "cache", text });
  });

  test("that cannot be kept as they are, are not kept", async () => {
    const one = start();
    for (const text of ["a\u0000b", "\ud800", "x".repeat(17 * 1024 * 1024)]) {
      await lead(await one.lead(asked({ cacheMs: 60_000 }))).publish(text);
    }
    const rows = await fresh.db.query("select state, value from longhaul.answers");
    expect(rows).toEqual([{ state: "failed", value: null }]);
  });

  test("are dropped when their time is over", async () => {
    const one = start();
    for (let i = 0; i < 5; i++) await lead(await one.lead(asked({ key: `${i}`, cacheMs: 60_000 }))).publish("x");
    expect(await forgetAnswers(fresh.db, 100)).toBe(0);
    await fresh.db.query(
      "update longhaul.answers set expires_at = clock_timestamp() - interval '1 s' where answer_key < '\\x80'",
    );
    const [left] = await fresh.db.query<{ n: number }>(
      "select count(*) as n from longhaul.answers where expires_at > clock_timestamp()",
    );
    expect(await forgetAnswers(fresh.db, 100)).toBe(5 - (left?.n ?? 0));
    const [row] = await fresh.db.query("select count(*) as n from longhaul.answers");
    expect(row).toEqual(left);
  });

  test("a database that is away costs nobody his answer", async () => {
    const one = start();
    const part = lead(await one.lead(asked({ cacheMs: 60_000 })));
    await open[0]?.db.end();
    await part.publish("still mine");
    await part.withdraw();
  });
});
