// A model call while the database comes and goes: every statement on its way is struck once, and the call is made all the same.
import { afterAll, beforeAll, expect, test } from "vitest";
import { budgetRow } from "../../src/domain/budget-check.ts";
import { newId } from "../../src/engine/ids.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { openBudget, readBudget } from "../../src/store/budgets.ts";
import type { Database } from "../../src/store/database.ts";
import { startFakeProvider } from "../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../support/fake-provider/handle.ts";
import { FAKE_KEY } from "../support/fake-provider/settings.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fake: FakeProvider;
let fresh: FreshDatabase;
beforeAll(async () => {
  [fake, fresh] = await Promise.all([startFakeProvider(), freshDatabase()]);
});
afterAll(async () => {
  await fake.close();
  await fresh.drop();
});

type Blow = "before" | "after";

/** The real database; the first statement of each name fails as if the connection broke before the server had it, or after it was done. */
function struck(blow: Blow): { readonly db: Database; readonly names: Set<string> } {
  const names = new Set<string>();
  const { db } = fresh;
  const query: Database["query"] = async (text, values, name = text) => {
    const isFirst = !names.has(name);
    names.add(name);
    if (isFirst && blow === "before") throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
    const rows = await db.query(text, values, name === text ? undefined : name);
    if (isFirst) throw new Error("Connection terminated unexpectedly");
    return rows as never;
  };
  const meddled = new Proxy(db, {
    get: (real, name) => {
      if (name === "query") return query;
      const member = Reflect.get(real, name) as unknown;
      return typeof member === "function" ? member.bind(real) : member;
    },
  });
  return { db: meddled, names };
}

const ON_THE_WAY = [
  "lh_seek_answer",
  "lh_sick_targets",
  "lh_ask_probe",
  "lh_declare_quotas",
  "lh_reserve_quota",
  "lh_open_calls_outside",
];

test.each<Blow>(["before", "after"])("a call outlives a connection lost %s each statement", async (blow) => {
  const name = `struck-${blow}`;
  const settings = checkGateway({
    providers: {
      [name]: {
        kind: "openai",
        api: "chat",
        apiKey: FAKE_KEY,
        baseUrl: fake.urls.openai,
        limits: { "*": { rpm: 1_000, concurrent: 2 } },
      },
    },
  });
  // Its circuit is open, and may be tried.
  await fresh.db.query(
    `insert into longhaul.breakers (target, open_until, open_ms) values ($1, longhaul.now_ms() - 1, 1000)`,
    [`${name}/gpt-5-mini`],
  );
  const budgetId = newId();
  await openBudget(fresh.db, budgetId, "acme", budgetRow({ usd: 1 }));
  const { db, names } = struck(blow);
  const gateway = new Gateway({ db, settings });
  fake.clear();
  const done = await gateway.chat(
    { options: { prompt: [{ role: "user", content: [{ type: "text", text: "Hello?" }] }] }, stream: false },
    {
      model: `${name}/gpt-5-mini`,
      waiter: gateway.waiter(),
      callKey: newId(),
      abort: new AbortController().signal,
      attribution: { tenant: "acme", runId: null, rootId: null, step: null, agent: null, feature: null },
      payer: await gateway.payer({ tenant: "acme", budgetId }),
      cacheMs: 60_000,
    },
  );
  expect(done).toMatchObject({ source: "provider", attempts: 1 });
  expect([...names]).toEqual(expect.arrayContaining(ON_THE_WAY));
  await gateway.close();
  expect(fake.calls).toHaveLength(1);
  const calls = await fresh.db.query("select state from longhaul.calls where provider = $1", [name]);
  expect(calls).toEqual([{ state: "succeeded" }]);
  const budget = await readBudget(fresh.db, null, budgetId);
  expect(budget?.held.nanoUsd).toBe(0n);
});
