// What the OpenAI-compatible endpoint asks about a target: whether it speaks OpenAI's own words, and where; else its model.
import type { EmbeddingModelV3, LanguageModelV3 } from "@ai-sdk/provider";
import type { ProviderKind } from "../config.ts";
import type { Target } from "../roles.ts";
import type { Address } from "./upstream.ts";

export type OpenAiApi = "chat" | "responses" | "embeddings";

export interface Outlets {
  /** @throws MODEL_UNKNOWN */
  kind(target: Target): ProviderKind | "own";
  /** Null where the target does not speak this API: the request is translated then. @throws PROVIDER_KEY_MISSING */
  address(target: Target, api: OpenAiApi): Address | null;
  language(target: Target): Promise<LanguageModelV3>;
  embedding(target: Target): Promise<EmbeddingModelV3>;
}
