// How a built-in provider is reached: its key, its address and its headers, from the configuration and the environment.
import { fail } from "../domain/errors.ts";
import type { ProviderKind } from "./config.ts";
import { isSendable } from "./config-check.ts";
import type { BuiltInSettings } from "./settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Connection {
  readonly name: string;
  readonly kind: ProviderKind;
  /** Null: the server asks for none. */
  readonly apiKey: string | null;
  /** Null: the provider's own. */
  readonly baseUrl: string | null;
  readonly organisation: string | null;
  readonly project: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

interface Usual {
  readonly keys: readonly string[];
  readonly addresses: readonly string[];
  /** Where the API lies below an address that names only a host; the makers' own programs add it as well. */
  readonly path: string;
}

const USUAL: Readonly<Record<Exclude<ProviderKind, "openai-compatible">, Usual>> = {
  openai: { keys: ["OPENAI_API_KEY"], addresses: ["OPENAI_BASE_URL"], path: "" },
  anthropic: { keys: ["ANTHROPIC_API_KEY"], addresses: ["ANTHROPIC_BASE_URL"], path: "/v1" },
  google: {
    keys: ["GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY"],
    addresses: ["GOOGLE_GENERATIVE_AI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"],
    path: "/v1beta",
  },
};

/** @throws PROVIDER_KEY_MISSING, and says which variable was looked for. */
export function connect(settings: BuiltInSettings, env: Environment): Connection {
  const { name, kind, organisation, project, headers } = settings;
  return {
    name,
    kind,
    organisation,
    project,
    headers,
    apiKey: keyOf(settings, env),
    baseUrl: addressOf(settings, env),
  };
}

/** True when a call can be tried: nobody has to give a key to a server that asks for none. */
export function hasKey(settings: BuiltInSettings, env: Environment): boolean {
  try {
    keyOf(settings, env);
    return true;
  } catch {
    return false;
  }
}

function keyOf({ name, kind, apiKey, apiKeyEnv }: BuiltInSettings, env: Environment): string | null {
  if (apiKey !== null) return apiKey;
  const variables = apiKeyEnv === null ? usualKeys(name, kind) : [apiKeyEnv];
  const variable = variables.find((one) => (env[one]?.trim() ?? "") !== "");
  const [first = ""] = variables;
  if (variable === undefined) {
    if (kind === "openai-compatible" && apiKeyEnv === null) return null;
    throw keyMissing(name, first, `${variables.join(" and ")} ${variables.length === 1 ? "is" : "are"} not set`);
  }
  const key = env[variable]?.trim() ?? "";
  if (isSendable(key)) return key;
  throw keyMissing(name, variable, `${variable} holds something that no header can carry`);
}

/** `GROQ_API_KEY` for a provider called groq. */
function usualKeys(name: string, kind: ProviderKind): readonly string[] {
  return kind === "openai-compatible"
    ? [`${name.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}_API_KEY`]
    : USUAL[kind].keys;
}

function addressOf({ kind, baseUrl }: BuiltInSettings, env: Environment): string | null {
  if (baseUrl !== null || kind === "openai-compatible") return baseUrl;
  const { addresses, path } = USUAL[kind];
  const written = addresses.map((variable) => env[variable]?.trim() ?? "").find((address) => address !== "");
  if (written === undefined || !URL.canParse(written)) return null;
  const address = written.replace(/\/+$/, "");
  return new URL(address).pathname === "/" ? `${address}${path}` : address;
}

function keyMissing(provider: string, variable: string, problem: string): Error {
  return fail("PROVIDER_KEY_MISSING", { provider, variable, problem });
}
