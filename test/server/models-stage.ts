// A server with models behind it: a fake provider that speaks every protocol, and the two majors of OpenAI's own client in front.
import { createAnthropic } from "@ai-sdk/anthropic";
import OpenAI from "openai";
import OpenAI7 from "openai7";
import { afterAll, beforeAll, beforeEach } from "vitest";
import type { GatewayConfig } from "../../src/gateway/config.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { connect } from "../../src/runtime/connect.ts";
import { type RunningServer, type ServeOptions, serve } from "../../src/server/index.ts";
import { startFakeProvider } from "../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../support/fake-provider/handle.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

export interface ModelStage {
  readonly fake: FakeProvider;
  readonly longhaul: LonghaulProcess;
  readonly server: RunningServer;
  readonly database: FreshDatabase;
  /** Of the tenant `acme`. */
  readonly token: string;
  readonly logged: string[];
}

export const CLIENTS = [
  ["openai 6", OpenAI],
  ["openai 7", OpenAI7 as unknown as typeof OpenAI],
] as const;

/** Registers the hooks of the file. */
export function useModels(
  config: (fake: FakeProvider) => GatewayConfig = () => ({}),
  options: Partial<ServeOptions> = {},
): ModelStage {
  const stage = { logged: [] as string[] } as { -readonly [Name in keyof ModelStage]: ModelStage[Name] };
  beforeAll(async () => {
    stage.fake = await startFakeProvider();
    stage.database = await freshDatabase();
    const given = config(stage.fake);
    const gateway = { ...given, providers: { ...providersOf(stage.fake), ...given.providers } };
    stage.longhaul = await connect({ url: stage.database.url, worker: false, gateway });
    const note = (fields: object, message: string): void =>
      void stage.logged.push(JSON.stringify({ message, ...fields }));
    stage.server = await serve({
      longhaul: stage.longhaul,
      port: 0,
      auth: "keys",
      log: { error: note, warn: note },
      ...options,
    });
    stage.token = (await stage.longhaul.keys.create({ tenant: "acme" })).token;
  });
  beforeEach(() => {
    stage.fake.clear();
    stage.fake.behave({});
    stage.fake.limit({});
  });
  afterAll(async () => {
    await stage.server.close();
    await stage.longhaul.close();
    await stage.database.drop();
    await stage.fake.close();
  });
  return stage;
}

function providersOf({ urls, key }: FakeProvider): NonNullable<GatewayConfig["providers"]> {
  return {
    openai: { apiKey: key, baseUrl: urls.openai },
    anthropic: { apiKey: key, baseUrl: urls.anthropic },
    google: { apiKey: key, baseUrl: urls.google },
    local: { kind: "openai-compatible", apiKey: key, baseUrl: urls.compatible },
    own: { model: (id) => createAnthropic({ apiKey: key, baseURL: urls.anthropic })(id) },
  };
}

/** A client as people make it: with retries, and no patience for tests that hang. */
export function clientOf(
  Client: typeof OpenAI,
  { server, token }: Pick<ModelStage, "server" | "token">,
  more: ConstructorParameters<typeof OpenAI>[0] = {},
): OpenAI {
  return new Client({ apiKey: token, baseURL: `${server.url}/v1`, timeout: 20_000, ...more });
}

/** A request of one's own making, where a client would not send it. */
export function post(
  { server, token }: Pick<ModelStage, "server" | "token">,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${server.url}/v1/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export const question = (model: string, content = "How far is it?") => ({
  model,
  messages: [{ role: "user" as const, content }],
});
