// Which providers have batches of their own, and how a process reaches them.
import type { ProviderKind } from "../../config.ts";
import { type Connection, connect, type Environment } from "../../connection.ts";
import type { BuiltInSettings } from "../../settings.ts";
import { anthropicBatches } from "./anthropic.ts";
import { googleBatches } from "./google.ts";
import { openAiBatches } from "./openai.ts";
import type { RemoteAddress, RemoteBatches } from "./roles.ts";

export interface RemoteService {
  readonly address: RemoteAddress;
  readonly batches: RemoteBatches;
}

interface Maker {
  readonly baseUrl: string;
  readonly batches: RemoteBatches;
  /** Who we are, as its API wants to be told. */
  headersOf(connection: Connection): Readonly<Record<string, string>>;
}

const MAKERS: Readonly<Partial<Record<ProviderKind, Maker>>> = {
  openai: {
    baseUrl: "https://api.openai.com/v1",
    batches: openAiBatches,
    headersOf: ({ apiKey, organisation, project }) => ({
      ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(organisation === null ? {} : { "openai-organization": organisation }),
      ...(project === null ? {} : { "openai-project": project }),
    }),
  },
  anthropic: {
    baseUrl: "https://api.anthropic.com/v1",
    batches: anthropicBatches,
    headersOf: ({ apiKey }) => ({
      "anthropic-version": "2023-06-01",
      ...(apiKey === null ? {} : { "x-api-key": apiKey }),
    }),
  },
  google: {
    baseUrl: "https://generativelanguage.googleapis.com/v1beta",
    batches: googleBatches,
    headersOf: ({ apiKey }) => (apiKey === null ? {} : { "x-goog-api-key": apiKey }),
  },
};

/** Null for a provider that has no batches, or that this process has no key for. */
export function remoteService(settings: BuiltInSettings, env: Environment): RemoteService | null {
  const maker = MAKERS[settings.kind];
  if (maker === undefined) return null;
  try {
    const connection = connect(settings, env);
    const baseUrl = (connection.baseUrl ?? maker.baseUrl).replace(/\/+$/, "");
    return {
      address: { baseUrl, headers: { ...maker.headersOf(connection), ...connection.headers } },
      batches: maker.batches,
    };
  } catch {
    return null;
  }
}
