// A run that is submitted where a worker has time is stored and claimed by one statement; in every other case the worker claims it by itself.
import { expect, test } from "vitest";
import { type AnyAgent, agent } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { type Gate, gate, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
const echo = agent({ name: "echo", run: (_ctx, input) => input });
const LARGE = "x".repeat(70_000);

/** Whether the transaction that stored the run also claimed it. */
async function startedBySubmit(runId: string): Promise<boolean | undefined> {
  const [row] = await stage.db.query<{ together: boolean }>(
    "select r.xmin = j.xmin as together from longhaul.runs r join longhaul.journal j using (run_id) where r.run_id = $1 and j.kind = 1 and j.epoch = 1",
    [runId],
  );
  return row?.together;
}

/** A worker that has slots left whatever it asks for. */
const idleWorker = (agents: readonly AnyAgent[]): Promise<LonghaulProcess> => stage.worker(agents, { slots: 64 });

/** An agent that ends when the door is opened. */
const behind = (door: Gate): AnyAgent => agent({ name: "holds", run: (ctx) => ctx.step("wait", () => door.opened) });

test("one transaction stores and claims it, and its worker goes on with it", async () => {
  const longhaul = await idleWorker([echo]);
  const run = await longhaul.submit(echo, { n: 1 });
  expect(await run.result()).toEqual({ n: 1 });
  expect(await startedBySubmit(run.runId)).toBe(true);
  expect((await longhaul.get(run.runId))?.status).toBe("succeeded");
});

test("what must wait, is large, or is another build's or queue's, is stored alone", async () => {
  const longhaul = await idleWorker([echo]);
  const later = await longhaul.submit(echo, 1, { delay: 50 });
  const large = await longhaul.submit(echo, LARGE);
  const builds = await longhaul.submit(echo, 1, { build: `${stage.build}-next` });
  const queues = await longhaul.submit(echo, 1, { queue: "nobody" });
  await Promise.all([later.result(), large.result()]);
  expect([await startedBySubmit(later.runId), await startedBySubmit(large.runId)]).toEqual([false, false]);
  expect([await startedBySubmit(builds.runId), await startedBySubmit(queues.runId)]).toEqual([undefined, undefined]);
  await Promise.all([longhaul.cancel(builds.runId), longhaul.cancel(queues.runId)]);
});

test("a process without a worker, and one whose slots are taken, store it alone", async () => {
  const door = gate();
  const holds = behind(door);
  const busy = await stage.worker([holds, echo], { slots: 1 });
  const client = await stage.client([holds, echo]);
  const first = await client.submit(holds, null);
  await untilStatus(client, first.runId, "running");
  const second = await busy.submit(echo, 2);
  expect((await client.get(second.runId))?.status).toBe("queued");
  door.open();
  expect(await second.result()).toBe(2);
  expect([await startedBySubmit(first.runId), await startedBySubmit(second.runId)]).toEqual([false, false]);
});

test("a tenant at its cap stays behind it", async () => {
  const door = gate();
  const holds = behind(door);
  const longhaul = await idleWorker([holds, echo]);
  await longhaul.plans.set("one at a time", { concurrency: 1 });
  await longhaul.tenants.setPlan("narrow", "one at a time");
  const narrow = longhaul.tenant("narrow");
  const first = await narrow.submit(holds, null);
  await until(async () => (await narrow.get(first.runId))?.status === "running");
  const second = await narrow.submit(echo, 2);
  expect((await narrow.get(second.runId))?.status).toBe("queued");
  door.open();
  expect(await second.result()).toBe(2);
  expect(await startedBySubmit(second.runId)).toBe(false);
});

test("a submit that is turned away starts nothing, and one that is repeated starts it once", async () => {
  const longhaul = await idleWorker([echo]);
  await longhaul.plans.set("none", { unfinishedMax: 0 });
  await longhaul.tenants.setPlan("full", "none");
  expect(await rejection(longhaul.tenant("full").submit(echo, 1))).toMatchObject({ code: "TENANT_FULL", status: 429 });
  const one = await longhaul.submit(echo, 1, { idempotencyKey: "again" });
  const two = await longhaul.submit(echo, 1, { idempotencyKey: "again" });
  expect([two.runId, two.existing]).toEqual([one.runId, true]);
  expect(await two.result()).toBe(1);
});
