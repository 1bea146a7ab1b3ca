// The AI SDK packages of the built-in providers: loaded when one of their models is first asked for, and missed politely.
import { fail } from "../domain/errors.ts";
import type { ProviderKind } from "./config.ts";
import type { Connection } from "./connection.ts";

/** What every major version of them gives, as far as it is needed. */
export interface SdkProvider {
  languageModel(id: string): unknown;
  /** By the name that it had before AI SDK 6, where it has no other. */
  embeddingModel?(id: string): unknown;
  textEmbeddingModel?(id: string): unknown;
  responses?(id: string): unknown;
  chat?(id: string): unknown;
}

type Create = (options: object) => SdkProvider;
type Fetch = typeof globalThis.fetch;

interface Package {
  readonly name: string;
  /** What is installed when somebody has nothing yet: the major that goes with `ai` 6 runs with 7 as well. */
  readonly install: string;
  load(): Promise<object>;
  readonly creates: readonly string[];
  options(connection: Connection): object;
}

const PACKAGES: Readonly<Record<ProviderKind, Package>> = {
  openai: {
    name: "@ai-sdk/openai",
    install: "@ai-sdk/openai@3",
    load: () => import("@ai-sdk/openai"),
    creates: ["createOpenAI"],
    options: ({ organisation, project }) => ({
      organization: organisation ?? undefined,
      project: project ?? undefined,
    }),
  },
  anthropic: {
    name: "@ai-sdk/anthropic",
    install: "@ai-sdk/anthropic@3",
    load: () => import("@ai-sdk/anthropic"),
    creates: ["createAnthropic"],
    options: () => ({}),
  },
  google: {
    name: "@ai-sdk/google",
    install: "@ai-sdk/google@3",
    load: () => import("@ai-sdk/google"),
    creates: ["createGoogleGenerativeAI", "createGoogle"],
    options: () => ({}),
  },
  "openai-compatible": {
    name: "@ai-sdk/openai-compatible",
    install: "@ai-sdk/openai-compatible@2",
    load: () => import("@ai-sdk/openai-compatible"),
    creates: ["createOpenAICompatible"],
    // Without being asked, such a server does not say what a streamed call used.
    options: ({ name }) => ({ name, includeUsage: true }),
  },
};

/** @throws PROVIDER_PACKAGE_MISSING with the line that installs it. */
export async function openProvider(connection: Connection, fetch: Fetch): Promise<SdkProvider> {
  const sdk = PACKAGES[connection.kind];
  const loaded = await load(sdk, connection.name);
  const create = sdk.creates
    .map((name) => (loaded as Record<string, unknown>)[name])
    .find((one) => typeof one === "function");
  if (create === undefined)
    throw missing(sdk, connection.name, `the version that is installed has no ${sdk.creates[0]}`);
  return (create as Create)({
    ...sdk.options(connection),
    ...(connection.apiKey === null ? {} : { apiKey: connection.apiKey }),
    ...(connection.baseUrl === null ? {} : { baseURL: connection.baseUrl }),
    headers: connection.headers,
    fetch,
  });
}

async function load(sdk: Package, provider: string): Promise<object> {
  try {
    return await sdk.load();
  } catch (cause) {
    const isAbsent = (cause as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND" && String(cause).includes(sdk.name);
    throw missing(sdk, provider, isAbsent ? "it is not installed" : "it cannot be loaded", cause);
  }
}

function missing({ name, install }: Package, provider: string, problem: string, cause?: unknown): Error {
  return fail(
    "PROVIDER_PACKAGE_MISSING",
    { provider, package: name, problem, install },
    cause === undefined ? {} : { cause },
  );
}
