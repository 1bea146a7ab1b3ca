// Budgets over HTTP: declared with a run, refused with the fix, and seen in how the run ended.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, openHouse, post, until } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

const budgetOf = (runId: string) => house.longhaul.budget(runId);

test("a run is given its budget with its request, in JSON's names", async () => {
  const body = {
    assistant_id: "echo",
    input: 1,
    budget: { usd: 0.5, output_tokens: 100, wall_minutes: 5, on_exceeded: "ask" },
  };
  const response = await post(house.server, "/runs", body);
  const { run_id: runId, kwargs } = (await response.json()) as { run_id: string; kwargs: Record<string, unknown> };
  expect(response.status).toBe(200);
  expect(await budgetOf(runId)).toMatchObject({
    kind: "run",
    limits: { usd: 0.5, outputTokens: 100, wallMinutes: 5 },
    spent: { usd: 0 },
  });
  expect(kwargs["budget"]).toEqual(body.budget);
  const none = await post(house.server, "/runs", { assistant_id: "echo", input: 1, budget: null });
  expect(await budgetOf(((await none.json()) as { run_id: string }).run_id)).toBeNull();
});

test.each([
  [{ usd: -1 }, 422, "usd: -1 cannot be used"],
  [{ usd: "1" }, 422, 'usd: "1" cannot be used'],
  [{ tokens: 5 }, 422, "tokens: a budget has no such limit"],
  [{}, 422, "it limits nothing"],
  [[], 422, "budget"],
  [5, 422, "budget"],
])("%j is refused, and nothing is stored", async (budget, status, says) => {
  const before = await house.longhaul.list();
  const response = await post(house.server, "/runs", { assistant_id: "echo", input: 1, budget });
  expect(response.status).toBe(status);
  expect(JSON.stringify(await response.json())).toContain(says.replaceAll('"', '\\"'));
  expect(await house.longhaul.list()).toEqual(before);
});

test("one of a batch is refused alone", async () => {
  const bodies = [
    { assistant_id: "echo", budget: { usd: 1 } },
    { assistant_id: "echo", budget: { usd: -1 } },
  ];
  const response = await post(house.server, "/runs/batch", bodies);
  expect(response.status).toBe(207);
  expect(await response.json()).toMatchObject([{ run_id: expect.any(String) }, { code: "BUDGET_INVALID" }]);
});

test("a run whose time is over has failed, and says why", async () => {
  const body = { assistant_id: "sleeper", budget: { wall_minutes: 0 } };
  const { run_id: runId } = (await (await post(house.server, "/runs", body)).json()) as { run_id: string };
  const ended = await until(async () => (await house.longhaul.result(runId)) ?? false);
  expect(ended).toMatchObject({ status: "failed", reason: "budget_exceeded", failure: { code: "BUDGET_EXCEEDED" } });
});

test("a plan's budget is set and read over HTTP", async () => {
  const put = (body: unknown) =>
    fetch(`${house.server.url}/admin/plans/free`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const set = await put({ budget: { usd: 2.5, per: "day" } });
  expect(await set.json()).toMatchObject({ plan: "free", budget: { usd: 2.5, per: "day" } });
  const bad = await put({ budget: { usd: 2.5, per: "year" } });
  expect([bad.status, await bad.json()]).toMatchObject([422, { code: "PLAN_INVALID" }]);
});
