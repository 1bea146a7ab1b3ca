// A fake model provider for tests, benches and demos. It speaks the real wire protocols of OpenAI, Anthropic and Gemini over real
// HTTP; only the words are made up, and it says so. See settings.ts, behaviour.ts, reply.ts and fault.ts for what it can be told.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { AnthropicBatches } from "./anthropic-batches.ts";
import { itemRunner } from "./batch-runner.ts";
import type { Behaviour } from "./behaviour.ts";
import { Brain, type Script } from "./brain.ts";
import { control } from "./control.ts";
import { GeminiBatches } from "./gemini-batches.ts";
import { type FakeProvider, handleOf } from "./handle.ts";
import { patterns, type World } from "./model-call.ts";
import { OpenAiBatches } from "./openai-batches.ts";
import { globToRegExp, Referee } from "./referee.ts";
import { fingerprintOf, type Site, serve } from "./serve.ts";
import type { FakeProviderSettings } from "./settings.ts";
import { TOKENS_PER_BYTE } from "./tokens.ts";
import { Witness } from "./witness.ts";

export interface FakeProviderOptions extends FakeProviderSettings {
  readonly script?: Script;
}

export async function startFakeProvider(options: FakeProviderOptions = {}): Promise<FakeProvider> {
  const { script = null, ...settings } = options;
  const server = createServer({ keepAlive: true, keepAliveTimeout: 120_000, requestTimeout: 0, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(settings.port ?? 0, settings.host ?? "127.0.0.1", 4096, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const site = siteOf(settings, port);
  site.world.brain.script = script;
  const fake = handleOf(site, port, async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  server.on("request", (request, response) => {
    const path = request.url ?? "/";
    if (path !== "/" && !path.startsWith("/control")) return serve(site, request, response);
    control(fake, request, response, new URL(path, "http://fake"));
  });
  return fake;
}

function siteOf(settings: FakeProviderSettings, port: number): Site {
  const brain = new Brain();
  brain.behave(settings.behaviour ?? {});
  const witness = new Witness(settings.keep ?? 100_000);
  const world: World = {
    brain,
    memory: { items: new Map(), responses: new Map() },
    tag: port.toString(36),
    tokensPerByte: settings.tokensPerByte ?? TOKENS_PER_BYTE,
    models: settings.models === undefined ? null : patterns(settings.models),
    contextTokens: Object.entries(settings.contextTokens ?? {}).map(([glob, tokens]) => [globToRegExp(glob), tokens]),
    referee: new Referee(settings.limits ?? {}),
  };
  const run = itemRunner(world, witness, fingerprintOf);
  const behaviour = (): NonNullable<Behaviour["batches"]> => brain.behaviour.batches ?? {};
  const batches = {
    openAiBatches: new OpenAiBatches(run, behaviour),
    anthropicBatches: new AnthropicBatches(run, behaviour),
    geminiBatches: new GeminiBatches(run, behaviour),
  };
  return { settings, world, witness, ...batches };
}
