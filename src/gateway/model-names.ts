// How models are called: `provider/model`, or an alias; and what was probably meant where it is neither.
import { nearest } from "../domain/nearest.ts";
import type { Target } from "./roles.ts";

export interface Names {
  readonly aliases: { has(name: string): boolean; keys(): Iterable<string> };
  readonly providers: { has(name: string): boolean; keys(): Iterable<string> };
}

/** The target that a name means, or null where it names no known provider. The model's own name may hold slashes. */
export function targetOf(name: string, { providers }: Names): Target | null {
  const slash = name.indexOf("/");
  const [provider, model] = [name.slice(0, slash), name.slice(slash + 1)];
  if (slash < 1 || model.trim() !== model || model === "" || !providers.has(provider)) return null;
  return { provider, model };
}

/** Why a name means nothing, and what would. */
export function unknownName(
  name: string,
  { aliases, providers }: Names,
): { readonly reason: string; readonly fix: string } {
  const known = [...providers.keys()];
  const slash = name.indexOf("/");
  if (slash === -1) {
    const meant = nearest(name, [...aliases.keys()]);
    const reason = "it is no alias, and it does not say whose it is";
    const example = `Write provider/model, as ${known[0] ?? "openai"}/${name === "" ? "gpt-5" : name.slice(0, 100)}`;
    return {
      reason,
      fix:
        meant === undefined
          ? `${example}, or an alias of gateway.models.`
          : `Did you mean ${meant}? Otherwise: ${example}.`,
    };
  }
  const provider = name.slice(0, slash);
  if (providers.has(provider)) {
    return {
      reason: `after ${provider}/ there is no name of a model`,
      fix: `Write ${provider}/ and the provider's own name of the model.`,
    };
  }
  const meant = nearest(provider, known);
  const reason = `there is no provider ${JSON.stringify(provider.slice(0, 100))}`;
  const list = `Known are: ${known.join(", ")}; others go under gateway.providers in longhaul.config.ts.`;
  return {
    reason,
    fix: meant === undefined ? list : `Did you mean ${meant}${name.slice(slash, slash + 100)}? ${list}`,
  };
}
