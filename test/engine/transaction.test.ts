// ctx.transaction: the user's SQL and the record of the step are one commit, or neither happens.
import { beforeAll, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent } from "../../src/index.ts";
import { gate, journalOf, rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();
beforeAll(() => stage.db.query("create table accounts (run_id uuid, amount int not null check (amount > 0))"));

async function amounts(runId: string): Promise<number[]> {
  const rows = await stage.db.query<{ amount: number }>("select amount from accounts where run_id = $1 order by 1", [
    runId,
  ]);
  return rows.map((row) => row.amount);
}

const INSERT = "insert into accounts values ($1, $2) returning amount";

test("the SQL and the record are one commit", async () => {
  const payer = agent({
    name: "payer",
    run: (ctx) =>
      ctx.transaction("pay", async (sql) => (await sql.query<{ amount: number }>(INSERT, [ctx.runId, 10]))[0]?.amount),
  });
  const longhaul = await stage.worker([payer]);
  const handle = await longhaul.submit(payer, null);
  expect(await handle.result()).toBe(10);
  const [row] = await stage.db.query<{ same: boolean }>(
    `select (select xmin::text from accounts where run_id = $1) = (select xmin::text from longhaul.journal where run_id = $1 and kind = ${KIND.step}) as same`,
    [handle.runId],
  );
  expect(row?.same).toBe(true);
});

test("a recorded transaction does not run again after a takeover", async () => {
  let bodies = 0;
  let starts = 0;
  const hold = gate();
  const payer = agent({
    name: "payer",
    async run(ctx) {
      starts += 1;
      await ctx.transaction("pay", async (sql) => {
        bodies += 1;
        await sql.query(INSERT, [ctx.runId, 10]);
      });
      await ctx.step("hold", () => hold.opened);
    },
  });
  const longhaul = await stage.worker([payer]);
  const handle = await longhaul.submit(payer, null);
  await until(async () => (await amounts(handle.runId)).length === 1);
  await stage.takeOver(handle.runId);
  await until(() => starts === 2);
  hold.open();
  await handle.result();
  expect(bodies).toBe(1);
  expect(await amounts(handle.runId)).toEqual([10]);
});

test("a worker that lost its run in mid-transaction leaves nothing behind (11)", async () => {
  const holds = [gate(), gate()];
  let bodies = 0;
  const payer = agent({
    name: "payer",
    run: (ctx) =>
      ctx.transaction("pay", async (sql) => {
        const mine = bodies++;
        await sql.query(INSERT, [ctx.runId, 100 + mine]);
        await holds[mine]?.opened;
        return mine;
      }),
  });
  const first = await stage.worker([payer], { slots: 1 });
  const handle = await first.submit(payer, null);
  await until(() => bodies === 1);
  await stage.worker([payer]);
  await stage.takeOver(handle.runId);
  await until(() => bodies === 2);
  holds[0]?.open();
  holds[1]?.open();
  expect(await handle.result()).toBe(1);
  expect(await amounts(handle.runId)).toEqual([101]);
});

test("a body that fails rolls everything back, and its failure is recorded once", async () => {
  let bodies = 0;
  const payer = agent({
    name: "payer",
    async run(ctx) {
      try {
        await ctx.transaction("pay", async (sql) => {
          bodies += 1;
          await sql.query(INSERT, [ctx.runId, 10]);
          throw new Error("changed my mind");
        });
      } catch (error) {
        return (error as Error).message;
      }
    },
  });
  const longhaul = await stage.worker([payer]);
  const handle = await longhaul.submit(payer, null);
  expect(await handle.result()).toBe("changed my mind");
  expect(await amounts(handle.runId)).toEqual([]);
  expect(bodies).toBe(1);
});

test("SQL that the database refuses fails the step with the database's words", async () => {
  const payer = agent({
    name: "payer",
    run: (ctx) => ctx.transaction("pay", (sql) => sql.query(INSERT, [ctx.runId, -1])),
  });
  const longhaul = await stage.worker([payer]);
  const handle = await longhaul.submit(payer, null);
  const error = await rejection(handle.result());
  expect(error.cause).toMatchObject({ code: "23514", message: expect.stringContaining("check constraint") });
});

test("a statement that failed and was hidden does not count as a commit", async () => {
  const payer = agent({
    name: "payer",
    run: (ctx) =>
      ctx.transaction("pay", async (sql) => {
        await sql.query(INSERT, [ctx.runId, 10]);
        await sql.query("select 1 / 0").catch(() => undefined);
        return "looks fine";
      }),
  });
  const longhaul = await stage.worker([payer]);
  const handle = await longhaul.submit(payer, null);
  await rejection(handle.result());
  expect(await amounts(handle.runId)).toEqual([]);
});

test("an error that only looks like a lost connection is the body's own, and ends it", async () => {
  let bodies = 0;
  const payer = agent({
    name: "payer",
    run: (ctx) =>
      ctx.transaction("pay", () => {
        bodies += 1;
        throw Object.assign(new Error("connect ECONNREFUSED 10.0.0.1:80"), { code: "ECONNREFUSED" });
      }),
  });
  const longhaul = await stage.worker([payer]);
  expect((await rejection(longhaul.run(payer, null))).cause).toMatchObject({ code: "ECONNREFUSED" });
  expect(bodies).toBe(1);
});

test("a transaction that was rolled back for the sake of another one is run again", async () => {
  const turn = [gate(), gate()];
  let bodies = 0;
  await stage.db.query("create table pair (id int primary key, n int); insert into pair values (1, 0), (2, 0)");
  const crossing = agent({
    name: "crossing",
    run: (ctx, first) =>
      ctx.transaction("cross", async (sql) => {
        bodies += 1;
        const mine = first as number;
        await sql.query("update pair set n = n + 1 where id = $1", [mine]);
        turn[mine - 1]?.open();
        await turn[2 - mine]?.opened;
        await sql.query("update pair set n = n + 1 where id = $1", [3 - mine]);
      }),
  });
  const longhaul = await stage.worker([crossing]);
  await Promise.all([longhaul.run(crossing, 1), longhaul.run(crossing, 2)]);
  expect(await stage.db.query("select n from pair")).toEqual([{ n: 2 }, { n: 2 }]);
  expect(bodies).toBeGreaterThan(2);
});

test("a connection that dies in mid-transaction is looked into: the SQL takes effect once", async () => {
  let bodies = 0;
  const payer = agent({
    name: "payer",
    run: (ctx) =>
      ctx.transaction("pay", async (sql) => {
        bodies += 1;
        await sql.query(INSERT, [ctx.runId, bodies]);
        if (bodies === 1) {
          const [me] = await sql.query<{ pid: number }>("select pg_backend_pid() as pid");
          await stage.db.query("select pg_terminate_backend($1)", [me?.pid]);
        }
        return bodies;
      }),
  });
  const longhaul = await stage.worker([payer]);
  const handle = await longhaul.submit(payer, null);
  expect(await handle.result()).toBe(2);
  expect(await amounts(handle.runId)).toEqual([2]);
});

test("a result above 64 KiB is kept like any other", async () => {
  const large = "t".repeat(120_000);
  const payer = agent({ name: "payer", run: (ctx) => ctx.transaction("big", () => large) });
  const longhaul = await stage.worker([payer]);
  const handle = await longhaul.submit(payer, null);
  expect(await handle.result()).toBe(large);
  expect((await journalOf(stage.db, handle.runId)).find((entry) => entry.kind === KIND.step)?.blob).toMatch(
    /^[0-9a-f]{64}$/,
  );
});
