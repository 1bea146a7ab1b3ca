// From a name to targets: order, nesting, rules, functions that misbehave.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isLonghaulError } from "../../src/domain/errors.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
import type { RouteFacts } from "../../src/gateway/config.ts";
import { matches } from "../../src/gateway/pattern.ts";
import { checkModelName, routeOf } from "../../src/gateway/route.ts";

const facts: RouteFacts = {
  estimate: { inputTokens: 1_000, outputTokens: 100 },
  step: "summarise",
  agent: "researcher",
  feature: null,
  tenant: "acme",
  hasTools: false,
};

function names(models: unknown, model: string, about: Partial<RouteFacts> = {}): string[] {
  const route = routeOf(checkGateway({ models }), model, { ...facts, ...about });
  return route.targets.map((target) => `${target.provider}/${target.model}`);
}

function code(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (isLonghaulError(error)) return `${error.code}: ${error.message} ${error.hint}`;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("names", () => {
  test("provider/model is its own target, slashes in the model's name included", () => {
    expect(names({}, "openai/gpt-5")).toEqual(["openai/gpt-5"]);
    expect(names({}, "openai/ft:gpt/acme/1")).toEqual(["openai/ft:gpt/acme/1"]);
    expect(routeOf(checkGateway({}), "openai/gpt-5", facts).alias).toBeNull();
  });

  test("an alias is followed through others, in order, nothing twice", () => {
    const models = {
      smart: { try: ["anthropic/a", "cheap", "openai/b"] },
      cheap: { try: ["openai/c", "anthropic/a"] },
    };
    expect(names(models, "smart")).toEqual(["anthropic/a", "openai/c", "openai/b"]);
    expect(routeOf(checkGateway({ models }), "smart", facts).alias).toBe("smart");
  });

  test("what is not known is told with what was probably meant", () => {
    expect(code(() => names({ smart: "openai/x" }, "smort"))).toMatch(
      /^MODEL_UNKNOWN: .*"smort".*Did you mean smart\?/,
    );
    expect(code(() => names({}, "gpt-5"))).toContain("Write provider/model, as openai/gpt-5");
    expect(code(() => names({}, "antropic/x"))).toContain("Did you mean anthropic/x?");
    for (const name of ["", "/", "openai/", "/gpt", "__proto__", "constructor/x", "openai/ x"]) {
      expect(code(() => names({}, name))).toContain("MODEL_UNKNOWN");
      expect(() => checkModelName(checkGateway({}), name)).toThrow("is not known");
    }
    expect(() => checkModelName(checkGateway({}), "openai/gpt-5")).not.toThrow();
  });
});

describe("how calls are made", () => {
  test("is said by the alias that was asked for, then by those it leads to, then by the defaults", () => {
    const models = { outer: { try: ["inner"], attempts: 7 }, inner: { try: ["openai/x"], attempts: 2, idle: "3s" } };
    const { policy } = routeOf(checkGateway({ models, defaults: { timeout: "1m" } }), "outer", facts);
    expect(policy).toEqual({ attempts: 7, idleMs: 3_000, timeoutMs: 60_000, onPartial: "reset" });
  });
});

describe("rules", () => {
  const models = {
    auto: {
      route: [
        { when: { step: "classify*", hasTools: false }, use: "openai/tiny" },
        { when: { inputTokensMax: 500 }, use: "openai/small" },
        { when: { feature: "legal", tenant: "a*" }, use: "anthropic/careful" },
        { use: "openai/large" },
      ],
    },
  };

  test("the first that holds decides", () => {
    expect(names(models, "auto")).toEqual(["openai/large"]);
    expect(names(models, "auto", { step: "classify-mail" })).toEqual(["openai/tiny"]);
    expect(names(models, "auto", { step: "classify-mail", hasTools: true })).toEqual(["openai/large"]);
    expect(names(models, "auto", { step: null })).toEqual(["openai/large"]);
    expect(names(models, "auto", { estimate: { inputTokens: 500, outputTokens: 1 } })).toEqual(["openai/small"]);
    expect(names(models, "auto", { feature: "legal" })).toEqual(["anthropic/careful"]);
    expect(names(models, "auto", { feature: "legal", tenant: "b" })).toEqual(["openai/large"]);
  });
});

describe("functions", () => {
  test("see the facts and name an alias or a model", () => {
    const route = ({ estimate, hasTools }: RouteFacts) =>
      estimate.inputTokens < 2_000 && !hasTools ? "cheap" : "openai/big";
    const models = { auto: { route }, cheap: { try: ["openai/small", "anthropic/small"] } };
    expect(names(models, "auto")).toEqual(["openai/small", "anthropic/small"]);
    expect(names(models, "auto", { hasTools: true })).toEqual(["openai/big"]);
  });

  test("that throw, answer nonsense or go round in circles are told", () => {
    const asked = (route: () => unknown, others = {}) => code(() => names({ auto: { route }, ...others }, "auto"));
    const boom = () => {
      throw new Error("boom");
    };
    expect(asked(boom)).toMatch(/^MODEL_ROUTE_INVALID: The alias auto .* throws/);
    expect(asked(() => undefined)).toContain("answers undefined");
    expect(asked(async () => "openai/x")).toContain("answers a promise");
    expect(asked(() => "nothing")).toContain('it leads to "nothing"');
    expect(asked(() => "auto")).toContain("auto → auto");
    expect(asked(() => "b", { b: "auto" })).toContain("auto → b → auto");
  });
});

describe("patterns", () => {
  test("mean what they say", () => {
    expect(matches("gpt-5*", "gpt-5-mini")).toBe(true);
    expect(matches("*-mini", "gpt-5-mini")).toBe(true);
    expect(matches("a*b*c", "a-b-b-c")).toBe(true);
    expect(matches("ab*ba", "aba")).toBe(false);
    expect(matches("*", "")).toBe(true);
    expect(matches("gpt.5", "gpt-5")).toBe(false);
  });

  test("agree with regular expressions", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "*", ".") });
    fc.assert(
      fc.property(text, fc.string({ unit: fc.constantFrom("a", "b", ".") }), (pattern, name) => {
        const expression = new RegExp(
          `^${pattern
            .split("*")
            .map((part) => part.replaceAll(".", "\\."))
            .join(".*")}$`,
          "s",
        );
        expect(matches(pattern, name)).toBe(expression.test(name));
      }),
      { numRuns: 1_000 },
    );
  });
});
