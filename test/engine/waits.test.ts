// Timers and signals: a wait costs a row, ends once, and keeps its branch whatever comes later.
import { describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent } from "../../src/index.ts";
import { gate, journalOf, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

/** The row of a run that has not ended, and how many slots its tenant holds on its queue. */
async function row(
  runId: string,
): Promise<{ state: string; worker_id: string | null; expires_at: Date | null; in_flight: number }> {
  const [live] = await stage.db.query<{
    state: string;
    worker_id: string | null;
    expires_at: Date | null;
    in_flight: number;
  }>(
    `select l.state, l.worker_id, l.expires_at, t.in_flight from longhaul.live l join longhaul.lanes n using (lane_id)
       join longhaul.tenants t using (tenant_id) where run_id = $1`,
    [runId],
  );
  if (live === undefined) throw new Error("the run has ended");
  return live;
}

async function resolutions(runId: string): Promise<unknown[]> {
  return (await journalOf(stage.db, runId))
    .filter((entry) => entry.kind === KIND.received)
    .map((entry) => JSON.parse(entry.body ?? "null"));
}

describe("timers", () => {
  test("a short sleep is waited for in place", async () => {
    const napper = agent({ name: "napper", run: (ctx) => ctx.sleep(20) });
    const longhaul = await stage.worker([napper]);
    const handle = await longhaul.submit(napper, null);
    await handle.result();
    expect((await longhaul.get(handle.runId))?.epoch).toBe(1);
  });

  test("a long sleep costs a row: no worker, no lease, no slot (34)", async () => {
    const sleeper = agent({ name: "sleeper", queue: "sleepers", run: (ctx) => ctx.sleep("3650 days") });
    const longhaul = await stage.worker([sleeper]);
    const handle = await longhaul.submit(sleeper, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    expect(await row(handle.runId)).toEqual({ state: "waiting", worker_id: null, expires_at: null, in_flight: 0 });
    const detail = await longhaul.inspect(handle.runId);
    expect(detail?.waits).toMatchObject([{ label: "timer" }]);
    expect(await handle.cancel()).toBe("cancelled");
  });

  test("a sleep never ends early, by the database's clock (28)", async () => {
    const sleeper = agent({ name: "sleeper", run: (ctx) => ctx.sleep(400) });
    const longhaul = await stage.worker([sleeper], { warmMs: 0 });
    const handle = await longhaul.submit(sleeper, null);
    await handle.result();
    const entries = await journalOf(stage.db, handle.runId);
    const due = JSON.parse(entries.find((entry) => entry.kind === KIND.wait)?.body ?? "null").due as number;
    expect(Number(entries.find((entry) => entry.kind === KIND.received)?.at)).toBeGreaterThanOrEqual(due);
    expect(due - Number(entries[0]?.at)).toBeGreaterThanOrEqual(395);
  });

  test("a sleep that a dead worker began ends when it would have, not later", async () => {
    let starts = 0;
    const sleeper = agent({
      name: "sleeper",
      async run(ctx) {
        starts += 1;
        await ctx.step("before", () => 1);
        await ctx.sleep(1_500);
        return starts;
      },
    });
    const longhaul = await stage.worker([sleeper], { warmMs: 0 });
    const handle = await longhaul.submit(sleeper, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    const waits = (await longhaul.inspect(handle.runId))?.waits;
    await longhaul.close();
    const other = await stage.worker([sleeper]);
    expect((await other.inspect(handle.runId))?.waits).toEqual(waits);
    expect(await other.wait(handle.runId)).toEqual({ status: "succeeded", output: 2 });
    expect((await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === KIND.wait)).toHaveLength(1);
  });

  test("sleepUntil a moment that has passed goes on at once, sleepUntil nonsense fails", async () => {
    const past = agent({ name: "past", run: (ctx) => ctx.sleepUntil(new Date(0)).then(() => "on") });
    const odd = agent({ name: "odd", run: (ctx) => ctx.sleepUntil("the day after never") });
    const longhaul = await stage.worker([past, odd]);
    expect(await longhaul.run(past, null)).toBe("on");
    const handle = await longhaul.submit(odd, null);
    expect(await longhaul.wait(handle.runId)).toMatchObject({ reason: "duration_invalid" });
  });

  test("two timers in parallel ring in the order of their times", async () => {
    const two = agent({
      name: "two",
      async run(ctx) {
        const order: string[] = [];
        await ctx.all({
          late: (c) => c.sleep(600).then(() => order.push("late")),
          early: (c) => c.sleep(300).then(() => order.push("early")),
        });
        return order;
      },
    });
    const longhaul = await stage.worker([two], { warmMs: 0 });
    expect(await longhaul.run(two, null)).toEqual(["early", "late"]);
  });
});

describe("signals", () => {
  test("one that is sent before anybody waits is kept (31)", async () => {
    const hold = gate();
    const late = agent({
      name: "late",
      async run(ctx) {
        await ctx.step("hold", () => hold.opened);
        return ctx.signal("go");
      },
    });
    const longhaul = await stage.worker([late]);
    const handle = await longhaul.submit(late, null);
    await longhaul.signal(handle.runId, "go", { n: 1n });
    hold.open();
    expect(await handle.result()).toEqual({ n: 1n });
  });

  test("one that is sent while the run is queued is kept (31)", async () => {
    const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go") });
    const client = await stage.client([waiter]);
    const handle = await client.submit(waiter, null);
    await client.signal(handle.runId, "go", "early");
    const longhaul = await stage.worker([waiter]);
    expect(await longhaul.wait(handle.runId)).toEqual({ status: "succeeded", output: "early" });
  });

  test("one wakes a sleeping run, and only the one of its name", async () => {
    const waiter = agent({ name: "waiter", run: async (ctx) => [await ctx.signal("a"), await ctx.signal("b")] });
    const longhaul = await stage.worker([waiter], { warmMs: 0 });
    const handle = await longhaul.submit(waiter, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    const epoch = (await longhaul.get(handle.runId))?.epoch;
    await longhaul.signal(handle.runId, "b", 2);
    expect(await longhaul.get(handle.runId)).toMatchObject({ status: "waiting", epoch });
    await longhaul.signal(handle.runId, "a", 1);
    expect(await handle.result()).toEqual([1, 2]);
  });

  test("several of one name are taken in the order in which they came, each once (30)", async () => {
    const collector = agent({
      name: "collector",
      async run(ctx) {
        const got: unknown[] = [];
        for (let i = 0; i < 20; i++) got.push(await ctx.signal("item"));
        return got;
      },
    });
    const longhaul = await stage.worker([collector]);
    const handle = await longhaul.submit(collector, null);
    for (let i = 0; i < 20; i++) await longhaul.signal(handle.runId, "item", i);
    expect(await handle.result()).toEqual(Array.from({ length: 20 }, (_, i) => i));
    const left = await stage.db.query("select 1 from longhaul.inbox where run_id = $1", [handle.runId]);
    expect(left).toEqual([]);
  });

  test("two branches that wait for one name get one each", async () => {
    const twins = agent({
      name: "twins",
      run: (ctx) => ctx.all({ one: (c) => c.signal("s"), two: (c) => c.signal("s") }),
    });
    const longhaul = await stage.worker([twins], { warmMs: 0 });
    const handle = await longhaul.submit(twins, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    await longhaul.signal(handle.runId, "s", "first");
    await longhaul.signal(handle.runId, "s", "second");
    expect(await handle.result()).toEqual({ one: "first", two: "second" });
  });

  test("a time-out gives undefined, and a signal that comes later changes nothing, also after a takeover", async () => {
    const seen: unknown[] = [];
    const hold = gate();
    const impatient = agent({
      name: "impatient",
      async run(ctx) {
        seen.push(await ctx.signal("go", { timeout: 30 }));
        await ctx.step("hold", () => hold.opened);
        return seen.at(-1);
      },
    });
    const longhaul = await stage.worker([impatient]);
    const handle = await longhaul.submit(impatient, null);
    await until(() => seen.length === 1);
    await longhaul.signal(handle.runId, "go", "late");
    await stage.takeOver(handle.runId);
    await until(() => seen.length === 2);
    hold.open();
    expect(await handle.result()).toBeUndefined();
    expect(seen).toEqual([undefined, undefined]);
    expect(await resolutions(handle.runId)).toEqual([{ by: "time" }]);
  });

  test("a signal that comes in time wins over its time-out, and the timer is gone", async () => {
    const patient = agent({ name: "patient", run: (ctx) => ctx.signal("go", { timeout: "1 hour" }) });
    const longhaul = await stage.worker([patient], { warmMs: 0 });
    const handle = await longhaul.submit(patient, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    await longhaul.signal(handle.runId, "go", "in time");
    expect(await handle.result()).toBe("in time");
    expect(await stage.db.query("select 1 from longhaul.later where run_id = $1", [handle.runId])).toEqual([]);
    expect(await stage.db.query("select 1 from longhaul.waits where run_id = $1", [handle.runId])).toEqual([]);
  });

  test("a signal and a time-out in the same moment resolve the wait once (30)", async () => {
    const racer = agent({
      name: "racer",
      run: (ctx, ms) => ctx.signal("go", { timeout: ms as number }).then((value) => value ?? "time"),
    });
    const longhaul = await stage.worker([racer]);
    const handles = await Promise.all(Array.from({ length: 20 }, (_, i) => longhaul.submit(racer, 270 + i)));
    await new Promise((resolve) => setTimeout(resolve, 270));
    await Promise.all(handles.map((handle) => longhaul.signal(handle.runId, "go", "signal").catch(() => undefined)));
    for (const handle of handles) {
      const output = await handle.result();
      expect(await resolutions(handle.runId)).toEqual([
        output === "time" ? { by: "time" } : { by: "message", v: "signal" },
      ]);
    }
  });

  test("a payload above 64 KiB comes through whole, and again after a takeover", async () => {
    const large = "s".repeat(200_000);
    const seen: unknown[] = [];
    const hold = gate();
    const waiter = agent({
      name: "waiter",
      async run(ctx) {
        seen.push(await ctx.signal("go"));
        await ctx.step("hold", () => hold.opened);
      },
    });
    const longhaul = await stage.worker([waiter]);
    const handle = await longhaul.submit(waiter, null);
    await longhaul.signal(handle.runId, "go", large);
    await until(() => seen.length === 1);
    await stage.takeOver(handle.runId);
    await until(() => seen.length === 2);
    hold.open();
    await handle.result();
    expect(seen).toEqual([large, large]);
  });

  test("an ended run takes none (RUN_FINISHED), a full inbox none (INBOX_FULL)", async () => {
    const quick = agent({ name: "quick", run: () => 1 });
    const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("other") });
    const longhaul = await stage.worker([quick, waiter]);
    const ended = await longhaul.submit(quick, null);
    await ended.result();
    await expect(longhaul.signal(ended.runId, "go")).rejects.toMatchObject({ code: "RUN_FINISHED" });
    const handle = await longhaul.submit(waiter, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    await stage.db.query(
      "insert into longhaul.inbox (run_id, seq, kind, key, body) select $1, n, 'signal', 'signal:x', '1' from generate_series(1, 10000) n",
      [handle.runId],
    );
    await stage.db.query("update longhaul.live set inbox_seq = 10000 where run_id = $1", [handle.runId]);
    await expect(longhaul.signal(handle.runId, "go")).rejects.toMatchObject({ code: "INBOX_FULL" });
    await handle.cancel();
  });
});

describe("warm and cold", () => {
  const script = (starts: { n: number }) =>
    agent({
      name: "script",
      async run(ctx) {
        starts.n += 1;
        const a = await ctx.step("a", () => 1);
        const s = await ctx.signal<number>("go");
        await ctx.sleep(800);
        const t = await ctx.signal<number>("go");
        const b = await ctx.step("b", () => a + s + t);
        return { a, s, t, b };
      },
    });

  test.each([
    ["warm: the live function goes on, nothing is replayed", 5_000, 1],
    ["cold: every continuation replays, with the same result", 0, 4],
  ])("%s", async (_, warmMs, expected) => {
    const starts = { n: 0 };
    const longhaul = await stage.worker([script(starts)], { warmMs });
    const handle = await longhaul.submit("script", null);
    for (const payload of [10, 100]) {
      await untilStatus(longhaul, handle.runId, "waiting");
      await until(async () => (await longhaul.inspect(handle.runId))?.waits.some((wait) => wait.key === "signal:go"));
      await longhaul.signal(handle.runId, "go", payload);
    }
    expect(await handle.result()).toEqual({ a: 1, s: 10, t: 100, b: 111 });
    expect(starts.n).toBe(expected);
    const claims = (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === KIND.claimed);
    expect(claims).toHaveLength(4);
  });

  test("a live function that was kept is dropped when another worker had the run in between", async () => {
    const starts = { n: 0 };
    const first = await stage.worker([script(starts)], { warmMs: 60_000, slots: 1 });
    const handle = await first.submit("script", null);
    await untilStatus(first, handle.runId, "waiting");
    // The first worker is kept busy, so that another one has to take the run.
    const second = await stage.worker([script(starts)], { warmMs: 0 });
    await stage.db.query("update longhaul.live set epoch = epoch + 1 where run_id = $1", [handle.runId]);
    await first.signal(handle.runId, "go", 10);
    await until(async () => (await second.inspect(handle.runId))?.waits.some((wait) => wait.key === "signal:go"));
    await first.signal(handle.runId, "go", 100);
    expect(await handle.result()).toEqual({ a: 1, s: 10, t: 100, b: 111 });
    expect(starts.n).toBeGreaterThan(1);
  });

  test("a released run whose code asks for more is called back", async () => {
    const two = agent({
      name: "two",
      async run(ctx) {
        const sleeping = ctx.sleep("1 hour");
        await new Promise((resolve) => setTimeout(resolve, 300));
        const value = await ctx.step("after", () => "called back");
        void sleeping;
        return value;
      },
    });
    const longhaul = await stage.worker([two]);
    const handle = await longhaul.submit(two, null);
    expect(await handle.result()).toBe("called back");
    expect((await longhaul.get(handle.runId))?.epoch).toBe(2);
  });

  test("a run whose code waits for something of its own is not taken for waiting while a step runs", async () => {
    const hold = gate();
    const both = agent({
      name: "both",
      run: (ctx) =>
        ctx.all({ wait: (c) => c.signal("go"), work: (c) => c.step("work", () => hold.opened.then(() => 1)) }),
    });
    const longhaul = await stage.worker([both]);
    const handle = await longhaul.submit(both, null);
    await until(async () => (await longhaul.get(handle.runId))?.status === "running");
    await longhaul.signal(handle.runId, "go", "s");
    await until(async () => (await resolutions(handle.runId)).length === 1);
    expect((await longhaul.get(handle.runId))?.status).toBe("running");
    hold.open();
    expect(await handle.result()).toEqual({ wait: "s", work: 1 });
  });

  test("finally blocks do not run when a run goes to sleep and its function is dropped", async () => {
    const cleaned: string[] = [];
    const careful = agent({
      name: "careful",
      async run(ctx) {
        try {
          await ctx.signal("go");
        } finally {
          cleaned.push("cleaned");
        }
      },
    });
    const longhaul = await stage.worker([careful], { warmMs: 0 });
    const handle = await longhaul.submit(careful, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    expect(cleaned).toEqual([]);
    await longhaul.signal(handle.runId, "go");
    await handle.result();
    expect(cleaned).toEqual(["cleaned"]);
  });
});

test("a signal that is read while the run is falling asleep is not slept through (31)", async () => {
  const hold = gate();
  let started = false;
  const sleepy = agent({
    name: "sleepy",
    async run(ctx) {
      started = true;
      await hold.opened;
      // Writes of their own, under way when the run decides to sleep; the answer of the first brings the news of the signal.
      for (let i = 0; i < 5; i++) {
        ctx.emit("about to wait", i);
        for (let turn = 0; turn < 20; turn++) await undefined;
      }
      return ctx.signal("go");
    },
  });
  const longhaul = await stage.worker([sleepy]);
  const handle = await longhaul.submit(sleepy, null);
  await until(() => started);
  await stage.db.transaction(async (tx) => {
    await tx.query("select longhaul.deliver($1, 'signal', 'signal:go', '\"in time\"', null, 10)", [handle.runId]);
    hold.open();
    await until(async () => {
      const blocked = await stage.db.query(
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%longhaul.append(%' and datname = current_database()",
      );
      return blocked.length > 0;
    });
  });
  expect(await handle.result({ timeoutMs: 15_000 })).toBe("in time");
});
