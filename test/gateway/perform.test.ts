// The pipeline from a model's name to its answer, over real HTTP, against a provider that misbehaves in every way it can.
import { setTimeout as pause } from "node:timers/promises";
import type { LanguageModelV3CallOptions, LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { isLonghaulError } from "../../src/domain/errors.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
import type { GatewayConfig } from "../../src/gateway/config.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { CallOptions, Waiter } from "../../src/gateway/roles.ts";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { startFakeProvider } from "../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../support/fake-provider/handle.ts";
import { FAKE_KEY } from "../support/fake-provider/settings.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fake: FakeProvider;
let database: FreshDatabase;
let db: Database;
const opened: Gateway[] = [];

beforeAll(async () => {
  fake = await startFakeProvider();
  database = await freshDatabase();
  db = openDatabase({ url: database.url, max: 6 });
});

beforeEach(async () => {
  await Promise.all(opened.splice(0).map((gateway) => gateway.close()));
  fake.clear();
  fake.behave({});
  await db.query("delete from longhaul.calls");
});

afterAll(async () => {
  await Promise.all(opened.map((gateway) => gateway.close()));
  await db.end();
  await database.drop();
  await fake.close();
});

/** Providers of this test alone, so that no limit or open circuit of another one is in the way. */
let place = 0;
function gatewayFor(config: (names: { a: string; b: string }) => GatewayConfig = () => ({})): {
  gateway: Gateway;
  a: string;
  b: string;
} {
  place += 1;
  const [a, b] = [`one-${place}`, `two-${place}`];
  const base = { kind: "openai" as const, api: "chat" as const, apiKey: FAKE_KEY, baseUrl: fake.urls.openai };
  const own = config({ a, b });
  const providers = {
    [a]: { ...base, ...own.providers?.[a] },
    [b]: { ...base, ...own.providers?.[b] },
  };
  const gateway = new Gateway({ db, settings: checkGateway({ ...own, providers }) });
  opened.push(gateway);
  return { gateway, a, b };
}

const PROMPT: LanguageModelV3CallOptions = {
  prompt: [{ role: "user", content: [{ type: "text", text: "How far is it?" }] }],
  maxOutputTokens: 50,
};

/** Refuses long waits, and says how long they would have been. */
class Refusal extends Error {
  readonly untilMs: number;
  readonly why: string;
  constructor(untilMs: number, why: string) {
    super(why);
    this.untilMs = untilMs;
    this.why = why;
  }
}
const waiter: Waiter = {
  holdMs: 3_000,
  postpone: async (untilMs, reason) => {
    throw new Refusal(untilMs, reason);
  },
};

let calls = 0;
async function asked(gateway: Gateway, model: string, more: Partial<CallOptions> = {}): Promise<CallOptions> {
  calls += 1;
  return {
    model,
    waiter,
    callKey: `test/${calls}`,
    abort: new AbortController().signal,
    attribution: { tenant: "acme", runId: null, rootId: null, step: null, agent: null, feature: "distance" },
    payer: await gateway.payer({ tenant: "acme", budgetId: null }),
    ...more,
  };
}

async function chat(gateway: Gateway, model: string, more: Partial<CallOptions> = {}) {
  return gateway.chat({ options: PROMPT, stream: false }, await asked(gateway, model, more));
}

const ledger = () =>
  db.query<{ provider: string; state: string; failure: string | null; attempt: number; source: string }>(
    "select provider, state, failure, attempt, source from longhaul.calls order by opened_at, attempt",
  );

test("a call is answered, paid for by what the provider counted, and written down with whoever asked", async () => {
  const { gateway, a } = gatewayFor();
  fake.behave({ reply: { text: "About a mile.", usage: { inputTokens: 1_000, outputTokens: 500 } } });
  const done = await chat(gateway, `${a}/gpt-5-mini`);
  expect(done.result.content).toEqual([expect.objectContaining({ type: "text", text: "About a mile." })]);
  expect(done).toMatchObject({ source: "provider", attempts: 1, target: { provider: a, model: "gpt-5-mini" } });
  // gpt-5-mini: $0.25 and $2 per million.
  expect(done.spend).toEqual({ inputTokens: 1_000, outputTokens: 500, nanoUsd: 1_250_000n, steps: 0 });
  await gateway.close();
  const [row] = await db.query<Record<string, unknown>>("select * from longhaul.calls");
  expect(row).toMatchObject({
    tenant_id: "acme",
    feature: "distance",
    provider: a,
    model: "gpt-5-mini",
    state: "succeeded",
    input_tokens: 1_000,
    output_tokens: 500,
    nano_usd: 1_250_000,
    price_confidence: "exact",
    source: "provider",
  });
});

test("a limit that is over soon is waited for in place, and the call then goes", async () => {
  const { gateway, a } = gatewayFor();
  fake.behave({ rules: [{ times: 1, reply: { fault: { kind: "rate_limit", retryAfterMs: 1_000 } } }] });
  const startMs = performance.now();
  const done = await chat(gateway, `${a}/gpt-5`);
  expect(done.attempts).toBe(2);
  expect(performance.now() - startMs).toBeGreaterThan(900);
  await gateway.close();
  expect((await ledger()).map(({ state, failure }) => [state, failure])).toEqual([
    ["failed", "rate_window"],
    ["succeeded", null],
  ]);
});

test("a limit of an hour is the waiter's business, for every process, until it is over", async () => {
  const { gateway, a } = gatewayFor();
  fake.behave({ reply: { fault: { kind: "rate_limit", retryAfterMs: 3_600_000 } } });
  const refused = await chat(gateway, `${a}/gpt-5`).catch((error) => error);
  expect(refused).toBeInstanceOf(Refusal);
  expect(refused.untilMs - Date.now()).toBeGreaterThan(3_590_000);
  expect(refused.untilMs - Date.now()).toBeLessThan(3_700_000);
  const settings = gateway.settings;
  const other = new Gateway({ db, settings });
  opened.push(other);
  const again = await chat(other, `${a}/gpt-5`).catch((error) => error);
  expect(again).toBeInstanceOf(Refusal);
  expect(fake.calls).toHaveLength(1);
});

test("who is overloaded is asked again, then the next one serves", async () => {
  const { gateway, a, b } = gatewayFor(({ a, b }) => ({
    models: { smart: { try: [`${a}/gpt-5`, `${b}/gpt-5-mini`] } },
  }));
  fake.behave({ rules: [{ when: { model: "gpt-5" }, reply: { fault: "overloaded" } }] });
  const done = await chat(gateway, "smart");
  expect(done.target).toEqual({ provider: b, model: "gpt-5-mini" });
  await gateway.close();
  expect((await ledger()).map(({ provider, state, attempt }) => [provider, state, attempt])).toEqual([
    [a, "failed", 1],
    [a, "failed", 2],
    [b, "succeeded", 3],
  ]);
});

test("a limit reached at the first target sends the call to the second at once", async () => {
  const { gateway, b } = gatewayFor(({ a, b }) => ({ models: { smart: { try: [`${a}/gpt-5`, `${b}/gpt-5-mini`] } } }));
  const limited = { kind: "rate_limit", retryAfterMs: 60_000 } as const;
  fake.behave({ rules: [{ when: { model: "gpt-5" }, reply: { fault: limited } }] });
  const startMs = performance.now();
  expect((await chat(gateway, "smart")).target.provider).toBe(b);
  expect((await chat(gateway, "smart")).target.provider).toBe(b);
  expect(performance.now() - startMs).toBeLessThan(5_000);
  // The second call knew of the limit.
  expect(fake.calls.filter(({ model }) => model === "gpt-5")).toHaveLength(1);
});

test.each([
  ["auth", "MODEL_KEY_REJECTED", 1],
  ["bad_request", "MODEL_REQUEST_REFUSED", 1],
  ["context_length", "MODEL_CONTEXT_TOO_LONG", 1],
  ["quota_exhausted", "MODEL_UNPAID", 1],
  ["unknown_model", "MODEL_NOT_SERVED", 1],
  ["server_error", "MODEL_UNREACHABLE", 4],
  ["overloaded", "MODEL_OVERLOADED", 4],
  ["garbage_json", "MODEL_ANSWER_BROKEN", 4],
] as const)("%s ends the call with %s after %i attempts, and says what to do", async (fault, code, attempts) => {
  const { gateway, a } = gatewayFor();
  fake.behave({ reply: { fault } });
  const error = await chat(gateway, `${a}/gpt-5`).catch((caught) => caught);
  expect(isLonghaulError(error, code), String(error)).toBe(true);
  expect(error.details.attempts).toHaveLength(attempts);
  expect(error.hint).not.toBe("");
  expect(fake.calls).toHaveLength(attempts);
});

test("a key that one provider refuses does not keep the next from serving", async () => {
  const { gateway, b } = gatewayFor(({ a, b }) => ({
    providers: { [a]: { apiKey: "sk-wrong" } },
    models: { smart: { try: [`${a}/gpt-5`, `${b}/gpt-5`] } },
  }));
  expect((await chat(gateway, "smart")).target.provider).toBe(b);
});

test("a stream that breaks off is taken back and begun anew, and both are paid for", async () => {
  const { gateway, a } = gatewayFor();
  const text = "It is seven miles to the sea, and then some more along the shore.";
  fake.behave({ rules: [{ times: 1, reply: { text, fault: "reset_mid_stream" } }], reply: { text } });
  const seen: { text: string; resets: number } = { text: "", resets: 0 };
  const onPart = (part: LanguageModelV3StreamPart): void => {
    if (part.type === "text-delta") seen.text += part.delta;
  };
  const onReset = (): boolean => {
    expect(seen.text.length).toBeGreaterThan(0);
    seen.text = "";
    seen.resets += 1;
    return true;
  };
  const options = await asked(gateway, `${a}/gpt-5`);
  const done = await gateway.chat({ options: PROMPT, stream: true, onPart, onReset }, options);
  expect(seen).toEqual({ text, resets: 1 });
  expect(done.result.content).toEqual([expect.objectContaining({ type: "text", text })]);
  expect(done.firstChunkMs).not.toBeNull();
  await gateway.close();
  const rows = await db.query<{ state: string; paid: boolean }>(
    "select state, nano_usd > 0 as paid from longhaul.calls order by attempt",
  );
  expect(rows).toEqual([
    { state: "failed", paid: true },
    { state: "succeeded", paid: true },
  ]);
});

test("what cannot be taken back ends the call with the part that was shown", async () => {
  const { gateway, a } = gatewayFor();
  fake.behave({ reply: { text: "a long answer that never comes to its end", fault: "cut" } });
  const options = await asked(gateway, `${a}/gpt-5`);
  const call = gateway.chat({ options: PROMPT, stream: true, onPart: () => undefined, onReset: () => false }, options);
  await expect(call).rejects.toMatchObject({ code: "PARTIAL_STREAM" });
  expect(fake.calls).toHaveLength(1);
});

test.each(["hang_before_headers", "hang_after_headers", "hang_mid_stream"] as const)(
  "a provider that does %s is given up after the silence that is allowed",
  async (fault) => {
    const { gateway, a } = gatewayFor(({ a }) => ({ models: { quick: { try: [`${a}/gpt-5`], idle: "300 ms" } } }));
    fake.behave({ rules: [{ times: 1, reply: { fault } }], reply: { text: "at last" } });
    const done = await gateway.chat({ options: PROMPT, stream: true }, await asked(gateway, "quick"));
    expect(done.attempts).toBe(2);
    expect(a).toBeTruthy();
    await fake.received((seen) => seen.some(({ outcome }) => outcome === "client_left"));
  },
);

test("a cancel reaches the provider while it thinks, and is no failure of it", async () => {
  const { gateway, a } = gatewayFor();
  fake.behave({ reply: { latencyMs: 20_000 } });
  const controller = new AbortController();
  const options = await asked(gateway, `${a}/gpt-5`, { abort: controller.signal });
  const call = gateway.chat({ options: PROMPT, stream: false }, options);
  await fake.received((seen) => seen.length === 1);
  const reason = new Error("nobody wants to know any more");
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
  await fake.received((seen) => seen[0]?.outcome === "client_left");
  await gateway.close();
  expect((await ledger())[0]).toMatchObject({ state: "failed", failure: "cancelled" });
});

test("equal calls share one answer in flight, and later ones have it from the cache; nobody else's tenant does", async () => {
  const { gateway, a } = gatewayFor();
  const other = new Gateway({ db, settings: gateway.settings });
  opened.push(other);
  fake.behave({ reply: { text: "once", latencyMs: 300 } });
  const model = `${a}/gpt-5`;
  const many = await Promise.all(
    [gateway, other].flatMap((one) => Array.from({ length: 10 }, () => chat(one, model, { cacheMs: 60_000 }))),
  );
  expect(fake.calls).toHaveLength(1);
  expect(many.filter(({ source }) => source === "provider")).toHaveLength(1);
  expect(new Set(many.map(({ result }) => JSON.stringify(result.content))).size).toBe(1);
  expect((await chat(other, model, { cacheMs: 60_000 })).source).toBe("cache");
  const attribution = { tenant: "rival", runId: null, rootId: null, step: null, agent: null, feature: null };
  expect((await chat(gateway, model, { cacheMs: 60_000, attribution })).source).toBe("provider");
  expect(fake.calls).toHaveLength(2);
});

test("an answer that failed is not kept for others", async () => {
  const { gateway, a } = gatewayFor();
  fake.behave({ rules: [{ times: 1, reply: { fault: "bad_request" } }], reply: { text: "fine" } });
  await expect(chat(gateway, `${a}/gpt-5`, { cacheMs: 60_000 })).rejects.toMatchObject({
    code: "MODEL_REQUEST_REFUSED",
  });
  expect((await chat(gateway, `${a}/gpt-5`, { cacheMs: 60_000 })).source).toBe("provider");
});

test("a target that keeps failing is left alone by everybody for a while", async () => {
  const { gateway, a } = gatewayFor(({ a }) => ({ models: { once: { try: [`${a}/gpt-5`], attempts: 1 } } }));
  fake.behave({ reply: { fault: "server_error" } });
  for (let i = 0; i < 12; i += 1) await chat(gateway, "once").catch(() => undefined);
  await pause(300);
  const before = fake.calls.length;
  const refused = await chat(gateway, "once").catch((error) => error);
  expect(refused).toBeInstanceOf(Refusal);
  expect((refused as Refusal).why).toBe(`${a}/gpt-5 to recover`);
  expect(fake.calls).toHaveLength(before);
});

test("our own limit is kept over many calls, with a pause and without a single refusal", async () => {
  const { gateway, a } = gatewayFor(({ a }) => ({ providers: { [a]: { limits: { "*": { concurrent: 2 } } } } }));
  fake.behave({ reply: { text: "ok", latencyMs: 60 } });
  const patient = { ...waiter, holdMs: 60_000 };
  await Promise.all(Array.from({ length: 8 }, () => chat(gateway, `${a}/gpt-5`, { waiter: patient })));
  expect(fake.counts().mostOpen).toBeLessThanOrEqual(2);
  expect(fake.counts().answered).toBe(8);
});

test("a model that nobody knows is refused before anything is asked", async () => {
  const { gateway } = gatewayFor();
  await expect(chat(gateway, "nonsense")).rejects.toMatchObject({ code: "MODEL_UNKNOWN" });
  await expect(chat(gateway, "nobody/model")).rejects.toMatchObject({ code: "MODEL_UNKNOWN" });
  expect(fake.calls).toHaveLength(0);
});

test("usage that cannot be is replaced by the estimate", async () => {
  const { gateway, a } = gatewayFor();
  fake.behave({ reply: { text: "fine", fault: "absurd_usage" } });
  const done = await chat(gateway, `${a}/gpt-5`);
  expect(done.usage.outputTokens).toBeLessThanOrEqual(1_000_000);
  expect(done.usage.inputTokens).toBeGreaterThan(0);
});
