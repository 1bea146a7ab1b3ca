// The gateway's configuration: what it means without a word, and that every mistake in it is told with its place and its fix.
import { describe, expect, test } from "vitest";
import { isLonghaulError } from "../../src/domain/errors.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
import { CONNECTIONS, DEFAULT_POLICY } from "../../src/gateway/settings.ts";

/** The message and the hint with which a configuration is refused. */
function refusal(config: unknown): string {
  try {
    checkGateway(config);
  } catch (error) {
    if (isLonghaulError(error, "CONFIG_INVALID")) return `${error.message} ${error.hint}`;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("without configuration", () => {
  test("the three makers are there, everything at its default", () => {
    const settings = checkGateway(undefined);
    expect([...settings.providers.keys()]).toEqual(["openai", "anthropic", "google"]);
    expect(settings.providers.get("anthropic")).toMatchObject({
      kind: "anthropic",
      apiKey: null,
      baseUrl: null,
      limits: [],
    });
    expect(settings.defaults).toEqual(DEFAULT_POLICY);
    expect(settings).toMatchObject({ connections: CONNECTIONS, holdMs: 8_000, tokenizer: null, prices: [] });
    expect(settings.aliases.size).toBe(0);
  });
});

describe("a full configuration", () => {
  const settings = checkGateway({
    providers: {
      openai: { limits: { "*": { rpm: 500 }, "gpt-5*": { tpm: 200_000 }, "gpt-5-mini": { concurrent: 4 } } },
      groq: {
        kind: "openai-compatible",
        baseUrl: "https://api.groq.com/openai/v1/",
        limits: { "*": { rpd: 1_000, countCached: false } },
      },
      anthropic: { limits: { "*": { itpm: 10, otpm: 5 } } },
      mine: { model: (id: string) => ({ id }), pricedAs: "openai" },
    },
    models: {
      cheap: "openai/gpt-5-mini",
      smart: { try: ["openai/gpt-5", "cheap"], attempts: 6, timeout: "2m", idle: 5_000, onPartial: "fail" },
      auto: { route: [{ when: { step: "classify*", inputTokensMax: 500 }, use: "cheap" }, { use: "smart" }] },
    },
    prices: { "mine/*": { inputPerMillionUsd: 1, outputPerMillionUsd: 0 } },
    defaults: { attempts: 2 },
    http: { connections: 16 },
    cache: { ttl: "1h" },
  });

  test("keeps every word", () => {
    expect(settings.aliases.get("smart")?.policy).toEqual({
      attempts: 6,
      timeoutMs: 120_000,
      idleMs: 5_000,
      onPartial: "fail",
    });
    expect(settings.aliases.get("cheap")).toMatchObject({ route: { by: "order", try: ["openai/gpt-5-mini"] } });
    expect(settings.aliases.get("auto")?.route.by).toBe("rules");
    expect(settings.defaults).toEqual({ ...DEFAULT_POLICY, attempts: 2 });
    expect(settings.cache).toEqual({ ttlMs: 3_600_000, coalesce: true });
    expect(settings.providers.get("groq")).toMatchObject({ baseUrl: "https://api.groq.com/openai/v1" });
    expect(settings.providers.get("mine")?.kind).toBe("own");
  });

  test("asks limits from the one that says most to the one that says least", () => {
    expect(settings.providers.get("openai")?.limits.map(({ pattern }) => pattern)).toEqual([
      "gpt-5-mini",
      "gpt-5*",
      "*",
    ]);
  });

  test("knows who counts cached input", () => {
    const counts = (name: string) => settings.providers.get(name)?.limits[0]?.limits.countCached;
    expect([counts("openai"), counts("anthropic"), counts("groq")]).toEqual([true, false, false]);
  });
});

describe("mistakes", () => {
  test.each([
    ["something else than an object", [], "gateway", "is not an object"],
    ["an unknown key", { provders: {} }, "gateway.provders", "Did you mean providers?"],
    [
      "a provider without kind",
      { providers: { groq: { baseUrl: "https://x.test" } } },
      "gateway.providers.groq",
      "Add kind",
    ],
    ["a kind that is none", { providers: { x: { kind: "opnai" } } }, "providers.x.kind", "Did you mean openai?"],
    [
      "a compatible provider without address",
      { providers: { x: { kind: "openai-compatible" } } },
      "providers.x",
      "baseUrl",
    ],
    [
      "an address that is none",
      { providers: { openai: { baseUrl: "api.test/v1" } } },
      "openai.baseUrl",
      "with its scheme",
    ],
    ["an SDK provider as it is", { providers: { x: () => null } }, "providers.x", "model: (id) =>"],
    ["a model that is no function", { providers: { x: { model: "gpt" } } }, "providers.x.model", "is not a function"],
    ["a header that is none", { providers: { openai: { headers: { "a b": "c" } } } }, "openai.headers", "not the name"],
    ["a name with a slash", { providers: { "a/b": { kind: "openai" } } }, "providers.a/b", "cannot be the name"],
    ["an API where there is one", { providers: { google: { api: "chat" } } }, "google.api", "only one API"],
    [
      "limits without a pattern",
      { providers: { openai: { limits: { rpm: 5 } } } },
      "limits.rpm",
      'limits: { "*": { rpm: 5 } }',
    ],
    ["an unknown limit", { providers: { openai: { limits: { "*": { rmp: 5 } } } } }, '["*"].rmp', "Did you mean rpm?"],
    ["a limit of 0", { providers: { openai: { limits: { "*": { rpm: 0 } } } } }, '["*"].rpm', "never admits a call"],
    [
      "a limit of one token",
      { providers: { openai: { limits: { "*": { tpm: 1 } } } } },
      '["*"].tpm',
      "never admits a call",
    ],
    ["a negative limit", { providers: { openai: { limits: { "*": { tpd: -5 } } } } }, '["*"].tpd', "-5 cannot be used"],
    [
      "a limit of NaN",
      { providers: { openai: { limits: { "*": { tpm: Number.NaN } } } } },
      '["*"].tpm',
      "NaN cannot be used",
    ],
    [
      "half a call at once",
      { providers: { openai: { limits: { "*": { concurrent: 0.5 } } } } },
      "concurrent",
      "whole number",
    ],
    ["an alias to nowhere", { models: { smart: "gpt-5" } }, "models.smart", "Write provider/model, as openai/gpt-5"],
    [
      "an alias to an unknown provider",
      { models: { smart: "opnai/gpt-5" } },
      "models.smart",
      "Did you mean openai/gpt-5?",
    ],
    ["an alias to a provider alone", { models: { smart: "openai/" } }, "models.smart", "no name of a model"],
    ["an alias that is almost one", { models: { smart: "openai/a", x: "smrt" } }, "models.x", "Did you mean smart?"],
    ["an alias with a slash", { models: { "openai/gpt": "openai/x" } }, "models.openai/gpt", "without a slash"],
    ["an empty chain", { models: { smart: { try: [] } } }, "models.smart.try", "names no models"],
    ["neither chain nor route", { models: { smart: { attempts: 3 } } }, "models.smart", "neither try nor route"],
    ["chain and route", { models: { smart: { try: ["openai/a"], route: () => "x" } } }, "models.smart", "both"],
    [
      "rules without an end",
      { models: { a: { route: [{ when: {}, use: "openai/a" }] } } },
      "models.a.route",
      "no rule holds",
    ],
    [
      "a rule about nothing",
      { models: { a: { route: [{ when: { stap: "x" }, use: "openai/a" }] } } },
      "when.stap",
      "Did you mean step?",
    ],
    ["a circle", { models: { a: "b", b: { try: ["openai/x", "c"] }, c: "a" } }, "models.a", "a → b → c → a"],
    ["itself", { models: { a: "a" } }, "models.a", "a → a"],
    ["a circle of rules", { models: { a: { route: [{ use: "a" }] } } }, "models.a", "back to itself"],
    ["no attempts", { defaults: { attempts: 0 } }, "defaults.attempts", "from 1 to 50"],
    [
      "a time that is none",
      { models: { a: { try: ["openai/a"], timeout: "soon" } } },
      "models.a.timeout",
      "is not a duration",
    ],
    ["no time at all", { models: { a: { try: ["openai/a"], idle: 0 } } }, "models.a.idle", "shorter than 100 ms"],
    [
      "a price for a model without provider",
      { prices: { "gpt-5": { inputPerMillionUsd: 1 } } },
      'prices["gpt-5"]',
      "provider/model",
    ],
    ["half a price", { prices: { "openai/x": { inputPerMillionUsd: 1 } } }, "outputPerMillionUsd", "it is missing"],
    [
      "a negative price",
      { prices: { "openai/x": { inputPerMillionUsd: -1, outputPerMillionUsd: 1 } } },
      "inputPerMillionUsd",
      "-1",
    ],
    ["a price in another word", { prices: { "openai/x": { input: 1 } } }, "prices", "there is no such setting"],
    ["no connections", { http: { connections: 0 } }, "http.connections", "from 1 to"],
    ["a tokenizer that is none", { tokenizer: "o200k" }, "gateway.tokenizer", "is not a function"],
  ])("%s", (_, config, place, words) => {
    const said = refusal(config);
    expect(said).toContain(place);
    expect(said).toContain(words);
  });

  test("a key that cannot be sent is refused without being shown", () => {
    const said = refusal({ providers: { openai: { apiKey: "sk-secret\u0000value" } } });
    expect(said).toContain("openai.apiKey");
    expect(said).not.toContain("secret");
  });

  test("a hostile table changes nothing else", () => {
    const config = JSON.parse('{ "models": { "__proto__": "openai/x", "constructor": "openai/y" } }') as unknown;
    expect([...checkGateway(config).aliases.keys()]).toEqual(["__proto__", "constructor"]);
    expect(refusal({ models: { a: "toString" } })).toContain("it is no alias");
  });
});
