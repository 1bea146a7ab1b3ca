// Old rows of the gateway are cleared away by the processes that have one, workers or not: by one of them, once in a while.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { checkGateway } from "../../src/gateway/check-config.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { Upkeep } from "../../src/gateway/upkeep.ts";
import { connect } from "../../src/index.ts";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { rejection, until } from "../support/longhaul.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fresh: FreshDatabase;
let db: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, max: 10 });
});
beforeEach(async () => {
  await db.query("update longhaul.chores set taken_at = '-infinity'");
  await db.query("truncate longhaul.bookings");
  await db.query("insert into longhaul.bookings values ('late', 'x', 1, false, '', '{}', '{}')");
  await db.query(
    `insert into longhaul.answers (answer_key, tenant_id, state, value, owner, lease_until, made_at, expires_at)
     values ('\\x01', 't', 'done', 'old', gen_random_uuid(), now(), now() - interval '2 days', now() - interval '1 day') on conflict do nothing`,
  );
  await db.query(
    `insert into longhaul.calls (call_id, est_input, est_output, est_nano_usd, attempt, tenant_id, call_key, provider, model, opened_at)
     values (gen_random_uuid(), 1, 1, 1, 1, 't', 'left', 'openai', 'gpt-5', now() - interval '2 hours')`,
  );
});
afterAll(async () => {
  await db.end();
  await fresh.drop();
});

async function left(): Promise<{ places: number; answers: number; open: number }> {
  const [row] = await db.query<{ places: number; answers: number; open: number }>(
    `select (select count(*)::int from longhaul.bookings) as places, (select count(*)::int from longhaul.answers) as answers,
            (select count(*)::int from longhaul.calls where state = 'open') as open`,
  );
  return row as { places: number; answers: number; open: number };
}
const NOTHING = { places: 0, answers: 0, open: 0 };

test("a gateway without any worker clears away what is old", async () => {
  expect(await left()).not.toEqual(NOTHING);
  const gateway = new Gateway({ db, settings: checkGateway({}), upkeepEveryMs: 20 });
  await until(async () => JSON.stringify(await left()) === JSON.stringify(NOTHING));
  await gateway.close();
});

test("a connection without a worker has one too, and closes with it", async () => {
  const longhaul = await connect({ url: fresh.url, worker: false, migrate: false });
  await longhaul.gateway.upkeep();
  expect(await left()).toEqual(NOTHING);
  await longhaul.close();
});

test("of many processes one does it, and again only when its time has come", async () => {
  let forgotten = 0;
  const counting = (): Database => {
    const query = db.query.bind(db);
    return Object.assign(Object.create(db) as Database, {
      query: (text: string, values?: readonly unknown[], name?: string) => {
        if (text.includes("forget_quotas")) forgotten += 1;
        return query(text, values, name);
      },
    });
  };
  const ten = Array.from({ length: 10 }, () => new Upkeep({ db: counting() }));
  await Promise.all(ten.map((one) => one.look()));
  await Promise.all(ten.map((one) => one.look()));
  expect(forgotten).toBe(1);
  await db.query("update longhaul.chores set taken_at = taken_at - interval '11 minutes' where chore = 'quotas'");
  await Promise.all(ten.map((one) => one.look()));
  expect(forgotten).toBe(2);
  await Promise.all(ten.map((one) => one.close()));
});

test("one that fails is said, harms nobody, and nobody waits for a taker that hangs", async () => {
  const said: string[] = [];
  const away = openDatabase({ url: "postgres://nobody@127.0.0.1:1/none", max: 1 });
  const upkeep = new Upkeep({ db: away, log: (_, message) => said.push(message) });
  await upkeep.look();
  expect(said).toEqual(["old rows of the gateway could not be cleared away"]);
  await upkeep.close();
  await away.end();
  const other = new Upkeep({ db });
  const undone = db.transaction(async (tx) => {
    await tx.query("select from longhaul.chores for update");
    await other.look();
    expect((await left()).places).toBe(1);
    throw new Error("undone");
  });
  expect((await rejection(undone)).message).toBe("undone");
  await other.look();
  expect(await left()).toEqual(NOTHING);
  await other.close();
});
