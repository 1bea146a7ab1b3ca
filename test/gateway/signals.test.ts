// What providers say about limits and times, as they really write it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSignals } from "../../src/gateway/signals.ts";
import { nextPacificMidnight, ProviderClock, waitMs } from "../../src/gateway/times.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");

describe("waits", () => {
  test.each([
    ["6m0s", 360_000],
    ["1s", 1_000],
    ["12ms", 12],
    ["2m59.56s", 179_560],
    ["1h2m3.5s", 3_723_500],
    ["1d", 86_400_000],
    ["45.837906927s", 45_838],
    ["33011.382867", 33_011_383],
    ["60", 60_000],
    ["0", 0],
    ["0s", 0],
    ["99999999d", 32 * 86_400_000],
  ])("%s", (text, ms) => expect(waitMs(text)).toBe(ms));

  test.each([[""], ["soon"], ["-5"], ["5x"], ["s"], ["1s 2"], ["NaN"], ["1e9"], [undefined]])("%s is none", (text) => {
    expect(waitMs(text)).toBeNull();
  });

  test("are read back as they are written", () => {
    fc.assert(
      fc.property(fc.nat(23), fc.nat(59), fc.nat(59_999), (hours, minutes, ms) => {
        expect(waitMs(`${hours}h${minutes}m${ms / 1_000}s`)).toBe((hours * 60 + minutes) * 60_000 + ms);
      }),
    );
  });
});

describe("moments", () => {
  test("are read against the provider's own clock, which may be wrong", () => {
    const ahead = new ProviderClock(NOW, "Fri, 20 Nov 2026 12:10:00 GMT");
    expect(ahead.at("2026-11-20T12:10:30Z")).toBe(NOW + 30_000);
    expect(new ProviderClock(NOW, undefined).at("2026-11-20T12:10:30Z")).toBe(NOW + 630_000);
    expect(ahead.read("Fri, 20 Nov 2026 12:11:00 GMT")).toBe(NOW + 60_000);
    expect(ahead.at("2020-01-01T00:00:00Z")).toBe(NOW);
    expect(ahead.at("tomorrow")).toBeNull();
  });

  test("midnight in California, also when the clocks are changed", () => {
    const next = (at: string) => new Date(nextPacificMidnight(Date.parse(at))).toISOString();
    expect(next("2026-11-20T12:00:00Z")).toBe("2026-11-21T08:00:00.000Z");
    expect(next("2026-07-20T03:00:00.123Z")).toBe("2026-07-20T07:00:00.000Z");
    expect(next("2026-03-08T09:00:00Z")).toBe("2026-03-09T07:00:00.000Z");
    expect(next("2026-11-01T08:30:00Z")).toBe("2026-11-02T08:00:00.000Z");
  });

  test("midnight is always ahead, by a day and an hour at most", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }), (nowMs) => {
        const ms = nextPacificMidnight(nowMs) - nowMs;
        expect(ms).toBeGreaterThan(0);
        expect(ms).toBeLessThanOrEqual(25 * 3_600_000);
      }),
    );
  });
});

describe("headers", () => {
  test("of OpenAI", () => {
    const headers = {
      "x-ratelimit-limit-requests": "10000",
      "x-ratelimit-remaining-requests": "9999",
      "x-ratelimit-reset-requests": "6ms",
      "x-ratelimit-limit-tokens": "200000",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "6.5s",
    };
    expect(readSignals(headers, NOW)).toEqual({
      retryAtMs: NOW + 6_500,
      limits: [
        { dimension: "rpm", limit: 10_000, remaining: 9_999, resetAtMs: NOW + 6 },
        { dimension: "tpm", limit: 200_000, remaining: 0, resetAtMs: NOW + 6_500 },
      ],
    });
  });

  test("of a small OpenAI account, whose requests are those of a day", () => {
    const headers = {
      "x-ratelimit-limit-requests": "200",
      "x-ratelimit-remaining-requests": "150",
      "x-ratelimit-reset-requests": "6h0m0s",
    };
    expect(readSignals(headers, NOW).limits).toMatchObject([{ dimension: "rpd", limit: 200 }]);
  });

  test("of Anthropic", () => {
    const headers = {
      "anthropic-ratelimit-requests-limit": "50",
      "anthropic-ratelimit-requests-remaining": "49",
      "anthropic-ratelimit-input-tokens-limit": "40000",
      "anthropic-ratelimit-input-tokens-remaining": "0",
      "anthropic-ratelimit-input-tokens-reset": "2026-11-20T12:00:20Z",
      "retry-after": "17",
      "anthropic-ratelimit-output-tokens-limit": "8000",
      date: "Fri, 20 Nov 2026 12:00:00 GMT",
    };
    const { retryAtMs, limits } = readSignals(headers, NOW);
    expect(retryAtMs).toBe(NOW + 17_000);
    expect(limits).toEqual([
      { dimension: "rpm", limit: 50, remaining: 49, resetAtMs: null },
      { dimension: "itpm", limit: 40_000, remaining: 0, resetAtMs: NOW + 20_000 },
      { dimension: "otpm", limit: 8_000, remaining: null, resetAtMs: null },
    ]);
  });

  test("of Groq, Cerebras and Mistral", () => {
    const groq = {
      "x-groq-region": "us-west-1",
      "x-ratelimit-limit-requests": "14400",
      "x-ratelimit-limit-tokens": "18000",
    };
    expect(readSignals(groq, NOW).limits.map(({ dimension }) => dimension)).toEqual(["rpd", "tpm"]);
    const cerebras = {
      "x-ratelimit-limit-requests-day": "100",
      "x-ratelimit-remaining-tokens-minute": "5",
      "x-ratelimit-reset-tokens-minute": "11.38",
    };
    expect(readSignals(cerebras, NOW).limits).toEqual([
      { dimension: "rpd", limit: 100, remaining: null, resetAtMs: null },
      { dimension: "tpm", limit: null, remaining: 5, resetAtMs: NOW + 11_380 },
    ]);
    const mistral = { "x-ratelimit-limit-req-minute": "720", "x-ratelimit-remaining-req-minute": "717" };
    expect(readSignals(mistral, NOW).limits).toMatchObject([{ dimension: "rpm", limit: 720, remaining: 717 }]);
  });

  test("when to come back: milliseconds before seconds, seconds before dates, dates before refills", () => {
    const at = (headers: Record<string, string>) => (readSignals(headers, NOW).retryAtMs ?? Number.NaN) - NOW;
    expect(at({ "retry-after-ms": "250", "retry-after": "1" })).toBe(250);
    expect(at({ "retry-after": "3600" })).toBe(3_600_000);
    expect(at({ "retry-after": "1.5" })).toBe(1_500);
    expect(at({ "retry-after": "Fri, 20 Nov 2026 12:00:09 GMT", date: "Fri, 20 Nov 2026 12:00:00 GMT" })).toBe(9_000);
    expect(at({ "retry-after": "-4" })).toBeNaN();
    expect(at({})).toBeNaN();
  });

  test("that make no sense say nothing", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (limit, remaining, reset) => {
        const headers = {
          "x-ratelimit-limit-tokens": limit,
          "x-ratelimit-remaining-tokens": remaining,
          "x-ratelimit-reset-tokens": reset,
        };
        for (const signal of readSignals({ ...headers, "retry-after": reset }, NOW).limits) {
          expect(signal.limit === null || signal.limit >= 0).toBe(true);
          expect(signal.resetAtMs === null || Number.isFinite(signal.resetAtMs)).toBe(true);
        }
      }),
    );
  });
});
