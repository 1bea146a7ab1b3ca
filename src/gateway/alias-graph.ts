// Whether every alias leads somewhere, and none back to itself, as far as that is known before a call is made.
import type { ConfigCheck } from "./config-check.ts";
import { type Names, targetOf, unknownName } from "./model-names.ts";
import type { AliasSettings } from "./settings.ts";

/** @throws CONFIG_INVALID */
export function checkAliasGraph(
  check: ConfigCheck,
  path: string,
  aliases: ReadonlyMap<string, AliasSettings>,
  providers: Names["providers"],
): void {
  const names = { aliases, providers };
  const done = new Set<string>();
  const follow = (name: string, trail: readonly string[]): void => {
    if (trail.includes(name)) throw circle(check, path, [...trail.slice(trail.indexOf(name)), name]);
    const alias = aliases.get(name);
    if (alias === undefined || done.has(name)) return;
    for (const next of leadsTo(alias)) {
      if (!aliases.has(next) && targetOf(next, names) === null) {
        const { reason, fix } = unknownName(next, names);
        throw check.invalid(`${path}.${name}`, `it leads to ${JSON.stringify(next.slice(0, 100))}: ${reason}`, fix);
      }
      follow(next, [...trail, name]);
    }
    done.add(name);
  };
  for (const name of aliases.keys()) follow(name, []);
}

/** What a function chooses is known only when it is asked. */
function leadsTo({ route }: AliasSettings): readonly string[] {
  if (route.by === "order") return route.try;
  return route.by === "rules" ? route.rules.map((rule) => rule.use) : [];
}

function circle(check: ConfigCheck, path: string, names: readonly string[]): Error {
  const problem = `it leads back to itself: ${names.join(" → ")}`;
  return check.invalid(`${path}.${names[0]}`, problem, "Let one of them name provider/model instead.");
}
