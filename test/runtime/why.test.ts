// "Why does it not move?": one sentence and what would move it, for every situation a run can be in.
import { expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { pauseTenant } from "../../src/store/plans.ts";
import { gate, until, untilStatus, useStage } from "../support/longhaul.ts";
import { capTenant } from "../support/runs.ts";

const stage = useStage();
const echo = agent({ name: "echo", run: (_ctx, input) => input });
const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go", { timeout: "1 hour" }) });

test("no worker serves its build and queue", async () => {
  const longhaul = await stage.client([echo]);
  const { runId } = await longhaul.submit(echo, 1);
  const why = await longhaul.why(runId);
  expect(why).toMatchObject({ runId, status: "queued", code: "no_worker" });
  expect(why.sentence).toMatch(
    /^No worker serves build "test-\d+" on queue "default", and it has waited for .+; start one\.$/,
  );
  expect(why.commands).toContain("longhaul worker");
});

test("it may not start yet", async () => {
  const longhaul = await stage.worker([echo]);
  const { runId } = await longhaul.submit(echo, 1, { delay: "2 hours" });
  expect(await longhaul.why(runId)).toMatchObject({
    code: "delay",
    sentence: expect.stringMatching(/^It may not start before .* in (2 h|1 h 59 min|1 h 60 min|2 h .*)\.$/),
  });
});

test("its tenant is at its cap", async () => {
  const hold = gate();
  const holder = agent({ name: "holder", queue: "capped", run: (ctx) => ctx.step("s", () => hold.opened) });
  const longhaul = await stage.worker([holder]);
  await capTenant(stage.db, "capped", 1);
  const capped = longhaul.tenant("capped");
  const first = await capped.submit(holder, 1);
  await until(async () => (await capped.get(first.runId))?.status === "running");
  const second = await capped.submit(holder, 2);
  expect(await capped.why(second.runId)).toMatchObject({
    code: "cap",
    sentence: expect.stringContaining('is at the cap of its plan "cap of capped" (1 of 1 in flight)'),
  });
  hold.open();
  await second.result();
});

test("its agent, or its concurrency key, is at its limit", async () => {
  const hold = gate();
  const limited = agent({
    name: "limited",
    concurrency: { limit: 3, perKey: 1 },
    run: (ctx) => ctx.step("s", () => hold.opened),
  });
  const longhaul = await stage.worker([limited]);
  const submit = (tenant: string, concurrencyKey?: string) =>
    longhaul.tenant(tenant).submit(limited, null, concurrencyKey === undefined ? {} : { concurrencyKey });
  const [a, b] = [longhaul.tenant("limits-a"), longhaul.tenant("limits-b")];
  const first = [await submit("limits-a", "k"), await submit("limits-a"), await submit("limits-b", "k")];
  for (const { runId } of first)
    await until(async () => ((await a.get(runId)) ?? (await b.get(runId)))?.status === "running");
  const [keyed, plain, other] = [
    await submit("limits-a", "k"),
    await submit("limits-a"),
    await submit("limits-b", "new"),
  ];
  const said = async (tenant: typeof a, runId: string) => tenant.why(runId);
  expect(await said(a, keyed.runId)).toMatchObject({
    code: "key_limit",
    sentence:
      'Of the tenant\'s runs of agent limited with the concurrency key "k", 1 of 1 are in flight; the next of them that ends or waits makes room.',
    details: { key: "k", keyLimit: 1, keyInFlight: 1, agentLimit: 3, agentInFlight: 3 },
  });
  expect(await said(a, plain.runId)).toMatchObject({
    code: "key_limit",
    sentence: expect.stringContaining("without a concurrency key, 1 of 1"),
  });
  expect(await said(b, other.runId)).toMatchObject({
    code: "agent_limit",
    sentence: expect.stringContaining("Agent limited is at its limit (3 of 3 runs of all tenants in flight)"),
  });
  hold.open();
  await Promise.all([...first, keyed, plain, other].map((handle) => handle.result()));
});

test("its time to start is running out", async () => {
  const longhaul = await stage.client([echo]);
  const { runId } = await longhaul.submit(echo, 1, { startWithin: "1 hour" });
  expect(await longhaul.why(runId)).toMatchObject({
    code: "no_worker",
    sentence: expect.stringMatching(/; start one\. If nobody has started it in (1 h|59 min.*), it ends as expired\.$/),
    details: { startBy: expect.any(String) },
  });
  await stage.db.query(
    "insert into longhaul.workers (worker_id, pid, slots, host, build, queues, agents, version) values (gen_random_uuid(), 1, 1, 'h', $1, '{default}', '{}', '0')",
    [stage.build],
  );
  expect(await longhaul.why(runId)).toMatchObject({
    code: "expires",
    sentence: expect.stringContaining("It is ready: 0"),
  });
});

test("its tenant is paused", async () => {
  const longhaul = await stage.worker([agent({ name: "slow", queue: "halted", run: () => 1 })]);
  const halted = longhaul.tenant("halted");
  await halted.run("slow", 1);
  expect(await pauseTenant(stage.db, "halted", true)).toBe(true);
  const handle = await halted.submit("slow", 2);
  expect(await halted.why(handle.runId)).toMatchObject({
    code: "tenant_paused",
    sentence: "Tenant halted is paused: none of its runs starts.",
  });
  expect(await pauseTenant(stage.db, "halted", false)).toBe(true);
  expect(await handle.result()).toBe(1);
});

test("others are before it", async () => {
  const longhaul = await stage.client([echo]);
  await Promise.all([1, 2, 3].map((n) => longhaul.submit(echo, n)));
  const { runId } = await longhaul.submit(echo, 4);
  // A worker that is registered and takes nothing: it is gone before it could be asked.
  await stage.db.query(
    "insert into longhaul.workers (worker_id, pid, slots, host, build, queues, agents, version) values (gen_random_uuid(), 1, 1, 'h', $1, '{default}', '{}', '0')",
    [stage.build],
  );
  expect(await longhaul.why(runId)).toMatchObject({
    code: "behind",
    sentence: expect.stringContaining("3 of its tenant's runs are ahead of it"),
  });
});

test("it runs, and its worker's lease says how long it would take to notice that it does not", async () => {
  const hold = gate();
  const holder = agent({ name: "holder", run: (ctx) => ctx.step("s", () => hold.opened) });
  const longhaul = await stage.worker([holder]);
  const handle = await longhaul.submit(holder, 1);
  await untilStatus(longhaul, handle.runId, "running");
  const why = await longhaul.why(handle.runId);
  expect(why).toMatchObject({ code: "lease", details: { workerId: longhaul.workerId, cancelRequested: false } });
  expect(why.sentence).toMatch(/^It is running on worker .+:\d+; its lease ends in .+ unless it is renewed\.$/);
  hold.open();
  await handle.result();
});

test("it waits for a signal, a timer, a child, an answer", async () => {
  const asker = agent({ name: "asker", run: (ctx) => ctx.approval("publish", 1, { expires: "3 days" }) });
  const sleeper = agent({ name: "sleeper", run: (ctx) => ctx.sleep("2 days") });
  const parent = agent({ name: "parent", run: async (ctx) => (await ctx.spawn(sleeper, null)).result() });
  const longhaul = await stage.worker([waiter, asker, sleeper, parent]);
  const expected = {
    waiter: {
      code: "signal",
      sentence: expect.stringMatching(/^It waits for the signal "go"; a timer moves it in (1 h|59 min.*|60 min)\.$/),
    },
    asker: {
      code: "approval",
      sentence: expect.stringMatching(
        /^It waits for a person to answer the approval "publish", which expires in .*; an answer moves it\.$/,
      ),
    },
    sleeper: {
      code: "timer",
      sentence: expect.stringMatching(/^It waits for a timer \(timer\); a timer moves it in /),
    },
    parent: { code: "child", sentence: expect.stringMatching(/^It waits for its child sleeper [0-9a-f-]{36}\.$/) },
  };
  for (const [name, why] of Object.entries(expected)) {
    const handle = await longhaul.submit(name, null);
    await untilStatus(longhaul, handle.runId, "waiting");
    expect(await longhaul.why(handle.runId)).toMatchObject({ status: "waiting", ...why });
    expect((await longhaul.why(handle.runId)).commands.every((command) => command.startsWith("longhaul "))).toBe(true);
    await handle.cancel();
  }
});

test("it waits for its turn in a thread", async () => {
  const longhaul = await stage.worker([waiter]);
  const threadId = crypto.randomUUID();
  const first = await longhaul.submit(waiter, 1, { threadId });
  const second = await longhaul.submit(waiter, 2, { threadId });
  await untilStatus(longhaul, first.runId, "waiting");
  expect(await longhaul.why(second.runId)).toMatchObject({
    code: "thread",
    sentence: expect.stringContaining(first.runId),
  });
  await second.cancel();
  await first.cancel();
});

test("it has ended", async () => {
  const longhaul = await stage.worker([echo]);
  const handle = await longhaul.submit(echo, 1);
  await handle.result();
  expect(await longhaul.why(handle.runId)).toMatchObject({ status: "succeeded", code: "finished", commands: [] });
});

test("a run that is not there has no why", async () => {
  const longhaul = await stage.client([echo]);
  await expect(longhaul.why(crypto.randomUUID())).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
});
