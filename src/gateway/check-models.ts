// Aliases of models as they are written and as they are meant.
import { checkAliasGraph } from "./alias-graph.ts";
import { POLICY_KEYS, policy } from "./check-policy.ts";
import type { RouteCondition, RouteFacts, RouteRule } from "./config.ts";
import { type ConfigCheck, shown } from "./config-check.ts";
import type { Names } from "./model-names.ts";
import type { AliasSettings } from "./settings.ts";

const CONDITIONS: readonly string[] = [
  "step",
  "agent",
  "feature",
  "tenant",
  "hasTools",
  "inputTokensMax",
] satisfies readonly (keyof RouteCondition)[];
const EXAMPLE = '{ smart: "openai/gpt-5" }';

/** @throws CONFIG_INVALID also for an alias that leads back to itself, or nowhere. */
export function checkModels(
  check: ConfigCheck,
  path: string,
  value: unknown,
  providers: Names["providers"],
): ReadonlyMap<string, AliasSettings> {
  const aliases = new Map<string, AliasSettings>();
  for (const [name, alias] of check.table(path, value, EXAMPLE))
    aliases.set(name, checkAlias(check, path, name, alias));
  checkAliasGraph(check, path, aliases, providers);
  return aliases;
}

function checkAlias(check: ConfigCheck, models: string, name: string, value: unknown): AliasSettings {
  const path = `${models}.${name.slice(0, 100)}`;
  if (name.includes("/") || name.trim() !== name || name === "" || name.length > 100) {
    const fix = "Choose a name of 100 characters at most and without a slash: provider/model is never an alias.";
    throw check.invalid(path, "it cannot be the name of an alias", fix);
  }
  if (typeof value === "string") return { policy: policy(check, path, {}), route: { by: "order", try: [value] } };
  const written = check.object(path, value, ["try", "route", ...POLICY_KEYS], '{ try: ["openai/gpt-5"] }');
  if ("try" in written === "route" in written) {
    const fix = 'Give one of them: try: ["openai/gpt-5"] for a fixed order, route: […] or a function for a choice.';
    throw check.invalid(path, `it has ${"try" in written ? "both try and route" : "neither try nor route"}`, fix);
  }
  const route = "try" in written ? ordered(check, path, written["try"]) : chosen(check, path, written["route"]);
  return { policy: policy(check, path, written), route };
}

function ordered(check: ConfigCheck, path: string, value: unknown): AliasSettings["route"] {
  const isList = Array.isArray(value) && value.length > 0 && value.every((target) => typeof target === "string");
  if (isList) return { by: "order", try: [...(value as string[])] };
  throw check.invalid(`${path}.try`, `${shown(value)} names no models`, 'Make it a list: ["openai/gpt-5", "cheap"].');
}

function chosen(check: ConfigCheck, path: string, value: unknown): AliasSettings["route"] {
  if (typeof value === "function") return { by: "function", choose: value as (facts: RouteFacts) => unknown };
  if (!Array.isArray(value) || value.length === 0) {
    const fix = 'Make it a function of the facts, or a list of rules: [{ when: { step: "classify" }, use: "cheap" }].';
    throw check.invalid(`${path}.route`, `${shown(value)} decides nothing`, fix);
  }
  const rules = value.map((rule, index) => checkRule(check, `${path}.route[${index}]`, rule));
  const last = rules.at(-1);
  if (last?.when === undefined) return { by: "rules", rules };
  const fix = `Add one without "when" at the end: { use: ${JSON.stringify(last.use)} }.`;
  throw check.invalid(`${path}.route`, "it does not say where calls go for which no rule holds", fix);
}

function checkRule(check: ConfigCheck, path: string, value: unknown): RouteRule {
  const written = check.object(path, value ?? null, ["when", "use"], '{ when: { step: "classify" }, use: "cheap" }');
  const use = check.text(`${path}.use`, written["use"], "openai/gpt-5-mini");
  if (use === null) throw check.invalid(path, "it names no model", 'Add use: "openai/gpt-5-mini", or an alias.');
  if (written["when"] === undefined) return { use };
  return { when: checkCondition(check, `${path}.when`, written["when"]), use };
}

function checkCondition(check: ConfigCheck, path: string, value: unknown): RouteCondition {
  const written = check.object(path, value, CONDITIONS, '{ step: "classify" }');
  for (const name of ["step", "agent", "feature", "tenant"]) check.text(`${path}.${name}`, written[name], "classify*");
  check.yesOrNo(`${path}.hasTools`, written["hasTools"]);
  check.count(`${path}.inputTokensMax`, written["inputTokensMax"], 0);
  return written as RouteCondition;
}
