// What can be written as a budget, what is refused with the fix, and which of two limits holds.
import { describe, expect, test } from "vitest";
import { budgetRow, checkBudget, strictest } from "../../src/domain/budget-check.ts";
import type { LonghaulError } from "../../src/domain/errors.ts";
import { checkPlan } from "../../src/domain/plan.ts";

function refusal(input: unknown): LonghaulError {
  try {
    checkBudget("agent a", input);
  } catch (error) {
    return error as LonghaulError;
  }
  return expect.fail(`${JSON.stringify(input)} was taken`);
}

describe("a budget", () => {
  test("of nothing is none; what is undefined in it is not said", () => {
    expect(checkBudget("x", undefined)).toBeNull();
    expect(checkBudget("x", null)).toBeNull();
    expect(checkBudget("x", { usd: 0.5, steps: undefined })).toEqual({ usd: 0.5 });
  });

  test("may allow nothing", () => {
    const nothing = { inputTokens: 0, outputTokens: 0, usd: 0, steps: 0, wallMinutes: 0, onExceeded: "ask" };
    expect(checkBudget("x", nothing)).toEqual(nothing);
  });

  test.each([
    [{ usd: -1 }, /usd: -1 cannot be used/],
    [{ usd: Number.NaN }, /usd: NaN cannot be used/],
    [{ usd: Number.POSITIVE_INFINITY }, /usd: Infinity cannot be used/],
    [{ usd: 1e10 }, /usd: 10000000000 cannot be used/],
    [{ usd: "5" }, /usd: "5" cannot be used/],
    [{ usd: 5n }, /usd: 5 cannot be used/],
    [{ steps: 1.5 }, /steps: 1.5 cannot be used/],
    [{ steps: null }, /steps: null cannot be used/],
    [{ inputTokens: 1e13 }, /inputTokens/],
    [{ wallMinutes: -0.1 }, /wallMinutes/],
    [{ dollars: 5 }, /dollars: a budget has no such limit/],
    [{ constructor: 5 }, /constructor: a budget has no such limit/],
    [{ usd: 1, onExceeded: "wait" }, /onExceeded: "wait" is not one of its words/],
    [{}, /it limits nothing/],
    [{ onExceeded: "ask" }, /it limits nothing/],
    [5, /5 is no budget/],
    ["5 USD", /"5 USD" is no budget/],
    [[{ usd: 1 }], /is no budget/],
  ])("%o is refused, and says what to write", (input, problem) => {
    const error = refusal(input);
    expect(error).toMatchObject({ code: "BUDGET_INVALID", status: 422 });
    expect(error.message).toMatch(problem);
    expect(error.hint).not.toBe("");
  });

  test("a name that is nearly right is told the right one", () => {
    expect(refusal({ outputToken: 5 }).hint).toBe("Did you mean outputTokens?");
  });

  test("is stored in whole units, money in billionths that never lose a part of a cent", () => {
    expect(JSON.parse(budgetRow({ usd: 0.1, wallMinutes: 0.5, onExceeded: "ask" }))).toEqual({
      nano_usd: "100000000",
      wall_ms: 30_000,
      on_exceeded: "ask",
    });
    expect(JSON.parse(budgetRow({ usd: 1e9 })).nano_usd).toBe("1000000000000000000");
  });
});

test("of two budgets the stricter limit holds, each by itself", () => {
  expect(strictest(null, { usd: 1 })).toEqual({ usd: 1 });
  expect(strictest({ usd: 1 }, null)).toEqual({ usd: 1 });
  expect(strictest({ usd: 1, steps: 5, onExceeded: "ask" }, { usd: 2, steps: 3, inputTokens: 0 })).toEqual({
    usd: 1,
    steps: 3,
    inputTokens: 0,
    onExceeded: "ask",
  });
  expect(strictest({ usd: 1, onExceeded: "ask" }, { usd: 1, onExceeded: "fail" })?.onExceeded).toBe("fail");
});

describe("a plan's budget", () => {
  test.each([
    [{ usd: 1 }, /budget.per: it does not say for how long/],
    [{ usd: 1, per: "week" }, /budget.per: "week"/],
    [{ usd: 1, per: "day", wallMinutes: 5 }, /budget.wallMinutes: a budget has no such limit/],
    [{ usd: 1, per: "day", onExceeded: "ask" }, /budget.onExceeded/],
    [{ per: "day" }, /budget: it limits nothing/],
    [5, /budget: 5 is no budget/],
  ])("%o is refused", (budget, problem) => {
    expect(() => checkPlan("free", { budget })).toThrow(problem);
  });

  test("is for a day or a month", () => {
    expect(checkPlan("free", { budget: { usd: 1, per: "day" } }).budget).toEqual({ usd: 1, per: "day" });
  });
});
