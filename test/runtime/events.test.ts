// Following runs: every journaled event once and in order, from anywhere, to its end.
import { expect, test } from "vitest";
import { agent, type RunEvent } from "../../src/index.ts";
import { gate, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

const talker = agent({
  name: "talker",
  async run(ctx, n) {
    for (let i = 0; i < (n as number); i++) {
      await ctx.step("s", () => i);
      ctx.emit("progress", { i });
    }
    return "done";
  },
});

async function collect(source: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of source) events.push(event);
  return events;
}

test("a stream gives every entry once, numbered without a gap, and ends with the run (41, 46)", async () => {
  const longhaul = await stage.worker([talker]);
  const handle = await longhaul.submit(talker, 50);
  const events = await collect(handle.events());
  expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 102 }, (_, i) => i + 1));
  expect(events[0]).toMatchObject({ kind: "claimed" });
  expect(events.at(-1)).toMatchObject({ kind: "finished", data: { status: "succeeded" } });
  expect(events.filter((event) => event.kind === "emit").map((event) => event.data)).toEqual(
    Array.from({ length: 50 }, (_, i) => ({ name: "progress", payload: { i } })),
  );
});

test("whoever comes after the end gets the same events, byte for byte (42, 46)", async () => {
  const longhaul = await stage.worker([talker]);
  const handle = await longhaul.submit(talker, 10);
  const live = await collect(handle.events());
  const other = await stage.client([talker]);
  expect(JSON.stringify(await collect(other.stream(handle.runId)))).toBe(JSON.stringify(live));
});

test("whoever reconnects goes on after what they had, wherever that was (41)", async () => {
  const longhaul = await stage.worker([talker]);
  const handle = await longhaul.submit(talker, 6);
  const all = await collect(handle.events());
  for (let after = 0; after <= all.length - 1; after++)
    expect(await collect(handle.events({ after }))).toEqual(all.slice(after));
});

test("20 followers in two processes see the same, across a takeover (41)", async () => {
  const hold = gate();
  let starts = 0;
  const slow = agent({
    name: "slow",
    async run(ctx) {
      starts += 1;
      for (let i = 0; i < 5; i++) await ctx.step("s", () => i);
      await ctx.step("hold", () => hold.opened);
    },
  });
  const longhaul = await stage.worker([slow]);
  const other = await stage.client([slow]);
  const handle = await longhaul.submit(slow, null);
  const following = Array.from({ length: 20 }, (_, i) => collect((i % 2 ? longhaul : other).stream(handle.runId)));
  await until(async () => ((await longhaul.get(handle.runId))?.journalSeq ?? 0) >= 6);
  await stage.takeOver(handle.runId);
  await until(() => starts === 2);
  hold.open();
  const [first, ...others] = await Promise.all(following);
  expect(first?.map((event) => event.kind)).toEqual([
    "claimed",
    "step",
    "step",
    "step",
    "step",
    "step",
    "lost",
    "claimed",
    "step",
    "finished",
  ]);
  for (const events of others) expect(events).toEqual(first);
});

test("a follower that leaves stops asking, and one that is slow misses nothing", async () => {
  const longhaul = await stage.worker([talker]);
  const handle = await longhaul.submit(talker, 1_000);
  const abort = new AbortController();
  const left: RunEvent[] = [];
  for await (const event of handle.events({ abort: abort.signal })) {
    left.push(event);
    if (left.length === 3) abort.abort();
  }
  expect(left.length).toBeGreaterThanOrEqual(3);
  expect(left.length).toBeLessThan(2_002);
  const slow: number[] = [];
  for await (const event of handle.events()) {
    if (slow.length % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    slow.push(event.seq);
  }
  expect(slow).toEqual(Array.from({ length: 2_002 }, (_, i) => i + 1));
});

test("what a run did is shown as steps: attempts, values, failures, waits, children", async () => {
  const child = agent({ name: "child", run: () => "from the child" });
  const varied = agent({
    name: "varied",
    async run(ctx) {
      await ctx.step("flaky", { retry: { initialMs: 1, maxAttempts: 2 } }, ({ attempt }) => {
        if (attempt === 1) throw new Error("first");
        return "value";
      });
      await ctx
        .step("fails", { retry: false }, () => {
          throw new Error("caught");
        })
        .catch(() => undefined);
      await ctx.signal("go");
      await (await ctx.spawn(child, null)).result();
      await ctx.sleep("1 hour");
    },
  });
  const longhaul = await stage.worker([varied, child]);
  const handle = await longhaul.submit(varied, { large: "i".repeat(70_000) });
  await longhaul.signal(handle.runId, "go", { answer: 42 });
  await until(async () => (await longhaul.inspect(handle.runId))?.waits.some((wait) => wait.label === "timer"));
  const detail = await longhaul.inspect(handle.runId);
  expect(detail).toMatchObject({
    status: "waiting",
    input: { large: "i".repeat(70_000) },
    children: [{ agent: "child", status: "succeeded" }],
  });
  expect(
    detail?.steps.map((step) => [step.key.replace(/[0-9a-f]{12}/, "…"), step.kind, step.status, step.attempts]),
  ).toEqual([
    ["flaky#1", "step", "succeeded", 2],
    ["fails#1", "step", "failed", 1],
    ["signal go#1", "wait", "succeeded", 1],
    ["spawn child#1", "child", "succeeded", 1],
    ["end of …#1", "wait", "succeeded", 1],
    ["sleep#1", "wait", "waiting", 1],
  ]);
  expect(detail?.steps[2]?.value).toEqual({ answer: 42 });
  await handle.cancel();
});

test("lists are newest first, and narrowed by status, agent, thread, parent and metadata", async () => {
  const echo = agent({ name: `echo-${stage.build}`, run: (_ctx, input) => input });
  const waiter = agent({ name: `waiter-${stage.build}`, run: (ctx) => ctx.signal("go") });
  const longhaul = await stage.worker([echo, waiter]);
  const threadId = crypto.randomUUID();
  const ids: string[] = [];
  for (let i = 0; i < 5; i++)
    ids.unshift(
      (await longhaul.submit(echo, i, { metadata: { i, kind: "list" }, ...(i === 3 ? { threadId } : {}) })).runId,
    );
  for (const id of ids) await longhaul.wait(id);
  const waiting = await longhaul.submit(waiter, null);
  await untilStatus(longhaul, waiting.runId, "waiting");
  const found = async (filter: Parameters<typeof longhaul.list>[0]) =>
    (await longhaul.list(filter)).map((run) => run.runId);
  expect(await found({ agent: echo.name })).toEqual(ids);
  expect(await found({ agent: echo.name, limit: 2 })).toEqual(ids.slice(0, 2));
  expect(await found({ agent: echo.name, limit: 2, before: ids[1] as string })).toEqual(ids.slice(2, 4));
  expect(await found({ agent: echo.name, offset: 3 })).toEqual(ids.slice(3));
  expect(await found({ metadata: { i: 2, kind: "list" } })).toEqual([ids[2]]);
  expect(await found({ threadId })).toEqual([ids[1]]);
  expect(await found({ agent: waiter.name, status: ["waiting", "paused"] })).toEqual([waiting.runId]);
  expect(await found({ agent: waiter.name, status: "succeeded" })).toEqual([]);
  expect(await found({ threadId: "no id" })).toEqual([]);
  await waiting.cancel();
});

test("workers and queues are told as they are", async () => {
  const hold = gate();
  const holder = agent({ name: "holder", queue: "told", run: (ctx) => ctx.step("s", () => hold.opened) });
  const longhaul = await stage.worker([holder], { slots: 1 });
  const handles = [await longhaul.submit(holder, 1), await longhaul.submit(holder, 2)];
  await until(async () => (await longhaul.get(handles[0]?.runId ?? ""))?.status === "running");
  expect((await longhaul.workers()).find((worker) => worker.workerId === longhaul.workerId)).toMatchObject({
    build: stage.build,
    agents: ["holder"],
    slots: 1,
    running: 1,
    state: "active",
    pid: process.pid,
  });
  expect((await longhaul.queues()).find((queue) => queue.queue === "told")).toMatchObject({
    tenant: "default",
    depth: 1,
    inFlight: 1,
    cap: null,
    workers: 1,
  });
  hold.open();
  for (const handle of handles) await handle.result();
});
