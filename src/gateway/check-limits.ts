// Limits of a provider as they are written and as they are meant; one that could never let a call through is refused.
import type { Limits } from "./config.ts";
import { type ConfigCheck, shown } from "./config-check.ts";
import { bySpecificity } from "./pattern.ts";
import type { LimitRule } from "./settings.ts";

const COUNTS = ["rpm", "rpd", "tpm", "tpd", "itpm", "otpm", "concurrent"] as const;
const KNOWN: readonly string[] = [...COUNTS, "countCached"] satisfies readonly (keyof Limits)[];
const EXAMPLE = '{ "*": { rpm: 500, tpm: 200_000 } }';

/** @throws CONFIG_INVALID */
export function checkLimits(
  check: ConfigCheck,
  path: string,
  value: unknown,
  countCachedDefault: boolean,
): readonly LimitRule[] {
  const entries = check.table(path, value, EXAMPLE);
  const bare = entries.find(([pattern]) => KNOWN.includes(pattern));
  if (bare !== undefined) {
    const fix = `Say for which models: ${path.split(".").at(-1)}: { "*": { ${bare[0]}: ${shown(bare[1])} } }.`;
    throw check.invalid(`${path}.${bare[0]}`, "limits are given by a pattern of model names", fix);
  }
  return entries
    .map(([pattern, limits]) => rule(check, path, pattern, limits, countCachedDefault))
    .sort((a, b) => bySpecificity(a.pattern, b.pattern));
}

function rule(
  check: ConfigCheck,
  path: string,
  pattern: string,
  value: unknown,
  countCachedDefault: boolean,
): LimitRule {
  const place = `${path}[${JSON.stringify(pattern.slice(0, 100))}]`;
  if (pattern.trim() !== pattern || pattern === "") {
    throw check.invalid(
      place,
      "no model has such a name",
      'Write a model\'s name, a pattern as "gpt-5*", or "*" for all.',
    );
  }
  const written = check.object(place, value, KNOWN, "{ rpm: 500, tpm: 200_000 }");
  const limits: Record<string, number> = {};
  for (const name of COUNTS) {
    if (written[name] === 0) throw neverAdmits(check, `${place}.${name}`);
    const count = check.count(`${place}.${name}`, written[name]);
    if (count !== null) limits[name] = count;
  }
  const countCached = check.yesOrNo(`${place}.countCached`, written["countCached"]) ?? countCachedDefault;
  refuseContradictions(check, place, limits);
  return { pattern, limits: { ...limits, countCached } };
}

function neverAdmits(check: ConfigCheck, path: string): Error {
  const fix = "Leave it out where there is no such limit; to take a model away, take it out of the aliases.";
  return check.invalid(path, "a limit of 0 never admits a call", fix);
}

/** A call is at least one token in and one out. */
function refuseContradictions(check: ConfigCheck, place: string, limits: Record<string, number>): void {
  for (const name of ["tpm", "tpd"]) {
    if (limits[name] !== 1) continue;
    const problem = "one token never admits a call: each takes at least one for its input and one for its output";
    throw check.invalid(`${place}.${name}`, problem, "Give the limit that the provider shows for your account.");
  }
}
