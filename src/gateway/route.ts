// From a name to the targets of a call: aliases followed in order, rules asked with the facts of the call.
import { fail } from "../domain/errors.ts";
import type { RouteCondition, RouteFacts } from "./config.ts";
import { shown } from "./config-check.ts";
import { targetOf, unknownName } from "./model-names.ts";
import { matches } from "./pattern.ts";
import type { Target } from "./roles.ts";
import type { AliasSettings, GatewaySettings, PolicySettings } from "./settings.ts";

export interface Route {
  /** The alias that was asked for; null for `provider/model`. */
  readonly alias: string | null;
  /** In the order in which they are tried; at least one, none twice. */
  readonly targets: readonly [Target, ...Target[]];
  readonly policy: GatewaySettings["defaults"];
}

/** Aliases that lead to aliases, at most: a function that makes up names would go on for ever. */
const DEPTH_MAX = 32;

/**
 * Where a call for this model goes.
 *
 * @throws MODEL_UNKNOWN; MODEL_ROUTE_INVALID when a function throws, answers nothing usable, or leads back to where it was asked.
 */
export function routeOf(settings: GatewaySettings, model: string, facts: RouteFacts): Route {
  const walk = new Walk(settings, facts);
  walk.follow(model, []);
  const [first, ...others] = walk.targets.values();
  if (first === undefined) throw unknown(settings, model);
  return {
    alias: settings.aliases.has(model) ? model : null,
    targets: [first, ...others],
    policy: { ...settings.defaults, ...walk.said },
  };
}

/** Fails for a name that cannot mean anything, before anything is asked. @throws MODEL_UNKNOWN */
export function checkModelName(settings: GatewaySettings, model: string): void {
  if (settings.aliases.has(model) || targetOf(model, settings) !== null) return;
  throw unknown(settings, model);
}

class Walk {
  readonly targets = new Map<string, Target>();
  /** What the first alias on the way that said it says. */
  said: Partial<GatewaySettings["defaults"]> = {};
  readonly #settings: GatewaySettings;
  readonly #facts: RouteFacts;

  constructor(settings: GatewaySettings, facts: RouteFacts) {
    this.#settings = settings;
    this.#facts = facts;
  }

  follow(name: string, trail: readonly string[]): void {
    const alias = this.#settings.aliases.get(name);
    if (alias === undefined) {
      const target = targetOf(name, this.#settings);
      if (target === null) throw this.#unknown(name, trail);
      if (!this.targets.has(name)) this.targets.set(name, target);
      return;
    }
    if (trail.includes(name) || trail.length >= DEPTH_MAX) throw circle([...trail, name]);
    this.said = { ...onlySaid(alias.policy), ...this.said };
    for (const next of choose(name, alias, this.#facts)) this.follow(next, [...trail, name]);
  }

  #unknown(name: string, trail: readonly string[]): Error {
    const by = trail.at(-1);
    if (by === undefined) return unknown(this.#settings, name);
    const { reason, fix } = unknownName(name, this.#settings);
    return invalid(by, `it leads to ${shown(name)}: ${reason}`, fix);
  }
}

function choose(name: string, { route }: AliasSettings, facts: RouteFacts): readonly string[] {
  if (route.by === "order") return route.try;
  if (route.by === "rules") {
    const rule = route.rules.find(({ when }) => when === undefined || holds(when, facts));
    if (rule === undefined) throw invalid(name, "no rule holds for this call", 'Add one without "when" at the end.');
    return [rule.use];
  }
  let chosen: unknown;
  try {
    chosen = route.choose(facts);
  } catch (cause) {
    throw invalid(
      name,
      "its function throws",
      "Let it answer the name of an alias or provider/model for every call.",
      cause,
    );
  }
  if (typeof chosen === "string") return [chosen];
  const problem = `its function answers ${chosen instanceof Promise ? "a promise" : shown(chosen)}`;
  throw invalid(name, problem, "Let it answer, at once, the name of an alias or provider/model.");
}

function holds(when: RouteCondition, { estimate, hasTools, ...names }: RouteFacts): boolean {
  if (when.hasTools !== undefined && when.hasTools !== hasTools) return false;
  if (when.inputTokensMax !== undefined && estimate.inputTokens > when.inputTokensMax) return false;
  return (["step", "agent", "feature", "tenant"] as const).every((name) => {
    const pattern = when[name];
    return pattern === undefined || (names[name] !== null && matches(pattern, names[name]));
  });
}

function onlySaid(policy: PolicySettings): Partial<GatewaySettings["defaults"]> {
  return Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== null));
}

function unknown(settings: GatewaySettings, model: string): Error {
  return fail("MODEL_UNKNOWN", { model: shown(model), ...unknownName(model, settings) });
}

function invalid(alias: string, problem: string, fix: string, cause?: unknown): Error {
  return fail("MODEL_ROUTE_INVALID", { alias, problem, fix }, cause === undefined ? {} : { cause });
}

function circle(trail: readonly string[]): Error {
  const [first = ""] = trail;
  const way = trail.length > 8 ? [...trail.slice(0, 4), "…", ...trail.slice(-3)] : trail;
  return invalid(first, `it leads back to itself: ${way.join(" → ")}`, "Let one of them name provider/model instead.");
}
