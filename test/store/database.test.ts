// The pool against a real server: types, schema rewriting, limits, transactions, lost connections.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../src/store/database.ts";
import { asUnavailable, isConnectionLost, isRetryable } from "../../src/store/driver-errors.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase({ migrated: false });
});
afterAll(() => fresh.drop());

/** The error with which a promise rejects. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("expected a rejection");
}

describe("values", () => {
  test("int8 is a number, its arrays too, timestamptz a Date, numeric a string", async () => {
    const [row] = await fresh.db.query(
      "select 9007199254740991::int8 as big, array[[1, null], [3, 4]]::int8[] as bigs, 'epoch'::timestamptz as at, 1.10 as usd",
    );
    expect(row).toEqual({
      big: 9007199254740991,
      bigs: [
        [1, null],
        [3, 4],
      ],
      at: new Date(0),
      usd: "1.10",
    });
  });

  test("an int8 that no number can hold is an error, not a rounded number", async () => {
    await expect(fresh.db.query("select 9007199254740993::int8 as big")).rejects.toThrow("does not fit");
    expect(await fresh.db.query("select 1 as one")).toEqual([{ one: 1 }]);
  });
});

test("two connections are kept, with the plans they have made, when the others have idled away", async () => {
  const db = openDatabase({ url: fresh.url });
  db.pool.options.idleTimeoutMillis = 1;
  const pids = async () => {
    const busy = Array.from({ length: 5 }, () =>
      db.query<{ pid: number }>("select pg_backend_pid() pid, pg_sleep(0.05)"),
    );
    return (await Promise.all(busy)).map(([row]) => row?.pid);
  };
  const before = await pids();
  expect(new Set(before).size).toBe(5);
  while (db.pool.totalCount > 2) await new Promise((resolve) => setTimeout(resolve, 5));
  // Nothing is left that could close another.
  expect(db.pool.idleCount).toBe(2);
  const after = await pids();
  expect(after.filter((pid) => before.includes(pid))).toHaveLength(2);
  await db.end();
});

describe("the schema's name", () => {
  test("replaces the prefix everywhere, also in prepared statements", async () => {
    const db = openDatabase({ url: fresh.url, schema: "other_one" });
    await db.query('create schema "other_one"');
    await db.query("create table longhaul.t (id int)");
    await db.query("insert into longhaul.t select * from generate_series(1, 3)");
    for (let time = 0; time < 3; time++) {
      const rows = await db.query("select t.id from longhaul.t as t where id > $1 order by id", [1], "other_rows");
      expect(rows).toEqual([{ id: 2 }, { id: 3 }]);
    }
    expect(db.rewrite("select 'x' from longhaul.a, longhaul.b, mylonghaul.c")).toBe(
      `select 'x' from "other_one".a, "other_one".b, mylonghaul.c`,
    );
    await db.end();
  });

  test.each(["", "Longhaul", 'a"b', "pg_x", "1a", "a".repeat(49), "a-b"])("%j is refused", (schema) => {
    expect(() => openDatabase({ url: fresh.url, schema })).toThrow(
      expect.objectContaining({ code: "SCHEMA_NAME_INVALID" }),
    );
  });
});

describe("limits", () => {
  test("every connection has them, all shorter than a lease of ten seconds", async () => {
    const rows = await fresh.db.query<{ name: string; setting: string }>(
      `select name, setting from pg_settings
        where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') order by name`,
    );
    expect(rows).toEqual([
      { name: "idle_in_transaction_session_timeout", setting: "6000" },
      { name: "lock_timeout", setting: "2000" },
      { name: "statement_timeout", setting: "6000" },
    ]);
  });

  test("a statement that takes too long is ended by the server, and the connection stays good", async () => {
    const db = openDatabase({ url: fresh.url, max: 1, statementTimeoutMs: 50 });
    const [before] = await db.query<{ pid: number }>("select pg_backend_pid() as pid");
    expect(await rejection(db.query("select pg_sleep(30)"))).toMatchObject({ code: "57014" });
    const [after] = await db.query<{ pid: number }>("select pg_backend_pid() as pid");
    expect(after).toEqual(before);
    await db.end();
  });
});

describe("transactions", () => {
  test("commit what they did, or nothing", async () => {
    await fresh.db.query("create table moves (id int)");
    await fresh.db.transaction((tx) => tx.query("insert into moves values (1)"));
    const error = await rejection(
      fresh.db.transaction(async (tx) => {
        await tx.query("insert into moves values (2)");
        throw new Error("changed my mind");
      }),
    );
    expect(error).toMatchObject({ message: "changed my mind" });
    expect(await fresh.db.query("select id from moves")).toEqual([{ id: 1 }]);
  });

  test("a failed statement that the work ignored is not reported as a commit", async () => {
    const work = fresh.db.transaction(async (tx) => {
      await tx.query("insert into moves values (3)");
      await tx.query("select 1 / 0").catch(() => undefined);
    });
    await expect(work).rejects.toMatchObject({ code: "TRANSACTION_ABORTED" });
    expect(await fresh.db.query("select id from moves where id = 3")).toEqual([]);
  });

  test("a lock that another holds is a retryable refusal, within the limit", async () => {
    await fresh.db.transaction(async (holder) => {
      await holder.query("lock table moves in access exclusive mode");
      const waiter = openDatabase({ url: fresh.url, max: 1 });
      const error = await rejection(waiter.query("select * from moves"));
      await waiter.end();
      expect(error).toMatchObject({ code: "55P03" });
      expect(isRetryable(error)).toBe(true);
      expect(isConnectionLost(error)).toBe(false);
    });
  });
});

describe("lost connections", () => {
  test("a killed backend is a lost connection, and the next statement gets a new one", async () => {
    const db = openDatabase({ url: fresh.url, max: 1 });
    const error = await rejection(
      db.transaction(async (tx) => {
        const [row] = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
        await fresh.db.query("select pg_terminate_backend($1, 5000)", [row?.pid]);
        await tx.query("select 1");
      }),
    );
    expect(isConnectionLost(error)).toBe(true);
    expect(await db.query("select 1 as one")).toEqual([{ one: 1 }]);
    await db.end();
  });

  test("a backend killed while idle harms nobody", async () => {
    const seen: Error[] = [];
    const db = openDatabase({ url: fresh.url, max: 1, onIdleError: (error) => seen.push(error) });
    const [row] = await db.query<{ pid: number }>("select pg_backend_pid() as pid");
    await fresh.db.query("select pg_terminate_backend($1, 5000)", [row?.pid]);
    await expect.poll(() => seen.length).toBe(1);
    expect(await db.query("select 1 as one")).toEqual([{ one: 1 }]);
    await db.end();
  });

  test("a server that is not there is DATABASE_UNAVAILABLE for the outside", async () => {
    const db = openDatabase({ url: "postgres://nobody@127.0.0.1:1/none" });
    const error = await rejection(db.query("select 1"));
    expect(isConnectionLost(error)).toBe(true);
    expect(asUnavailable(error)).toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      status: 503,
      retryable: true,
      cause: error,
    });
    await db.end();
  });

  test.each([
    new TypeError("x is not a function"),
    Object.assign(new Error("no such file"), { code: "ENOENT", syscall: "open" }),
    "a string",
    null,
  ])("%s is not a lost connection", (error) => {
    expect(isConnectionLost(error)).toBe(false);
    expect(asUnavailable(error)).toBe(error);
  });

  test.each([
    ["database", (url: URL) => (url.pathname = "/no_such_database"), "no_such_database"],
    ["password", (url: URL) => (url.password = "wrong"), "password authentication failed"],
    ["user", (url: URL) => (url.username = "no_such_user"), "no_such_user"],
  ])("a wrong %s is no connection, and DATABASE_REFUSED for the outside", async (_, spoil, reason) => {
    const url = new URL(fresh.url);
    spoil(url);
    const db = openDatabase({ url: url.href });
    const error = await rejection(db.query("select 1"));
    await db.end();
    expect(isConnectionLost(error)).toBe(true);
    const outside = asUnavailable(error);
    expect(outside).toMatchObject({ code: "DATABASE_REFUSED", status: 503, retryable: false, cause: error });
    expect(isConnectionLost(outside)).toBe(true);
    expect((outside as Error).message).toContain(reason);
  });
});

describe("prepared statements", () => {
  test("survive a migration that changes their columns", async () => {
    await fresh.db.query("create table shapes (id int)");
    const db = openDatabase({ url: fresh.url, max: 1 });
    await db.query("insert into shapes values (1)");
    expect(await db.query("select * from shapes", [], "shapes")).toEqual([{ id: 1 }]);
    await fresh.db.query("alter table shapes add column sides int default 4");
    expect(await db.query("select * from shapes", [], "shapes")).toEqual([{ id: 1, sides: 4 }]);
    await db.end();
  });
});
