// What a plan may say, and how it is told what it may not.
import { describe, expect, test } from "vitest";
import { checkPlan, planFault } from "../../src/domain/plan.ts";

test("what is not given is not limited", () => {
  const nothing = {
    concurrency: null,
    weight: 1,
    band: null,
    unfinishedMax: null,
    submitsPerMinute: null,
    budget: null,
  };
  expect(checkPlan("free", {})).toEqual({ plan: "free", ...nothing });
  expect(checkPlan("free", { concurrency: null, weight: null, band: undefined })).toEqual({ plan: "free", ...nothing });
  expect(checkPlan("pro", 20)).toEqual({ plan: "pro", ...nothing, concurrency: 20 });
  const all = { concurrency: 0, weight: 1_000, band: "background", unfinishedMax: 0, submitsPerMinute: 1 } as const;
  expect(checkPlan("all", all)).toEqual({ plan: "all", ...all, budget: null });
});

describe("refused", () => {
  test.each([
    [Number.NaN, "concurrency"],
    [-1, "concurrency"],
    [2 ** 31, "concurrency"],
    [{ concurrency: 1.5 }, "concurrency"],
    [{ concurrency: "2" }, "concurrency"],
    [{ concurrency: Number.POSITIVE_INFINITY }, "concurrency"],
    [{ weight: 0 }, "weight"],
    [{ weight: -1 }, "weight"],
    [{ weight: 1_001 }, "weight"],
    [{ band: "urgent" }, "band"],
    [{ band: 0 }, "band"],
    [{ band: "__proto__" }, "band"],
    [{ unfinishedMax: -1 }, "unfinishedMax"],
    [{ unfinishedMax: 1e300 }, "unfinishedMax"],
    [{ submitsPerMinute: 0 }, "submitsPerMinute"],
    [{ submitsPerMinute: 10n }, "submitsPerMinute"],
    [{ concurency: 2 }, "concurency"],
    [{ tenant: "x" }, "tenant"],
    [JSON.parse('{"__proto__": 1}'), "__proto__"],
    [null, null],
    ["20", null],
    [[20], null],
    [undefined, null],
  ])("%o", (input, field) => {
    const fault = planFault(input);
    expect(fault).toMatchObject({ field, problem: expect.any(String), fix: expect.stringMatching(/\S\.$|\?$|\.$/) });
    expect(() => checkPlan("p", input)).toThrowError(expect.objectContaining({ code: "PLAN_INVALID", status: 422 }));
  });

  test("a typing mistake is told the right word", () => {
    expect(planFault({ concurency: 2 })?.fix).toBe("Did you mean concurrency?");
    expect(planFault({ weight: 0 })?.fix).toBe("Make it a whole number from 1 to 1,000, or leave it out.");
  });

  test.each(["", "\u0000", "\ud800", "p".repeat(513), 5])("the name %o", (name) => {
    expect(() => checkPlan(name as string, {})).toThrowError(expect.objectContaining({ code: "KEY_INVALID" }));
  });
});
