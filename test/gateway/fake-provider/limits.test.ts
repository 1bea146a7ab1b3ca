// The fake provider as the referee of quotas: true sliding windows, real refusals, and a count of every violation.
import { APICallError, generateText } from "ai";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { startFakeProvider } from "../../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../../support/fake-provider/handle.ts";
import { Referee } from "../../support/fake-provider/referee.ts";
import { SlidingWindow } from "../../support/fake-provider/sliding-window.ts";
import { modelOf, type Wire } from "./clients.ts";

let fake: FakeProvider;
afterEach(() => fake?.close());

const ask = (wire: Wire, apiKey = fake.key) =>
  generateText({ model: modelOf(fake, wire, apiKey), prompt: "12345678", maxRetries: 0, maxOutputTokens: 100 });
const refusal = async (wire: Wire, apiKey?: string): Promise<APICallError> => {
  const error = await ask(wire, apiKey).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!APICallError.isInstance(error)) throw new Error(`not refused: ${error}`);
  return error;
};

describe("a sliding window", () => {
  it("holds exactly what was taken within its span, and says exactly when there is room again", () => {
    const takes = fc.array(
      fc.record({ gapMs: fc.integer({ min: 0, max: 400 }), amount: fc.integer({ min: 1, max: 9 }) }),
    );
    fc.assert(
      fc.property(takes, fc.integer({ min: 1, max: 30 }), (all, limit) => {
        const window = new SlidingWindow(limit, 1000);
        const log: { at: number; amount: number }[] = [];
        const sum = (now: number) => log.reduce((total, one) => total + (one.at > now - 1000 ? one.amount : 0), 0);
        let now = 0;
        let fullest = 0;
        for (const { gapMs, amount } of all) {
          now += gapMs;
          expect(window.used(now)).toBe(sum(now));
          const waitMs = window.waitMs(now, amount);
          if (waitMs === null) expect(amount).toBeGreaterThan(limit);
          else {
            expect(sum(now + waitMs) + amount).toBeLessThanOrEqual(limit);
            if (waitMs > 0) expect(sum(now + waitMs - 1) + amount).toBeGreaterThan(limit);
          }
          window.take(now, amount);
          log.push({ at: now, amount });
          fullest = Math.max(fullest, sum(now));
        }
        expect(window.fullest).toBe(fullest);
      }),
    );
  });
});

describe("limits", () => {
  it("refuses the request that goes beyond, says when to come back, and is right about it", async () => {
    fake = await startFakeProvider({ limits: { "gpt-*": { rpm: 3, minuteMs: 600 } } });
    for (let at = 0; at < 3; at += 1) await ask("openai chat");
    const error = await refusal("openai chat");
    expect(error).toMatchObject({
      statusCode: 429,
      message: expect.stringContaining("requests per min (RPM): Limit 3, Used 3"),
    });
    expect(error.responseHeaders).toMatchObject({
      "x-ratelimit-limit-requests": "3",
      "x-ratelimit-remaining-requests": "0",
    });
    const waitMs = Number(error.responseHeaders?.["retry-after-ms"]);
    expect(waitMs).toBeLessThanOrEqual(600);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await ask("openai chat");
    expect(fake.counts()).toMatchObject({ received: 5, answered: 4, refused: 1, violations: 1 });
    expect(fake.violations).toMatchObject([
      { by: "requests", per: "minute", wanted: 4, limit: 3, model: "gpt-5-mini" },
    ]);
    expect(fake.calls[3]).toMatchObject({ fault: "limit:requests", usage: null });
    expect(fake.windows()).toMatchObject([{ by: "requests", limit: 3, fullest: 3 }]);
  });

  it("shows what is left in every answer", async () => {
    fake = await startFakeProvider({ limits: { "*": { rpm: 10, tpm: 1000, itpm: 500, otpm: 600 } } });
    const { response, usage } = await ask("anthropic");
    const left = (name: string) => response.headers?.[`anthropic-ratelimit-${name}-remaining`];
    expect([left("requests"), left("input-tokens"), left("output-tokens"), left("tokens")]).toEqual([
      ...["9", String(500 - (usage.inputTokens ?? 0)), String(600 - (usage.outputTokens ?? 0))],
      String(1000 - (usage.totalTokens ?? 0)),
    ]);
    const second = await ask("openai responses");
    expect(second.response.headers).toMatchObject({
      "x-ratelimit-remaining-requests": "9",
      "x-ratelimit-limit-tokens": "1000",
      "x-ratelimit-reset-tokens": expect.stringMatching(/^(59\.\d+s|1m0s|60s)$/),
    });
  });

  it("speaks of days and minutes as Gemini does", async () => {
    fake = await startFakeProvider({ limits: { "gemini-*": { rpm: 2, rpd: 1 } } });
    await ask("google");
    const details = JSON.parse((await refusal("google")).responseBody ?? "").error.details;
    expect(JSON.stringify(details)).toContain("GenerateRequestsPerDayPerProjectPerModel");
    expect(Number.parseFloat(details.at(-1).retryDelay)).toBeGreaterThan(86_000);
  });

  it("says of a request that can never fit that it is too large", async () => {
    fake = await startFakeProvider({ limits: { "*": { tpm: 50, basis: "max" } } });
    const error = await refusal("openai chat");
    expect(error.message).toContain("Request too large");
    expect(error.responseHeaders?.["retry-after"]).toBeUndefined();
  });

  it("keeps each key and model apart, and knows of others who share a key", async () => {
    fake = await startFakeProvider({ keys: ["sk-fake-a", "sk-fake-b"], limits: { "*": { rpm: 2 } } });
    await ask("openai chat", "sk-fake-a");
    await ask("openai chat", "sk-fake-b");
    await ask("compatible", "sk-fake-a");
    fake.use("gpt-5-mini", { inputTokens: 10 }, "sk-fake-a");
    await refusal("openai chat", "sk-fake-a");
    await ask("openai chat", "sk-fake-b");
    expect(fake.counts().violations).toBe(1);
  });

  it("limits how many are in flight, and gives the place back whatever becomes of the client", async () => {
    fake = await startFakeProvider({ limits: { "*": { concurrent: 1 } }, behaviour: { latencyMs: 80 } });
    const first = ask("openai chat");
    await fake.received(1);
    expect((await refusal("openai chat")).message).toContain("concurrent");
    await first;
    fake.next({ fault: "hang_before_headers" });
    const abortSignal = AbortSignal.timeout(60);
    const model = modelOf(fake, "openai chat");
    await expect(generateText({ model, prompt: "x", maxRetries: 0, abortSignal })).rejects.toThrow();
    await fake.received((calls) => calls.at(-1)?.outcome === "client_left");
    await ask("openai chat");
    expect(fake.violations).toHaveLength(1);
  });

  it("can also only watch", async () => {
    fake = await startFakeProvider({ limits: { "*": { rpm: 1, enforce: false } } });
    await ask("openai chat");
    await ask("openai chat");
    expect(fake.counts()).toMatchObject({ answered: 2, refused: 0, violations: 1 });
    expect(fake.windows()).toMatchObject([{ fullest: 2, limit: 1 }]);
  });

  it("never lets more through than fits, however many come at once", () => {
    const referee = new Referee({ "*": { rpm: 50, tpm: 2000, minuteMs: 100 } });
    const need = { inputTokens: 30, outputTokens: 20, maxOutputTokens: null };
    const admitted: number[] = [];
    for (let now = 0; now < 1000; now += 0.5) if (referee.admit("k", "m", need, now).admitted) admitted.push(now);
    for (const now of admitted) {
      expect(admitted.filter((at) => at > now - 100 && at <= now).length).toBeLessThanOrEqual(40);
    }
    expect(admitted.length).toBe(400);
    expect(referee.violations).toHaveLength(1600);
    expect(referee.report(1000)).toMatchObject([
      { by: "requests", fullest: 40 },
      { by: "tokens", fullest: 2000 },
    ]);
  });
});
