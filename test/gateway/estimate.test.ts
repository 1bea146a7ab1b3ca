// What a call will use: bytes / 4 at first, what was seen later, and never something absurd.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type EstimateInput, Estimator, type ModelFactor } from "../../src/gateway/estimate.ts";
import { OutputHistogram } from "../../src/gateway/output-histogram.ts";
import { GuardedTokenizer } from "../../src/gateway/tokenizer.ts";

const target = { provider: "openai", model: "gpt-5" };
const input = (inputBytes: number, more: Partial<EstimateInput> = {}): EstimateInput => ({
  inputBytes,
  maxOutputTokens: null,
  feature: null,
  ...more,
});

function taught(calls: number, used: { inputTokens: number; outputTokens: number }, more: Partial<EstimateInput> = {}) {
  const estimator = new Estimator(4_096);
  for (let call = 0; call < calls; call++) estimator.learn(target, input(4_000, more), used);
  return estimator;
}

describe("input", () => {
  test("is a quarter of the bytes until something was learned, and at least one token", () => {
    const estimator = new Estimator(4_096);
    expect(estimator.estimate(target, input(4_000)).inputTokens).toBe(1_000);
    expect(estimator.estimate(target, input(0)).inputTokens).toBe(1);
    expect(estimator.estimate(target, input(5)).inputTokens).toBe(2);
  });

  test("follows what calls really use, per model", () => {
    const estimator = taught(50, { inputTokens: 1_300, outputTokens: 10 });
    expect(estimator.estimate(target, input(8_000)).inputTokens).toBe(2_600);
    expect(estimator.estimate({ ...target, model: "other" }, input(8_000)).inputTokens).toBe(2_000);
  });

  test("forgets slowly: one odd call moves it by a tenth at most", () => {
    const estimator = taught(50, { inputTokens: 1_000, outputTokens: 10 });
    estimator.learn(target, input(4_000), { inputTokens: 100, outputTokens: 10 });
    expect(estimator.estimate(target, input(4_000)).inputTokens).toBe(910);
  });

  test("a small call, which is mostly frame, teaches less than a large one", () => {
    const estimator = new Estimator(4_096);
    estimator.learn(target, input(8), { inputTokens: 12, outputTokens: 1 });
    estimator.learn(target, input(40_000), { inputTokens: 12_000, outputTokens: 1 });
    expect(estimator.estimate(target, input(40_000)).inputTokens).toBeLessThan(12_500);
  });

  test("stays within sense whatever is learned", () => {
    const figure = fc.oneof(fc.double(), fc.integer({ min: -10, max: 1_000_000 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1_000_000), figure, figure), { maxLength: 50 }), (calls) => {
        const estimator = new Estimator(4_096);
        for (const [bytes, inputTokens, outputTokens] of calls)
          estimator.learn(target, input(bytes), { inputTokens, outputTokens });
        const { inputTokens, outputTokens } = estimator.estimate(target, input(4_000));
        expect(inputTokens).toBeGreaterThanOrEqual(20);
        expect(inputTokens).toBeLessThanOrEqual(8_000);
        expect(outputTokens).toBeGreaterThanOrEqual(1);
        expect(Number.isInteger(outputTokens)).toBe(true);
      }),
    );
  });
});

describe("output", () => {
  test("is max_tokens where the call says it, nothing for an embedding, else the default", () => {
    const estimator = new Estimator(2_000);
    expect(estimator.estimate(target, input(4, { maxOutputTokens: 77 })).outputTokens).toBe(77);
    expect(estimator.estimate(target, input(4, { kind: "embedding" })).outputTokens).toBe(0);
    expect(estimator.estimate(target, input(4)).outputTokens).toBe(2_000);
  });

  test("is what 95 of 100 answers do not exceed, once enough were seen", () => {
    const estimator = new Estimator(4_096);
    for (let call = 1; call <= 19; call++)
      estimator.learn(target, input(4), { inputTokens: 1, outputTokens: call * 10 });
    expect(estimator.estimate(target, input(4)).outputTokens).toBe(4_096);
    for (let call = 20; call <= 100; call++)
      estimator.learn(target, input(4), { inputTokens: 1, outputTokens: call * 10 });
    const { outputTokens } = estimator.estimate(target, input(4));
    expect(outputTokens).toBeGreaterThanOrEqual(950);
    expect(outputTokens).toBeLessThanOrEqual(950 * 1.19);
  });

  test("is the feature's own where it has one, else the model's", () => {
    const estimator = new Estimator(4_096);
    for (let call = 0; call < 30; call++) {
      estimator.learn(target, input(4, { feature: "label" }), { inputTokens: 1, outputTokens: 8 });
      estimator.learn(target, input(4, { feature: "essay" }), { inputTokens: 1, outputTokens: 3_000 });
    }
    const of = (feature: string | null) => estimator.estimate(target, input(4, { feature })).outputTokens;
    expect(of("label")).toBe(8);
    expect(of("essay")).toBeGreaterThanOrEqual(3_000);
    expect(of("new")).toBe(of("essay"));
  });

  test("does not learn from answers that max_tokens cut off", () => {
    const estimator = taught(50, { inputTokens: 1_000, outputTokens: 16 }, { maxOutputTokens: 16 });
    expect(estimator.estimate(target, input(4)).outputTokens).toBe(4_096);
  });

  test("percentiles are never too low, and at most a fifth too high", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 900_000 }), { minLength: 1, maxLength: 300 }), (lengths) => {
        const histogram = new OutputHistogram();
        for (const length of lengths) histogram.add(length);
        const exact = [...lengths].sort((a, b) => a - b)[Math.ceil(lengths.length * 0.95) - 1] ?? 0;
        expect(histogram.percentile(0.95)).toBeGreaterThanOrEqual(exact);
        expect(histogram.percentile(0.95)).toBeLessThanOrEqual(Math.ceil(exact * 1.19) + 1);
      }),
    );
  });
});

describe("what was learned", () => {
  test("is kept and taken over: changes first, then only what changed since", () => {
    const estimator = taught(40, { inputTokens: 1_300, outputTokens: 100 }, { feature: "label" });
    const rows = JSON.parse(JSON.stringify(estimator.snapshot())) as ModelFactor[];
    expect(rows.map(({ model, feature }) => [model, feature])).toEqual([
      ["openai/gpt-5", ""],
      ["openai/gpt-5", "label"],
    ]);
    expect(estimator.snapshot()).toEqual([]);
    expect(estimator.snapshot(true)).toHaveLength(2);
    const other = new Estimator(4_096);
    other.restore(rows);
    const asked = input(4_000, { feature: "label" });
    expect(other.estimate(target, asked)).toEqual(estimator.estimate(target, asked));
    expect(other.snapshot()).toEqual([]);
  });

  test("is not overwritten by somebody who knows less, nor by nonsense", () => {
    const estimator = taught(40, { inputTokens: 1_300, outputTokens: 100 });
    const before = estimator.estimate(target, input(4_000));
    const row = { model: "openai/gpt-5", feature: "", factor: 5, weight: 1, outputs: [] };
    const nonsense = [
      { ...row, factor: Number.NaN },
      { ...row, weight: -1 },
      { ...row, outputs: ["x"] },
      { ...row, model: 3 },
      {},
    ];
    estimator.restore([row, ...(nonsense as unknown as ModelFactor[])]);
    expect(estimator.estimate(target, input(4_000))).toEqual(before);
  });

  test("does not grow without end with the words of users", () => {
    const estimator = new Estimator(4_096);
    for (let n = 0; n < 6_000; n++)
      estimator.learn(target, input(400, { feature: `f${n}` }), { inputTokens: 130, outputTokens: 5 });
    expect(estimator.snapshot(true)).toHaveLength(5_000);
    expect(estimator.estimate(target, input(400)).inputTokens).toBe(130);
  });
});

describe("a tokenizer", () => {
  const text = "hello world ".repeat(100);
  const withTokenizer = (count: (model: string, text: string) => unknown, said: string[] = []) => {
    return new Estimator(4_096, new GuardedTokenizer(count, (problem) => said.push(problem)));
  };

  test("counts better than bytes do", () => {
    const estimator = withTokenizer((model, written) => (model === "gpt-5" ? written.split(" ").length : 0));
    expect(estimator.estimate(target, input(text.length, { text })).inputTokens).toBe(201);
    expect(estimator.estimate(target, input(4_000)).inputTokens).toBe(1_000);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("no");
      },
      "it threw",
    ],
    ["answers NaN", () => Number.NaN, "it answered NaN"],
    ["answers a text", () => "12", "it answered 12"],
    ["answers more tokens than bytes", () => 1e9, "it answered 1000000000"],
    ["answers nothing for a lot", () => 0, "it answered 0"],
  ])("that %s is reported, not believed, and not asked a fourth time", (_, count, words) => {
    const said: string[] = [];
    const estimator = withTokenizer(count, said);
    for (let call = 0; call < 10; call++) {
      expect(estimator.estimate(target, input(text.length, { text })).inputTokens).toBe(text.length / 4);
    }
    expect(said).toHaveLength(3);
    expect(said[0]).toContain(words);
    expect(said[2]).toContain("not asked again");
  });

  test("is not given texts that take such programs seconds", () => {
    const asked: number[] = [];
    const estimator = withTokenizer((_, written) => asked.push(written.length));
    for (const long of ["a".repeat(5_000), " ".repeat(2_000), "ab ".repeat(100_000)]) {
      estimator.estimate(target, input(long.length, { text: long }));
    }
    expect(asked).toEqual([]);
  });
});
