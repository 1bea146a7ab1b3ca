// What calls cost: exact sums, the user's prices before the list's, and honesty about how sure a price is.
import { calcPrice } from "@pydantic/genai-prices";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type TokenUsage, toUsd } from "../../src/domain/usage.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
import { Prices, unknownPrice } from "../../src/gateway/prices.ts";

const AT = Date.parse("2026-11-20T12:00:00Z");

function usage(input: number, output: number, more: Partial<TokenUsage> = {}): TokenUsage {
  return {
    inputTokens: input,
    outputTokens: output,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    ...more,
  };
}

async function price(name: string, config: unknown = {}, atMs = AT) {
  const slash = name.indexOf("/");
  const target = { provider: name.slice(0, slash), model: name.slice(slash + 1) };
  return await new Prices(checkGateway(config), () => atMs).of(target);
}

const compatible = (baseUrl: string, more = {}) => ({ kind: "openai-compatible", baseUrl, ...more });

describe("listed prices", () => {
  test.each([
    ["openai/gpt-5-mini", usage(1_000_000, 1_000_000), 2.25],
    ["openai/gpt-5", usage(1_000_000, 0, { cacheReadTokens: 1_000_000 }), 0.125],
    ["anthropic/claude-sonnet-4-5", usage(10_000, 1_000, { cacheReadTokens: 4_000, cacheWriteTokens: 5_000 }), 0.03795],
    ["anthropic/claude-sonnet-4-5", usage(300_000, 1_000), 1.8225],
    ["google/gemini-2.5-pro", usage(300_000, 1_000), 0.765],
    ["openai/text-embedding-3-small", usage(1_000_000, 0), 0.02],
  ])("%s", async (name, used, usd) => {
    const { cost, confidence, id } = await price(name);
    expect(toUsd(cost(used))).toBeCloseTo(usd, 9);
    expect(confidence).toBe("exact");
    expect(id).toMatch(/^genai-prices@\d+\.\d+\.\d+\/\w+\//);
  });

  test("are those of the day on which the call is made", async () => {
    const [before, after] = [
      await price("openai/gpt-5.6-luna", {}, Date.parse("2026-07-01")),
      await price("openai/gpt-5.6-luna"),
    ];
    expect(after.id).toBe(`${before.id}@2026-07-30`);
    expect(toUsd(before.cost(usage(1_000, 0)))).toBe(0.001);
    expect(toUsd(after.cost(usage(1_000, 0)))).toBe(0.0002);
  });

  test("are the list's own sums, to the billionth", async () => {
    const models = [
      "openai/gpt-5",
      "anthropic/claude-sonnet-4-5",
      "google/gemini-2.5-pro",
      "openai/gpt-5.6-luna",
      "openai/o3-mini",
    ];
    const tokens = fc.integer({ min: 0, max: 500_000 });
    for (const name of models) {
      const { cost } = await price(name);
      const [provider = "", model = ""] = name.split("/");
      fc.assert(
        fc.property(tokens, tokens, tokens, (fresh, cached, output) => {
          const listed = calcPrice(
            { input_tokens: fresh + cached, cache_read_tokens: cached, output_tokens: output },
            model,
            {
              providerId: provider,
              timestamp: new Date(AT),
            },
          );
          const ours = cost(usage(fresh + cached, output, { cacheReadTokens: cached }));
          const nano = (listed?.total_price ?? -1) * 1e9;
          expect(Math.abs(Number(ours) - nano)).toBeLessThanOrEqual(1 + nano * 1e-12);
        }),
      );
    }
  });
});

describe("confidence", () => {
  test("is exact for a model's own names and releases, fuzzy for one that only begins like it", async () => {
    const names = [
      "openai/gpt-5-2025-08-07",
      "anthropic/claude-sonnet-4-5-20250929",
      "anthropic/claude-sonnet-4-5-latest",
    ];
    for (const name of names) expect((await price(name)).confidence, name).toBe("exact");
    for (const name of ["anthropic/claude-sonnet-5.5", "google/gemini-2.5-pro-preview-99-99"]) {
      expect((await price(name)).confidence, name).toBe("fuzzy");
    }
  });

  test("is unknown where nobody says a price, which then is nothing", async () => {
    const own = { providers: { mine: { model: () => null }, local: compatible("http://127.0.0.1:11434/v1") } };
    for (const name of ["openai/nope-1", "mine/gpt-5", "local/llama3", "openai/whisper-1", "nobody/gpt-5"]) {
      const { confidence, cost, id } = await price(name, own);
      expect([name, confidence, cost(usage(1_000, 1_000)), id]).toEqual([name, "unknown", 0n, ""]);
    }
    expect(unknownPrice({ provider: "mine", model: "x" })).toMatchObject({ code: "PRICE_UNKNOWN" });
    expect(unknownPrice({ provider: "mine", model: "x" }).message).toContain("mine/x");
  });

  test("goes by the address, then by the kind, then by the name of the provider", async () => {
    const providers = {
      fast: compatible("https://api.groq.com/openai/v1"),
      groq: compatible("https://gateway.test/v1"),
      proxy: { kind: "openai", baseUrl: "https://proxy.test/v1" },
      told: compatible("https://proxy.test/v1", { pricedAs: "openai" }),
      wrong: compatible("https://proxy.test/v1", { pricedAs: "nobody" }),
      "my-openai": { model: () => null },
    };
    const of = async (name: string) => (await price(name, { providers })).id.replace(/^.*?\//, "");
    expect(await of("fast/llama-3.3-70b-versatile")).toBe("groq/llama-3.3-70b-versatile");
    expect(await of("groq/llama-3.3-70b-versatile")).toBe("groq/llama-3.3-70b-versatile");
    expect(await of("proxy/gpt-5")).toBe("openai/gpt-5");
    expect(await of("told/gpt-5")).toBe("openai/gpt-5");
    expect(await of("wrong/gpt-5")).toBe("");
    expect(await of("my-openai/gpt-5")).toBe("");
  });
});

describe("the user's prices", () => {
  const prices = {
    "openai/*": { inputPerMillionUsd: 9, outputPerMillionUsd: 9 },
    "openai/gpt-5": {
      inputPerMillionUsd: 1.25,
      outputPerMillionUsd: 10,
      cacheReadPerMillionUsd: 0,
      cacheWritePerMillionUsd: 2.5,
    },
    "openai/gpt-*": { inputPerMillionUsd: 4, outputPerMillionUsd: 0.0000001 },
  };

  test("come first, the one that says most before the others", async () => {
    const { confidence, id, cost } = await price("openai/gpt-5", { prices });
    expect([confidence, id]).toEqual(["override", "config/openai/gpt-5"]);
    expect(cost(usage(100, 10, { cacheReadTokens: 50, cacheWriteTokens: 20 }))).toBe(
      30n * 1_250n + 20n * 2_500n + 10n * 10_000n,
    );
    expect((await price("openai/gpt-4", { prices })).id).toBe("config/openai/gpt-*");
    expect((await price("openai/o3", { prices })).id).toBe("config/openai/*");
    expect((await price("anthropic/claude-sonnet-4-5", { prices })).confidence).toBe("exact");
  });

  test("a part of a billionth is rounded up once, not token by token", async () => {
    const { cost } = await price("openai/gpt-4", {
      prices: { "openai/gpt-4": { inputPerMillionUsd: 0.0001, outputPerMillionUsd: 0 } },
    });
    expect(cost(usage(1, 0))).toBe(1n);
    expect(cost(usage(25, 0))).toBe(3n);
  });
});

describe("figures that make no sense", () => {
  test("more cached than sent, more reasoning than put out, fractions and NaN never make a call cheaper than nothing", async () => {
    const { cost } = await price("anthropic/claude-sonnet-4-5");
    expect(cost(usage(10, 0, { cacheReadTokens: 50, cacheWriteTokens: 50 }))).toBe(
      cost(usage(10, 0, { cacheReadTokens: 10 })),
    );
    expect(cost(usage(Number.NaN, -5))).toBe(0n);
    expect(cost(usage(0.5, 0))).toBe(3_000n);
    expect(cost(usage(0, 10, { reasoningTokens: 99 }))).toBe(cost(usage(0, 10)));
  });

  test("what is set aside covers every way in which a call of that size can be billed", async () => {
    for (const name of ["anthropic/claude-sonnet-4-5", "openai/gpt-5", "google/gemini-2.5-pro"]) {
      const { cost, atMost } = await price(name);
      const part = fc.integer({ min: 0, max: 300_000 });
      fc.assert(
        fc.property(part, part, part, part, (fresh, read, write, output) => {
          const used = usage(fresh + read + write, output, { cacheReadTokens: read, cacheWriteTokens: write });
          const held = atMost({ inputTokens: used.inputTokens, outputTokens: output });
          expect(held >= cost(used)).toBe(true);
        }),
      );
    }
  });
});
