// A call outside of runs is written down while its limits are asked. One that they hold back leaves nothing in the books.
import { afterAll, beforeAll, expect, test } from "vitest";
import { budgetRow } from "../../src/domain/budget-check.ts";
import { newId } from "../../src/engine/ids.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { openBudget, readBudget } from "../../src/store/budgets.ts";
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

const TENANT = "acme";

/** A gateway whose provider has these limits, and the calls that it has opened. */
function gatewayWith(name: string, limits: object) {
  const settings = checkGateway({
    providers: {
      [name]: { kind: "openai", api: "chat", apiKey: FAKE_KEY, baseUrl: fake.urls.openai, limits: { "*": limits } },
    },
  });
  let opened = 0;
  const db = new Proxy(fresh.db, {
    get: (real, member) => {
      const found = Reflect.get(real, member) as unknown;
      if (typeof found !== "function") return found;
      if (member !== "query") return found.bind(real);
      return (text: string, values: unknown[], statement?: string) => {
        if (statement === "lh_open_calls_outside") opened += (JSON.parse(String(values[0])) as unknown[]).length;
        return real.query(text, values, statement);
      };
    },
  });
  const gateway = new Gateway({ db, settings });
  const ask = async (budgetId: string, text: string) =>
    gateway.chat(
      { options: { prompt: [{ role: "user", content: [{ type: "text", text }] }] }, stream: false },
      {
        model: `${name}/gpt-5-mini`,
        waiter: gateway.waiter(),
        callKey: newId(),
        abort: new AbortController().signal,
        attribution: { tenant: TENANT, runId: null, rootId: null, step: null, agent: null, feature: null },
        payer: await gateway.payer({ tenant: TENANT, budgetId }),
      },
    );
  const states = async () => {
    const rows = await fresh.db.query<{ state: string }>("select state from longhaul.calls where provider = $1", [
      name,
    ]);
    return rows.map(({ state }) => state);
  };
  return { gateway, ask, states, opened: () => opened };
}

async function budgetOf(usd: number): Promise<string> {
  const budgetId = newId();
  await openBudget(fresh.db, budgetId, TENANT, budgetRow({ usd }));
  return budgetId;
}

test("those that wait for a place are opened again when they have it", async () => {
  const { gateway, ask, states, opened } = gatewayWith("one-at-a-time", { concurrent: 1 });
  const budgetId = await budgetOf(1);
  fake.behave({ latencyMs: 100 });
  const answers = await Promise.all(["a", "b", "c"].map((text) => ask(budgetId, text)));
  fake.behave({ latencyMs: 0 });
  await gateway.close();
  expect(answers.map(({ attempts }) => attempts)).toEqual([1, 1, 1]);
  expect(opened()).toBeGreaterThan(3);
  expect(await states()).toEqual(["succeeded", "succeeded", "succeeded"]);
  const budget = await readBudget(fresh.db, null, budgetId);
  const cost = answers.reduce((sum, { spend }) => sum + spend.nanoUsd, 0n);
  expect([budget?.held.nanoUsd, budget?.spent.nanoUsd]).toEqual([0n, cost]);
});

test("one that would have to wait too long is refused, and was never there", async () => {
  const { gateway, ask, states, opened } = gatewayWith("one-a-minute", { rpm: 1 });
  const budgetId = await budgetOf(1);
  await ask(budgetId, "first");
  const others = await Promise.allSettled(["second", "third"].map((text) => ask(budgetId, text)));
  expect(others.map((other) => other.status === "rejected" && other.reason.code)).toEqual(["QUOTA_WAIT", "QUOTA_WAIT"]);
  expect(opened()).toBe(3);
  // By now it is known that there is a wait: nothing is written for nothing.
  await expect(ask(budgetId, "fourth")).rejects.toMatchObject({ code: "QUOTA_WAIT" });
  expect(opened()).toBe(3);
  await gateway.close();
  expect(await states()).toEqual(["succeeded"]);
  expect((await readBudget(fresh.db, null, budgetId))?.held.nanoUsd).toBe(0n);
});
