// A worker that stood still, or lost sight of what it holds, starts nothing that somebody else may have done by now.
import { expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import { agent } from "../../src/index.ts";
import { gate, until, useStage } from "../support/longhaul.ts";

const stage = useStage();
const LEASE_MS = 1_000;

/** Nothing of this process moves, timers and answers included. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Another worker has the run, with the next epoch and a long lease. */
function giveAway(runId: string): Promise<unknown> {
  return stage.db.query(
    "update longhaul.live set epoch = epoch + 1, worker_id = $2, expires_at = clock_timestamp() + interval '1 hour' where run_id = $1",
    [runId, newId()],
  );
}

test("after standing still for longer than its lease it runs no body of a run that another worker has (7)", async () => {
  const bodies: string[] = [];
  const sleepy = agent({
    name: "sleepy",
    async run(ctx) {
      standStill(1.2 * LEASE_MS);
      await giveAway(ctx.runId);
      await ctx.step("late", () => bodies.push("late"));
    },
  });
  const longhaul = await stage.worker([sleepy], { leaseMs: LEASE_MS, stallMs: 50 });
  const { runId } = await longhaul.submit(sleepy, null);
  await until(async () => (await longhaul.get(runId))?.epoch === 2);
  await longhaul.untilIdle();
  expect(bodies).toEqual([]);
});

// On a machine that has much else to do the rest of the lease may be over before the code gets on: then it was lost, rightly.
test("after standing still it goes on with a run that is still its own, without a replay", { retry: 3 }, async () => {
  let executions = 0;
  const sleepy = agent({
    name: "sleepy",
    async run(ctx) {
      executions += 1;
      if (executions === 1) standStill(0.82 * LEASE_MS);
      return await ctx.step("late", () => "done");
    },
  });
  const longhaul = await stage.worker([sleepy], { leaseMs: LEASE_MS, stallMs: 50 });
  expect(await longhaul.run(sleepy, null)).toBe("done");
  expect(executions).toBe(1);
});

test("the code goes on only when the record is committed, so that nothing follows from what is not recorded (7)", async () => {
  const locked = gate();
  let wentOn = false;
  const careful = agent({
    name: "careful",
    async run(ctx) {
      await ctx.step("one", () => locked.opened);
      wentOn = true;
    },
  });
  const longhaul = await stage.worker([careful]);
  const handle = await longhaul.submit(careful, null);
  await until(async () => (await longhaul.get(handle.runId))?.status === "running");
  await stage.db.transaction(async (tx) => {
    await tx.query("select from longhaul.live where run_id = $1 for update", [handle.runId]);
    locked.open();
    await until(async () => {
      const waiting = await stage.db.query(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%longhaul.append(%'",
      );
      return waiting.length > 0;
    });
    expect(wentOn).toBe(false);
  });
  await handle.result();
  expect(wentOn).toBe(true);
});
