// Model calls that can wait for hours: asked through the provider's own batches, for half the price and beside its usual limits.
import type { LanguageModelV3CallOptions } from "@ai-sdk/provider";
import type { PriceConfidence } from "../../../domain/calls.ts";
import { VALUE_BYTES_MAX } from "../../../domain/limits.ts";
import type { Attribution } from "../../../domain/model-call.ts";
import { type NanoUsd, NO_TOKENS, type Spend, type TokenUsage } from "../../../domain/usage.ts";
import type { Environment } from "../../connection.ts";
import type { Parts } from "../../parts.ts";
import { unknownPrice } from "../../prices.ts";
import type { ChatReply } from "../../reply.ts";
import type { Target } from "../../roles.ts";
import { routeOf } from "../../route.ts";
import { usageOf } from "../../usage.ts";
import { groupName } from "./group.ts";
import { type RemoteService, remoteService } from "./services.ts";
import type { Wire } from "./wire.ts";

/** A request as an item of a provider's batch. */
export interface PreparedItem {
  readonly batcher: string;
  readonly payload: string;
  readonly alias: string | null;
  readonly target: Target;
  readonly need: Spend;
}

export interface BatchReply {
  readonly reply: ChatReply;
  readonly usage: TokenUsage;
  readonly nanoUsd: NanoUsd;
  readonly confidence: PriceConfidence;
}

export class ModelBatches {
  readonly #parts: Parts;
  readonly #wire: Wire;
  readonly #env: Environment;

  constructor(parts: Parts, wire: Wire, env: Environment = process.env) {
    this.#parts = parts;
    this.#wire = wire;
    this.#env = env;
  }

  readonly serviceOf = (provider: string): RemoteService | null => {
    const settings = this.#parts.settings.providers.get(provider);
    return settings === undefined || settings.kind === "own" ? null : remoteService(settings, this.#env);
  };

  /** Null: no target of the model has batches, or the request is too large for one. @throws MODEL_UNKNOWN, PRICE_UNKNOWN; what the package refuses */
  async prepare(
    model: string,
    options: LanguageModelV3CallOptions,
    { tenant, agent, feature, step }: Attribution,
    countsUsd: boolean,
  ): Promise<PreparedItem | null> {
    const { settings, estimator, prices } = this.#parts;
    const size = {
      inputBytes: Buffer.byteLength(JSON.stringify(options.prompt)),
      maxOutputTokens: options.maxOutputTokens ?? null,
      feature,
    };
    const estimate = estimator.estimate({ provider: "", model }, size);
    const hasTools = (options.tools?.length ?? 0) > 0;
    const { alias, targets } = routeOf(settings, model, { estimate, step, agent, feature, tenant, hasTools });
    const target = targets.find(({ provider }) => this.serviceOf(provider) !== null);
    if (target === undefined) return null;
    const { url, body, beta } = await this.#wire.request(target, options);
    const base = this.serviceOf(target.provider)?.address.baseUrl ?? "";
    if (beta || !url.startsWith(base) || Buffer.byteLength(body) > VALUE_BYTES_MAX) return null;
    const price = await prices.of(target);
    if (countsUsd && price.confidence === "unknown") throw unknownPrice(target);
    const most = estimator.estimate(target, { ...size, inputBytes: Buffer.byteLength(body) });
    const need = { ...most, nanoUsd: half(price.atMost(most)), steps: 0 };
    const batcher = groupName({ ...target, path: url.slice(base.length) });
    return { batcher, payload: body, alias, target, need };
  }

  /** @throws when it is no answer to that */
  async read(
    target: Target,
    options: LanguageModelV3CallOptions,
    answer: string,
    estimate: Spend,
  ): Promise<BatchReply> {
    const reply = await this.#wire.reply(target, options, answer);
    const { inputTokens, outputTokens } = estimate;
    const usage = usageOf(reply.usage) ?? { ...NO_TOKENS, inputTokens, outputTokens };
    const price = await this.#parts.prices.of(target);
    return { reply, usage, nanoUsd: half(price.cost(usage)), confidence: price.confidence };
  }
}

/** What batches cost at every provider that has them; rounded up. */
function half(nanoUsd: NanoUsd): NanoUsd {
  return (nanoUsd + 1n) / 2n;
}
