// The models of all providers, each made when it is first asked for, all of one specification.
import type { EmbeddingModelV3, LanguageModelV3 } from "@ai-sdk/provider";
import { fail } from "../domain/errors.ts";
import { asEmbeddingModel, asLanguageModel } from "./adapt.ts";
import { connect, type Environment, hasKey } from "./connection.ts";
import { unknownName } from "./model-names.ts";
import { openProvider, type SdkProvider } from "./provider-packages.ts";
import type { Target } from "./roles.ts";
import type { GatewaySettings, OwnSettings, ProviderSettings } from "./settings.ts";

export interface ProvidersOptions {
  /** Where keys and addresses come from. Default: the environment of the process. */
  readonly env?: Environment;
  /** Default: the pooled one. */
  readonly fetch?: typeof globalThis.fetch;
}

/** Retries are the gateway's: a model from here makes one request for one call. */
export class Providers {
  readonly #settings: GatewaySettings;
  readonly #env: Environment;
  readonly #fetch: typeof globalThis.fetch | undefined;
  readonly #opened = new Map<string, Promise<SdkProvider>>();

  constructor(settings: GatewaySettings, { env = process.env, fetch }: ProvidersOptions = {}) {
    this.#settings = settings;
    this.#env = env;
    this.#fetch = fetch;
  }

  /** @throws MODEL_UNKNOWN, PROVIDER_KEY_MISSING, PROVIDER_PACKAGE_MISSING, PROVIDER_UNUSABLE */
  async language(target: Target): Promise<LanguageModelV3> {
    const settings = this.#settingsOf(target);
    if (settings.kind === "own") return asLanguageModel(made(settings, target, "model"), target);
    const provider = await this.#open(settings.name);
    const api = settings.kind === "openai" ? provider[settings.api] : undefined;
    return asLanguageModel((api ?? provider.languageModel).call(provider, target.model), target);
  }

  /** @throws MODEL_UNKNOWN, PROVIDER_KEY_MISSING, PROVIDER_PACKAGE_MISSING, PROVIDER_UNUSABLE */
  async embedding(target: Target): Promise<EmbeddingModelV3> {
    const settings = this.#settingsOf(target);
    if (settings.kind === "own") return asEmbeddingModel(made(settings, target, "embedding model"), target);
    const provider = await this.#open(settings.name);
    const create = provider.embeddingModel ?? provider.textEmbeddingModel;
    return asEmbeddingModel(create?.call(provider, target.model), target);
  }

  /** Names of the providers that a call can be tried with: those with a key, those that need none, and the user's own. */
  usable(): string[] {
    const all = [...this.#settings.providers.values()];
    return all.filter((settings) => settings.kind === "own" || hasKey(settings, this.#env)).map(({ name }) => name);
  }

  #settingsOf({ provider, model }: Target): ProviderSettings {
    const settings = this.#settings.providers.get(provider);
    if (settings !== undefined) return settings;
    const name = `${provider}/${model}`;
    throw fail("MODEL_UNKNOWN", { model: JSON.stringify(name), ...unknownName(name, this.#settings) });
  }

  /** A key that was set since is found: what failed is tried anew. */
  #open(name: string): Promise<SdkProvider> {
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const opening = this.#create(name);
    this.#opened.set(name, opening);
    opening.catch(() => this.#opened.delete(name));
    return opening;
  }

  async #create(name: string): Promise<SdkProvider> {
    const settings = this.#settings.providers.get(name);
    if (settings === undefined || settings.kind === "own") throw new Error(`${name} is not built in`);
    const connection = connect(settings, this.#env);
    const fetch = this.#fetch ?? (await import("./http.ts")).pooledFetch(this.#settings.connections);
    return await openProvider(connection, fetch);
  }
}

function made(settings: OwnSettings, target: Target, what: "model" | "embedding model"): unknown {
  const { provider, model } = target;
  if (what === "embedding model" && settings.embedding === null) {
    const fix = `Add embedding: (id) => … beside model, in gateway.providers.${provider}.`;
    throw fail("PROVIDER_UNUSABLE", { provider, what, model, problem: "it has no embeddings", fix });
  }
  try {
    return what === "model" ? settings.model(model) : settings.embedding?.(model);
  } catch (cause) {
    const problem = `its function throws: ${cause instanceof Error ? cause.message : String(cause)}`.slice(0, 300);
    throw fail("PROVIDER_UNUSABLE", { provider, what, model, problem, fix: "Look at the cause." }, { cause });
  }
}
