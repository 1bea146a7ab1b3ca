// What calls over HTTP leave in the books: whose they are, what they cost, what they saved, and what their budgets have left.
import { describe, expect, test } from "vitest";
import type { CostReport } from "../../src/domain/costs.ts";
import { newId } from "../../src/engine/ids.ts";
import { post, question, useModels } from "./models-stage.ts";

const stage = useModels();
const MODEL = "openai/gpt-5-mini";
/** gpt-5-mini: $0.25 and $2 per million. */
const USAGE = { inputTokens: 1_000, outputTokens: 500 };
const USD = 0.00125;
/** Enough for two calls, and for no third however short. */
const LITTLE = 0.00251;

const books = (tenant: string) =>
  stage.database.db.query<Record<string, unknown>>(
    "select * from longhaul.calls where tenant_id = $1 order by call_id",
    [tenant],
  );

/** Closings are told in batches. */
async function settled(tenant: string, count: number) {
  for (let tries = 0; tries < 200; tries++) {
    const rows = await books(tenant);
    if (rows.filter(({ state }) => state !== "open").length >= count) return rows;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`there are no ${count} closed calls of ${tenant}`);
}

let tenants = 0;
async function newTenant(scopes = ["write"]) {
  const tenant = `tenant-${tenants++}`;
  const { token } = await stage.longhaul.keys.create({ tenant, scopes });
  const at = { server: stage.server, token };
  const ask = (headers: Record<string, string> = {}, more: object = {}) =>
    post(at, "chat/completions", { ...question(MODEL), max_tokens: 600, ...more }, headers);
  return { tenant, token, ask, at };
}

test("a call is written down with whoever asked for it, and what it cost", async () => {
  stage.fake.behave({ reply: { text: "x", usage: { ...USAGE, cacheReadTokens: 0 } } });
  const { tenant, ask } = await newTenant();
  const run = newId();
  const response = await ask({
    "x-longhaul-feature": "triage",
    "x-longhaul-agent": "python bot",
    "x-longhaul-run": run,
  });
  expect(response.headers.get("x-longhaul-cost-usd")).toBe(String(USD));
  const [row] = await settled(tenant, 1);
  expect(row).toMatchObject({
    tenant_id: tenant,
    feature: "triage",
    agent: "python bot",
    root_id: run,
    run_id: null,
    account_id: null,
    provider: "openai",
    model: "gpt-5-mini",
    state: "succeeded",
    source: "provider",
    price_confidence: "exact",
    input_tokens: 1_000,
    output_tokens: 500,
    nano_usd: 1_250_000,
  });
});

test("an embedding, a stream and a response are written down too", async () => {
  stage.fake.behave({ reply: { text: "x", usage: USAGE } });
  const { tenant, at, ask } = await newTenant();
  await (await ask({}, { stream: true })).text();
  await (await post(at, "responses", { model: MODEL, input: "x" })).text();
  await (await post(at, "responses", { model: MODEL, input: "x", stream: true })).text();
  await (await post(at, "embeddings", { model: "openai/text-embedding-3-small", input: "some text" })).text();
  const rows = await settled(tenant, 4);
  expect(rows.map(({ output_tokens: output }) => output)).toEqual([500, 500, 500, 0]);
  expect(rows.map(({ first_chunk_ms: ms }) => ms === null)).toEqual([false, true, false, true]);
});

test("a stream that a client leaves is paid for as far as it came", async () => {
  stage.fake.behave({ reply: { text: "word ".repeat(500), chunkMs: 20 } });
  const { tenant, ask } = await newTenant();
  const response = await ask({}, { stream: true });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  const [row] = await settled(tenant, 1);
  expect(row).toMatchObject({ state: "failed", failure: "cancelled" });
  expect(Number(row?.["input_tokens"])).toBeGreaterThan(0);
});

describe("the cache", () => {
  test("answers an equal question of the same tenant, whole or as a stream, and is asked for call by call", async () => {
    stage.fake.behave({ reply: { text: "Cached words.", usage: USAGE } });
    const { tenant, ask } = await newTenant();
    const hour = { "x-longhaul-cache": "1h" };
    const first = await ask(hour);
    const second = await ask(hour);
    const streamed = await ask(hour, { stream: true, stream_options: { include_usage: true } });
    expect([first, second].map(({ headers }) => headers.get("x-longhaul-cache"))).toEqual(["miss", "hit"]);
    expect(second.headers.get("x-longhaul-cost-usd")).toBe("0");
    expect(await second.json()).toEqual(await first.json());
    const text = await streamed.text();
    expect(text).toContain('"content":"Cached words."');
    expect(text).toContain("cache=hit");
    expect(text).toMatch(/"usage":\{"prompt_tokens":1000/);
    expect(stage.fake.calls).toHaveLength(1);
    await (await ask()).text();
    await (await ask(hour, { temperature: 0.3 })).text();
    const other = await newTenant();
    await (await other.ask(hour)).text();
    expect(stage.fake.calls).toHaveLength(4);
    const rows = await settled(tenant, 5);
    expect(rows.map(({ source }) => source).sort()).toEqual(["cache", "cache", "provider", "provider", "provider"]);
  });

  test("keeps what was streamed, for whoever asks for it whole", async () => {
    stage.fake.behave({ reply: { text: "First as a stream.", usage: USAGE } });
    const { ask, at } = await newTenant();
    const hour = { "x-longhaul-cache": "1h" };
    await (await ask(hour, { stream: true })).text();
    const whole = (await (await ask(hour)).json()) as { choices: unknown };
    expect(whole).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { content: "First as a stream." }, finish_reason: "stop" }],
      usage: { prompt_tokens: 1_000 },
    });
    const body = { model: MODEL, input: "x" };
    await (await post(at, "responses", { ...body, stream: true }, hour)).text();
    const response = await post(at, "responses", body, hour);
    expect([response.headers.get("x-longhaul-cache"), await response.json()]).toMatchObject([
      "hit",
      { object: "response", status: "completed" },
    ]);
    expect(stage.fake.calls).toHaveLength(2);
  });

  test("lets identical calls in flight share one answer", async () => {
    stage.fake.behave({ reply: { text: "Shared.", usage: USAGE, latencyMs: 300 } });
    const { tenant, ask } = await newTenant();
    const answers = await Promise.all(
      [1, 2, 3, 4].map((n) => ask({ "x-longhaul-cache": "1h" }, { stream: n % 2 === 0 })),
    );
    const texts = await Promise.all(answers.map((one) => one.text()));
    expect(texts.every((text) => text.includes("Shared."))).toBe(true);
    expect(stage.fake.calls).toHaveLength(1);
    const rows = await settled(tenant, 4);
    expect(rows.filter(({ source }) => source === "provider")).toHaveLength(1);
  });

  test("an idempotency key makes a repeat the same call, and another key another", async () => {
    stage.fake.behave({ reply: { text: "Once.", usage: USAGE } });
    const { ask } = await newTenant();
    const bodies = [];
    for (const key of ["a", "a", "b"]) bodies.push(await (await ask({ "idempotency-key": key })).text());
    expect(bodies[1]).toBe(bodies[0]);
    expect(stage.fake.calls).toHaveLength(2);
  });
});

describe("budgets", () => {
  const open = async (at: { server: typeof stage.server; token: string }, body: object, headers = {}) => {
    const response = await post(at, "budgets", body, headers);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const get = async (at: { server: typeof stage.server; token: string }, id: unknown) => {
    const response = await fetch(`${at.server.url}/v1/budgets/${id}`, {
      headers: { authorization: `Bearer ${at.token}` },
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  test("are opened, drawn on, read, and raised by whoever may", async () => {
    stage.fake.behave({ reply: { text: "x", usage: USAGE } });
    const { tenant, ask, at } = await newTenant();
    const { status, body } = await open(at, { usd: LITTLE });
    const budgetId = String(body["budgetId"]);
    expect([status, body]).toMatchObject([201, { kind: "open", limits: { usd: LITTLE }, spent: { usd: 0 } }]);
    const headers = { "x-longhaul-budget": budgetId };
    const first = await ask(headers);
    expect(first.status).toBe(200);
    expect(Number(first.headers.get("x-longhaul-budget-remaining-usd"))).toBeLessThanOrEqual(LITTLE);
    await settled(tenant, 1);
    const second = await ask(headers);
    expect(second.status).toBe(200);
    await settled(tenant, 2);
    const refused = await ask(headers);
    expect([refused.status, ((await refused.json()) as { error: unknown }).error]).toMatchObject([
      429,
      {
        code: "budget_exceeded",
        longhaul: { code: "BUDGET_EXCEEDED", details: { budgetId, dimension: "usd", limit: LITTLE } },
      },
    ]);
    expect((await get(at, budgetId)).body).toMatchObject({ spent: { usd: 2 * USD }, held: { usd: 0 } });

    const models = await stage.longhaul.keys.create({ tenant, scopes: ["models"] });
    expect((await open({ server: stage.server, token: models.token }, {}, {})).status).toBe(422);
    const mayNot = await post({ server: stage.server, token: models.token }, `budgets/${budgetId}/raise`, { usd: 1 });
    expect(mayNot.status).toBe(403);
    const raised = await post(at, `budgets/${budgetId}/raise`, { usd: 1 });
    expect([raised.status, await raised.json()]).toMatchObject([200, { limits: { usd: 1 + LITTLE } }]);
    expect((await ask(headers)).status).toBe(200);
  });

  test("hold what is under way, so that calls at the same time do not overspend", async () => {
    stage.fake.behave({ reply: { text: "x", usage: USAGE, latencyMs: 200 } });
    const { tenant, ask, at } = await newTenant();
    const { body } = await open(at, { outputTokens: 2_000 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => ask({ "x-longhaul-budget": String(body["budgetId"]) })),
    );
    const served = answers.filter(({ status }) => status === 200).length;
    expect(served).toBeGreaterThanOrEqual(3);
    expect(served).toBeLessThanOrEqual(4);
    await settled(tenant, served);
    expect((await get(at, body["budgetId"])).body).toMatchObject({ spent: { outputTokens: served * 500 } });
  });

  test("near their end make answers shorter, in every API and for every provider", async () => {
    const { at } = await newTenant();
    const limits: unknown[] = [];
    for (const [path, model, more] of [
      ["chat/completions", MODEL, {}],
      ["chat/completions", MODEL, { max_tokens: 900, n: 2 }],
      ["chat/completions", "local/gpt-5-mini", { stream: true }],
      ["chat/completions", "anthropic/claude-sonnet-4-5", {}],
      ["responses", MODEL, { input: "x" }],
      ["responses", "local/gpt-5-mini", { input: "x" }],
    ] as const) {
      const { body } = await open(at, { outputTokens: 40 });
      const asked = path === "responses" ? { model, ...more } : { ...question(model), ...more };
      const answer = await post(at, path, asked, { "x-longhaul-budget": String(body["budgetId"]) });
      expect([path, model, answer.status]).toEqual([path, model, 200]);
      await answer.text();
      const sent = stage.fake.calls.at(-1)?.body as Record<string, unknown>;
      limits.push(["max_completion_tokens", "max_tokens", "max_output_tokens"].map((name) => sent[name]));
    }
    expect(limits).toEqual([
      [40, undefined, undefined],
      [undefined, 20, undefined],
      [undefined, 40, undefined],
      [undefined, 40, undefined],
      [undefined, undefined, 40],
      [undefined, 40, undefined],
    ]);
  });

  test("are refused when they say nothing, or what cannot be", async () => {
    const { at } = await newTenant();
    for (const body of [
      {},
      { usd: -1 },
      { usd: Number.NaN },
      { dollars: 5 },
      { steps: 3 },
      { usd: 1, onExceeded: "ask" },
      [],
    ])
      expect(await open(at, body)).toMatchObject({ status: 422, body: { error: { code: "budget_invalid" } } });
    expect((await get(at, newId())).status).toBe(404);
    expect((await get(at, "x")).status).toBe(400);
  });

  test("0 lets nothing through, and one whose time is over neither", async () => {
    const { ask, at } = await newTenant();
    for (const limits of [{ usd: 0 }, { wallMinutes: 0 }]) {
      const { body } = await open(at, limits);
      const refused = await ask({ "x-longhaul-budget": String(body["budgetId"]) });
      expect([limits, refused.status]).toEqual([limits, 429]);
    }
    expect(stage.fake.calls).toHaveLength(0);
  });

  test("opened twice with one idempotency key are one", async () => {
    const { at } = await newTenant();
    const ids = [];
    for (const key of ["a", "a", "b"])
      ids.push((await open(at, { usd: 1 }, { "idempotency-key": key })).body["budgetId"]);
    expect([ids[0] === ids[1], ids[0] === ids[2]]).toEqual([true, false]);
  });

  test("of a tenant's plan bind calls that name none", async () => {
    stage.fake.behave({ reply: { text: "x", usage: USAGE } });
    const { tenant, ask } = await newTenant();
    await stage.longhaul.plans.set("metered", { budget: { usd: LITTLE, per: "month" } });
    await stage.longhaul.tenants.setPlan(tenant, "metered");
    const statuses = [];
    for (let n = 1; n <= 3; n++) {
      statuses.push((await ask()).status);
      if (n < 3) await settled(tenant, n);
    }
    expect(statuses).toEqual([200, 200, 429]);
  });

  test("in dollars refuse a model whose price nobody knows", async () => {
    const { at } = await newTenant();
    const { body } = await open(at, { usd: 1 });
    const response = await post(at, "chat/completions", question("local/nobody-knows-this"), {
      "x-longhaul-budget": String(body["budgetId"]),
    });
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
      422,
      "price_unknown",
    ]);
  });
});

describe("costs over HTTP", () => {
  const read = async (token: string, path: string) => {
    const response = await fetch(`${stage.server.url}/admin/${path}`, { headers: { "x-api-key": token } });
    return { status: response.status, body: (await response.json()) as unknown };
  };

  test("are one's own, and of all tenants for operators", async () => {
    stage.fake.behave({ reply: { text: "x", usage: USAGE } });
    const [mine, other] = [await newTenant(), await newTenant()];
    await mine.ask({ "x-longhaul-feature": "a", "x-longhaul-run": newId() });
    await mine.ask({ "x-longhaul-feature": "b", "x-longhaul-run": newId() });
    await other.ask({ "x-longhaul-feature": "canary-9d" });
    await settled(mine.tenant, 2);
    await settled(other.tenant, 1);
    const own = await read(mine.token, "costs?by=feature&since=1h");
    expect((own.body as CostReport).lines.map(({ key, calls, usd }) => [key, calls, usd])).toEqual([
      ["a", 1, USD],
      ["b", 1, USD],
    ]);
    expect(JSON.stringify(own.body)).not.toContain("canary");
    expect((await read(mine.token, `costs?tenant=${other.tenant}`)).status).toBe(403);
    const admin = await stage.longhaul.keys.create({ tenant: "ops", scopes: ["admin"] });
    const all = (await read(admin.token, "costs?by=tenant")).body as CostReport;
    expect(all.lines).toEqual(
      expect.arrayContaining([mine, other].map(({ tenant }) => expect.objectContaining({ key: tenant }))),
    );
    const one = (await read(admin.token, `costs?by=tenant&tenant=${mine.tenant}`)).body as CostReport;
    expect(one.lines.map(({ key }) => key)).toEqual([mine.tenant]);
    expect((await read(mine.token, "costs?report=concentration")).body).toMatchObject({ runs: 2, usd: 2 * USD });
    expect((await read(mine.token, "charges")).body).toEqual({ charges: [], next: null });
    expect((await read(mine.token, "costs?by=colour")).status).toBe(422);
    expect((await read(mine.token, "costs?since=yesterday")).status).toBe(400);
  });
});
