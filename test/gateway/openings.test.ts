// Calls outside of runs that are opened at the same time: few commits, and nobody pays for his neighbour's mistake.
import { afterAll, beforeAll, expect, test } from "vitest";
import { budgetRow } from "../../src/domain/budget-check.ts";
import { newId } from "../../src/engine/ids.ts";
import { Openings } from "../../src/gateway/openings.ts";
import { openBudget, readBudget } from "../../src/store/budgets.ts";
import { type NewCall, openCalls } from "../../src/store/calls.ts";
import type { Database } from "../../src/store/database.ts";
import { facts, spend } from "../support/calls.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

const TENANT = "acme";

function call(model = "gpt-5-mini"): NewCall {
  const attribution = { tenant: TENANT, runId: null, rootId: null, step: null, agent: null, feature: null };
  return { ...facts({ estimate: spend({ input: 10, usd: 0.01 }), attribution, model }), callId: newId() };
}

/** The real database, and how many statements went there. */
function counted(): { readonly db: Database; statements: number } {
  const count = { statements: 0, db: undefined as unknown as Database };
  count.db = new Proxy(fresh.db, {
    get: (db, name) => {
      if (name === "query") count.statements += 1;
      const member = Reflect.get(db, name) as unknown;
      return typeof member === "function" ? member.bind(db) : member;
    },
  });
  return count;
}

test("those of one budget share a commit, and each has its own verdict", async () => {
  const budget = newId();
  await openBudget(fresh.db, budget, TENANT, budgetRow({ usd: 0.3 }));
  const count = counted();
  const openings = new Openings(count.db);
  const drawn = await Promise.all(Array.from({ length: 50 }, () => openings.open(call(), budget)));
  expect(drawn.filter(({ verdict }) => verdict === "done")).toHaveLength(30);
  expect(drawn.filter(({ verdict }) => verdict === "refused")).toHaveLength(20);
  expect(Number((await readBudget(fresh.db, null, budget))?.held.nanoUsd)).toBe(0.3e9);
  expect(count.statements).toBe(1);
});

test("one that is sent again is there once, and so are those that are sent with it", async () => {
  const budget = newId();
  await openBudget(fresh.db, budget, TENANT, budgetRow({ usd: 0.3 }));
  const [first, second, third] = [call(), call(), call()];
  await openCalls(fresh.db, [first], budget);
  const drawn = await openCalls(fresh.db, [second, first, third], budget);
  expect(drawn.map(({ verdict }) => verdict)).toEqual(["done", "done", "done"]);
  expect(Number((await readBudget(fresh.db, null, budget))?.held.nanoUsd)).toBe(0.03e9);
});

test("a budget whose time is over refuses, and one that is not there is lost", async () => {
  const budget = newId();
  await openBudget(fresh.db, budget, TENANT, budgetRow({ wallMinutes: 1 }));
  expect((await openCalls(fresh.db, [call(), call()], budget)).map(({ verdict }) => verdict)).toEqual(["done", "done"]);
  await fresh.db.query("update longhaul.budgets set ends_at = clock_timestamp() where budget_id = $1", [budget]);
  expect(await openCalls(fresh.db, [call()], budget)).toMatchObject([
    { verdict: "refused", refusal: { dimension: "wallMinutes", final: true } },
  ]);
  expect((await openCalls(fresh.db, [call(), call()], newId())).map(({ verdict }) => verdict)).toEqual([
    "lost",
    "lost",
  ]);
});

test("one that the database will not take fails alone", async () => {
  const openings = new Openings(fresh.db);
  const calls = [call(), call(), call("gpt\0"), call()];
  const opened = await Promise.allSettled(calls.map((one) => openings.open(one, null)));
  expect(opened.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
  const written = await fresh.db.query("select from longhaul.calls where call_id = any($1)", [
    calls.map(({ callId }) => callId),
  ]);
  expect(written).toHaveLength(3);
});
