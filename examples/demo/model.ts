// Chooses the demo's model by what the environment offers: a provider's key, or the offline rules.
import { anthropicModel } from "./model-anthropic.ts";
import type { Model } from "./model-contract.ts";
import { offlineModel } from "./model-offline.ts";
import { openAiModel } from "./model-openai.ts";

export type { Answer, CallOptions, Citation, Model, ModelErrorCode, Usage } from "./model-contract.ts";
export { ModelError } from "./model-contract.ts";

/**
 * The model for an environment: OpenAI's with `OPENAI_API_KEY`, else Anthropic's with `ANTHROPIC_API_KEY`, else the
 * offline rules. `OPENAI_MODEL`, `OPENAI_BASE_URL`, `ANTHROPIC_MODEL` and `ANTHROPIC_BASE_URL` override the defaults;
 * an empty variable counts as unset.
 */
export function createModel(env: Record<string, string | undefined>): Model {
  const value = (name: string) => env[name]?.trim() || undefined;
  const openAiKey = value("OPENAI_API_KEY");
  if (openAiKey) {
    return openAiModel({ apiKey: openAiKey, model: value("OPENAI_MODEL"), baseUrl: value("OPENAI_BASE_URL") });
  }
  const anthropicKey = value("ANTHROPIC_API_KEY");
  if (anthropicKey) {
    const [model, baseUrl] = [value("ANTHROPIC_MODEL"), value("ANTHROPIC_BASE_URL")];
    return anthropicModel({ apiKey: anthropicKey, model, baseUrl });
  }
  return offlineModel();
}
