// Runs that are alike run once: while one is under way, and for a while after it has succeeded.
import { describe, expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { forgetRecentRuns } from "../../src/store/answers.ts";
import { gate, rejection, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
const HOUR = { dedupe: { ttl: "1 hour" } } as const;
const echo = agent({ name: "echo", run: (_ctx, input) => input });

async function countRuns(): Promise<number> {
  const text = "select count(*) as n from longhaul.runs where build = $1";
  const [row] = await stage.db.query<{ n: number }>(text, [stage.build]);
  return row?.n ?? -1;
}

describe("alike runs", () => {
  test("that come together are one, whichever process they come to, and all have its result", async () => {
    const [one, two] = [await stage.worker([echo]), await stage.client([echo])];
    const handles = await Promise.all(
      Array.from({ length: 30 }, (_, i) => (i % 2 ? one : two).submit(echo, { n: 1 }, HOUR)),
    );
    expect(new Set(handles.map((handle) => handle.runId)).size).toBe(1);
    expect(handles.filter((handle) => !handle.existing)).toHaveLength(1);
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(handles.map(() => ({ n: 1 })));
    expect(await countRuns()).toBe(1);
  });

  test("are those of an agent that says so, unless a submit says otherwise", async () => {
    const once = agent({ name: "once", dedupe: { ttl: "10 minutes" }, run: (_ctx, input) => input });
    const longhaul = await stage.worker([once]);
    const first = await longhaul.submit(once, "a");
    expect(await longhaul.submit(once, "a")).toMatchObject({ runId: first.runId, existing: true });
    expect((await longhaul.submit(once, "b")).runId).not.toBe(first.runId);
    expect((await longhaul.submit(once, "a", { dedupe: false })).runId).not.toBe(first.runId);
    expect(await countRuns()).toBe(3);
  });

  test("differ by agent, input, thread, configuration and tenant; not by metadata or priority", async () => {
    const other = agent({ name: "other", run: () => 1 });
    const longhaul = await stage.client([echo, other]);
    const { runId } = await longhaul.submit(echo, { a: 1 }, HOUR);
    const others = [
      await longhaul.submit(other, { a: 1 }, HOUR),
      await longhaul.submit(echo, { a: 2 }, HOUR),
      await longhaul.submit(echo, { a: 1 }, { ...HOUR, threadId: crypto.randomUUID() }),
      await longhaul.submit(echo, { a: 1 }, { ...HOUR, options: { config: { model: "x" } } }),
      await longhaul.tenant("another").submit(echo, { a: 1 }, HOUR),
    ];
    expect(new Set([runId, ...others.map((handle) => handle.runId)]).size).toBe(6);
    const same = await longhaul.submit(echo, { a: 1 }, { ...HOUR, metadata: { x: 1 }, priority: 1 });
    expect(same.runId).toBe(runId);
  });

  test("are one for as long as the one who submits says", async () => {
    const longhaul = await stage.worker([echo]);
    const first = await longhaul.submit(echo, "ttl", HOUR);
    await first.result();
    await stage.db.query("update longhaul.recent_runs set created_at = created_at - interval '10 minutes'");
    expect((await longhaul.submit(echo, "ttl", HOUR)).runId).toBe(first.runId);
    const second = await longhaul.submit(echo, "ttl", { dedupe: { ttl: "5 minutes" } });
    expect(second.existing).toBe(false);
    // From now on the newer one stands for them.
    expect((await longhaul.submit(echo, "ttl", HOUR)).runId).toBe(second.runId);
  });

  test("a large input is one, too", async () => {
    const longhaul = await stage.worker([echo]);
    const input = "x".repeat(200_000);
    const handles = await Promise.all([longhaul.submit(echo, input, HOUR), longhaul.submit(echo, input, HOUR)]);
    expect(handles[0]?.runId).toBe(handles[1]?.runId);
    expect(await handles[1]?.result()).toBe(input);
  });

  test("many in one call are as if they came one by one", async () => {
    const longhaul = await stage.worker([echo]);
    const items = Array.from({ length: 20 }, (_, i) => ({ agent: echo, input: i % 2, ...HOUR }));
    const answers = await longhaul.submitMany(items);
    expect(new Set(answers.map((answer) => ("run" in answer ? answer.run.runId : answer.error))).size).toBe(2);
  });
});

describe("a run does not stand for others", () => {
  test("when it failed, was cancelled, or is being cancelled", async () => {
    const door = gate();
    const fails = agent({ name: "fails", run: () => Promise.reject(new Error("no")) });
    const waits = agent({ name: "waits", run: () => door.opened });
    const longhaul = await stage.worker([fails, waits]);
    const failed = await longhaul.submit(fails, 1, HOUR);
    await rejection(failed.result());
    expect((await longhaul.submit(fails, 1, HOUR)).runId).not.toBe(failed.runId);

    const running = await longhaul.submit(waits, 1, HOUR);
    await untilStatus(longhaul, running.runId, "running");
    expect((await longhaul.submit(waits, 1, HOUR)).runId).toBe(running.runId);
    await running.cancel();
    const next = await longhaul.submit(waits, 1, HOUR);
    expect(next.runId).not.toBe(running.runId);
    door.open();
    await next.result();
  });

  test("when it was turned away, or is there no more", async () => {
    const longhaul = await stage.client([echo]);
    const threadId = crypto.randomUUID();
    await longhaul.submit(echo, "first", { threadId });
    const refused = longhaul.submit(echo, "x", { ...HOUR, threadId, ifBusy: "reject" });
    expect(await rejection(refused)).toMatchObject({ code: "THREAD_BUSY" });
    const { runId, existing } = await longhaul.submit(echo, "x", { ...HOUR, threadId });
    expect(existing).toBe(false);
    await stage.db.query("update longhaul.recent_runs set run_id = gen_random_uuid() where run_id = $1", [runId]);
    expect((await longhaul.submit(echo, "x", { ...HOUR, threadId })).existing).toBe(false);
  });

  test("when a submit names its run itself", async () => {
    const longhaul = await stage.client([echo]);
    const { runId } = await longhaul.submit(echo, "named", HOUR);
    expect((await longhaul.submit(echo, "named", { ...HOUR, idempotencyKey: "k" })).runId).not.toBe(runId);
    const mine = crypto.randomUUID();
    expect((await longhaul.submit(echo, "named", { ...HOUR, runId: mine })).runId).toBe(mine);
  });
});

test("a time that is none is refused; what is long ago is forgotten", async () => {
  expect(() => agent({ name: "x", dedupe: { ttl: "soon" }, run: () => 1 })).toThrow("soon");
  const longhaul = await stage.client([echo]);
  expect(await rejection(longhaul.submit(echo, 1, { dedupe: { ttl: -1 } }))).toMatchObject({
    code: "DURATION_INVALID",
  });
  await longhaul.submit(echo, "forgotten", HOUR);
  await stage.db.query("update longhaul.recent_runs set expires_at = clock_timestamp() - interval '1 s'");
  expect(await forgetRecentRuns(stage.db, 10_000)).toBeGreaterThan(0);
  expect(await stage.db.query("select from longhaul.recent_runs")).toEqual([]);
});
