// Models of every specification that the AI SDK has had since its version 5, presented as the third: the gateway speaks only that.
import type { EmbeddingModelV3, LanguageModelV3 } from "@ai-sdk/provider";
import { fail } from "../domain/errors.ts";
import { languageFromV2 } from "./adapt-v2.ts";
import { languageFromV4 } from "./adapt-v4.ts";
import type { Target } from "./roles.ts";

type What = "model" | "embedding model";
const METHODS = { model: ["doGenerate", "doStream"], "embedding model": ["doEmbed"] } as const;

/** @throws PROVIDER_UNUSABLE for what is no model, or one of another specification. */
export function asLanguageModel(model: unknown, target: Target): LanguageModelV3 {
  const found = versionOf(model, "model", target);
  if (found.version === "v3") return found.model as unknown as LanguageModelV3;
  return found.version === "v4" ? languageFromV4(found.model) : languageFromV2(found.model);
}

/** Embedding models have not changed but for their warnings. @throws PROVIDER_UNUSABLE */
export function asEmbeddingModel(model: unknown, target: Target): EmbeddingModelV3 {
  const { version, model: found } = versionOf(model, "embedding model", target);
  const inner = found as unknown as EmbeddingModelV3;
  if (version === "v3") return inner;
  return {
    specificationVersion: "v3",
    provider: inner.provider,
    modelId: inner.modelId,
    maxEmbeddingsPerCall: inner.maxEmbeddingsPerCall,
    supportsParallelCalls: inner.supportsParallelCalls,
    async doEmbed(options) {
      const result = await inner.doEmbed(options);
      return { ...result, warnings: result.warnings ?? [] };
    },
  };
}

interface Found {
  readonly version: "v2" | "v3" | "v4";
  readonly model: Readonly<Record<string, unknown>>;
}

function versionOf(model: unknown, what: What, target: Target): Found {
  if (typeof model === "string") {
    throw unusable(
      what,
      target,
      `it answers the text ${JSON.stringify(model.slice(0, 100))}`,
      "Let it answer the model, as openai(id).",
    );
  }
  if (model instanceof Promise)
    throw unusable(what, target, "it answers a promise", "Let it answer the model at once.");
  const isObject = (typeof model === "object" || typeof model === "function") && model !== null;
  const found = (isObject ? model : {}) as Readonly<Record<string, unknown>>;
  const missing = METHODS[what].find((method) => typeof found[method] !== "function");
  if (missing !== undefined) {
    const fix =
      what === "model"
        ? "Let it answer openai(id) or openai.languageModel(id)."
        : "Let it answer openai.embeddingModel(id).";
    throw unusable(what, target, `what it answers has no ${missing}`, fix);
  }
  const version = found["specificationVersion"];
  if (version === "v2" || version === "v3" || version === "v4") return { version, model: found };
  const problem = `its specification is ${JSON.stringify(version) ?? "not said"}, and v2, v3 and v4 are known`;
  throw unusable(what, target, problem, "Use a version of its package that is made for ai 5, 6 or 7.");
}

function unusable(what: What, { provider, model }: Target, problem: string, fix: string): Error {
  return fail("PROVIDER_UNUSABLE", { provider, what, model, problem, fix });
}
