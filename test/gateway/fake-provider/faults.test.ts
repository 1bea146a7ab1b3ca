// Every fault of the fake provider, as the official clients see it.
import { APICallError, generateText, streamText } from "ai";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startFakeProvider } from "../../support/fake-provider/fake-provider.ts";
import type { Fault, FaultLike, Refusal } from "../../support/fake-provider/fault.ts";
import type { FakeProvider } from "../../support/fake-provider/handle.ts";
import { modelOf, WIRES, type Wire } from "./clients.ts";

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider({ models: ["gpt-*", "claude-*", "gemini-*", "llama-*"] });
});
afterEach(() => {
  fake.behave({});
  fake.clear();
});
afterAll(() => fake.close());

const wires = WIRES.map((wire) => ({ wire }));
const ask = (wire: Wire, more: { abortSignal?: AbortSignal; apiKey?: string } = {}) => {
  const { apiKey, ...rest } = more;
  return generateText({ model: modelOf(fake, wire, apiKey), prompt: "Is it so?", maxRetries: 0, ...rest });
};

/** What a stream gave: its text, and the error it ended with. */
async function streamed(wire: Wire, abortSignal?: AbortSignal) {
  const signal = abortSignal === undefined ? {} : { abortSignal };
  const stream = streamText({
    model: modelOf(fake, wire),
    prompt: "Is it so?",
    maxRetries: 0,
    onError: () => undefined,
    ...signal,
  });
  let text = "";
  let finish: string | null = null;
  const errors: unknown[] = [];
  try {
    for await (const part of stream.fullStream) {
      if (part.type === "text-delta") text += part.text;
      if (part.type === "error") errors.push(part.error);
      if (part.type === "finish") finish = part.finishReason;
    }
  } catch (error) {
    // A connection that is lost in mid-stream ends the iteration, not the stream.
    errors.push(error);
  }
  return { text, errors, finish };
}

async function failure(promise: PromiseLike<unknown>): Promise<APICallError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(APICallError.isInstance(error), String(error)).toBe(true);
  return error as APICallError;
}

// Status as OpenAI, Anthropic and Google send it.
const REFUSED: [Refusal, number, number, number, RegExp][] = [
  ["rate_limit", 429, 429, 429, /rate_limit|RESOURCE_EXHAUSTED/],
  ["quota_exhausted", 429, 400, 429, /insufficient_quota|usage limits|PerDay/],
  ["billing", 402, 400, 429, /Insufficient Balance|credit balance|prepayment/],
  ["auth", 401, 401, 400, /invalid_api_key|authentication_error|API_KEY_INVALID/],
  ["forbidden", 403, 403, 403, /not supported|permission|leaked/],
  ["unknown_model", 404, 404, 404, /model/],
  ["bad_request", 400, 400, 400, /invalid/i],
  ["context_length", 400, 400, 400, /context_length_exceeded|too long|token count/],
  ["content_refused", 400, 400, 400, /flagged|filtering|blocked/],
  ["server_error", 500, 500, 500, /error/],
  ["unavailable", 503, 503, 503, /overloaded|unavailable/i],
  ["overloaded", 503, 529, 503, /overloaded/i],
  ["timeout", 504, 504, 504, /timed out/i],
];

describe.each(wires)("over $wire", ({ wire }) => {
  const column = wire === "anthropic" ? 2 : wire === "google" ? 3 : 1;

  it.each(REFUSED)("%s", async (...row) => {
    const [fault, , , , words] = row;
    fake.behave({ reply: { fault } });
    const error = await failure(ask(wire));
    expect(error.statusCode).toBe(row[column]);
    expect(error.responseBody).toMatch(words);
    expect(error.data, "the client knows the body's shape").toBeDefined();
    expect(fake.calls).toMatchObject([{ outcome: "refused", fault, status: row[column] }]);
    const { errors } = await streamed(wire);
    expect(errors).toMatchObject([{ statusCode: row[column] }]);
  });

  it("refuses a wrong key, and a model that does not exist", async () => {
    const wrong = await failure(ask(wire, { apiKey: "sk-other" }));
    expect(wrong.statusCode).toBe(wire === "google" ? 400 : 401);
    expect(wrong.data).toBeDefined();
  });

  it("says when to come back, in the protocol's own way", async () => {
    const limited: Fault = { kind: "rate_limit", retryAfterMs: 7500, rateHeaders: true, by: "tokens" };
    fake.behave({ reply: { fault: limited } });
    const { responseHeaders: headers = {}, responseBody } = await failure(ask(wire));
    if (wire === "google") {
      expect(headers["retry-after"]).toBeUndefined();
      const details = JSON.parse(responseBody ?? "").error.details;
      expect(details).toContainEqual(expect.objectContaining({ retryDelay: "7.5s" }));
      const quotaId = expect.stringMatching(/PerMinute/);
      expect(details).toContainEqual(expect.objectContaining({ violations: [expect.objectContaining({ quotaId })] }));
      return;
    }
    expect(headers["retry-after"]).toBe("8");
    if (wire === "anthropic") {
      expect(headers["anthropic-ratelimit-tokens-remaining"]).toBe("0");
      const reset = headers["anthropic-ratelimit-tokens-reset"] ?? "";
      expect(reset).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(Date.parse(reset) - Date.now()).toBeGreaterThan(5000);
    } else {
      expect(headers["retry-after-ms"]).toBe("7500");
      expect(headers["x-ratelimit-remaining-tokens"]).toBe("0");
      expect(headers["x-ratelimit-reset-tokens"]).toBe("7.5s");
    }
    fake.behave({ reply: { fault: "rate_limit" } });
    const bare = await failure(ask(wire));
    expect(Object.keys(bare.responseHeaders ?? {}).filter((name) => /retry|ratelimit/.test(name))).toEqual([]);
    fake.behave({ reply: { fault: { kind: "rate_limit", retryAfterMs: 3_600_000, retryAfterDate: true } } });
    const dated = await failure(ask(wire));
    expect(Date.parse(dated.responseHeaders?.["retry-after"] ?? "") - Date.now()).toBeGreaterThan(3_590_000);
  });

  it.each(["hang_before_headers", "hang_after_headers", "hang_mid_stream"] as const)("%s", async (fault) => {
    fake.behave({ reply: { text: "It is so, says the fake, at some length", fault } });
    await expect(ask(wire, { abortSignal: AbortSignal.timeout(100) })).rejects.toThrow();
    await fake.received((calls) => calls[0]?.outcome === "client_left");
    const { text, finish } = await streamed(wire, AbortSignal.timeout(150));
    expect(finish).toBeNull();
    if (fault === "hang_mid_stream") expect("It is so, says the fake, at some length").toMatch(new RegExp(`^${text}`));
    else expect(text).toBe("");
    await fake.received((calls) => calls[1]?.outcome === "client_left");
    expect(fake.calls[1]).toMatchObject({ fault, usage: { inputTokens: 3, outputTokens: 10 } });
  });

  it.each(["reset", "reset_mid_stream", "cut", "cut_character"] as const)("%s", async (fault) => {
    fake.behave({ reply: { text: "It is so, says the fake, at some length", fault } });
    const error = await ask(wire).then(
      () => null,
      (thrown: Error) => thrown,
    );
    expect(error).toBeInstanceOf(Error);
    const { errors, finish } = await streamed(wire);
    // A stream that ends in good order without its last event is no error for most of the clients: look at the reason it ended.
    if (fault.startsWith("cut")) expect(["other", "error"]).toContain(finish);
    else expect(errors.length).toBeGreaterThan(0);
    await fake.received((calls) => calls.length === 2 && calls.every((call) => call.outcome === "cut"));
  });

  it.each(["rate_limit", "overloaded", "server_error"] as const)("stream_error: %s", async (error) => {
    fake.behave({
      reply: { text: "It is so, says the fake", fault: { kind: "stream_error", error, retryAfterMs: 2000 } },
    });
    const { text, errors } = await streamed(wire);
    expect(text.length).toBeGreaterThan(0);
    expect(errors).toHaveLength(1);
    expect(JSON.stringify(errors[0])).toMatch(error === "server_error" ? /error/i : /rate|limit|overload|exhausted/i);
    expect((await failure(ask(wire))).statusCode).toBeGreaterThanOrEqual(429);
  });

  it.each(["garbage_json", "wrong_shape", "html"] as const)("%s", async (fault) => {
    fake.behave({ reply: { fault } });
    const error = await ask(wire).then(
      ({ finishReason }) => (wire === "google" ? finishReason : null),
      (thrown: Error) => thrown,
    );
    // Every field is optional for Google's client: an object of another shape is an answer with nothing in it.
    if (wire === "google" && fault === "wrong_shape") expect(error).toBe("other");
    else expect(error).toBeInstanceOf(Error);
    const { finish, errors } = await streamed(wire);
    expect(errors.length > 0 || finish !== "stop").toBe(true);
  });

  it("garbage_event", async () => {
    fake.behave({ reply: { text: "It is so, says the fake", fault: "garbage_event" } });
    const { errors } = await streamed(wire);
    expect(errors.length).toBeGreaterThan(0);
  });

  it.each(["split_characters", "slow_drip"] as const)("%s arrives whole", async (kind) => {
    const fault: FaultLike = { kind, dripMs: 1, dripBytes: 40 };
    fake.behave({ reply: { text: "Ünïcödé 😀", fault } });
    const whole = await streamed(wire);
    expect(whole).toMatchObject({ errors: [], finish: "stop" });
    expect(whole.text).toMatch(/^Ünïcödé 😀/);
    expect(whole.text).not.toContain("\uFFFD");
    expect((await ask(wire)).text).toBe(whole.text);
  });

  it("usage that is zero, missing or absurd", async () => {
    fake.behave({ reply: { text: "x", fault: "zero_usage" } });
    expect((await ask(wire)).usage).toMatchObject({ inputTokens: 0, outputTokens: 0 });
    expect(fake.calls[0]?.usage).toMatchObject({ inputTokens: 3, outputTokens: 1 });
    fake.behave({ reply: { text: "x", fault: "absurd_usage" } });
    expect((await ask(wire)).usage.outputTokens).toBeGreaterThan(1e11);
    fake.behave({ reply: { text: "x", fault: "missing_usage" } });
    const missing = await ask(wire).then(
      ({ usage }) => usage.outputTokens,
      (error: Error) => error,
    );
    if (wire === "anthropic" || wire === "openai responses")
      expect([undefined, "object"]).toContain(typeof missing === "object" ? "object" : missing);
    else expect(missing).toBeUndefined();
  });

  it("a huge output", async () => {
    fake.behave({ reply: { fault: { kind: "huge_output", characters: 300_000 }, chunkCharacters: 1000 } });
    expect((await streamed(wire)).text).toHaveLength(300_000);
  });

  it("fails so many times, then answers the same request", async () => {
    fake.behave({ reply: { text: "at last", fault: { kind: "overloaded", attempts: 2 } } });
    await failure(ask(wire));
    await failure(ask(wire));
    expect((await ask(wire)).text).toBe("at last");
    expect(fake.calls.map((call) => call.arrival)).toEqual([1, 2, 3]);
    expect(new Set(fake.calls.map((call) => call.fingerprint)).size).toBe(1);
  });
});

describe("the openai package", () => {
  const client = (apiKey = fake.key) => new OpenAI({ baseURL: fake.urls.openai, apiKey, maxRetries: 0 });
  const request = { model: "gpt-5-mini", messages: [{ role: "user" as const, content: "Is it so?" }] };

  it.each([
    ["rate_limit", OpenAI.RateLimitError, "rate_limit_exceeded"],
    ["quota_exhausted", OpenAI.RateLimitError, "insufficient_quota"],
    ["auth", OpenAI.AuthenticationError, "invalid_api_key"],
    ["forbidden", OpenAI.PermissionDeniedError, "unsupported_country_region_territory"],
    ["unknown_model", OpenAI.NotFoundError, "model_not_found"],
    ["context_length", OpenAI.BadRequestError, "context_length_exceeded"],
    ["server_error", OpenAI.InternalServerError, null],
    ["overloaded", OpenAI.InternalServerError, null],
  ] as const)("throws its own class for %s", async (fault, Class, code) => {
    fake.behave({ reply: { fault } });
    const error: unknown = await client()
      .chat.completions.create(request)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Class);
    expect((error as InstanceType<typeof OpenAI.APIError>).code).toBe(code);
  });

  it("throws in mid-stream, and on a reset connection", async () => {
    const read = async () => {
      for await (const _chunk of await client().chat.completions.create({ ...request, stream: true }));
    };
    fake.behave({ reply: { fault: "stream_error" } });
    await expect(read()).rejects.toBeInstanceOf(OpenAI.APIError);
    fake.behave({ reply: { fault: "reset" } });
    await expect(read()).rejects.toBeInstanceOf(OpenAI.APIConnectionError);
  });

  it("refuses what a real one refuses", async () => {
    await expect(client("sk-wrong").models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const unknown = client().chat.completions.create({ ...request, model: "mystery-1" });
    await expect(unknown).rejects.toMatchObject({ status: 404, code: "model_not_found" });
    const empty = client().chat.completions.create({ ...request, messages: [] });
    await expect(empty).rejects.toMatchObject({ status: 400, param: "messages" });
    await expect(client().get("/nowhere")).rejects.toMatchObject({ status: 404 });
  });
});
