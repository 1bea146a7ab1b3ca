import { expect, test } from "vitest";
import { usageOf } from "../../src/gateway/usage.ts";

const said = (input: number | undefined, output: number | undefined, more: Record<string, number> = {}) =>
  usageOf({
    inputTokens: { total: input, noCache: undefined, cacheRead: more["read"], cacheWrite: more["write"] },
    outputTokens: { total: output, text: undefined, reasoning: more["reasoning"] },
  });

test("what the provider counted is taken, its parts never larger than the whole", () => {
  expect(said(10, 4, { read: 6, write: 1, reasoning: 3 })).toEqual({
    inputTokens: 10,
    outputTokens: 4,
    cacheReadTokens: 6,
    cacheWriteTokens: 1,
    reasoningTokens: 3,
  });
  expect(said(10, 4, { read: 60, reasoning: 30 })).toMatchObject({ cacheReadTokens: 10, reasoningTokens: 4 });
});

test.each([
  [undefined, 4],
  [10, undefined],
  [0, 0],
  [-1, 4],
  [Number.NaN, 4],
  [1e15, 4],
])("figures that cannot be (%s, %s) are no figures", (input, output) => {
  expect(said(input, output)).toBeNull();
});

test("no usage at all is none", () => {
  expect(usageOf(undefined)).toBeNull();
});
