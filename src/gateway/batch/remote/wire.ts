// Requests and answers of a provider as its batches carry them: written and read by the AI SDK's own provider, whose fetch sends nothing.
import { AsyncLocalStorage } from "node:async_hooks";
import type { LanguageModelV3CallOptions } from "@ai-sdk/provider";
import type { Environment } from "../../connection.ts";
import { Providers } from "../../providers.ts";
import { type ChatReply, replyOf } from "../../reply.ts";
import type { Target } from "../../roles.ts";
import type { GatewaySettings } from "../../settings.ts";

export interface WireRequest {
  readonly url: string;
  /** JSON. */
  readonly body: string;
  /** It asks for what a header must allow, which the requests of a batch do not have. */
  readonly beta: boolean;
}

interface Exchange {
  request: WireRequest | null;
  /** What the provider is said to have answered; null: only the request is wanted. */
  readonly answer: string | null;
}

export class Wire {
  readonly #exchanges = new AsyncLocalStorage<Exchange>();
  readonly #providers: Providers;

  constructor(settings: GatewaySettings, env: Environment | undefined) {
    const fetch = (url: unknown, init?: RequestInit) =>
      this.#fetch({
        url: String(url),
        body: String(init?.body ?? ""),
        beta: new Headers(init?.headers).has("anthropic-beta"),
      });
    const options = { fetch: fetch as typeof globalThis.fetch };
    this.#providers = new Providers(settings, env === undefined ? options : { ...options, env });
  }

  /** What would go out. @throws PROVIDER_KEY_MISSING, PROVIDER_PACKAGE_MISSING; what the provider's package refuses */
  async request(target: Target, options: LanguageModelV3CallOptions): Promise<WireRequest> {
    const model = await this.#providers.language(target);
    const exchange: Exchange = { request: null, answer: null };
    try {
      await this.#exchanges.run(exchange, () => model.doGenerate(options));
    } catch (error) {
      if (exchange.request === null) throw error;
    }
    if (exchange.request === null) throw new Error("the provider's package sent nothing");
    return exchange.request;
  }

  /** What came back, read as the answer to what was asked. @throws when it cannot be */
  async reply(target: Target, options: LanguageModelV3CallOptions, answer: string): Promise<ChatReply> {
    const model = await this.#providers.language(target);
    return replyOf(await this.#exchanges.run({ request: null, answer }, () => model.doGenerate(options)));
  }

  async #fetch(request: WireRequest): Promise<Response> {
    const exchange = this.#exchanges.getStore();
    if (exchange === undefined) throw new Error("a request outside of an exchange");
    exchange.request = request;
    if (exchange.answer === null) throw new Error("only the request was wanted");
    return new Response(exchange.answer, { status: 200, headers: { "content-type": "application/json" } });
  }
}
