// A worker that is asked to stop hands its runs over at a boundary: nothing is lost, nothing is used up.
import { describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent } from "../../src/index.ts";
import { gate, journalOf, until, useStage } from "../support/longhaul.ts";

const stage = useStage();

test("a draining worker lets the step under way end, and another one goes on after it", async () => {
  const bodies: string[] = [];
  const hold = gate();
  const long = agent({
    name: "long",
    async run(ctx) {
      for (let i = 0; i < 4; i++) {
        await ctx.step("work", async ({ attempt }) => {
          bodies.push(`${i}:${attempt}`);
          if (i === 1) await hold.opened;
        });
      }
      return "done";
    },
  });
  const first = await stage.worker([long], { drainMs: 10_000 });
  const handle = await first.submit(long, null);
  await until(() => bodies.length === 2);
  const closed = first.close();
  hold.open();
  await closed;
  const second = await stage.worker([long]);
  expect(await second.wait(handle.runId)).toEqual({ status: "succeeded", output: "done" });
  expect(bodies).toEqual(["0:1", "1:1", "2:1", "3:1"]);
  const released = (await journalOf(stage.db, handle.runId)).find((entry) => entry.kind === KIND.released);
  expect(JSON.parse(released?.body ?? "")).toEqual({ move: "yield", reason: "drain" });
});

test("a step that takes longer than the drain is stopped and runs again elsewhere, without using up an attempt", async () => {
  const attempts: number[] = [];
  const hold = gate();
  const long = agent({
    name: "long",
    run: (ctx) =>
      ctx.step("work", { retry: false }, async ({ attempt, abort }) => {
        attempts.push(attempt);
        await Promise.race([
          hold.opened,
          new Promise((_, reject) => abort.addEventListener("abort", () => reject(abort.reason))),
        ]);
        return "done";
      }),
  });
  const first = await stage.worker([long], { drainMs: 30 });
  const handle = await first.submit(long, null);
  await until(() => attempts.length === 1);
  await first.close();
  hold.open();
  const second = await stage.worker([long]);
  expect(await second.wait(handle.runId)).toEqual({ status: "succeeded", output: "done" });
  expect(attempts).toEqual([1, 1]);
  const [run] = await stage.db.query("select crashes from longhaul.live where run_id = $1", [handle.runId]);
  expect(run).toBeUndefined();
});

test("handing over does not count as a crash, however often it happens (20, 21)", async () => {
  const never = agent({
    name: "never",
    run: (ctx) =>
      ctx.step(
        "hold",
        ({ abort }) => new Promise((_, reject) => abort.addEventListener("abort", () => reject(abort.reason))),
      ),
  });
  const client = await stage.client([never]);
  const handle = await client.submit(never, null);
  for (let i = 0; i < 4; i++) {
    const worker = await stage.worker([never], { drainMs: 0 });
    await until(async () => (await client.get(handle.runId))?.status === "running");
    await worker.close();
    expect((await client.get(handle.runId))?.status).toBe("queued");
  }
  const [row] = await stage.db.query("select crashes, isolate from longhaul.live where run_id = $1", [handle.runId]);
  expect(row).toEqual({ crashes: 0, isolate: false });
  await handle.cancel();
});

test("a draining worker claims nothing more, and says that it has stopped", async () => {
  const quick = agent({ name: "quick", run: () => 1 });
  const longhaul = await stage.worker([quick]);
  const client = await stage.client([quick]);
  await longhaul.close();
  const handle = await client.submit(quick, null);
  expect((await client.workers()).find((worker) => worker.workerId === longhaul.workerId)?.state).toBe("stopped");
  expect(await client.get(handle.runId)).toMatchObject({ status: "queued", epoch: 0 });
  expect(await client.why(handle.runId)).toMatchObject({ code: "no_worker" });
});

test("runs that wait are not touched by a drain, and 50 runs under way are all handed over", async () => {
  const hold = gate();
  let started = 0;
  const mixed = agent({
    name: "mixed",
    async run(ctx, n) {
      if ((n as number) % 2 === 0) await ctx.signal("go");
      return ctx.step("work", async ({ abort }) => {
        started += 1;
        await Promise.race([
          hold.opened,
          new Promise((_, reject) => abort.addEventListener("abort", () => reject(abort.reason))),
        ]);
        return n;
      });
    },
  });
  const first = await stage.worker([mixed], { slots: 100, drainMs: 0 });
  const handles = await Promise.all(Array.from({ length: 50 }, (_, n) => first.submit(mixed, n)));
  await until(() => started === 25);
  await until(
    async () =>
      (await first.list({ status: "waiting", limit: 200 })).filter((run) => run.build === stage.build).length === 25,
  );
  await first.close();
  const second = await stage.worker([mixed], { slots: 100 });
  for (const handle of handles.filter((_, n) => n % 2 === 0)) await second.signal(handle.runId, "go");
  hold.open();
  const results = await Promise.all(handles.map((handle) => second.wait(handle.runId)));
  expect(results.map((result) => result.status === "succeeded" && result.output)).toEqual(
    Array.from({ length: 50 }, (_, n) => n),
  );
});

describe("close", () => {
  test("may be called twice, and verbs say CLOSED or that the database cannot be had", async () => {
    const quick = agent({ name: "quick", run: () => 1 });
    const longhaul = await stage.worker([quick]);
    await Promise.all([longhaul.close(), longhaul.close()]);
    await expect(longhaul.submit(quick, null)).rejects.toMatchObject({ status: 503 });
    expect(await longhaul.healthy()).toBe(false);
  });

  test("ends streams and waits for results that are open", async () => {
    const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go") });
    const longhaul = await stage.worker([waiter]);
    const client = await stage.client([waiter]);
    const handle = await client.submit(waiter, null);
    await until(async () => (await longhaul.get(handle.runId))?.status === "waiting");
    const result = client.wait(handle.runId).catch((error: { code: string }) => error.code);
    const kinds: string[] = [];
    const stream = (async () => {
      for await (const event of client.stream(handle.runId)) kinds.push(event.kind);
    })();
    await until(() => kinds.length > 0);
    await client.close();
    await stream;
    expect(["CLOSED", "DATABASE_UNAVAILABLE"]).toContain(await result);
    await longhaul.cancel(handle.runId);
  });
});
