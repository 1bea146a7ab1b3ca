// Usage as providers report it: whole, in parts, not at all, and as nonsense.
import { describe, expect, test } from "vitest";
import { usageOf } from "../../src/gateway/usage-of.ts";

const none = { total: undefined, noCache: undefined, cacheRead: undefined, cacheWrite: undefined };
const silent = { total: undefined, text: undefined, reasoning: undefined };

describe("usageOf", () => {
  test("takes the totals, and what of them was cached or reasoning", () => {
    const input = { total: 100, noCache: 20, cacheRead: 70, cacheWrite: 10 };
    expect(usageOf({ inputTokens: input, outputTokens: { total: 9, text: 4, reasoning: 5 } })).toEqual({
      inputTokens: 100,
      outputTokens: 9,
      cacheReadTokens: 70,
      cacheWriteTokens: 10,
      reasoningTokens: 5,
    });
  });

  test("adds up parts where there is no total", () => {
    const input = { ...none, noCache: 20, cacheRead: 70 };
    expect(usageOf({ inputTokens: input, outputTokens: { ...silent, text: 4 } })).toMatchObject({
      inputTokens: 90,
      outputTokens: 4,
    });
  });

  test("is not known where nothing is said, or only nonsense", () => {
    expect(usageOf(undefined)).toBeNull();
    expect(usageOf({ inputTokens: none, outputTokens: silent })).toBeNull();
    expect(usageOf({ inputTokens: { ...none, total: Number.NaN }, outputTokens: { ...silent, total: -3 } })).toBeNull();
    expect(usageOf({} as never)).toBeNull();
    expect(usageOf({ inputTokens: { ...none, total: 7.2 }, outputTokens: silent })).toMatchObject({
      inputTokens: 8,
      outputTokens: 0,
    });
  });
});
