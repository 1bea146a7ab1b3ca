// A worker that stood still, or lost sight of what it holds, starts nothing that somebody else may have done by now.
import pg from "pg";
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

/** In a moment another worker has the run, with the next epoch and a long lease, whatever this process does meanwhile. */
function giveAway(books: pg.Client, runId: string, before = ""): Promise<unknown> {
  return books.query(
    `${before} select pg_sleep(0.3); update longhaul.live set epoch = epoch + 1, worker_id = '${newId()}',
       expires_at = clock_timestamp() + interval '1 hour' where run_id = '${runId}'`,
  );
}

async function openBooks(): Promise<pg.Client> {
  const books = new pg.Client({ connectionString: stage.url });
  await books.connect();
  return books;
}

test("after standing still for longer than its lease it runs no body of a run that another worker has (7)", async () => {
  const bodies: string[] = [];
  const books = await openBooks();
  const sleepy = agent({
    name: "sleepy",
    async run(ctx) {
      const given = giveAway(books, ctx.runId);
      await new Promise((resolve) => setImmediate(resolve));
      standStill(1.2 * LEASE_MS);
      await Promise.all([ctx.step("late", () => bodies.push("late")), given]);
    },
  });
  const longhaul = await stage.worker([sleepy], { leaseMs: LEASE_MS, stallMs: 50 });
  const { runId } = await longhaul.submit(sleepy, null);
  await until(async () => (await longhaul.get(runId))?.epoch === 2);
  await longhaul.untilIdle();
  await books.end();
  expect(bodies).toEqual([]);
});

test("nor one that its budgets have allowed just before, if the answer came late (7)", async () => {
  const bodies: string[] = [];
  const books = await openBooks();
  const counting = agent({
    name: "counting",
    budget: { steps: 5 },
    async run(ctx) {
      await books.query("begin; lock table longhaul.budget_accounts in access exclusive mode");
      const late = ctx.step("late", () => bodies.push("late"));
      await until(async () => {
        const waiting = await stage.db.query(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        return waiting.length > 0;
      });
      // While this process stands still the books answer, and then somebody else gets the run.
      const given = giveAway(books, ctx.runId, "commit;");
      setImmediate(() => standStill(1.2 * LEASE_MS));
      await Promise.all([given, late]);
    },
  });
  const longhaul = await stage.worker([counting], { leaseMs: LEASE_MS, stallMs: 50 });
  const { runId } = await longhaul.submit(counting, null);
  await until(async () => (await longhaul.get(runId))?.epoch === 2);
  await longhaul.untilIdle();
  await books.end();
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
