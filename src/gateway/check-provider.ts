// A provider as it is written and as it is meant.
import { checkLimits } from "./check-limits.ts";
import { type BuiltInProvider, type OwnProvider, PROVIDER_KINDS, type ProviderKind } from "./config.ts";
import { type ConfigCheck, shown } from "./config-check.ts";
import type { BuiltInSettings, OwnSettings, ProviderSettings } from "./settings.ts";

const SHARED = ["limits", "organisation", "project", "pricedAs"] as const;
const BUILT_IN: readonly string[] = [
  ...(["kind", "apiKey", "apiKeyEnv", "baseUrl", "headers", "api"] as const),
  ...SHARED,
] satisfies readonly (keyof BuiltInProvider)[];
const OWN: readonly string[] = ["model", "embedding", ...SHARED] satisfies readonly (keyof OwnProvider)[];
const EXAMPLE = '{ kind: "openai-compatible", baseUrl: "https://api.example.com/v1" }';

/** Providers that need no configuration, by name. */
export const STANDARD_PROVIDERS: readonly string[] = ["openai", "anthropic", "google"];

/** @throws CONFIG_INVALID */
export function checkProvider(check: ConfigCheck, path: string, name: string, value: unknown): ProviderSettings {
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(name)) {
    const fix = "Use letters, digits, dots, dashes and underscores, 64 at most: models are called provider/model.";
    throw check.invalid(path, `${shown(name)} cannot be the name of a provider`, fix);
  }
  refuseSdkProvider(check, path, name, value);
  const written = check.object(path, value, null, EXAMPLE);
  return "model" in written || "embedding" in written
    ? own(check, path, name, written)
    : builtIn(check, path, name, written);
}

/** `providers: { openai: createOpenAI(...) }` is what people try first. */
function refuseSdkProvider(check: ConfigCheck, path: string, name: string, value: unknown): void {
  const isSdk =
    typeof value === "function" ||
    (typeof value === "object" && value !== null && "languageModel" in value && !("model" in value));
  if (!isSdk) return;
  const fix = `Write ${name}: { model: (id) => provider.languageModel(id), embedding: (id) => provider.embeddingModel(id) }.`;
  throw check.invalid(path, "an AI SDK provider cannot stand here by itself", fix);
}

function own(check: ConfigCheck, path: string, name: string, value: Record<string, unknown>): OwnSettings {
  const written = check.object(path, value, OWN, "{ model: (id) => provider.languageModel(id) }");
  const { model, embedding } = written;
  if (typeof model !== "function") {
    throw check.invalid(
      `${path}.model`,
      `${shown(model)} is not a function`,
      "Give a function from a name to a model.",
    );
  }
  if (embedding !== undefined && typeof embedding !== "function") {
    const fix = "Give a function from a name to an embedding model, or leave it out.";
    throw check.invalid(`${path}.embedding`, `${shown(embedding)} is not a function`, fix);
  }
  return {
    ...shared(check, path, name, written, true),
    kind: "own",
    model: (id) => Reflect.apply(model, value, [id]) as unknown,
    embedding: embedding === undefined ? null : (id) => Reflect.apply(embedding, value, [id]) as unknown,
  };
}

function builtIn(check: ConfigCheck, path: string, name: string, value: Record<string, unknown>): BuiltInSettings {
  const written = check.object(path, value, BUILT_IN, EXAMPLE);
  const kind = check.choice(`${path}.kind`, written["kind"], PROVIDER_KINDS) ?? standardKind(name);
  if (kind === null) {
    const fix = `Add kind: one of ${PROVIDER_KINDS.join(", ")}; or give models yourself with model: (id) => ….`;
    throw check.invalid(path, "it does not say what kind of provider it is", fix);
  }
  const baseUrl = check.url(`${path}.baseUrl`, written["baseUrl"]);
  if (kind === "openai-compatible" && baseUrl === null) {
    throw check.invalid(
      path,
      "it has no baseUrl",
      'Add the address of its API: baseUrl: "https://api.example.com/v1".',
    );
  }
  const api = check.choice(`${path}.api`, written["api"], ["responses", "chat"]);
  if (api !== null && kind !== "openai") {
    throw check.invalid(`${path}.api`, `a provider of kind ${kind} has only one API`, "Leave it out.");
  }
  return {
    ...shared(check, path, name, written, kind !== "anthropic"),
    kind,
    baseUrl,
    api: api ?? "responses",
    apiKey: check.secret(`${path}.apiKey`, written["apiKey"]),
    apiKeyEnv: check.text(`${path}.apiKeyEnv`, written["apiKeyEnv"], "OPENAI_API_KEY"),
    headers: headers(check, `${path}.headers`, written["headers"]),
  };
}

function standardKind(name: string): ProviderKind | null {
  return STANDARD_PROVIDERS.includes(name) ? (name as ProviderKind) : null;
}

function shared(
  check: ConfigCheck,
  path: string,
  name: string,
  written: Record<string, unknown>,
  countCached: boolean,
) {
  return {
    name,
    organisation: check.text(`${path}.organisation`, written["organisation"], "org-123"),
    project: check.text(`${path}.project`, written["project"], "proj_123"),
    pricedAs: check.text(`${path}.pricedAs`, written["pricedAs"], "openai"),
    limits: checkLimits(check, `${path}.limits`, written["limits"], countCached),
  };
}

function headers(check: ConfigCheck, path: string, value: unknown): Readonly<Record<string, string>> {
  const entries = check.table(path, value, '{ "x-team": "search" }');
  for (const [name, content] of entries) {
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) {
      throw check.invalid(path, `${shown(name)} is not the name of a header`, "Use letters, digits and dashes.");
    }
    if (typeof content === "string" && /^[\t\x20-\x7e\x80-\xff]*$/.test(content)) continue;
    throw check.invalid(
      `${path}.${name}`,
      "its value cannot be sent",
      "Make it a text of one line without special characters.",
    );
  }
  return Object.fromEntries(entries) as Record<string, string>;
}
