// Cancelling: wherever a run is, it ends once, and no new step starts after its worker has heard.
import { describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent } from "../../src/index.ts";
import { gate, journalOf, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go") });

/** A step that runs until its signal fires, and says what it heard. */
function holder(heard: unknown[], after: string[] = []) {
  return agent({
    name: "holder",
    async run(ctx) {
      await ctx.step("hold", async ({ abort }) => {
        heard.push("started");
        await new Promise((resolve) => abort.addEventListener("abort", resolve));
        heard.push(abort.reason);
        throw new Error("stopped");
      });
      await ctx.step("next", () => after.push("next"));
    },
  });
}

test("a queued run is cancelled at once and never starts", async () => {
  const client = await stage.client([waiter]);
  const handle = await client.submit(waiter, null);
  expect(await handle.cancel("not needed")).toBe("cancelled");
  expect(await client.get(handle.runId)).toMatchObject({ status: "cancelled", reason: "not needed", epoch: 1 });
  const worker = await stage.worker([waiter]);
  await until(async () => (await worker.queues()).every((queue) => queue.build !== stage.build || queue.depth === 0));
  expect((await journalOf(stage.db, handle.runId)).map((entry) => entry.kind)).toEqual([KIND.finished]);
});

test("a delayed run is cancelled at once, and its timer with it", async () => {
  const client = await stage.client([waiter]);
  const handle = await client.submit(waiter, null, { delay: "1 hour" });
  expect(await handle.cancel()).toBe("cancelled");
  expect(await stage.db.query("select 1 from longhaul.later where run_id = $1", [handle.runId])).toEqual([]);
});

test("a waiting run is cancelled at once, with its waits, and whoever waits for the result hears of it", async () => {
  const longhaul = await stage.worker([waiter]);
  const handle = await longhaul.submit(waiter, null);
  const result = rejection(handle.result());
  await untilStatus(longhaul, handle.runId, "waiting");
  expect(await handle.cancel("enough")).toBe("cancelled");
  expect(await result).toMatchObject({ code: "RUN_CANCELLED", message: expect.stringContaining("enough") });
  expect(await stage.db.query("select 1 from longhaul.waits where run_id = $1", [handle.runId])).toEqual([]);
});

test("a running step hears of it through its signal, and no further step starts (18)", async () => {
  const heard: unknown[] = [];
  const after: string[] = [];
  const longhaul = await stage.worker([holder(heard, after)]);
  const handle = await longhaul.submit("holder", null);
  await until(() => heard.length === 1);
  expect(await handle.cancel("stop it")).toBe("requested");
  expect(await longhaul.wait(handle.runId)).toEqual({ status: "cancelled", reason: "stop it" });
  expect(heard[1]).toMatchObject({ code: "RUN_CANCELLED" });
  expect(after).toEqual([]);
  expect((await journalOf(stage.db, handle.runId)).map((entry) => entry.kind)).toEqual([KIND.claimed, KIND.finished]);
});

test("it reaches the worker of another process", async () => {
  const heard: unknown[] = [];
  const longhaul = await stage.worker([holder(heard)]);
  const other = await stage.client([holder([])]);
  const handle = await longhaul.submit("holder", null);
  await until(() => heard.length === 1);
  expect(await other.cancel(handle.runId)).toBe("requested");
  expect((await other.wait(handle.runId)).status).toBe("cancelled");
});

test("a step that does not hear is left behind after the grace; what it does later is not recorded", async () => {
  const hold = gate();
  let started = false;
  const deaf = agent({
    name: "deaf",
    run: (ctx) =>
      ctx.step("deaf", async () => {
        started = true;
        await hold.opened;
        return "too late";
      }),
  });
  const longhaul = await stage.worker([deaf], { graceMs: 50 });
  const handle = await longhaul.submit(deaf, null);
  await until(() => started);
  await handle.cancel();
  expect((await longhaul.wait(handle.runId)).status).toBe("cancelled");
  const before = await journalOf(stage.db, handle.runId);
  hold.open();
  await new Promise((resolve) => setImmediate(resolve));
  expect(await journalOf(stage.db, handle.runId)).toEqual(before);
});

test("a step that ends while it is cancelled is recorded as ended, or not at all: never both (18)", async () => {
  for (let i = 0; i < 10; i++) {
    const hold = gate();
    let started = false;
    const quick = agent({
      name: "quick",
      async run(ctx) {
        const value = await ctx.step("s", async () => {
          started = true;
          await hold.opened;
          return "value";
        });
        await ctx.step("hold", ({ abort }) => new Promise((resolve) => abort.addEventListener("abort", resolve)));
        return value;
      },
    });
    const longhaul = await stage.worker([quick], {}, { build: `${stage.build}-${i}` });
    const handle = await longhaul.submit(quick, null);
    await until(() => started);
    const asked = handle.cancel();
    hold.open();
    await asked;
    expect((await longhaul.wait(handle.runId)).status).toBe("cancelled");
    const steps = (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === KIND.step);
    expect(steps.map((entry) => entry.key)).toEqual(steps.length === 0 ? [] : ["s#1"]);
    await longhaul.close();
  }
});

test("a cancel for a run whose worker is gone ends it when its lease lapses", async () => {
  const heard: unknown[] = [];
  const longhaul = await stage.worker([holder(heard)], { slots: 1 });
  const handle = await longhaul.submit("holder", null);
  await until(() => heard.length === 1);
  await stage.db.query("update longhaul.live set cancel = 'asked meanwhile' where run_id = $1", [handle.runId]);
  await stage.takeOver(handle.runId);
  expect(await longhaul.wait(handle.runId)).toEqual({ status: "cancelled", reason: "asked meanwhile" });
});

test("of many cancels one reason is kept, and none fails", async () => {
  const heard: unknown[] = [];
  const longhaul = await stage.worker([holder(heard), waiter]);
  for (const name of ["holder", "waiter"]) {
    const handle = await longhaul.submit(name, null);
    await until(async () => ["running", "waiting"].includes((await longhaul.get(handle.runId))?.status ?? ""));
    const verdicts = await Promise.all(Array.from({ length: 10 }, (_, i) => handle.cancel(`reason ${i}`)));
    expect(verdicts.filter((verdict) => verdict === "cancelled").length).toBeLessThanOrEqual(1);
    expect(await longhaul.wait(handle.runId)).toMatchObject({
      status: "cancelled",
      reason: expect.stringMatching(/^reason \d$/),
    });
  }
});

describe("what cannot be cancelled", () => {
  test("an ended run answers finished, and stays as it ended (16)", async () => {
    const quick = agent({ name: "quick", run: () => "done" });
    const longhaul = await stage.worker([quick]);
    const handle = await longhaul.submit(quick, null);
    await handle.result();
    expect(await handle.cancel()).toBe("finished");
    expect(await longhaul.result(handle.runId)).toEqual({ status: "succeeded", output: "done" });
  });

  test("an unknown run and one of another tenant are not found", async () => {
    const longhaul = await stage.worker([waiter]);
    const handle = await longhaul.submit(waiter, null);
    await expect(longhaul.tenant("other").cancel(handle.runId)).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    await expect(longhaul.cancel(crypto.randomUUID())).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    await expect(longhaul.cancel("no id")).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    await handle.cancel();
  });

  test("code that ends before it hears wins over the cancel, and its output is kept", async () => {
    const hold = gate();
    let started = false;
    const stubborn = agent({
      name: "stubborn",
      async run(ctx) {
        await ctx.step("last", async () => {
          started = true;
          await hold.opened;
        });
        return "finished anyway";
      },
    });
    const longhaul = await stage.worker([stubborn], { graceMs: 5_000 });
    const handle = await longhaul.submit(stubborn, null);
    await until(() => started);
    await handle.cancel();
    hold.open();
    const result = await longhaul.wait(handle.runId);
    expect(["succeeded", "cancelled"]).toContain(result.status);
  });
});
