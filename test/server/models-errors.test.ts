// What goes wrong at the OpenAI-compatible endpoint, as OpenAI's own client libraries raise it, and how often they try again.
import { setTimeout as pause } from "node:timers/promises";
import type { APIError } from "openai";
import { describe, expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import { serve } from "../../src/server/index.ts";
import { CLIENTS, clientOf, post, question, useModels } from "./models-stage.ts";

const stage = useModels(({ urls, key }) => ({
  providers: {
    // Each test has a provider of its own, so that no limit, open circuit or block of another one is in the way.
    ...Object.fromEntries(
      Array.from({ length: 60 }, (_, n) => [
        `p${n}`,
        { kind: "openai-compatible" as const, apiKey: key, baseUrl: urls.compatible },
      ]),
    ),
    ...Object.fromEntries(
      ["minute-6", "minute-7", "full-6", "full-7"].map((name) => [
        name,
        { kind: "openai-compatible" as const, apiKey: key, baseUrl: urls.compatible, limits: { "*": { rpm: 10 } } },
      ]),
    ),
    ...Object.fromEntries(
      ["day-6", "day-7"].map((name) => [
        name,
        { kind: "openai-compatible" as const, apiKey: key, baseUrl: urls.compatible, limits: { "*": { rpd: 1 } } },
      ]),
    ),
    slow: { kind: "openai-compatible", apiKey: key, baseUrl: urls.compatible, limits: { "*": { rpm: 30 } } },
    tiny: { kind: "openai-compatible", apiKey: key, baseUrl: urls.compatible, limits: { "*": { tpm: 100 } } },
    locked: { kind: "openai-compatible", apiKey: "sk-wrong", baseUrl: urls.compatible },
    gone: { kind: "openai-compatible", apiKey: key, baseUrl: "http://127.0.0.1:1/v1" },
    keyless: { kind: "openai", apiKeyEnv: "NOBODY_SETS_THIS" },
  },
  models: { "pair-6": { try: ["p50/a", "p51/b"], attempts: 4 }, "pair-7": { try: ["p52/a", "p53/b"], attempts: 4 } },
  hold: "2s",
  defaults: { attempts: 2 },
}));

let used = 0;
const fresh = (): string => `p${used++}/gpt-5-mini`;

/** What a call is refused with, and how many requests reached us and the provider. */
async function refused(call: Promise<unknown>): Promise<APIError> {
  try {
    await call;
  } catch (error) {
    return error as APIError;
  }
  throw new Error("it was not refused");
}

async function shown(error: APIError) {
  const { status, code, type, param } = error;
  return { status, code, type, param };
}

describe.each(CLIENTS)("%s", (name, Client) => {
  const major = name.slice(-1);
  /** Counts what it sends. */
  function counting(more: object = {}) {
    let sent = 0;
    const client = clientOf(Client, stage, {
      ...more,
      fetch: (url: never, init: never) => {
        sent += 1;
        return fetch(url, init);
      },
    } as never);
    return { client, sent: () => sent };
  }
  const ask = (model: string, more: object = {}, options: object = {}) => {
    const { client, sent } = counting();
    return refused(client.chat.completions.create({ ...question(model), ...more }, options)).then((error) => ({
      error,
      sent: sent(),
    }));
  };

  test.each([
    ["bad_request", 400, "invalid_request_error"],
    ["context_length", 400, "invalid_request_error"],
    ["content_refused", 400, "invalid_request_error"],
  ])("a provider's refusal (%s) comes in its own words, at once", async (kind, status, type) => {
    stage.fake.behave({ reply: { fault: kind as "bad_request" } });
    const { error, sent } = await ask(fresh());
    expect(await shown(error)).toMatchObject({ status, type });
    expect(error.message).not.toMatch(/after waiting|longhaul/i);
    expect([sent, stage.fake.calls.length]).toEqual([1, 1]);
  });

  test.each([
    ["server_error", 502, "upstream_error", 2],
    ["overloaded", 503, "overloaded", 2],
    ["reset", 502, "upstream_error", 2],
    ["garbage_json", 502, "stream_broken", 2],
  ])("what the gateway has tried twice (%s) no client tries again", async (kind, status, code, attempts) => {
    stage.fake.behave({ reply: { fault: kind as "server_error" } });
    const { error, sent } = await ask(fresh());
    expect(await shown(error)).toMatchObject({ status, code, type: "server_error" });
    expect([sent, stage.fake.calls.length]).toEqual([1, attempts]);
  });

  test("a model that the provider does not have", async () => {
    stage.fake.behave({ reply: { fault: "unknown_model" } });
    expect(await shown((await ask(fresh())).error)).toMatchObject({
      status: 404,
      code: "model_not_found",
      param: "model",
    });
    expect(await shown((await ask("nobody")).error)).toMatchObject({
      status: 404,
      code: "model_not_found",
      param: "model",
    });
    expect((await ask("opnai/gpt-5")).error.message).toContain("openai/gpt-5");
  });

  test("our own trouble with a provider's key is told to nobody but the log", async () => {
    for (const model of ["locked/gpt-5-mini", "keyless/gpt-5-mini"]) {
      const { error, sent } = await ask(model);
      expect([error.status, sent]).toEqual([502, 1]);
      expect(JSON.stringify(error.error)).not.toMatch(/sk-wrong|NOBODY_SETS_THIS/);
    }
    expect(stage.logged.join("\n")).toMatch(/NOBODY_SETS_THIS/);
  });

  test("a provider that cannot be reached", async () => {
    expect(await shown((await ask("gone/x")).error)).toMatchObject({ status: 502, code: "upstream_error" });
  });

  test("a wrong key, a key without the scope, and no key", async () => {
    const wrong = clientOf(Client, { ...stage, token: "sk-nobody" });
    const other = await stage.longhaul.keys.create({ tenant: "acme", scopes: ["runs:read"] });
    const less = clientOf(Client, { server: stage.server, token: other.token });
    const call = (client: typeof wrong) => refused(client.chat.completions.create(question("openai/x")));
    expect(await shown(await call(wrong))).toMatchObject({ status: 401, code: "invalid_api_key" });
    expect(await shown(await call(less))).toMatchObject({ status: 403, code: "insufficient_permissions" });
    expect((await post({ ...stage, token: "" }, "chat/completions", question("openai/x"))).status).toBe(401);
  });

  test("a request that is no request", async () => {
    const { client } = counting();
    expect(await shown(await refused(client.chat.completions.create({ messages: [] } as never)))).toMatchObject({
      status: 400,
      param: "model",
    });
    const headers = { "x-longhaul-cache": "soon" };
    expect(await shown((await ask("openai/x", {}, { headers })).error)).toMatchObject({ param: "x-longhaul-cache" });
  });

  test("what a model of another make cannot be told names the parameter", async () => {
    const { error, sent } = await ask("anthropic/claude-sonnet-4-5", { logprobs: true });
    expect(await shown(error)).toEqual({
      status: 400,
      code: "unsupported_value",
      type: "invalid_request_error",
      param: "logprobs",
    });
    const other = await ask("google/gemini-2.5-flash", { logit_bias: { 1: 1 } });
    expect(await shown(other.error)).toMatchObject({ code: "unsupported_parameter", param: "logit_bias" });
    expect([sent, stage.fake.calls.length]).toEqual([1, 0]);
  });

  test("a full minute is a rate limit to sit out: the client waits as it is told, and gets its answer", async () => {
    const { client, sent } = counting();
    const [first, ...others] = await Promise.all(
      Array.from({ length: 2 }, () => client.chat.completions.create(question(`minute-${major}/gpt-5-mini`))),
    );
    expect(first?.object).toBe("chat.completion");
    expect(others).toHaveLength(1);
    // The second had to come back once: one request in 6.7 s is let through, and the wait in place is shorter.
    expect(sent()).toBe(3);
  });

  test("a full minute says when to come back", async () => {
    const once = () =>
      clientOf(Client, stage, { maxRetries: 0 }).chat.completions.create(question(`full-${major}/gpt-5-mini`));
    const results = await Promise.allSettled([once(), once()]);
    const [error] = results.flatMap((one) => (one.status === "rejected" ? [one.reason as APIError] : []));
    expect(await shown(error as APIError)).toMatchObject({
      status: 429,
      code: "rate_limit_exceeded",
      type: "requests",
    });
    const after = Number((error as APIError).headers?.get("retry-after"));
    expect(after).toBeGreaterThan(1);
    expect(after).toBeLessThan(10);
    expect((error as APIError).headers?.get("x-should-retry")).toBe(null);
  });

  test("a full day is a refusal, whatever the client would like", async () => {
    const model = `day-${major}/gpt-5-mini`;
    const { client, sent } = counting();
    await client.chat.completions.create(question(model));
    const error = await refused(client.chat.completions.create(question(model)));
    expect(await shown(error)).toMatchObject({ status: 429, code: "quota_window", type: "insufficient_quota" });
    expect(error.headers?.get("x-should-retry")).toBe("false");
    expect(error.headers?.get("x-ratelimit-reset-requests")).toMatch(/^(\d+h)?(\d+m)?\d+s$/);
    expect(sent()).toBe(2);
  });

  test("a call that no limit will ever let through", async () => {
    const { error, sent } = await ask("tiny/gpt-5-mini", { max_tokens: 5_000 });
    expect([error.status, error.code, sent]).toEqual([422, "quota_impossible", 1]);
  });

  test("a budget that is used up is a refusal, also as a stream", async () => {
    const { budgetId } = await stage.longhaul.tenant("acme").openBudget({ outputTokens: 5 });
    const options = { headers: { "x-longhaul-budget": budgetId } };
    for (const stream of [false, true]) {
      const { error, sent } = await ask(fresh(), { stream, max_tokens: 50 }, options);
      expect(await shown(error)).toMatchObject({ status: 429, code: "budget_exceeded", type: "insufficient_quota" });
      expect(error.headers?.get("x-should-retry")).toBe("false");
      expect([sent, stage.fake.calls.length]).toEqual([1, 0]);
    }
  });

  test("a budget that is somebody else's, or nobody's, is not there", async () => {
    const { budgetId } = await stage.longhaul.tenant("globex").openBudget({ usd: 5 });
    for (const id of [budgetId, newId()]) {
      const { error } = await ask(fresh(), {}, { headers: { "x-longhaul-budget": id } });
      expect(await shown(error)).toMatchObject({ status: 404, code: "budget_not_found" });
    }
  });

  describe("as a stream", () => {
    const read = async (model: string, more: object = {}, options: object = {}) => {
      const { client, sent } = counting();
      let text = "";
      try {
        const stream = await client.chat.completions.create({ ...question(model), stream: true, ...more }, options);
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
      } catch (error) {
        return { text, error: error as APIError, sent: sent() };
      }
      return { text, error: null, sent: sent() };
    };

    test("what fails before it has begun is an HTTP error", async () => {
      stage.fake.behave({ reply: { fault: "bad_request" } });
      const { error, sent } = await read(fresh());
      expect([error?.status, sent]).toEqual([400, 1]);
    });

    test("what breaks before anything was shown is tried again unseen", async () => {
      for (const fault of ["overloaded", "cut", "stream_error"] as const) {
        stage.fake.clear();
        stage.fake.next({ text: "lost", fault: { kind: fault, afterChunks: 0 } }, { text: "Here it is." });
        const { text, error } = await read(fresh());
        expect([fault, text, error]).toEqual([fault, "Here it is.", null]);
        expect(stage.fake.calls).toHaveLength(2);
      }
    });

    test.each(["cut", "reset_mid_stream", "stream_error", "garbage_event", "cut_character"] as const)(
      "what breaks in the midst (%s) ends with an error that the client raises",
      async (kind) => {
        stage.fake.behave({
          reply: { text: "One, two, three, four, five, six, seven, eight.", fault: { kind, afterChunks: 2 } },
        });
        const { text, error, sent } = await read(fresh());
        expect(text).toMatch(/^One, /);
        expect(error).toMatchObject({ code: "stream_broken", type: "server_error" });
        expect([sent, stage.fake.calls.length]).toEqual([1, 1]);
      },
    );

    test("the same of a response", async () => {
      stage.fake.behave({
        reply: { text: "One, two, three, four, five, six.", fault: { kind: "cut", afterChunks: 4 } },
      });
      const { client } = counting();
      const events: string[] = [];
      const stream = await client.responses.create({ model: "openai/gpt-5-mini", input: "x", stream: true });
      const error = await refused(
        (async () => {
          for await (const event of stream) events.push(event.type);
        })(),
      );
      expect(events[0]).toBe("response.created");
      expect(error).toMatchObject({ code: "stream_broken" });
    });

    test("another provider takes over what broke before it was seen", async () => {
      stage.fake.behave({
        rules: [{ when: { model: "a" }, reply: { fault: { kind: "cut", afterChunks: 0 } } }],
        reply: { text: "From b." },
      });
      expect(await read(`pair-${major}`)).toMatchObject({ text: "From b.", error: null });
    });
  });
});

test("while a call waits for its turn, a stream client gets comments", async () => {
  const server = await serve({ longhaul: stage.longhaul, port: 0, auth: "keys", limits: { heartbeatMs: 200 } });
  const ask = (stream: boolean) =>
    post(
      { ...stage, server },
      "chat/completions",
      { ...question("slow/gpt-5-mini"), stream },
      { "x-longhaul-wait": "20s" },
    );
  try {
    // 27 requests a minute, three at once: the fourth waits more than two seconds.
    await Promise.all([1, 2, 3].map(() => ask(false)));
    const startedMs = performance.now();
    const waiting = await ask(true);
    const openedMs = performance.now() - startedMs;
    const text = await waiting.text();
    expect([waiting.status, openedMs < 1_500, performance.now() - startedMs > 1_500]).toEqual([200, true, true]);
    expect(text).toMatch(/^(?:: heartbeat\n){2,}[\s\S]*data: \[DONE\]\n\n$/);
  } finally {
    await server.close();
  }
});

test("a client that leaves takes the call with it, at once", async () => {
  stage.fake.behave({ reply: { text: "x".repeat(4_000), chunkMs: 20 } });
  for (const stream of [true, false]) {
    stage.fake.clear();
    stage.fake.behave({ reply: { text: "x".repeat(4_000), latencyMs: stream ? 0 : 5_000, chunkMs: 20 } });
    const gone = new AbortController();
    const asked = fetch(`${stage.server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${stage.token}`, "content-type": "application/json" },
      body: JSON.stringify({ ...question(fresh()), stream }),
      signal: gone.signal,
    });
    if (stream) await (await asked).body?.getReader().read();
    else asked.catch(() => undefined);
    await stage.fake.received(1);
    await pause(50);
    const leftMs = performance.now();
    gone.abort();
    await stage.fake.received((calls) => calls[0]?.outcome === "client_left");
    expect(performance.now() - leftMs).toBeLessThan(1_000);
  }
});
