// Replay after a takeover: no recorded body runs again, everything comes back in its recorded order, and changed code is noticed.
import { describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent } from "../../src/index.ts";
import { type Gate, gate, journalOf, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

test("a takeover by another worker runs no recorded body again (7)", async () => {
  const bodies: string[] = [];
  const hold = gate();
  const long = agent({
    name: "long",
    async run(ctx) {
      const results: number[] = [];
      for (let i = 0; i < 5; i++) {
        results.push(
          await ctx.step("work", async () => {
            bodies.push(`work ${i}`);
            if (i === 3) await hold.opened;
            return i * i;
          }),
        );
      }
      return results;
    },
  });
  const first = await stage.worker([long], { slots: 1 });
  const handle = await first.submit(long, null);
  await until(() => bodies.length === 4);
  const second = await stage.worker([long]);
  await stage.takeOver(handle.runId);
  await until(() => bodies.length === 5);
  const taken = await second.get(handle.runId);
  expect(taken?.workerId).toBe(second.workerId);
  hold.open();
  expect(await handle.result()).toEqual([0, 1, 4, 9, 16]);
  expect(bodies).toEqual(["work 0", "work 1", "work 2", "work 3", "work 3", "work 4"]);
});

test("a worker that lost its run cannot write any more: nothing of it lands, and its code hears of it (11)", async () => {
  const holds: Gate[] = [];
  const signals: AbortSignal[] = [];
  const stale = agent({
    name: "stale",
    async run(ctx) {
      const value = await ctx.step("who", async ({ abort }) => {
        signals.push(abort);
        const mine = holds.push(gate());
        await holds[mine - 1]?.opened;
        return `body ${mine}`;
      });
      return ctx.step("next", () => value);
    },
  });
  const first = await stage.worker([stale], { slots: 1 });
  const handle = await first.submit(stale, null);
  await until(() => holds.length === 1);
  await stage.worker([stale]);
  await stage.takeOver(handle.runId);
  await until(() => holds.length === 2);
  holds[0]?.open();
  await until(() => signals[0]?.aborted);
  expect(signals[0]?.reason).toMatchObject({ code: "LEASE_LOST" });
  holds[1]?.open();
  expect(await handle.result()).toBe("body 2");
  expect((await journalOf(stage.db, handle.runId)).map((entry) => entry.epoch)).toEqual([1, 2, 3, 3, 3, 3]);
});

test("a worker whose lease is no longer extended finds out by itself, without writing anything", async () => {
  const signals: AbortSignal[] = [];
  const stuck = agent({
    name: "stuck",
    run: (ctx) =>
      ctx.step("hold", ({ abort }) => {
        signals.push(abort);
        return new Promise(() => undefined);
      }),
  });
  const first = await stage.worker([stuck], { slots: 1, leaseMs: 1_000 });
  const handle = await first.submit(stuck, null);
  await until(() => signals.length === 1);
  await stage.takeOver(handle.runId);
  await until(() => signals[0]?.aborted);
  expect(signals[0]?.reason).toMatchObject({ code: "LEASE_LOST" });
  await handle.cancel();
});

test("the lease counts from the last append: a run that appends is not lost by a lease shorter than the run (13)", async () => {
  const steady = agent({
    name: "steady",
    async run(ctx) {
      for (let i = 0; i < 20; i++) await ctx.step("tick", () => new Promise((resolve) => setTimeout(resolve, 50)));
      return ctx.step("end", () => "done");
    },
  });
  const longhaul = await stage.worker([steady], { leaseMs: 600 });
  const handle = await longhaul.submit(steady, null);
  expect(await handle.result()).toBe("done");
  expect((await longhaul.get(handle.runId))?.epoch).toBe(1);
});

test("the order in which parallel steps ended is kept, and so is what follows from it", async () => {
  const traces: string[][] = [];
  const gates = { a: gate(), b: gate(), c: gate() };
  const hold = gate();
  const parallel = agent({
    name: "parallel",
    async run(ctx) {
      const trace: string[] = [];
      traces.push(trace);
      await Promise.all(
        (["a", "b", "c"] as const).map(async (name) => {
          await ctx.step(name, () => gates[name].opened);
          trace.push(name);
          await ctx.step(`after ${name}`, () => undefined);
          trace.push(`after ${name}`);
        }),
      );
      await ctx.step("hold", () => hold.opened);
      return trace;
    },
  });
  const longhaul = await stage.worker([parallel]);
  const handle = await longhaul.submit(parallel, null);
  for (const name of ["c", "a", "b"] as const) {
    await until(() => traces[0] !== undefined);
    gates[name].open();
    await until(() => traces[0]?.includes(`after ${name}`));
  }
  await stage.takeOver(handle.runId);
  await until(() => traces.length === 2 && traces[1]?.length === 6);
  hold.open();
  expect(await handle.result()).toEqual(["c", "after c", "a", "after a", "b", "after b"]);
  expect(traces[1]).toEqual(traces[0]);
});

test("the winner of Promise.race between steps is the same after a takeover", async () => {
  const winners: string[] = [];
  const gates = { slow: gate(), fast: gate() };
  const hold = gate();
  const racer = agent({
    name: "racer",
    async run(ctx) {
      const winner = await Promise.race([
        ctx.step("slow", () => gates.slow.opened.then(() => "slow")),
        ctx.step("fast", () => gates.fast.opened.then(() => "fast")),
      ]);
      winners.push(winner);
      await ctx.step("hold", () => hold.opened);
      return winner;
    },
  });
  const longhaul = await stage.worker([racer]);
  const handle = await longhaul.submit(racer, null);
  gates.fast.open();
  await until(() => winners.length === 1);
  gates.slow.open();
  await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.key === "slow#1"));
  await stage.takeOver(handle.runId);
  await until(() => winners.length === 2);
  hold.open();
  expect(await handle.result()).toBe("fast");
  expect(winners).toEqual(["fast", "fast"]);
});

test("what follows from one step happens before the next is given, however many promises lie between", async () => {
  const traces: string[][] = [];
  const gates = { first: gate(), second: gate() };
  const hold = gate();
  const winding = agent({
    name: "winding",
    async run(ctx) {
      const trace: string[] = [];
      traces.push(trace);
      const long = ctx
        .step("first", () => gates.first.opened)
        .then(async () => {
          for (let i = 0; i < 1_000; i++) await undefined;
          trace.push("first");
        });
      const short = ctx.step("second", () => gates.second.opened).then(() => trace.push("second"));
      await Promise.all([long, short]);
      await ctx.step("hold", () => hold.opened);
      return trace;
    },
  });
  const longhaul = await stage.worker([winding]);
  const handle = await longhaul.submit(winding, null);
  gates.first.open();
  await until(() => traces[0]?.length === 1);
  gates.second.open();
  await until(() => traces[0]?.length === 2);
  await stage.takeOver(handle.runId);
  await until(() => traces[1]?.length === 2);
  hold.open();
  expect(await handle.result()).toEqual(["first", "second"]);
  expect(traces[1]).toEqual(traces[0]);
});

test("a name that was refused because it was taken is refused again by a replay", async () => {
  const traces: unknown[][] = [];
  const open = gate();
  const hold = gate();
  const careless = agent({
    name: "careless",
    async run(ctx) {
      const trace: unknown[] = [];
      traces.push(trace);
      const same = ctx.step("same", () => open.opened);
      for (const name of ["a", "b"]) {
        await ctx.step(name, () => undefined);
        trace.push(await ctx.step("same", () => "a second").catch((error) => error.code));
      }
      open.open();
      await same;
      await ctx.step("hold", () => hold.opened);
      return trace;
    },
  });
  const longhaul = await stage.worker([careless]);
  const handle = await longhaul.submit(careless, null);
  await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.key === "same#1"));
  await stage.takeOver(handle.runId);
  await until(() => traces[1]?.length === 2);
  hold.open();
  expect(await handle.result()).toEqual(["DUPLICATE_STEP", "DUPLICATE_STEP"]);
  expect(traces[1]).toEqual(traces[0]);
});

test("now, random and uuid are the same after a takeover", async () => {
  const seen: unknown[] = [];
  const hold = gate();
  const values = agent({
    name: "values",
    async run(ctx) {
      const value = [ctx.now(), ctx.random(), ctx.uuid(), ctx.uuid(), ctx.random()];
      await ctx.step("use", () => value);
      seen.push(value);
      await ctx.step("hold", () => hold.opened);
      return value;
    },
  });
  const longhaul = await stage.worker([values]);
  const handle = await longhaul.submit(values, null);
  await until(() => seen.length === 1);
  await stage.takeOver(handle.runId);
  await until(() => seen.length === 2);
  hold.open();
  expect(await handle.result()).toEqual(seen[0]);
  expect(seen[1]).toEqual(seen[0]);
  expect(new Set(seen[0] as unknown[]).size).toBe(5);
});

test("values from which nothing durable followed may be made anew, and an event is emitted once all the same", async () => {
  const hold = gate();
  let starts = 0;
  const emitter = agent({
    name: "emitter",
    async run(ctx) {
      starts += 1;
      ctx.emit("progress", { part: 1 });
      ctx.emit("progress", { part: 2 });
      await ctx.step("hold", () => hold.opened);
    },
  });
  const longhaul = await stage.worker([emitter]);
  const handle = await longhaul.submit(emitter, null);
  await until(
    async () => (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === KIND.emit).length === 2,
  );
  await stage.takeOver(handle.runId);
  await until(() => starts === 2);
  hold.open();
  await handle.result();
  const emits = (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === KIND.emit);
  expect(emits.map((entry) => entry.key)).toEqual(["emit progress#1", "emit progress#2"]);
});

test("a run that is taken over again and again still ends, and every body ran at most once per takeover (9)", async () => {
  const bodies = new Map<number, number>();
  const long = agent({
    name: "long",
    async run(ctx) {
      let sum = 0;
      for (let i = 0; i < 30; i++) {
        sum += await ctx.step("add", async () => {
          bodies.set(i, (bodies.get(i) ?? 0) + 1);
          await new Promise((resolve) => setTimeout(resolve, 5));
          return i;
        });
      }
      return sum;
    },
  });
  const longhaul = await stage.worker([long]);
  await stage.worker([long]);
  const handle = await longhaul.submit(long, null);
  let takeovers = 0;
  for (let i = 0; i < 5; i++) {
    await until(async () => (await longhaul.get(handle.runId))?.status !== "queued");
    await stage.takeOver(handle.runId);
    takeovers += 1;
  }
  expect(await handle.result()).toBe(435);
  expect([...bodies.values()].reduce((a, b) => a + b)).toBeLessThanOrEqual(30 + takeovers);
});

describe("when the code no longer matches the journal", () => {
  /** Starts with one program, takes over with another, and gives the paused run. */
  async function changed(
    before: Parameters<typeof agent>[0]["run"],
    after: Parameters<typeof agent>[0]["run"],
    at: string,
  ) {
    const old = await stage.worker([agent({ name: "changing", run: before })], { slots: 1 });
    const handle = await old.submit("changing", null);
    await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.key === at));
    const fresh = await stage.worker([agent({ name: "changing", run: after })]);
    await stage.takeOver(handle.runId);
    return { handle, fresh };
  }

  test("the run is paused with a readable reason, not failed and not looped (10)", async () => {
    const { handle, fresh } = await changed(
      async (ctx) => {
        await ctx.step("download", () => 1);
        await ctx.step("hold", () => new Promise(() => undefined));
      },
      async (ctx) => {
        await ctx.step("fetch", () => 1);
      },
      "download#1",
    );
    const run = await untilStatus(fresh, handle.runId, "paused");
    expect(run.reason).toBe(
      "history_mismatch: the journal has step download#1 (entry 2) next, but the code asks for fetch#1",
    );
    expect(await fresh.why(handle.runId)).toMatchObject({
      code: "paused",
      commands: [`longhaul runs retry ${handle.runId}`, `longhaul runs cancel ${handle.runId}`],
    });
  });

  test("a paused run goes on when the code is mended and somebody releases it", async () => {
    let bodies = 0;
    const right = async (ctx: Parameters<Parameters<typeof agent>[0]["run"]>[0]) => {
      const value = await ctx.step("download", () => {
        bodies += 1;
        return "file";
      });
      return ctx.step("end", async () => {
        if (bodies < 2) await new Promise((resolve) => setTimeout(resolve, 10));
        return value;
      });
    };
    const { handle, fresh } = await changed(
      async (ctx) => {
        await ctx.step("download", () => "file");
        await ctx.step("hold", () => new Promise(() => undefined));
      },
      async (ctx) => {
        await ctx.step("fetch", () => 1);
      },
      "download#1",
    );
    await untilStatus(fresh, handle.runId, "paused");
    await fresh.close();
    const mended = await stage.worker([agent({ name: "changing", run: right })]);
    const again = await mended.retry(handle.runId, { by: "ann" });
    expect(again.runId).toBe(handle.runId);
    expect(await again.result()).toBe("file");
    expect(bodies).toBe(0);
    const resumed = (await journalOf(stage.db, handle.runId)).find((entry) => entry.kind === KIND.resumed);
    expect(resumed?.body).toBe('{"by":"ann"}');
  });

  test("another input of a recorded step is noticed", async () => {
    const { handle, fresh } = await changed(
      async (ctx) => {
        await ctx.step("search", { input: { q: "a" } }, () => 1);
        await ctx.step("hold", () => new Promise(() => undefined));
      },
      async (ctx) => {
        await ctx.step("search", { input: { q: "b" } }, () => 1);
      },
      "search#1",
    );
    const run = await untilStatus(fresh, handle.runId, "paused");
    expect(run.reason).toContain("the input of step search#1 (entry 2) is not the one that was recorded");
  });

  test("code that ends without asking for a recorded step is noticed", async () => {
    const { handle, fresh } = await changed(
      async (ctx) => {
        await ctx.step("extra", () => 1);
        await ctx.step("hold", () => new Promise(() => undefined));
      },
      () => "done",
      "extra#1",
    );
    const run = await untilStatus(fresh, handle.runId, "paused");
    expect(run.reason).toContain("step extra#1 (entry 2) was recorded, but the code ended without asking for it");
  });

  test("code that throws before a recorded step is noticed too, and does not end the run", async () => {
    const { handle, fresh } = await changed(
      async (ctx) => {
        await ctx.step("extra", () => 1);
        await ctx.step("hold", () => new Promise(() => undefined));
      },
      () => {
        throw new TypeError("a bug of the new version");
      },
      "extra#1",
    );
    const run = await untilStatus(fresh, handle.runId, "paused");
    expect(run.reason).toContain("extra#1");
  });

  test("an agent that this build does not have pauses the run with its name", async () => {
    const known = agent({ name: "known", run: () => 1 });
    const client = await stage.client([known]);
    const handle = await client.submit("known", null);
    const worker = await stage.worker([agent({ name: "other", run: () => 2 })]);
    const run = await untilStatus(worker, handle.runId, "paused");
    expect(run.reason).toBe("agent_unknown: this worker's build has no agent known");
  });

  test("code that stops to think before it asks for a recorded step is no mismatch", async () => {
    let starts = 0;
    const hold = gate();
    const thinker = agent({
      name: "thinker",
      async run(ctx) {
        starts += 1;
        if (starts === 2) await new Promise((resolve) => setTimeout(resolve, 300));
        const a = await ctx.step("a", () => 1);
        await ctx.step("hold", () => hold.opened);
        return a;
      },
    });
    const longhaul = await stage.worker([thinker]);
    const handle = await longhaul.submit(thinker, null);
    await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.key === "a#1"));
    await stage.takeOver(handle.runId);
    await until(() => starts === 2);
    hold.open();
    expect(await handle.result()).toBe(1);
  });
});
