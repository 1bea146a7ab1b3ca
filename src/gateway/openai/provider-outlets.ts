// The outlets of the configured providers: which of them speak OpenAI's words, at what address, and the models of the others.
import type { EmbeddingModelV3, LanguageModelV3 } from "@ai-sdk/provider";
import { fail } from "../../domain/errors.ts";
import type { ProviderKind } from "../config.ts";
import { connect, type Environment } from "../connection.ts";
import { unknownName } from "../model-names.ts";
import type { Providers } from "../providers.ts";
import type { Target } from "../roles.ts";
import type { BuiltInSettings, GatewaySettings, ProviderSettings } from "../settings.ts";
import type { OpenAiApi, Outlets } from "./outlets.ts";
import type { Address } from "./upstream.ts";

const OPENAI = "https://api.openai.com/v1";

export class ProviderOutlets implements Outlets {
  readonly #settings: GatewaySettings;
  readonly #providers: Providers;
  readonly #env: Environment;
  readonly #addresses = new Map<string, Address>();

  constructor(settings: GatewaySettings, providers: Providers, env: Environment = process.env) {
    this.#settings = settings;
    this.#providers = providers;
    this.#env = env;
  }

  kind(target: Target): ProviderKind | "own" {
    return this.#settingsOf(target).kind;
  }

  address(target: Target, api: OpenAiApi): Address | null {
    const settings = this.#settingsOf(target);
    return settings.kind === "own" || !speaks(settings, api) ? null : this.#addressOf(settings);
  }

  language(target: Target): Promise<LanguageModelV3> {
    return this.#providers.language(target);
  }

  embedding(target: Target): Promise<EmbeddingModelV3> {
    return this.#providers.embedding(target);
  }

  /** A key that is missing may be there when the next call asks. */
  #addressOf(settings: BuiltInSettings): Address {
    const known = this.#addresses.get(settings.name);
    if (known !== undefined) return known;
    const { apiKey, baseUrl, organisation, project, headers } = connect(settings, this.#env);
    const address: Address = {
      baseUrl: (baseUrl ?? OPENAI).replace(/\/+$/, ""),
      headers: {
        ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
        ...(organisation === null ? {} : { "openai-organization": organisation }),
        ...(project === null ? {} : { "openai-project": project }),
        ...headers,
      },
      connections: this.#settings.connections,
      // OpenAI's newer models refuse the old name, and few others know the new one.
      outputLimit: settings.kind === "openai" ? "max_completion_tokens" : "max_tokens",
    };
    this.#addresses.set(settings.name, address);
    return address;
  }

  #settingsOf({ provider, model }: Target): ProviderSettings {
    const settings = this.#settings.providers.get(provider);
    if (settings !== undefined) return settings;
    const name = `${provider}/${model}`;
    throw fail("MODEL_UNKNOWN", { model: JSON.stringify(name), ...unknownName(name, this.#settings) });
  }
}

/** Few servers that call themselves compatible know the Responses API; behind the address of OpenAI itself it is there unless said. */
function speaks({ kind, api }: BuiltInSettings, asked: OpenAiApi): boolean {
  if (kind === "openai") return asked !== "responses" || api === "responses";
  return kind === "openai-compatible" && asked !== "responses";
}
