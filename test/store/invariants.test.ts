// Each invariant of sql/invariants.sql holds in a busy database, and is reported when somebody breaks it.
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkInvariants, readInvariants } from "../../src/store/invariants.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { fillDatabase } from "./busy-database.ts";

const LOOKING = `update longhaul.workers set state = 'active', seen_at = clock_timestamp(), started_at = clock_timestamp() - interval '1 hour'`;

/** Name of the invariant → what breaks it. */
const BREAKS: Readonly<Record<string, string>> = {
  "run-is-somewhere": "delete from longhaul.live where state = 'waiting'",
  "no-phantom-run": "delete from longhaul.runs where run_id in (select run_id from longhaul.outcomes)",
  "one-way-in": `insert into longhaul.intake (run_id, band, priority, tenant_id, agent, build, queue, key, options, metadata)
                 select run_id, 1, 100, tenant_id, agent, build, queue, concurrency_key, options, metadata from longhaul.runs limit 1`,
  "one-run-per-key": `drop index longhaul.one_run_per_idempotency_key; update longhaul.runs set idempotency_key = 'same'`,
  "recorded-once": `insert into longhaul.journal (run_id, seq, epoch, kind, key, body)
                    select run_id, seq + 1000, epoch, kind, key, body from longhaul.journal where kind = 10`,
  "epoch-never-falls": "update longhaul.journal set epoch = 0 where kind = 3",
  "only-the-claimant-writes": "update longhaul.journal set epoch = epoch + 1 where kind = 10",
  "epoch-rises": "update longhaul.journal set epoch = epoch - 1 where kind = 1 and seq > 1",
  "epoch-is-current": "update longhaul.live set epoch = 0 where state = 'waiting'",
  "queued-is-findable": "delete from longhaul.ready",
  "ready-is-queued":
    "insert into longhaul.ready (lane_id, prio, run_id) select lane_id, prio, run_id from longhaul.live where state = 'waiting'",
  "lapsed-lease-is-swept": `update longhaul.live set expires_at = clock_timestamp() - interval '2 minutes' where state = 'running'; ${LOOKING}`,
  "isolated-is-tried": "update longhaul.live set isolate = true where state = 'waiting'",
  "one-end": `update longhaul.journal set body = '{"status":"cancelled"}' where kind = 3`,
  "unfinished-has-no-end":
    "update longhaul.journal j set kind = 3 from longhaul.live l where l.run_id = j.run_id and j.kind = 2",
  "moves-are-legal": "update longhaul.journal set kind = 4 where kind = 1 and seq = 1",
  "state-is-journaled":
    "update longhaul.live set state = 'waiting', worker_id = null, expires_at = null, agent_gate = null, key_gate = null where state = 'running'",
  "no-child-is-forgotten":
    "update longhaul.live set parent_id = (select run_id from longhaul.outcomes limit 1) where parent_id is not null",
  "end-is-told": "delete from longhaul.inbox where kind = 'child'",
  "child-iff-journaled": "update longhaul.runs set parent_key = 'elsewhere' where parent_id is not null",
  "one-tree": "update longhaul.runs set depth = 5 where parent_id is not null",
  "attempts-are-counted": `update longhaul.journal set body = replace(body, '"n":1', '"n":7') where kind = 11`,
  "backoff-is-kept": `update longhaul.journal set body = regexp_replace(body, '"r":\\d+', '"r":9999999999999') where kind = 11`,
  "cap-is-kept": "update longhaul.tenants set cap = 0",
  "gate-is-kept": "update longhaul.gates set cap = 0",
  "slots-do-not-leak": "update longhaul.tenants set in_flight = in_flight + 1",
  "gates-do-not-leak": "update longhaul.gates set in_flight = in_flight + 1",
  "calls-in-flight-are-counted":
    "insert into longhaul.quotas (key, kind, declared, limit_, used) values ('k', 'slots', true, 9, 1)",
  "unfinished-is-counted": "update longhaul.tenants set unfinished = unfinished + 1",
  "ready-is-counted": "update longhaul.lanes set ready = ready + 1",
  "nothing-before-the-front": "update longhaul.lanes set front = 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
  "turn-is-counted": "update longhaul.turns set ready = ready + 1",
  "lane-matches-its-runs": "update longhaul.turns set build = 'other'",
  "gates-match-their-lanes": "update longhaul.lanes set agent_gate = null",
  "lane-is-open": "update longhaul.lanes set open = false",
  "one-active-run-per-thread": "update longhaul.threads set active_run = null",
  "thread-moves-on": "update longhaul.threads set active_run = null",
  "thread-line-is-true":
    "update longhaul.thread_queue set run_id = (select run_id from longhaul.live where state = 'waiting' limit 1)",
  "thread-in-order": `insert into longhaul.journal (run_id, seq, epoch, kind) select run_id, 1, 1, 1 from longhaul.thread_queue`,
  "work-is-offered": "update longhaul.turns set runnable = false where ready > 0",
  "timer-is-set": "delete from longhaul.later",
  "timer-is-not-early": "update longhaul.journal set at = at - interval '1 hour' where kind = 14",
  "timer-is-not-lost": `update longhaul.later set due_at = clock_timestamp() - interval '2 minutes'; ${LOOKING}`,
  "tokens-die": `insert into longhaul.tokens (run_id, at, epoch, n, take, pos, after_seq, attempt, key, body)
                 select run_id, clock_timestamp() - interval '1 hour', 1, 1, 1, 0, 1, 1, 'step#1', '[]' from longhaul.outcomes limit 1; ${LOOKING}`,
  "answered-once": "delete from longhaul.inbox where kind = 'answer'",
  "answer-matches": "update longhaul.approvals set status = 'expired' where status = 'approved'",
  "question-ends-with-run":
    "update longhaul.approvals set status = 'cancelled', resolved_at = clock_timestamp() where status = 'pending'",
  "question-is-journaled": "update longhaul.approvals set step_key = 'elsewhere'",
  "no-message-is-slept-through": `insert into longhaul.inbox (run_id, seq, kind, key) select run_id, 1000, 'signal', key from longhaul.waits`,
  "inbox-is-numbered": "update longhaul.inbox set seq = seq + 100",
  "waiting-costs-a-row": "update longhaul.live set need = 0 where state = 'waiting'",
  "only-the-waiting-wait":
    "insert into longhaul.waits (run_id, key, label) select run_id, 'x', 'x' from longhaul.live where state = 'running'",
  "journal-has-no-gap": "delete from longhaul.journal where seq = 2",
  "values-are-there": "delete from longhaul.blobs",
  "letters-are-of-the-dead":
    "insert into longhaul.dead_letters (run_id, tenant_id, agent, queue, code) values (gen_random_uuid(), 't', 'a', 'q', 'Error')",
  "trees-are-whole":
    "insert into longhaul.leftovers (run_id, tenant_id) select run_id, tenant_id from longhaul.runs limit 1",
  "places-are-cleared": `insert into longhaul.bookings values ('c', 't', 1, false, 'k', '{k}', '{1}');
    ${LOOKING.replace("interval '1 hour'", "interval '2 hours'")}`,
  "nothing-is-orphaned": "insert into longhaul.cancel_cascade values (gen_random_uuid())",
  "accounts-close": "delete from longhaul.outcomes",
  "held-is-what-accounts-hold":
    "update longhaul.budgets set held = longhaul.plus(held, (1, 0, 0, 0)::longhaul.spend) where kind = 'tenant'",
  "spent-is-what-accounts-rolled":
    "update longhaul.budgets set spent = longhaul.plus(spent, (0, 0, 1, 0)::longhaul.spend) where kind = 'tenant'",
  "spent-is-what-calls-cost": "update longhaul.calls set nano_usd = nano_usd + 1 where state <> 'open'",
  "steps-are-counted": "update longhaul.budget_accounts set spent = longhaul.plus(spent, (0, 0, 0, 1)::longhaul.spend)",
  "budgets-are-there": "update longhaul.budgets set parent_id = gen_random_uuid() where kind = 'run'",
  "charged-once-ended": "delete from longhaul.charges",
  "ended-runs-owe-nothing":
    "update longhaul.budget_accounts set rolled = longhaul.plus(rolled, (0, 0, 1, 0)::longhaul.spend) where budget_id is not null",
  "nothing-held-asleep":
    "update longhaul.budget_accounts set held = longhaul.plus(held, (1000, 0, 0, 0)::longhaul.spend)",
};

/** What ends a transaction that must leave no trace. */
class Undo extends Error {}

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
  await fillDatabase(fresh);
});
afterAll(() => fresh.drop());

/** Rows that an invariant's query gives after `sql`, which is rolled back. */
async function rowsAfter(sql: string, query: string): Promise<unknown[]> {
  let rows: unknown[] = [];
  await fresh.db
    .transaction(async (tx) => {
      await tx.query(sql);
      rows = await tx.query(query);
      throw new Undo();
    })
    .catch((error) => {
      if (!(error instanceof Undo)) throw error;
    });
  return rows;
}

test("a database with runs in every state keeps every invariant", async () => {
  const states = await fresh.db.query(
    "select state from longhaul.live union select status from longhaul.outcomes order by 1",
  );
  expect(states.map((row) => row["state"])).toEqual([
    "cancelled",
    "failed",
    "paused",
    "queued",
    "running",
    "succeeded",
    "waiting",
  ]);
  expect(await checkInvariants(fresh.db)).toEqual([]);
});

test("every invariant has a number, a name of its own, and a way to break it", () => {
  const names = readInvariants().map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.toSorted()).toEqual(Object.keys(BREAKS).toSorted());
});

describe("is reported when broken:", () => {
  test.each(readInvariants())("$invariant $name", async ({ name, sql }) => {
    expect(await rowsAfter("select 1", sql)).toEqual([]);
    expect((await rowsAfter(BREAKS[name] ?? "", sql)).length).toBeGreaterThan(0);
  });
});

describe("docs/invariants.md", () => {
  const page = readFileSync("docs/invariants.md", "utf8");
  const rows = [...page.matchAll(/^\| (\d+)(?:–(\d+))? \| (.+?) \| (.+) \|$/gm)];

  test("tells of each invariant from 1 to 58 what holds it", () => {
    const numbers = rows.flatMap(([, from, to]) =>
      Array.from({ length: Number(to ?? from) - Number(from) + 1 }, (_, i) => Number(from) + i),
    );
    expect(numbers).toEqual(Array.from({ length: 58 }, (_, i) => i + 1));
  });

  test("names the queries that there are, and files, functions and constraints that are there", async () => {
    for (const [, number, , , held] of rows) {
      const queries = readInvariants().filter(({ invariant }) => invariant === `I${number}`);
      const word = queries.length === 1 ? `query I${number}` : `queries I${number}`;
      expect(held?.includes(word), `${number}: ${word}`).toBe(queries.length > 0);
    }
    const quoted = [...page.matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? "");
    for (const file of quoted.filter((text) => /^(src|test|docs|sql)\/\S+$/.test(text))) {
      expect(existsSync(file), file).toBe(true);
    }
    const schema = readFileSync("sql/schema.sql", "utf8");
    for (const name of quoted.filter((text) => /^(longhaul\.)?[a-z]+_[a-z_]+$/.test(text))) {
      expect(schema.includes(name) || name === "clock_timestamp" || name === "synchronous_commit", name).toBe(true);
    }
  });
});

test("a violation names the invariant, says what should hold, and shows where it does not", async () => {
  const broken = await freshDatabase();
  await broken.db.query("insert into longhaul.cancel_cascade select gen_random_uuid() from generate_series(1, 150)");
  const violations = await checkInvariants(broken.db);
  expect(violations).toEqual([
    {
      invariant: "I54",
      name: "nothing-is-orphaned",
      sentence: expect.stringContaining("cascade"),
      rows: expect.any(Array),
    },
  ]);
  expect(violations[0]?.rows).toHaveLength(100);
  await broken.drop();
});

test("a schema of another name is asked by its name", async () => {
  await fresh.db.query(`create schema other`);
  const { openDatabase } = await import("../../src/store/database.ts");
  const { migrate } = await import("../../src/store/migrate.ts");
  const other = openDatabase({ url: fresh.url, schema: "other" });
  await migrate(other);
  await other.query("insert into longhaul.cancel_cascade values (gen_random_uuid())");
  expect((await checkInvariants(other)).map(({ name }) => name)).toEqual(["nothing-is-orphaned"]);
  expect(await checkInvariants(fresh.db)).toEqual([]);
  await other.end();
});
